package gateway

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// oracle is what Go's own decoder finds: exact names, the last of two.
func oracle(b []byte) (model string, named, stream, valid bool) {
	var m map[string]json.RawMessage
	if json.Unmarshal(b, &m) != nil || m == nil {
		return "", false, false, false
	}
	named = json.Unmarshal(m["model"], &model) == nil && len(m["model"]) > 0 && m["model"][0] == '"'
	if !named {
		model = ""
	}
	return model, named, string(m["stream"]) == "true", true
}

func TestPeek(t *testing.T) {
	for _, c := range []struct {
		body   string
		model  string
		named  bool
		stream bool
	}{
		{`{"model":"a/b"}`, "a/b", true, false},
		{` { "messages" : [ {"model":"x","content":"\"model\":\"y\" }"} ] , "stream":true,"model" : "z" } `, "z", true, true},
		{`{"model":"a","model":"b"}`, "b", true, false},
		{`{"mod\u0065l":"a"}`, "a", true, false},
		{`{"Model":"a"}`, "", false, false},
		{`{"x":{"model":"a"},"y":["model","b"]}`, "", false, false},
		{`{"model":null,"stream":false}`, "", false, false},
		{`{"a":"\\","model":"\\\"x"}`, `\"x`, true, false},
		{`{"a":"\\\\\"","stream": true ,"model":"é\u00e9"}`, "éé", true, true},
		{`{"n":-1.5e9,"t":true,"u":null,"e":{},"f":[],"model":"m"}`, "m", true, false},
		{`{}`, "", false, false},
	} {
		a, err := peek([]byte(c.body), "application/json")
		if err != nil || a.Model != c.model || a.Named != c.named || a.Stream != c.stream {
			t.Errorf("%s: %+v, %v", c.body, a, err)
		}
	}
	for _, bad := range []string{"", " ", "[]", `"x"`, "null", "{", `{"model`, `{"model":`, `{"model":"a"`, `{"model":"a",`, `{"model" "a"}`, `{model:"a"}`, `{"a":"x`, `{"a":[1,2}`} {
		if a, err := peek([]byte(bad), "application/json"); err == nil && a.Named {
			t.Errorf("%q is read as %+v", bad, a)
		}
	}
}

// Whatever is in a valid body, the name that is found is the one that a JSON decoder finds, and a body under another name is
// the same body but for it.
func FuzzPeek(f *testing.F) {
	for _, s := range []string{
		`{"model":"a/b"}`, ` {"messages":[{"content":"\"model\":\"y\""}],"stream":true,"model":"z"}`, `{"model":"a","model":"b"}`, `{"mod\u0065l":"a"}`,
		`{"a":"\\","model":"\\\"x"}`, `{"x":{"model":"a"}}`, `{"model":null}`, "{", `{"a":}`, `{"a":1 2,"model":"x"}`, "{\"\xff\":1,\"model\":\"\xff\"}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := peek(body, "application/json")
		model, named, stream, valid := oracle(body)
		if !valid {
			if err == nil {
				_, _, _ = a.rename("other")
			}
			return
		}
		if err != nil || a.Model != model || a.Named != named || a.Stream != stream {
			t.Fatalf("%q: %+v, %v; a decoder finds %q %v %v", body, a, err, model, named, stream)
		}
		out, _, err := a.rename("new/\"name\"")
		if err != nil {
			t.Fatal(err)
		}
		var was, is map[string]any
		if json.Unmarshal(body, &was) != nil || json.Unmarshal(out, &is) != nil {
			t.Fatalf("%q became %q", body, out)
		}
		if named {
			was["model"] = "new/\"name\""
		}
		x, _ := json.Marshal(was)
		y, _ := json.Marshal(is)
		if !bytes.Equal(x, y) {
			t.Fatalf("%q became %q", body, out)
		}
	})
}

// A form of any kind is read or refused, never more.
func FuzzPeekForm(f *testing.F) {
	f.Add([]byte("--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b--\r\n"), "multipart/form-data; boundary=b")
	f.Add([]byte("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\n\x00\r\n--b\r\nContent-Disposition: form-data; name=\"stream\"\r\n\r\ntrue\r\n--b--"), "multipart/form-data; boundary=\"b\"")
	f.Fuzz(func(t *testing.T, body []byte, kind string) {
		a, err := peek(body, kind)
		if err != nil || !a.Named {
			return
		}
		out, again, err := a.rename(a.Model + "x")
		if err != nil {
			return
		}
		if b, err := peek(out, again); err != nil || b.Model != a.Model+"x" && len(a.Model) < maxField-1 {
			t.Fatalf("%q of %q became %q: %+v, %v", body, kind, out, b, err)
		}
	})
}

// An answer's end is read wherever it was cut.
func FuzzUsage(f *testing.F) {
	f.Add([]byte(`"usage":{"prompt_tokens":3,"completion_tokens":5}}`), 7)
	f.Add([]byte("data: {\"usage\":null}\n\ndata: {\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}\n\ndata: [DONE]\n\n"), 30)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		var one, two tail
		one.add(b)
		if n := len(b); n > 0 {
			cut = ((cut % n) + n) % n
		} else {
			cut = 0
		}
		two.add(b[:cut])
		two.add(b[cut:])
		if !bytes.Equal(one.bytes(), two.bytes()) || usageOf(one.bytes()) != usageOf(two.bytes()) {
			t.Fatalf("cut at %d: %q and %q", cut, one.bytes(), two.bytes())
		}
	})
}

func TestUsage(t *testing.T) {
	for end, want := range map[string]usage{
		`"choices":[],"usage":{"prompt_tokens":3,"total_tokens":8,"completion_tokens":5}}`:          {3, 5},
		"data: {\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":1}}\n\ndata: {\"usage\":null}": {9, 1},
		`"usage":{"input_tokens":2,"output_tokens":4}}`:                                             {2, 4},
		`"usage":{"prompt_tokens":3,"completion_tok`:                                                {},
		``: {},
	} {
		if got := usageOf([]byte(end)); got != want {
			t.Errorf("%s: %+v", end, got)
		}
	}
	var t1 tail
	for range 100 {
		t1.add([]byte(strings.Repeat("x", 999)))
	}
	t1.add([]byte(`"usage":{"prompt_tokens":1,"completion_tokens":2}`))
	if len(t1.bytes()) > tailSize || usageOf(t1.bytes()) != (usage{1, 2}) {
		t.Errorf("%d bytes kept", len(t1.bytes()))
	}
}

// A counter of ten is not one of one, and work in another form of the number is work.
func TestReadCounters(t *testing.T) {
	read := func(s string) (string, bool) {
		c, err := readCounters(strings.NewReader(s))
		if err != nil {
			t.Error(err)
		}
		if c.queued != (c.queued && strings.Contains(s, "waiting")) {
			t.Errorf("%q: a queue is seen", s)
		}
		return c.mark, c.running || c.queued
	}
	a, _ := read("vllm:request_success_total{finished_reason=\"stop\"} 1\n")
	b, _ := read("vllm:request_success_total{finished_reason=\"stop\"} 10\n")
	if a == b {
		t.Errorf("one and ten are %q", a)
	}
	for text, want := range map[string]bool{
		"vllm:num_requests_running{engine=\"0\"} 0.0\n": false, "vllm:num_requests_running{engine=\"0\"} 2.0\n": true, "vllm:num_requests_waiting 1e+00\n": true,
		"sglang:num_running_reqs{model_name=\"a b\"} 3\n": true, "vllm:num_requests_running_by_x{} 5\n": false, "# HELP vllm:num_requests_running 1\n": false,
	} {
		if _, busy := read(text); busy != want {
			t.Errorf("%q: busy %v", text, busy)
		}
	}
}
