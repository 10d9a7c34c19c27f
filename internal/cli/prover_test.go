package cli

import (
	"testing"

	"justright/catalog"
	"justright/internal/probe"
	"justright/launch"
	"justright/model"
	"justright/solve"
)

// TestParserLesson: what follows from a tool parser that was wrong.
func TestParserLesson(t *testing.T) {
	facts, err := catalog.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	qwen := model.Profile{ID: "Qwen/Qwen3-8B", Architecture: "Qwen3ForCausalLM"}
	stranger := model.Profile{ID: "some/model", Architecture: "SomeForCausalLM"}
	text := func(parsers ...string) probe.ToolFault {
		return probe.ToolFault{Kind: probe.FaultText, Parsers: parsers}
	}
	stream := probe.ToolFault{Kind: probe.FaultStream}
	for _, c := range []struct {
		name    string
		m       model.Profile
		release string
		wrong   string
		asked   bool
		fault   probe.ToolFault
		known   []catalog.Lesson
		want    string
	}{
		{"the family's parser was not the one", qwen, "0.32.0", "llama3_json", true, text("hermes"), nil,
			"Qwen/Qwen3-8B vllm: without --tool-call-parser=llama3_json"},
		{"the family is said to have it, and has not", qwen, "0.32.0", "hermes", false, text("qwen3_coder", "qwen3_xml"), nil,
			"Qwen/Qwen3-8B vllm: with --tool-call-parser qwen3_coder, without --tool-call-parser=hermes"},
		{"a release without the first that reads it", qwen, "0.9.2", "hermes", false, text("qwen3_coder", "llama3_json"), nil,
			"Qwen/Qwen3-8B vllm: with --tool-call-parser llama3_json, without --tool-call-parser=hermes"},
		{"one that failed before is not tried again", qwen, "0.32.0", "qwen3_coder", false, text("qwen3_coder", "qwen3_xml"),
			[]catalog.Lesson{{Cause: launch.CauseToolParser, Model: "Qwen/Qwen3-8B", DropFlags: []string{"--tool-call-parser=hermes"}}},
			"Qwen/Qwen3-8B vllm: with --tool-call-parser qwen3_xml, without --tool-call-parser=qwen3_coder"},
		{"nobody knows a right one", stranger, "0.32.0", "hermes", true, text(), nil, "some/model vllm: without --tool-call-parser --enable-auto-tool-choice"},
		{"streams are broken, and tools were asked for", qwen, "0.32.0", "hermes", true, stream, nil, "Qwen/Qwen3-8B vllm==0.32.0: not again"},
		{"on the next release too", qwen, "0.31.0", "hermes", true, stream,
			[]catalog.Lesson{{Cause: launch.CauseToolParser, Model: "qwen/qwen3-8b", Engine: "vllm==0.32.0", Forbid: true}},
			"Qwen/Qwen3-8B vllm: without --tool-call-parser --enable-auto-tool-choice"},
		{"streams are broken, and nobody asked for tools", qwen, "0.32.0", "hermes", false, stream, nil,
			"Qwen/Qwen3-8B vllm: without --tool-call-parser --enable-auto-tool-choice"},
	} {
		a := launch.Attempt{Stack: &solve.Stack{Engine: solve.Engine{Name: "vllm", Version: c.release}, Argv: []string{"vllm", "serve", c.m.ID, "--tool-call-parser", c.wrong}}}
		if got := parserLesson(facts, c.m, a, c.wrong, c.asked, c.fault, c.known).Words(); got != c.want {
			t.Errorf("%s: %s\nwant %s", c.name, got, c.want)
		}
	}
}

// TestWithTools: a parser that a release does not have takes the family's own with it only where it is the family's own.
func TestWithTools(t *testing.T) {
	facts, err := catalog.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ parser, want string }{{"hermes", "--tool-call-parser"}, {"qwen", "--tool-call-parser=qwen"}} {
		a := launch.Attempt{Stack: &solve.Stack{Argv: []string{"vllm", "serve", "m", "--tool-call-parser", c.parser}}}
		l := catalog.Lesson{DropFlags: []string{"--tool-call-parser", "--enable-auto-tool-choice"}}
		if got := withTools(facts, model.Profile{ID: "Qwen/Qwen3-8B"}, a, &l).DropFlags[0]; got != c.want || len(l.DropFlags) != 2 {
			t.Errorf("%s: %s, want %s", c.parser, got, c.want)
		}
	}
}
