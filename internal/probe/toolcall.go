package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"justright/internal/httpclient"
)

// ToolFault is how calls of a tool came that did not come as calls: the engine's parser does not read what the model writes.
type ToolFault struct {
	Kind string `json:"kind"` // of FaultText, FaultArguments, FaultStream
	Saw  string `json:"saw"`  // in one line
	// Parsers are vLLM's parsers that read the form in which the call was written; empty when the form does not tell.
	Parsers []string `json:"parsers,omitempty"`
}

// The kinds of a ToolFault.
const (
	FaultText      = "text"      // the call stands in the answer's text
	FaultArguments = "arguments" // a call whose arguments are no JSON object
	FaultStream    = "stream"    // streamed, the call is another one
)

// call is one call of a tool, as a client gets it.
type call struct{ name, arguments string }

func (c call) String() string { return c.name + "(" + httpclient.OneLine(c.arguments, 60) + ")" }

// calls are those of a whole message.
func (m message) calls() []call { return m.continues(nil) }

// continues adds a message's calls, or the parts of them that it streams, to those before.
func (m message) continues(have []call) []call {
	for i, t := range m.ToolCalls {
		n := t.Index
		if n == 0 {
			n = min(i, len(have)) // whole messages do not number their calls
		}
		if n > len(have) {
			n = len(have)
		}
		if n == len(have) {
			have = append(have, call{})
		}
		text := ""
		if json.Unmarshal(t.Function.Arguments, &text) != nil {
			text = string(t.Function.Arguments) // an object where the API has a string
		}
		have[n].name += t.Function.Name
		have[n].arguments += text
	}
	return have
}

// wrong says what is wrong with a call, as a client would find out; nil: nothing.
func (c call) wrong() error {
	var args map[string]any
	d := json.NewDecoder(strings.NewReader(c.arguments))
	err := d.Decode(&args)
	switch {
	case c.name != "get_weather":
		return fmt.Errorf("the call is %s, and get_weather is the only tool", c)
	case err != nil || args == nil || d.More():
		return fmt.Errorf("its arguments are no JSON object: %s", c)
	}
	if _, ok := args["city"].(string); !ok {
		return fmt.Errorf("the call lacks its argument: %s", c)
	}
	return nil
}

// freely are ways to ask for a call that leave the choice to the model: a small one may answer the first in words.
var freely = []string{
	"What is the weather in Paris? Use the tool.",
	"Call get_weather for Paris now. Do not answer in words.",
	"You must call the function get_weather with city Paris. Output nothing else.",
}

// toolBody is a request with one tool.
func (p *prover) toolBody(prompt string, choice any, tokens int) map[string]any {
	if p.context > 0 {
		tokens = min(tokens, max(p.context/2, 32))
	}
	body := chat.ask(p.e.Model, prompt, tokens)
	body["tools"] = []any{map[string]any{"type": "function", "function": map[string]any{"name": "get_weather", "description": "Weather of a city",
		"parameters": map[string]any{"type": "object", "properties": map[string]any{"city": map[string]any{"type": "string", "enum": []any{"Paris", "Rome"}}},
			"required": []any{"city"}, "additionalProperties": false}}}}
	body["tool_choice"] = choice
	return body
}

// byName forces the call, which engines do by guided decoding, whatever the model's talent and whatever parser runs.
func byName() map[string]any {
	return map[string]any{"type": "function", "function": map[string]any{"name": "get_weather"}}
}

// callTokens is enough for a call, thoughtTokens for a model that thinks before it; mostThought is how long that may take.
const (
	callTokens    = 160
	thoughtTokens = 800
	mostThought   = 30 * time.Second
)

// thinks reports whether a message has come no further than thoughts.
func (m message) thinks() bool {
	return len(m.ToolCalls) == 0 && (strings.Contains(m.Content, "<think>") && !strings.Contains(m.Content, "</think>") ||
		m.Content == "" && m.ReasoningContent+m.Reasoning != "")
}

// toolCall asks for a call: freely where a tool parser runs, as its user will, whole and streamed; else by name.
func (p *prover) toolCall(ctx context.Context) verdict {
	if p.kind != chat {
		return skip("only chat models call tools")
	}
	if !p.o.Expected.Tools {
		return p.namedCall(ctx, "")
	}
	near := ""
	for _, prompt := range freely {
		body := p.toolBody(prompt, "auto", callTokens)
		r, took, err := p.e.generate(ctx, chat, body, p.o.Limit)
		if err == nil && r.finish() == "length" && r.Choices[0].Message.thinks() && took*thoughtTokens/callTokens < mostThought {
			body = p.toolBody(prompt, "auto", thoughtTokens)
			r, took, err = p.e.generate(ctx, chat, body, p.o.Limit)
		}
		if err != nil {
			return flunk("%s", words(err))
		}
		if len(r.Choices) == 0 {
			return flunk("the answer has no choice")
		}
		m := r.Choices[0].Message
		if calls := m.calls(); len(calls) > 0 {
			if err := calls[0].wrong(); err != nil {
				return p.fault(FaultArguments, calls[0].String(), nil, "%s%s", err, cutNote(r))
			}
			return p.streamedCall(ctx, body, calls, fmt.Sprintf("%s in %.2f s", calls[0], took.Seconds()))
		}
		text := m.said()
		parsers, written := writtenCall(text)
		mine := p.o.Expected.ToolParser
		if !written && r.finish() == "length" {
			break // a model that does not come to an end will not at the next question
		}
		switch {
		case !written:
		case len(parsers) == 0 && mine != "" || slices.Contains(parsers, mine):
			near = text // its own parser's form, or nearly: the model's slip, not the parser's
		default:
			return p.fault(FaultText, httpclient.OneLine(text, 120), parsers, "the call came as text, which no client will make: %q%s",
				httpclient.OneLine(text, 80), readBy(parsers, mine))
		}
	}
	return p.namedCall(ctx, near)
}

// readBy says whose form a call was written in.
func readBy(parsers []string, mine string) string {
	if len(parsers) == 0 {
		return ""
	}
	out := "; " + strings.Join(parsers, " or ") + " would read it"
	if mine != "" {
		out += ", and the engine runs " + mine
	}
	return out
}

func (p *prover) fault(kind, saw string, parsers []string, format string, a ...any) verdict {
	p.doc.ToolFault = &ToolFault{Kind: kind, Saw: saw, Parsers: parsers}
	return flunk(format, a...)
}

// said is what a message says outside of its thinking, or in it when there is nothing else: a reasoning parser that is
// wrong takes everything for thoughts.
func (m message) said() string {
	text := m.Content
	if i := strings.LastIndex(text, "</think>"); i >= 0 {
		text = text[i+len("</think>"):]
	}
	if strings.TrimSpace(text) == "" {
		text = m.ReasoningContent + m.Reasoning
	}
	return text
}

// streamedCall asks for the same call as a stream. A difference counts when it comes again: engines that batch may
// choose another word once.
func (p *prover) streamedCall(ctx context.Context, body map[string]any, whole []call, pass1 string) verdict {
	for try := 0; ; try++ {
		s, err := p.e.stream(ctx, chat, body, p.o.Limit)
		switch {
		case err != nil && try > 0:
			return flunk("whole it is %s; streamed: %s", whole[0], words(err))
		case err != nil:
			continue
		}
		if sameCalls(whole, s.Calls) {
			return pass("%s, and the same streamed", pass1)
		}
		if try > 0 {
			got := "words: " + httpclient.OneLine(s.Content, 60)
			if len(s.Calls) > 0 {
				got = fmt.Sprint(s.Calls)
			}
			parsers, _ := writtenCall(s.Content)
			return p.fault(FaultStream, got, parsers, "whole it is %s; streamed it is %s", fmt.Sprint(whole), got)
		}
		r, _, err := p.e.generate(ctx, chat, body, p.o.Limit)
		if err != nil {
			return flunk("%s", words(err))
		}
		if len(r.Choices) > 0 && len(r.Choices[0].Message.ToolCalls) > 0 {
			whole = r.Choices[0].Message.calls()
		}
	}
}

// sameCalls compares calls by what a client makes of them.
func sameCalls(a, b []call) bool {
	return slices.EqualFunc(a, b, func(x, y call) bool {
		return x.name == y.name && bytes.Equal(canonical(x.arguments), canonical(y.arguments))
	})
}

// canonical is a JSON text without its spaces and order; what is no JSON stays as it is.
func canonical(text string) []byte {
	var v any
	if json.Unmarshal([]byte(text), &v) != nil {
		return []byte("?" + text)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return []byte("?" + text)
	}
	return b
}

// namedCall asks for the call by name. near is a call that the model wrote by itself, not quite in its parser's form.
func (p *prover) namedCall(ctx context.Context, near string) verdict {
	tools := p.o.Expected.Tools
	grade := func(v verdict) verdict { v.required = tools; return v }
	r, took, err := p.e.generate(ctx, chat, p.toolBody(freely[0], byName(), callTokens), p.o.Limit)
	switch s := status(err); {
	case err != nil && s >= 400 && s < 500 && !tools:
		return skip("the engine takes no tools: %s", words(err))
	case err != nil && tools:
		return flunk("the model chose words, and asked by name: %s", words(err))
	case err != nil:
		return grade(flunk("%s", words(err)))
	case len(r.Choices) == 0 || len(r.Choices[0].Message.ToolCalls) == 0:
		return grade(flunk("no tool call, but words: %q", httpclient.OneLine(r.text(), 60)))
	}
	c := r.Choices[0].Message.calls()[0]
	if err := c.wrong(); err != nil {
		return grade(flunk("%s%s", err, cutNote(r)))
	}
	how := ""
	switch {
	case near != "":
		how = fmt.Sprintf(", asked by name; left to itself the model wrote %q, which the parser did not take", httpclient.OneLine(near, 60))
	case tools:
		how = ", asked by name; left to itself the model answered in words, so that the tool parser was not seen at work"
	}
	return grade(pass("%s in %.2f s%s", c, took.Seconds(), how))
}

// callForms are how families write their calls, and which of vLLM's parsers read that, as the files of vllm/tool_parsers in
// vLLM 0.33.0 look for it. Special tokens may be missing: engines leave them out of text when no parser asks for them.
var callForms = []struct {
	mark    *regexp.Regexp
	parsers []string
}{
	{regexp.MustCompile(`<arg_key>`), []string{"glm45", "glm47"}},
	{regexp.MustCompile(`<seed:tool_call>`), []string{"seed_oss"}},
	{regexp.MustCompile(`<minimax:tool_call>`), []string{"minimax_m2"}},
	{regexp.MustCompile(`<longcat_tool_call>`), []string{"longcat"}},
	{regexp.MustCompile(`<start_function_call>`), []string{"functiongemma"}},
	{regexp.MustCompile(`<function=get_weather>\s*<parameter=`), []string{"qwen3_coder", "qwen3_xml"}},
	{regexp.MustCompile(`<tool_call>\s*\{`), []string{"hermes"}},
	{regexp.MustCompile(`<(?:\|tool_call\||tool_call)>\s*\[`), []string{"granite"}},
	{regexp.MustCompile(`<tool_calls>\s*\[`), []string{"jamba", "hunyuan_a13b"}},
	{regexp.MustCompile(`<function_calls>`), []string{"olmo3"}},
	{regexp.MustCompile(`<\|action_start\|>`), []string{"internlm"}},
	{regexp.MustCompile(`<\|tool_call_start\|>`), []string{"lfm2"}},
	{regexp.MustCompile(`<\|tool_calls?(?:_section)?_begin\|>|functions\.get_weather:\d+\s*(?:<\|tool_call_argument_begin\|>\s*)?\{`), []string{"kimi_k2"}},
	{regexp.MustCompile(`to=functions\.get_weather`), []string{"openai"}},
	{regexp.MustCompile("function(?:<｜tool▁sep｜>)?get_weather\\s*```json"), []string{"deepseek_v3"}},
	{regexp.MustCompile(`<｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>`), []string{"deepseek_v31"}},
	{regexp.MustCompile(`<｜DSML｜`), []string{"deepseek_v32"}},
	{regexp.MustCompile(`functools\s*\[`), []string{"phi4_mini_json"}},
	{regexp.MustCompile(`\[TOOL_CALLS\]|^\s*get_weather\s*(?:\[ARGS\])?\s*\{`), []string{"mistral"}},
	{regexp.MustCompile(`^\s*\[\s*\{\s*"name"\s*:\s*"get_weather"`), []string{"mistral", "granite", "xlam"}},
	{regexp.MustCompile(`^\s*\[get_weather\(`), []string{"pythonic", "llama4_pythonic"}},
	{regexp.MustCompile(`^\s*(?:<\|python_tag\|>)?\s*\{\s*"name"\s*:\s*"get_weather"\s*,\s*"parameters"`), []string{"llama3_json", "llama4_json"}},
}

// bareCall is a call in no form that tells its parser.
var bareCall = regexp.MustCompile("^\\s*(?:```\\w*\\s*)?(?:[\\[{<]|get_weather\\s*[({])")

// writtenCall reports whether a text is a call that nobody parsed, and which parsers read its form.
func writtenCall(text string) (parsers []string, written bool) {
	if !strings.Contains(text, "get_weather") || !strings.Contains(text, "Paris") {
		return nil, false
	}
	for _, f := range callForms {
		if f.mark.MatchString(text) {
			return f.parsers, true
		}
	}
	return nil, bareCall.MatchString(text)
}
