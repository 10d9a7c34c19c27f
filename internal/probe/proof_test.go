package probe

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"justright/internal/httpclient"
)

func failed(p Proof) string {
	var out []string
	for _, c := range p.Checks {
		if !c.Passed {
			n := c.Name
			if !c.Required {
				n = "(" + n + ")"
			}
			out = append(out, n)
		}
	}
	sort.Strings(out)
	return strings.Join(out, " ")
}

func notApplicable(p Proof) string {
	var out []string
	for _, c := range p.Checks {
		if !c.Applies {
			out = append(out, c.Name)
		}
	}
	return strings.Join(out, " ")
}

// TestProve breaks one thing at a time and sees which check says so.
func TestProve(t *testing.T) {
	const doors = "(other-doors)"
	tests := []struct {
		name   string
		e      engine
		x      Expected
		passed bool
		failed string
	}{
		{"a guarded engine", engine{key: "k", guardAll: true, context: 4096}, Expected{Model: "tiny", Root: "org/tiny", Context: 4096, DoorsShut: true, Tools: true}, true, ""},
		{"vLLM's own key leaves doors open", engine{key: "k"}, Expected{}, true, doors},
		{"a plan that promised shut doors", engine{key: "k"}, Expected{DoorsShut: true}, false, "other-doors"},
		{"no key anywhere", engine{}, Expected{}, true, ""},
		{"base model", engine{key: "k", base: true}, Expected{}, true, doors},
		{"embedding model", engine{key: "k", embeds: true}, Expected{}, true, doors},
		{"another model under the address", engine{key: "k", name: "other"}, Expected{Model: "tiny"}, false, "(other-doors) model-list"},
		{"served from elsewhere", engine{key: "k"}, Expected{Root: "org/else"}, false, "(other-doors) model-list"},
		{"wrong architecture", engine{}, Expected{Architecture: "GptOssForCausalLM", SeenArchitecture: "TransformersForCausalLM"}, false, "architecture"},
		{"shorter context than planned", engine{context: 2048}, Expected{Context: 4096}, false, "context"},
		{"sick", engine{sick: true}, Expected{}, false, "health"},
		{"key not checked", engine{key: "k", deaf: true}, Expected{}, false, "(other-doors) wrong-key-refused"},
		{"empty answers", engine{emptyAnswer: true}, Expected{}, false, "answers chat completion"},
		{"logits not numbers", engine{nan: true}, Expected{}, true, "(sane-text)"},
		{"collected stream", engine{collect: true}, Expected{}, false, "streaming"},
		{"cut stream", engine{cutStream: true}, Expected{}, false, "streaming"},
		{"no tool parser", engine{noTools: true}, Expected{}, true, ""},
		{"no tool parser though planned", engine{noTools: true}, Expected{Tools: true}, false, "tool-call"},
		{"small model prefers words, calls when named", engine{wordsForTools: true}, Expected{Tools: true}, true, ""},
		{"a call in the text, of another parser's form", engine{callAsText: hermesCall}, Expected{Tools: true, ToolParser: "llama3_json"}, false, "tool-call"},
		{"a call in the text, its parser not known", engine{callAsText: hermesCall}, Expected{Tools: true}, false, "tool-call"},
		{"a call in the text, nobody promised tools", engine{callAsText: hermesCall}, Expected{}, true, ""},
		{"a slip in its own parser's form", engine{callAsText: hermesCall}, Expected{Tools: true, ToolParser: "hermes"}, true, ""},
		{"words about a tool", engine{callAsText: "I would call get_weather for Paris."}, Expected{Tools: true, ToolParser: "hermes"}, true, ""},
		{"thoughts about a tool", engine{callAsText: "<think>\nget_weather for Paris, then.\n</think>\n\nIt is fine there."}, Expected{Tools: true}, true, ""},
		{"arguments cut", engine{callArgs: `{"city":"Par`}, Expected{Tools: true}, false, "tool-call"},
		{"arguments twice", engine{callArgs: `{"city":"Paris"}{"city":"Paris"}`}, Expected{Tools: true}, false, "tool-call"},
		{"arguments packed twice", engine{callArgs: `"{\"city\":\"Paris\"}"`}, Expected{Tools: true}, false, "tool-call"},
		{"streamed arguments cut", engine{streamedArgs: `{"city":"Pa`}, Expected{Tools: true}, false, "tool-call"},
		{"streamed in another order of keys", engine{callArgs: `{"city":"Paris","unit":"C"}`, streamedArgs: `{"unit": "C", "city": "Paris"}`}, Expected{Tools: true}, true, ""},
		{"streamed as words", engine{streamsWords: true}, Expected{Tools: true}, false, "tool-call"},
		{"schema ignored", engine{brokenJSON: true}, Expected{}, true, "(json-schema)"},
		{"dies of a long prompt", engine{diesOnLong: true}, Expected{}, false, "alive-afterwards long-prompt"},
		{"cuts long prompts silently", engine{truncates: true}, Expected{}, false, "long-prompt"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var emitted int
			p, err := Prove(t.Context(), tt.e.serve(t), Options{Expected: tt.x, Each: func(Check) { emitted++ }})
			if err != nil {
				t.Fatal(err)
			}
			if p.Passed != tt.passed || failed(p) != tt.failed || emitted != len(p.Checks) {
				t.Errorf("passed %v, failed %q; want %v, %q\n%+v", p.Passed, failed(p), tt.passed, tt.failed, p.Checks)
			}
			if raw, err := json.Marshal(p); err != nil || strings.Contains(string(raw), "null,\"checks\"") || !strings.Contains(string(raw), `"schema":"justright/proof/1"`) {
				t.Errorf("document %s, %v", raw, err)
			}
		})
	}
}

const hermesCall = "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}}\n</tool_call>"

// TestToolFault: what came instead of a call is told so that a program can act on it.
func TestToolFault(t *testing.T) {
	for _, tt := range []struct {
		e    engine
		x    Expected
		want ToolFault
		says string
	}{
		{engine{callAsText: hermesCall}, Expected{Tools: true, ToolParser: "llama3_json"}, ToolFault{Kind: FaultText, Parsers: []string{"hermes"}},
			"hermes would read it, and the engine runs llama3_json"},
		{engine{callArgs: `{"city":`}, Expected{Tools: true, ToolParser: "hermes"}, ToolFault{Kind: FaultArguments}, "no JSON object"},
		{engine{streamedArgs: `{"city":"Pa`}, Expected{Tools: true, ToolParser: "hermes"}, ToolFault{Kind: FaultStream}, "streamed it is [get_weather({\"city\":\"Pa)]"},
	} {
		p, err := Prove(t.Context(), tt.e.serve(t), Options{Expected: tt.x})
		if err != nil {
			t.Fatal(err)
		}
		if p.ToolFault == nil || p.ToolFault.Kind != tt.want.Kind || !slices.Equal(p.ToolFault.Parsers, tt.want.Parsers) || p.ToolFault.Saw == "" {
			t.Errorf("%+v, want %+v", p.ToolFault, tt.want)
		}
		for _, c := range p.Checks {
			if c.Name == "tool-call" && !strings.Contains(c.Detail, tt.says) {
				t.Errorf("says %q, not %q", c.Detail, tt.says)
			}
		}
	}
}

// TestToolCallsAreAskedForWithMeasure: thoughts get room, and words without end get no second question.
func TestToolCallsAreAskedForWithMeasure(t *testing.T) {
	for _, tt := range []struct {
		e    engine
		want []int
	}{
		{engine{}, []int{160, 160}}, // whole and streamed
		{engine{thoughts: 500}, []int{160, 800, 800}},
		{engine{endless: true}, []int{160}},
		{engine{wordsForTools: true}, []int{160, 160, 160}},
	} {
		if p, err := Prove(t.Context(), tt.e.serve(t), Options{Expected: Expected{Tools: true, ToolParser: "hermes"}}); err != nil || !p.Passed {
			t.Errorf("%v, %+v", err, p.Checks)
		}
		if !slices.Equal(tt.e.tokens, tt.want) {
			t.Errorf("tokens %v, want %v", tt.e.tokens, tt.want)
		}
	}
}

// TestWrittenCall: forms of calls as the families' templates have them, with special tokens and without.
func TestWrittenCall(t *testing.T) {
	for _, tt := range []struct{ text, parser string }{
		{hermesCall, "hermes"},
		{"Sure.\n<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n</function>\n</tool_call>", "qwen3_coder"},
		{`{"name": "get_weather", "parameters": {"city": "Paris"}}`, "llama3_json"},
		{`[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Paris"}}]`, "mistral"},
		{`get_weather{"city": "Paris"}`, "mistral"},
		{`[get_weather(city="Paris")]`, "pythonic"},
		{"<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n</tool_call>", "glm45"},
		{`<minimax:tool_call><invoke name="get_weather"><parameter name="city">Paris</parameter></invoke></minimax:tool_call>`, "minimax_m2"},
		{`<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>{"city":"Paris"}<|tool_call_end|>`, "kimi_k2"},
		{`functions.get_weather:0{"city":"Paris"}`, "kimi_k2"},
		{`commentary to=functions.get_weather json{"city":"Paris"}`, "openai"},
		{"function<｜tool▁sep｜>get_weather\n```json\n{\"city\":\"Paris\"}\n```", "deepseek_v3"},
		{`functools[{"name": "get_weather", "arguments": {"city": "Paris"}}]`, "phi4_mini_json"},
		{`[{"name": "get_weather", "arguments": {"city": "Paris"}}]`, "mistral"},
		{`{"name": "get_weather", "arguments": {"city": "Paris"}}`, "?"},
		{"I cannot see the weather, but get_weather(\"Paris\") would.", ""},
		{"The weather in Paris is fine.", ""},
		{"", ""},
	} {
		parsers, written := writtenCall(tt.text)
		got := ""
		switch {
		case len(parsers) > 0:
			got = parsers[0]
		case written:
			got = "?"
		}
		if got != tt.parser {
			t.Errorf("%q is read by %q, want %q", tt.text, got, tt.parser)
		}
	}
}

func TestProveSaysWhatDoesNotApply(t *testing.T) {
	p, err := Prove(t.Context(), (&engine{embeds: true}).serve(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := "architecture context chat completion streaming sane-text tool-call json-schema long-prompt wrong-key-refused other-doors unstreamed-limit"
	if got := notApplicable(p); got != want || !p.Passed {
		t.Errorf("not applicable: %q, want %q", got, want)
	}
	for _, c := range p.Checks {
		if !c.Applies && (c.Required || !c.Passed || !strings.HasPrefix(c.Detail, "does not apply: ")) {
			t.Errorf("%+v", c)
		}
	}
}

func TestProveNamesTheDoors(t *testing.T) {
	p, err := Prove(t.Context(), (&engine{key: "k"}).serve(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(p.OpenDoors, " "); got != "POST /invocations POST /tokenize GET /metrics GET /version POST /sleep" {
		t.Errorf("open doors %q", got)
	}
}

func TestProveLongPromptShrinks(t *testing.T) {
	e := &engine{context: 700} // words count one here, plus the question
	p, err := Prove(t.Context(), e.serve(t), Options{LongTokens: 690})
	if err != nil || !p.Passed || p.Measured.LongestPromptTokens == nil || *p.Measured.LongestPromptTokens < 400 {
		t.Errorf("%v %+v", err, p)
	}
}

func TestNoProofAtAll(t *testing.T) {
	e := engine{key: "right"}
	ep := e.serve(t)
	ep.Key = httpclient.NewSecret("wrong")
	if p, err := Prove(t.Context(), ep, Options{}); !errors.Is(err, ErrKeyRefused) || p.Passed {
		t.Errorf("wrong key: %v", err)
	}
	ep.BaseURL = "http://127.0.0.1:1"
	if p, err := Prove(t.Context(), ep, Options{}); !errors.Is(err, ErrUnreachable) || p.Passed {
		t.Errorf("nobody there: %v", err)
	}
	loading := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }))
	defer loading.Close()
	ep.BaseURL = loading.URL
	if _, err := Prove(t.Context(), ep, Options{}); !errors.Is(err, ErrUnreachable) {
		t.Errorf("502: %v", err)
	}
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }))
	defer page.Close()
	ep.BaseURL = page.URL
	if p, err := Prove(t.Context(), ep, Options{}); err != nil || p.Passed {
		t.Errorf("a web page: passed %v, %v", p.Passed, err)
	}
}

func TestUnstreamedLimitOfRunPodsProxy(t *testing.T) {
	speed := 50.0
	p := &prover{e: Endpoint{BaseURL: "https://abc-8000.proxy.runpod.net"}}
	p.doc.Measured.TokensPerSecond = &speed
	if v := p.unstreamedLimit(t.Context()); !v.applies || *p.doc.Measured.UnstreamedSeconds != 100 || *p.doc.Measured.UnstreamedMaxTokens != 5000 {
		t.Errorf("%+v %+v", v, p.doc.Measured)
	}
	p = &prover{e: Endpoint{BaseURL: "https://proxy.runpod.net.example"}}
	if v := p.unstreamedLimit(t.Context()); v.applies {
		t.Errorf("%+v", v)
	}
}

func TestParseBaseURL(t *testing.T) {
	for in, want := range map[string]string{
		"http://127.0.0.1:8000/v1/": "http://127.0.0.1:8000", "localhost:8000": "http://localhost:8000", "https://h/api/v1": "https://h/api",
		"https://p-8000.proxy.runpod.net": "https://p-8000.proxy.runpod.net", "ftp://x": "", "": "", "https://h/?k=1": "",
	} {
		got, err := ParseBaseURL(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestStreamTimes(t *testing.T) {
	now := time.Unix(0, 0)
	ep := (&engine{}).serve(t)
	ep.Now = func() time.Time { now = now.Add(100 * time.Millisecond); return now }
	s, err := ep.stream(t.Context(), chat, chat.ask("tiny", "x", 8), time.Minute)
	if err != nil || s.Chunks != 4 || s.Tokens != 4 || !s.Counted || s.First != 100*time.Millisecond || len(s.Gaps) != 3 || s.Text != "ready when you are" {
		t.Errorf("%+v, %v", s, err)
	}
}
