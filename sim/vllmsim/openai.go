package vllmsim

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"
)

// request is the union of what the endpoints read.
type request struct {
	Model         string    `json:"model"`
	Messages      []message `json:"messages"`
	Prompt        any       `json:"prompt"`
	Input         any       `json:"input"`
	Tokens        []int     `json:"tokens"`
	MaxTokens     *int      `json:"max_tokens"`
	MaxCompletion *int      `json:"max_completion_tokens"`
	Stream        bool      `json:"stream"`
	StreamOptions *struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	Tools          []tool          `json:"tools"`
	ToolChoice     json.RawMessage `json:"tool_choice"`
	ResponseFormat *struct {
		Type       string `json:"type"`
		JSONSchema *struct {
			Schema map[string]any `json:"schema"`
		} `json:"json_schema"`
	} `json:"response_format"`
	Temperature *float64 `json:"temperature"`
}

type message struct {
	Role    string `json:"role"`
	Content any    `json:"content"`
}

type tool struct {
	Function struct {
		Name       string         `json:"name"`
		Parameters map[string]any `json:"parameters"`
	} `json:"function"`
}

// maxBody bounds a request.
const maxBody = 64 << 20

func (e *Engine) read(w http.ResponseWriter, r *http.Request) (request, bool) {
	var q request
	b, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err == nil {
		err = json.Unmarshal(b, &q)
	}
	if err != nil {
		fail(w, http.StatusBadRequest, "[{'type': 'json_invalid', 'loc': ('body', 0), 'msg': 'JSON decode error', 'input': {}}]", "Bad Request", nil)
		return q, false
	}
	if q.Model != "" && !slices.Contains(e.o.Served, q.Model) {
		fail(w, http.StatusNotFound, fmt.Sprintf("The model `%s` does not exist.", q.Model), "NotFoundError", "model")
		return q, false
	}
	return q, true
}

// tokens counts a text the way the stand-in does: one for a word, more for long ones.
func tokens(s string) int {
	n := 0
	for _, w := range strings.Fields(s) {
		n += 1 + (len(w)-1)/8
	}
	return n
}

func textOf(content any) string {
	switch c := content.(type) {
	case string:
		return c
	case []any:
		var b strings.Builder
		for _, p := range c {
			if m, ok := p.(map[string]any); ok {
				if s, ok := m["text"].(string); ok {
					b.WriteString(s + " ")
				}
			}
		}
		return b.String()
	default:
		return ""
	}
}

// prompt is the whole input of a request as text.
func (q request) prompt() string {
	if len(q.Messages) == 0 {
		switch p := q.Prompt.(type) {
		case string:
			return p
		case []any:
			return fmt.Sprint(p...)
		}
		return ""
	}
	var b strings.Builder
	for _, m := range q.Messages {
		b.WriteString(m.Role + " " + textOf(m.Content) + "\n")
	}
	return b.String()
}

func (q request) limit(room int) (n int, asked bool) {
	for _, p := range []*int{q.MaxCompletion, q.MaxTokens} {
		if p != nil {
			return *p, true
		}
	}
	return room, false
}

// reply is what will be said, cut into tokens.
type reply struct {
	pieces []string
	finish string
	tool   string // name of the called function; pieces are its arguments then
	prompt int
}

// answer decides on the reply, or refuses.
func (e *Engine) answer(w http.ResponseWriter, q request, chat bool) (reply, bool) {
	r := reply{finish: "stop", prompt: tokens(q.prompt())}
	limit, asked := q.limit(e.o.MaxModelLen - r.prompt)
	if limit < 1 && asked {
		fail(w, http.StatusBadRequest, fmt.Sprintf("max_tokens must be at least 1, got %d.", limit), "BadRequestError", "max_tokens")
		return r, false
	}
	if r.prompt+1 > e.o.MaxModelLen || asked && r.prompt+limit > e.o.MaxModelLen {
		fail(w, http.StatusBadRequest, fmt.Sprintf("This model's maximum context length is %d tokens. However, you requested %d output tokens and your prompt contains at least %d input tokens, for a total of at least %d tokens. Please reduce the length of the input prompt or the number of requested output tokens.",
			e.o.MaxModelLen, limit, r.prompt, r.prompt+limit), "BadRequestError", "input_tokens")
		return r, false
	}
	if q.Temperature != nil && (*q.Temperature < 0 || math.IsNaN(*q.Temperature)) {
		fail(w, http.StatusBadRequest, fmt.Sprintf("temperature must be non-negative, got %v.", *q.Temperature), "BadRequestError", "temperature")
		return r, false
	}
	text := e.words(q)
	if chat && len(q.Tools) > 0 {
		name, forced, refused := e.chooseTool(q)
		if refused {
			fail(w, http.StatusBadRequest, "\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set", "BadRequestError", nil)
			return r, false
		}
		for _, t := range q.Tools {
			if t.Function.Name == name {
				r.tool, r.finish = name, "tool_calls"
				if forced {
					r.finish = "stop" // a call by name ends with "stop"
				}
				text = instance(t.Function.Parameters)
				if !forced && e.missesCall(q.Stream) {
					text = written(e.speaks(), name, text)
					r.tool, r.finish = "", "stop"
				}
			}
		}
	}
	if f := q.ResponseFormat; f != nil && r.tool == "" {
		switch {
		case f.Type == "json_schema" && f.JSONSchema != nil:
			text = instance(f.JSONSchema.Schema)
		case f.Type == "json_object":
			text = `{"answer":"ready"}`
		}
	}
	r.pieces = pieces(text)
	if len(r.pieces) > limit {
		r.pieces, r.finish = r.pieces[:max(limit, 0)], "length"
	}
	return r, true
}

// chooseTool finds the function a request ends in, if any.
func (e *Engine) chooseTool(q request) (name string, forced, refused bool) {
	var word string
	var named struct {
		Function struct{ Name string } `json:"function"`
	}
	if json.Unmarshal(q.ToolChoice, &word) != nil && json.Unmarshal(q.ToolChoice, &named) == nil && named.Function.Name != "" {
		return named.Function.Name, true, false
	}
	switch word {
	case "none":
		return "", false, false
	case "required":
		return q.Tools[0].Function.Name, true, false
	default:
		if !e.o.AutoTools || e.o.ToolParser == "" {
			return "", false, len(q.ToolChoice) == 0 || word == "auto"
		}
		return q.Tools[0].Function.Name, false, false
	}
}

// speaks is the parser that reads the model's calls.
func (e *Engine) speaks() string {
	if e.o.Speaks != "" {
		return e.o.Speaks
	}
	return e.o.ToolParser
}

// missesCall reports whether the parser that runs does not see the model's call in what it writes.
func (e *Engine) missesCall(stream bool) bool {
	return !reads(e.o.ToolParser, e.speaks()) || stream && e.o.WholeCallsOnly
}

// words is the text of an answer. It never pretends that a model thought about it.
func (e *Engine) words(q request) string {
	if e.o.Broken {
		return strings.Repeat("! ", 64)
	}
	last := q.prompt()
	if n := len(q.Messages); n > 0 {
		last = textOf(q.Messages[n-1].Content)
	}
	if strings.Contains(strings.ToLower(last), "single word") {
		return "ready"
	}
	f := strings.Fields(last)
	if len(f) > 12 {
		f = append(f[:12:12], "…")
	}
	return fmt.Sprintf("I stand in for %s, so no model has thought about this. You wrote: %s", e.o.Served[0], strings.Join(f, " ")) +
		" — one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty."
}

// pieces cuts a text into tokens that join to it again.
func pieces(s string) []string {
	var out []string
	start := 0
	for i := 1; i < len(s); i++ {
		if s[i] == ' ' || strings.ContainsRune("{}:,\"", rune(s[i])) {
			out = append(out, s[start:i])
			start = i
		}
	}
	if start < len(s) {
		out = append(out, s[start:])
	}
	return out
}

func (e *Engine) begin(r reply) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stats.running++
	e.stats.promptTokens += r.prompt
	return e.now()
}

func (e *Engine) end(first float64, said int, finish string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stats.running--
	e.stats.outTokens += said
	e.stats.success[finish]++
	e.stats.firstTokens++
	e.stats.firstSum += first
}

func (e *Engine) pause(d time.Duration, done <-chan struct{}) bool {
	if d > 0 {
		if e.o.Sleep != nil {
			e.o.Sleep(d, done)
		} else {
			t := time.NewTimer(d)
			defer t.Stop()
			select {
			case <-t.C:
			case <-done:
			}
		}
	}
	select {
	case <-done:
		return false
	default:
		return true
	}
}

func (e *Engine) newID(prefix string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seq++
	return fmt.Sprintf("%s-%032x", prefix, e.seq)
}

func (e *Engine) invoke(w http.ResponseWriter, r *http.Request) { e.chat(w, r) }

func (e *Engine) chat(w http.ResponseWriter, r *http.Request) {
	q, ok := e.read(w, r)
	if !ok {
		return
	}
	if len(q.Messages) == 0 {
		fail(w, http.StatusBadRequest, "[{'type': 'missing', 'loc': ('body', 'messages'), 'msg': 'Field required'}]", "Bad Request", nil)
		return
	}
	if e.o.NoChat {
		fail(w, http.StatusBadRequest, "As of transformers v4.44, default chat template is no longer allowed, so you must provide a chat template if the tokenizer does not define one.", "BadRequestError", nil)
		return
	}
	if a, ok := e.answer(w, q, true); ok {
		e.say(w, r, q, a, true)
	}
}

func (e *Engine) complete(w http.ResponseWriter, r *http.Request) {
	q, ok := e.read(w, r)
	if !ok {
		return
	}
	if q.Prompt == nil {
		fail(w, http.StatusBadRequest, "[{'type': 'missing', 'loc': ('body', 'prompt'), 'msg': 'Field required'}]", "Bad Request", nil)
		return
	}
	if q.MaxTokens == nil {
		n := 16
		q.MaxTokens = &n
	}
	if a, ok := e.answer(w, q, false); ok {
		e.say(w, r, q, a, false)
	}
}

func (a reply) usage() map[string]any {
	return map[string]any{"prompt_tokens": a.prompt, "completion_tokens": len(a.pieces), "total_tokens": a.prompt + len(a.pieces)}
}

// say sends the answer, at once or as a stream.
func (e *Engine) say(w http.ResponseWriter, r *http.Request, q request, a reply, chat bool) {
	began := e.begin(a)
	said, finish, first := 0, "abort", 0.0
	defer func() { e.end(first, said, finish) }()
	done := r.Context().Done()
	model := e.o.Served[0]
	if q.Model != "" {
		model = q.Model
	}
	if !e.pause(e.o.FirstToken, done) {
		return
	}
	first = e.now().Sub(began).Seconds()
	if q.Stream {
		said, finish = e.stream(w, q, a, model, chat, done)
		return
	}
	if !e.pause(e.o.PerToken*time.Duration(len(a.pieces)), done) {
		return
	}
	said, finish = len(a.pieces), a.finish
	if finish == "tool_calls" {
		finish = "stop"
	}
	text := strings.Join(a.pieces, "")
	id, object, choice := e.newID("cmpl"), "text_completion", map[string]any{"index": 0, "text": text, "logprobs": nil, "finish_reason": a.finish, "stop_reason": nil}
	if chat {
		id, object = e.newID("chatcmpl"), "chat.completion"
		m := map[string]any{"role": "assistant", "content": text, "refusal": nil, "tool_calls": []any{}}
		if a.tool != "" {
			m["content"] = nil
			m["tool_calls"] = []any{map[string]any{"id": e.newID("chatcmpl-tool"), "type": "function", "function": map[string]any{"name": a.tool, "arguments": text}}}
		}
		choice = map[string]any{"index": 0, "message": m, "logprobs": nil, "finish_reason": a.finish, "stop_reason": nil}
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"id": id, "object": object, "created": e.now().Unix(), "model": model, "choices": []any{choice}, "usage": a.usage(),
	})
}

func (e *Engine) stream(w http.ResponseWriter, q request, a reply, model string, chat bool, done <-chan struct{}) (said int, finish string) {
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	id, object := e.newID("cmpl"), "text_completion"
	if chat {
		id, object = e.newID("chatcmpl"), "chat.completion.chunk"
	}
	send := func(choices []any, usage any) {
		m := map[string]any{"id": id, "object": object, "created": e.now().Unix(), "model": model, "choices": choices}
		if usage != nil {
			m["usage"] = usage
		}
		b, _ := json.Marshal(m)
		_, _ = fmt.Fprintf(w, "data: %s\n\n", b)
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
	}
	delta := func(text string, finish any) []any {
		if !chat {
			return []any{map[string]any{"index": 0, "text": text, "logprobs": nil, "finish_reason": finish}}
		}
		d := map[string]any{"content": text}
		if a.tool != "" {
			d = map[string]any{"tool_calls": []any{map[string]any{"index": 0, "function": map[string]any{"arguments": text}}}}
		}
		return []any{map[string]any{"index": 0, "delta": d, "logprobs": nil, "finish_reason": finish}}
	}
	if chat {
		head := map[string]any{"role": "assistant", "content": ""}
		if a.tool != "" {
			head["tool_calls"] = []any{map[string]any{"index": 0, "id": e.newID("chatcmpl-tool"), "type": "function", "function": map[string]any{"name": a.tool, "arguments": ""}}}
		}
		send([]any{map[string]any{"index": 0, "delta": head, "logprobs": nil, "finish_reason": nil}}, nil)
	}
	for i, p := range a.pieces {
		if i > 0 && !e.pause(e.o.PerToken, done) {
			return i, "abort"
		}
		var end any
		if i == len(a.pieces)-1 {
			end = a.finish
		}
		send(delta(p, end), nil)
	}
	if len(a.pieces) == 0 {
		send(delta("", a.finish), nil)
	}
	if q.StreamOptions != nil && q.StreamOptions.IncludeUsage {
		send([]any{}, a.usage())
	}
	_, _ = io.WriteString(w, "data: [DONE]\n\n")
	finish = a.finish
	if finish == "tool_calls" {
		finish = "stop"
	}
	return len(a.pieces), finish
}

func (e *Engine) embeddings(w http.ResponseWriter, r *http.Request) {
	q, ok := e.read(w, r)
	if !ok {
		return
	}
	if !e.o.Embeds {
		fail(w, http.StatusBadRequest, "The model does not support Embeddings API", "BadRequestError", nil)
		return
	}
	inputs := []string{}
	switch v := q.Input.(type) {
	case string:
		inputs = append(inputs, v)
	case []any:
		for _, x := range v {
			inputs = append(inputs, fmt.Sprint(x))
		}
	}
	data, n := []any{}, 0
	for i, s := range inputs {
		data = append(data, map[string]any{"index": i, "object": "embedding", "embedding": vector(s)})
		n += tokens(s)
	}
	e.begin(reply{prompt: n})
	e.end(0, 0, "stop")
	writeJSON(w, http.StatusOK, map[string]any{
		"id": e.newID("embd"), "object": "list", "created": e.now().Unix(), "model": e.o.Served[0], "data": data,
		"usage": map[string]any{"prompt_tokens": n, "total_tokens": n, "completion_tokens": 0},
	})
}

// vector is a unit vector that depends on the text.
func vector(s string) []float64 {
	v, sum := make([]float64, 64), 0.0
	h := uint64(14695981039346656037)
	for i := range v {
		for _, c := range []byte(s) {
			h = (h ^ uint64(c)) * 1099511628211
		}
		h = (h ^ uint64(i)) * 1099511628211
		v[i] = float64(int64(h>>11))/(1<<52) - 1
		sum += v[i] * v[i]
	}
	for i := range v {
		v[i] /= math.Sqrt(sum)
	}
	return v
}

func (e *Engine) tokenize(w http.ResponseWriter, r *http.Request) {
	q, ok := e.read(w, r)
	if !ok {
		return
	}
	n := tokens(q.prompt())
	ids := make([]int, n)
	for i := range ids {
		ids[i] = i + 1
	}
	writeJSON(w, http.StatusOK, map[string]any{"count": n, "max_model_len": e.o.MaxModelLen, "tokens": ids, "token_strs": nil})
}

func (e *Engine) detokenize(w http.ResponseWriter, r *http.Request) {
	q, ok := e.read(w, r)
	if !ok {
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"prompt": strings.TrimSpace(strings.Repeat("word ", len(q.Tokens)))})
}
