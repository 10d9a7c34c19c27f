package vllmsim_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"justright/sim/vllmsim"
)

func ask(t *testing.T, e *vllmsim.Engine, method, path, key, body string) (int, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

const hello = `{"messages":[{"role":"user","content":"hello"}]}`

// TestDoors: vLLM's own key guards some prefixes alone; a middleware guards every path but the probes'.
func TestDoors(t *testing.T) {
	for _, everywhere := range []bool{false, true} {
		e := vllmsim.New(vllmsim.Options{Model: "m", Key: "k", KeyEverywhere: everywhere})
		for _, d := range []struct {
			method, path, body string
			guarded            bool
		}{
			{"GET", "/health", "", false}, {"GET", "/ping", "", false}, {"POST", "/ping", "", false}, {"GET", "/v1/models", "", true},
			{"POST", "/v1/chat/completions", hello, true}, {"POST", "/invocations", hello, everywhere}, {"POST", "/tokenize", `{"prompt":"a"}`, everywhere},
			{"GET", "/metrics", "", everywhere}, {"GET", "/version", "", everywhere}, {"GET", "/load", "", everywhere},
		} {
			want := http.StatusOK
			if d.guarded {
				want = http.StatusUnauthorized
			}
			if got, _ := ask(t, e, d.method, d.path, "", d.body); got != want {
				t.Errorf("middleware %t: %s %s without a key: %d, want %d", everywhere, d.method, d.path, got, want)
			}
			if got, _ := ask(t, e, d.method, d.path, "k", d.body); got != http.StatusOK {
				t.Errorf("middleware %t: %s %s with the key: %d", everywhere, d.method, d.path, got)
			}
		}
	}
}

// TestExtend: the middleware's own path takes seconds since 1970 with the key, repeats them, and is there with it alone.
func TestExtend(t *testing.T) {
	var took string
	with := vllmsim.New(vllmsim.Options{Model: "m", Key: "k", KeyEverywhere: true, Extend: func(until string) error { took = until; return nil }})
	const path = "/justright/extend"
	for _, c := range []struct {
		key, body string
		status    int
		want      string
	}{{"", "1800000000", 401, ""}, {"k", "1800000000\n", 200, "1800000000"}, {"k", "soon", 400, ""}, {"k", "", 400, ""}, {"k", "180000000000", 400, ""}} {
		took = ""
		status, body := ask(t, with, "POST", path, c.key, c.body)
		if status != c.status || took != c.want || status == 200 && body != c.want {
			t.Errorf("%q with key %q: %d %q, taken %q", c.body, c.key, status, body, took)
		}
	}
	if status, _ := ask(t, vllmsim.New(vllmsim.Options{Model: "m", Key: "k"}), "POST", path, "k", "1"); status != http.StatusNotFound {
		t.Errorf("without the middleware: %d", status)
	}
}

// TestAnswers: the forms and the refusals of the API.
func TestAnswers(t *testing.T) {
	tools := `"tools":[{"type":"function","function":{"name":"w","parameters":{"type":"object","required":["city"],"properties":{"city":{"type":"string","enum":["Paris"]}}}}}]`
	for _, c := range []struct {
		name, path, body string
		options          vllmsim.Options
		status           int
		want             string
	}{
		{"chat", "/v1/chat/completions", hello, vllmsim.Options{}, 200, `"finish_reason":"stop"`},
		{"limit", "/v1/chat/completions", strings.Replace(hello, "{", `{"max_tokens":2,`, 1), vllmsim.Options{}, 200, `"completion_tokens":2`},
		{"completion", "/v1/completions", `{"prompt":"a"}`, vllmsim.Options{}, 200, `"object":"text_completion"`},
		{"named tool", "/v1/chat/completions", strings.Replace(hello, "{", "{"+tools+`,"tool_choice":{"type":"function","function":{"name":"w"}},`, 1), vllmsim.Options{}, 200, `"arguments":"{\"city\":\"Paris\"}"`},
		{"auto tool", "/v1/chat/completions", strings.Replace(hello, "{", "{"+tools+`,`, 1), vllmsim.Options{AutoTools: true, ToolParser: "hermes"}, 200, `"finish_reason":"tool_calls"`},
		{"auto tool without parser", "/v1/chat/completions", strings.Replace(hello, "{", "{"+tools+`,"tool_choice":"auto",`, 1), vllmsim.Options{}, 400, "requires --enable-auto-tool-choice"},
		{"auto tool, another family's parser", "/v1/chat/completions", strings.Replace(hello, "{", "{"+tools+`,`, 1), vllmsim.Options{AutoTools: true, ToolParser: "llama3_json", Speaks: "hermes"}, 200, `"content":"\u003ctool_call\u003e\n{\"name\": \"w\"`},
		{"auto tool, a parser alike", "/v1/chat/completions", strings.Replace(hello, "{", "{"+tools+`,`, 1), vllmsim.Options{AutoTools: true, ToolParser: "qwen3_xml", Speaks: "qwen3_coder"}, 200, `"finish_reason":"tool_calls"`},
		{"auto tool, streamed by a parser of whole answers", "/v1/chat/completions", strings.Replace(hello, "{", `{"stream":true,`+tools+`,`, 1), vllmsim.Options{AutoTools: true, ToolParser: "hermes", WholeCallsOnly: true}, 200, `"content":"\u003ctool_call\u003e`},
		{"named tool, whatever the parser", "/v1/chat/completions", strings.Replace(hello, "{", "{"+tools+`,"tool_choice":{"type":"function","function":{"name":"w"}},`, 1), vllmsim.Options{ToolParser: "hermes", Speaks: "glm45"}, 200, `"arguments":"{\"city\":\"Paris\"}"`},
		{"schema", "/v1/chat/completions", strings.Replace(hello, "{", `{"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object","required":["a"],"properties":{"a":{"type":"integer","minimum":3}}}}},`, 1), vllmsim.Options{}, 200, `"content":"{\"a\":3}"`},
		{"other model", "/v1/chat/completions", strings.Replace(hello, "{", `{"model":"x",`, 1), vllmsim.Options{}, 404, "The model `x` does not exist."},
		{"too long", "/v1/completions", `{"prompt":"` + strings.Repeat("word ", 200) + `"}`, vllmsim.Options{MaxModelLen: 128}, 400, "maximum context length is 128 tokens"},
		{"no chat template", "/v1/chat/completions", hello, vllmsim.Options{NoChat: true}, 400, "chat template"},
		{"embeddings", "/v1/embeddings", `{"input":"a"}`, vllmsim.Options{Embeds: true}, 200, `"object":"embedding"`},
		{"embeddings of a text model", "/v1/embeddings", `{"input":"a"}`, vllmsim.Options{}, 400, "does not support Embeddings"},
		{"text of an embedding model", "/v1/chat/completions", hello, vllmsim.Options{Embeds: true}, 404, "Not Found"},
		{"broken kernels", "/v1/chat/completions", hello, vllmsim.Options{Broken: true}, 200, "! ! ! !"},
		{"no JSON", "/v1/chat/completions", "{", vllmsim.Options{}, 400, "json_invalid"},
		{"unknown path", "/v1/nothing", "{}", vllmsim.Options{}, 404, "Not Found"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.options.Model = "m"
			status, body := ask(t, vllmsim.New(c.options), "POST", c.path, "", c.body)
			if status != c.status || !strings.Contains(body, c.want) {
				t.Errorf("%d %s\nwant %d with %s", status, body, c.status, c.want)
			}
		})
	}
}

// TestStream: one chunk a token, the same text as at once, usage when asked for, and [DONE].
func TestStream(t *testing.T) {
	e := vllmsim.New(vllmsim.Options{Model: "m"})
	_, whole := ask(t, e, "POST", "/v1/chat/completions", "", hello)
	var at struct {
		Choices []struct{ Message struct{ Content string } }
		Usage   struct {
			Completion int `json:"completion_tokens"`
		}
	}
	if err := json.Unmarshal([]byte(whole), &at); err != nil {
		t.Fatal(err)
	}
	_, stream := ask(t, e, "POST", "/v1/chat/completions", "", strings.Replace(hello, "{", `{"stream":true,"stream_options":{"include_usage":true},`, 1))
	text, chunks, done := "", 0, false
	for sc := bufio.NewScanner(strings.NewReader(stream)); sc.Scan(); {
		d, ok := strings.CutPrefix(sc.Text(), "data: ")
		if !ok {
			continue
		}
		if d == "[DONE]" {
			done = true
			continue
		}
		var c struct {
			Choices []struct{ Delta struct{ Content string } }
		}
		if err := json.Unmarshal([]byte(d), &c); err != nil {
			t.Fatal(err)
		}
		if len(c.Choices) > 0 && c.Choices[0].Delta.Content != "" {
			text += c.Choices[0].Delta.Content
			chunks++
		}
	}
	if text != at.Choices[0].Message.Content || chunks != at.Usage.Completion || !done || !strings.Contains(stream, `"total_tokens"`) {
		t.Errorf("%d chunks, done %t: %q\nwant %d: %q", chunks, done, text, at.Usage.Completion, at.Choices[0].Message.Content)
	}
}

// TestMetrics: the counters that a guard looks at move with requests, and stand still without.
func TestMetrics(t *testing.T) {
	e := vllmsim.New(vllmsim.Options{Model: "m"})
	before, _ := e.Activity()
	_, text := ask(t, e, "GET", "/metrics", "", "")
	for _, want := range []string{`vllm:num_requests_running{engine="0",model_name="m"} 0.0`, "vllm:num_requests_waiting{", `vllm:request_success_total{engine="0",model_name="m",finished_reason="stop"} 0.0`, "vllm:prompt_tokens_total{", "vllm:generation_tokens_total{"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if again, busy := e.Activity(); again != before || busy {
		t.Error("looking at the counters moved them")
	}
	ask(t, e, "POST", "/v1/chat/completions", "", hello)
	if after, _ := e.Activity(); after == before {
		t.Error("a request left no mark")
	}
}

// TestParse: the releases' own command line, and argparse's words for what is wrong with one.
func TestParse(t *testing.T) {
	known := func(f string) bool { return vllmsim.Common(f) && f != "--seed" }
	for _, c := range []struct {
		prog, line, bad string
		check           func(vllmsim.Command) bool
	}{
		{"vllm", "org/m --max-model-len 8k --enforce-eager --port=81", "", func(c vllmsim.Command) bool {
			return c.Model == "org/m" && c.MaxModelLen == 8000 && c.Eager && c.Port == 81
		}},
		{"api_server.py", "--model m -tp 2 --served-model-name a b --middleware x.Y", "", func(c vllmsim.Command) bool {
			return c.Model == "m" && c.TP == 2 && fmt.Sprint(c.Served) == "[a b]" && fmt.Sprint(c.Middleware) == "[x.Y]"
		}},
		{"vllm", "m --enable_auto_tool_choice --tool_call_parser hermes", "", func(c vllmsim.Command) bool { return c.AutoTools && c.ToolParser == "hermes" }},
		{"api_server.py", "--model m --pipeline-parallel-size 8000:8000", "api_server.py: error: argument --pipeline-parallel-size/-pp: invalid int value: '8000:8000'", nil},
		{"vllm", "m --max-context 1024", "vllm: error: unrecognized arguments: --max-context 1024", nil},
		{"vllm", "m --seed 1", "unrecognized arguments: --seed 1", nil},
		{"vllm", "m --port", "argument --port: expected one argument", nil},
		{"vllm", "vllm serve m", "unrecognized arguments: serve m", nil},
	} {
		cmd, err := vllmsim.Parse(c.prog, strings.Fields(c.line), known)
		if c.bad != "" {
			if err == nil || !strings.Contains(err.Error(), c.bad) {
				t.Errorf("%s: %v, want %s", c.line, err, c.bad)
			}
			continue
		}
		if err != nil || !c.check(cmd) {
			t.Errorf("%s: %+v %v", c.line, cmd, err)
		}
	}
}

// TestBegin: how a start ends, by what the release, its packages and the host allow.
func TestBegin(t *testing.T) {
	config := []byte(`{"architectures":["LlamaForCausalLM"],"model_type":"llama","max_position_embeddings":131072,"num_hidden_layers":32,"num_key_value_heads":8,"head_dim":128}`)
	host := vllmsim.Host{Version: "0.19.1", WheelCUDA: "12.9", HostCUDA: "12.8", GPUs: 1, MemoryGiB: 23.5, Config: config, WeightsBytes: 8 << 30}
	for _, c := range []struct {
		name, line string
		change     func(*vllmsim.Host)
		exit       int
		says       string
	}{
		{"ready", "m --max-model-len 8192", nil, -1, "Application startup complete."},
		{"whole context does not fit", "m", nil, 1, "larger than the available KV cache memory"},
		{"auto context", "m --max-model-len auto", nil, -1, "Application startup complete."},
		{"type unknown", "m", func(h *vllmsim.Host) { h.KnowsType = func(string) bool { return false } }, 1, "Transformers does not recognize this architecture"},
		{"class unknown", "m", func(h *vllmsim.Host) { h.KnowsArchitecture = func(string) bool { return false } }, 1, "are not supported for now"},
		{"driver too old", "m", func(h *vllmsim.Host) { h.WheelCUDA = "13.0" }, 1, "found version 12080"},
		{"minor versions do", "m --max-model-len 4096", func(h *vllmsim.Host) { h.HostCUDA = "12.1" }, -1, "Application startup complete."},
		{"no driver", "m", func(h *vllmsim.Host) { h.HostCUDA = "" }, 1, "Found no NVIDIA driver"},
		{"too few cards", "m -tp 2", nil, 1, "World size (2) is larger than the number of available GPUs (1)"},
		{"weights too big", "m", func(h *vllmsim.Host) { h.WeightsBytes = 60 << 30 }, 1, "torch.OutOfMemoryError"},
		{"no room for a cache", "m", func(h *vllmsim.Host) { h.WeightsBytes = 22 << 30 }, 1, "No available memory for the cache blocks"},
		{"too long", "m --max-model-len 200000", nil, 1, "is greater than the derived max_model_len"},
		{"no config", "m", func(h *vllmsim.Host) { h.Config = nil }, 1, "HFValidationError"},
		{"CPU build", "m --max-model-len 4096", func(h *vllmsim.Host) { h.CPU, h.HostCUDA, h.GPUs = true, "", 0 }, -1, "Application startup complete."},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := host
			if c.change != nil {
				c.change(&h)
			}
			cmd, err := vllmsim.Parse("vllm", strings.Fields(c.line), nil)
			if err != nil {
				t.Fatal(err)
			}
			s := vllmsim.Begin(cmd, h, time.Unix(0, 0))
			var b strings.Builder
			for _, l := range s.Lines {
				b.WriteString(l.Text + "\n")
			}
			if s.Exit != c.exit || !strings.Contains(b.String(), c.says) {
				t.Errorf("exit %d, want %d with %q:\n%s", s.Exit, c.exit, c.says, b.String())
			}
		})
	}
}
