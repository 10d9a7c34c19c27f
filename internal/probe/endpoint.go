package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tmaxmax/go-sse"

	"justright/internal/httpclient"
)

// maxEvent bounds one streamed event.
const maxEvent = 4 << 20

// Endpoint is one OpenAI-compatible address with its key, as its user reaches it.
type Endpoint struct {
	BaseURL string // without /v1
	Key     httpclient.Secret
	Model   string // served name; empty: the first of the model list
	HTTP    *httpclient.Client
	Now     func() time.Time
}

// ParseBaseURL reads an address as people give it: with or without /v1 and a slash at the end, and without a
// scheme for localhost.
func ParseBaseURL(s string) (string, error) {
	t := strings.TrimSpace(s)
	if !strings.Contains(t, "://") {
		t = "http://" + t
	}
	t = strings.TrimSuffix(strings.TrimRight(t, "/"), "/v1")
	u, err := url.Parse(t)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.RawQuery != "" || u.User != nil {
		return "", fmt.Errorf("%q is no address like https://host/v1", httpclient.RedactURL(s))
	}
	return t, nil
}

// get and post send one request with the given key and return the answer, or an *httpclient.Error.
func (e Endpoint) get(ctx context.Context, path string, key httpclient.Secret, limit time.Duration) (*httpclient.Response, error) {
	return e.HTTP.Do(ctx, httpclient.Request{URL: e.BaseURL + path, Bearer: key, Timeout: limit, MaxBody: 4 << 20, Once: true})
}

func (e Endpoint) post(ctx context.Context, path string, key httpclient.Secret, body any, limit time.Duration) (*httpclient.Response, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return e.HTTP.Do(ctx, httpclient.Request{Method: http.MethodPost, URL: e.BaseURL + path, Bearer: key, Body: raw, Timeout: limit, MaxBody: 16 << 20, Once: true})
}

// status is the HTTP status an error carries; 0 when there was no answer.
func status(err error) int {
	var e *httpclient.Error
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

// words is what the server said, in one line, with its status.
func words(err error) string {
	var e *httpclient.Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	d := e.Detail()
	switch {
	case e.Status == 0 && e.Err != nil:
		return e.Err.Error()
	case d == "":
		return fmt.Sprintf("HTTP %d", e.Status)
	default:
		return fmt.Sprintf("HTTP %d: %s", e.Status, d)
	}
}

// kind is how a model is asked.
type kind string

const (
	chat       kind = "chat"
	completion kind = "completion"
	embedding  kind = "embedding"
)

func (k kind) path() string {
	switch k {
	case completion:
		return "/v1/completions"
	case embedding:
		return "/v1/embeddings"
	default:
		return "/v1/chat/completions"
	}
}

// ask builds the request body for a prompt.
func (k kind) ask(model, prompt string, maxTokens int) map[string]any {
	switch k {
	case embedding:
		return map[string]any{"model": model, "input": prompt}
	case completion:
		return map[string]any{"model": model, "prompt": prompt, "max_tokens": maxTokens, "temperature": 0}
	default:
		return map[string]any{"model": model, "messages": []any{map[string]any{"role": "user", "content": prompt}}, "max_tokens": maxTokens, "temperature": 0}
	}
}

// reply is the part of a generated answer that is looked at, streamed or whole. Engines name the thinking of
// reasoning models reasoning_content (to vLLM 0.11) or reasoning.
type reply struct {
	Model   string `json:"model"`
	Choices []struct {
		Text         string  `json:"text"`
		Message      message `json:"message"`
		Delta        message `json:"delta"`
		FinishReason string  `json:"finish_reason"`
	} `json:"choices"`
	Usage *struct {
		Prompt     int `json:"prompt_tokens"`
		Completion int `json:"completion_tokens"`
	} `json:"usage"`
	Error json.RawMessage `json:"error"`
}

type message struct {
	Content          string `json:"content"`
	ReasoningContent string `json:"reasoning_content"`
	Reasoning        string `json:"reasoning"`
	ToolCalls        []struct {
		Index    int `json:"index"` // of a streamed part: which call it continues
		Function struct {
			Name      string          `json:"name"`
			Arguments json.RawMessage `json:"arguments"` // a string by the API; what else comes is to be told
		} `json:"function"`
	} `json:"tool_calls"`
}

// text is everything the model said in the first choice, thinking included.
func (r reply) text() string {
	if len(r.Choices) == 0 {
		return ""
	}
	c := r.Choices[0]
	var b strings.Builder
	for _, m := range []message{c.Message, c.Delta} {
		b.WriteString(m.ReasoningContent)
		if m.ReasoningContent == "" {
			b.WriteString(m.Reasoning)
		}
		b.WriteString(m.Content)
	}
	b.WriteString(c.Text)
	return b.String()
}

func (r reply) finish() string {
	if len(r.Choices) == 0 {
		return ""
	}
	return r.Choices[0].FinishReason
}

// generate asks once without streaming.
func (e Endpoint) generate(ctx context.Context, k kind, body map[string]any, limit time.Duration) (reply, time.Duration, error) {
	start := e.Now()
	res, err := e.post(ctx, k.path(), e.Key, body, limit)
	took := e.Now().Sub(start)
	if err != nil {
		return reply{}, took, err
	}
	var r reply
	if err := json.Unmarshal(res.Body, &r); err != nil {
		return reply{}, took, fmt.Errorf("the answer is no JSON: %s", httpclient.OneLine(string(res.Body), 120))
	}
	return r, took, nil
}

// Stream is one streamed generation, timed.
type Stream struct {
	Text         string
	Content      string // of it, what is no thinking
	Calls        []call // of tools, put together
	Finish       string
	Chunks       int // with text in them
	PromptTokens int // 0 when the server did not say
	Tokens       int // completion tokens; the number of chunks when the server did not say
	Counted      bool
	Done         bool          // the closing [DONE] came: without it the stream was cut
	First        time.Duration // from sending to the first text
	Total        time.Duration
	Gaps         []time.Duration // between text chunks
}

// stream asks with streaming and reads to the end. What came before an error is returned with it.
func (e Endpoint) stream(ctx context.Context, k kind, body map[string]any, limit time.Duration) (s Stream, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ask := map[string]any{"stream": true, "stream_options": map[string]any{"include_usage": true}}
	for key, v := range body {
		ask[key] = v
	}
	raw, err := json.Marshal(ask)
	if err != nil {
		return s, err
	}
	start := e.Now()
	res, err := e.HTTP.Stream(ctx, httpclient.Request{Method: http.MethodPost, URL: e.BaseURL + k.path(), Bearer: e.Key, Body: raw, Once: true,
		Header: http.Header{"Accept": {"text/event-stream"}}})
	if err != nil {
		return s, err
	}
	defer res.Body.Close()
	if ct := res.Header.Get("Content-Type"); !strings.Contains(ct, "event-stream") {
		return s, fmt.Errorf("the answer to a streaming request is %q, not text/event-stream", ct)
	}
	last := start
	var text, content strings.Builder
	defer func() { s.Content = content.String() }()
	for ev, err := range sse.Read(res.Body, &sse.ReadConfig{MaxEventSize: maxEvent}) {
		now := e.Now()
		if err != nil {
			s.Text, s.Total = text.String(), now.Sub(start)
			return s, fmt.Errorf("the stream broke off after %d chunks: %w", s.Chunks, err)
		}
		if strings.TrimSpace(ev.Data) == "[DONE]" {
			s.Done = true
			break
		}
		var r reply
		if err := json.Unmarshal([]byte(ev.Data), &r); err != nil {
			return s, fmt.Errorf("a streamed event is no JSON: %s", httpclient.OneLine(ev.Data, 120))
		}
		if len(r.Error) > 0 && string(r.Error) != "null" {
			return s, fmt.Errorf("the stream carries an error: %s", httpclient.OneLine(string(r.Error), 200))
		}
		if r.Usage != nil && r.Usage.Completion > 0 {
			s.PromptTokens, s.Tokens, s.Counted = r.Usage.Prompt, r.Usage.Completion, true
		}
		if f := r.finish(); f != "" {
			s.Finish = f
		}
		if len(r.Choices) > 0 {
			content.WriteString(r.Choices[0].Delta.Content)
			s.Calls = r.Choices[0].Delta.continues(s.Calls)
		}
		if t := r.text(); t != "" {
			text.WriteString(t)
			if s.Chunks++; s.Chunks == 1 {
				s.First = now.Sub(start)
			} else {
				s.Gaps = append(s.Gaps, now.Sub(last))
			}
			last = now
		}
	}
	s.Text, s.Total = text.String(), e.Now().Sub(start)
	if !s.Counted {
		s.Tokens = s.Chunks
	}
	if !s.Done {
		return s, fmt.Errorf("the stream ended after %d chunks without [DONE]: it was cut", s.Chunks)
	}
	return s, nil
}

// listedModel is an entry of /v1/models.
type listedModel struct {
	ID          string `json:"id"`
	Root        string `json:"root"`
	OwnedBy     string `json:"owned_by"`
	MaxModelLen int    `json:"max_model_len"`
}

// models asks for the model list.
func (e Endpoint) models(ctx context.Context, key httpclient.Secret, limit time.Duration) ([]listedModel, error) {
	res, err := e.get(ctx, "/v1/models", key, limit)
	if err != nil {
		return nil, err
	}
	var doc struct {
		Data *[]listedModel `json:"data"`
	}
	if err := json.Unmarshal(res.Body, &doc); err != nil || doc.Data == nil {
		return nil, fmt.Errorf("%w: %s", errNoList, httpclient.OneLine(string(res.Body), 120))
	}
	return *doc.Data, nil
}
