package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Refusal is an answer that is no answer of a model, in the words and the form that OpenAI's clients read.
type Refusal struct {
	Status     int
	Type       string        // "invalid_request_error", "server_error", ...
	Code       string        // stable, for programs
	Message    string        // for people
	Param      string        // the field at fault; empty: none
	RetryAfter time.Duration // 0: not said
	Final      bool          // asking again changes nothing until somebody acts: OpenAI's clients do not retry then
}

func (r *Refusal) Error() string { return r.Message }

func invalid(code, param, format string, args ...any) *Refusal {
	return &Refusal{Status: http.StatusBadRequest, Type: "invalid_request_error", Code: code, Param: param, Message: fmt.Sprintf(format, args...)}
}

func unavailable(code string, retry time.Duration, format string, args ...any) *Refusal {
	return &Refusal{Status: http.StatusServiceUnavailable, Type: "server_error", Code: code, RetryAfter: retry, Message: fmt.Sprintf(format, args...)}
}

// refusalOf makes a refusal of any error. The words of one that is no refusal stay in the log: they may name addresses.
func refusalOf(err error) *Refusal {
	var r *Refusal
	if errors.As(err, &r) {
		return r
	}
	return &Refusal{Status: http.StatusBadGateway, Type: "server_error", Code: "upstream_failed", Message: "the model's engine did not answer"}
}

// object is the error in OpenAI's form.
func (r *Refusal) object() map[string]any {
	o := map[string]any{"message": r.Message, "type": r.Type, "param": nil, "code": nil}
	if r.Param != "" {
		o["param"] = r.Param
	}
	if r.Code != "" {
		o["code"] = r.Code
	}
	return map[string]any{"error": o}
}

// write answers a request with the refusal.
func (r *Refusal) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	if r.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(max(1, int(r.RetryAfter.Round(time.Second)/time.Second))))
	}
	if r.Final {
		h.Set("X-Should-Retry", "false") // read by OpenAI's clients, which else repeat every 5xx and 429
	}
	b, err := json.Marshal(r.object())
	if err != nil {
		b = []byte(`{"error":{"message":"internal","type":"server_error","param":null,"code":null}}`)
	}
	w.WriteHeader(r.Status)
	_, _ = w.Write(append(b, '\n'))
}

// lastEvent is an error, as a JSON object, as the last event of a stream of a path that has begun. OpenAI's clients raise data that holds an
// error; Anthropic's an event of that name, whose data says its type too.
func lastEvent(path string, object []byte) []byte {
	if path == "/v1/messages" {
		if rest, ok := bytes.CutPrefix(object, []byte("{")); ok && !bytes.HasPrefix(rest, []byte(`"type":`)) {
			object = append([]byte(`{"type":"error",`), rest...)
		}
		return fmt.Appendf(nil, "event: error\ndata: %s\n\n", object)
	}
	return fmt.Appendf(nil, "data: %s\n\n", object)
}

// event is the refusal as the last event of a stream.
func (r *Refusal) event(path string) []byte {
	b, err := json.Marshal(r.object())
	if err != nil {
		return nil
	}
	return lastEvent(path, b)
}

// maxUpstreamError bounds what is read of an engine's error.
const maxUpstreamError = 64 << 10

// proxyCut is Cloudflare's status for an answer that did not begin in 100 s; RunPod's proxy stands behind it
// (https://docs.runpod.io/pods/configuration/expose-ports).
const proxyCut = 524

// upstreamRefusal words an engine's error. What is in OpenAI's form already is left as it is (nil); what an engine of old, a
// framework or a proxy on the way says is brought into it. 401 and 403 are about our key at the engine, never the client's.
func upstreamRefusal(resp *http.Response) (*Refusal, []byte) {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxUpstreamError))
	_ = resp.Body.Close()
	r := &Refusal{Status: resp.StatusCode, Type: "invalid_request_error", RetryAfter: retryAfter(resp.Header)}
	if r.Status >= 500 {
		r.Type = "server_error"
	}
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return &Refusal{Status: http.StatusBadGateway, Type: "server_error", Code: "upstream_key_refused", Message: "the engine refuses the key of its launch"}, nil
	case proxyCut:
		r.Status, r.Code = http.StatusGatewayTimeout, "answer_too_slow"
		r.Message = "the provider's proxy cuts an answer that does not begin in 100 s: ask with \"stream\": true, or for fewer tokens"
		return r, nil
	}
	var doc struct {
		Error   json.RawMessage `json:"error"`
		Message string          `json:"message"`
		Type    string          `json:"type"`
		Detail  json.RawMessage `json:"detail"`
	}
	if json.Unmarshal(body, &doc) == nil {
		var inner map[string]json.RawMessage
		switch {
		case json.Unmarshal(doc.Error, &inner) == nil && inner["message"] != nil:
			return nil, body
		case doc.Message != "": // vLLM before 0.10
			r.Message, r.Code = doc.Message, doc.Type
			return r, nil
		case len(doc.Detail) > 0:
			r.Message = strings.Trim(string(doc.Detail), `"`)
			return r, nil
		}
	}
	r.Code = "upstream_failed"
	r.Message = fmt.Sprintf("the model's engine answered %d without a reason", resp.StatusCode)
	if resp.StatusCode == http.StatusNotFound {
		r.Status, r.Type, r.Code, r.Message = http.StatusServiceUnavailable, "server_error", "replica_unreachable", "the model's machine is not there any more"
		r.RetryAfter = 2 * time.Second
	}
	if s := resp.StatusCode; s == http.StatusBadGateway || s == http.StatusServiceUnavailable || s == http.StatusGatewayTimeout || s >= 520 && s <= 523 {
		r.Status, r.Code, r.Message = http.StatusServiceUnavailable, "replica_unreachable", fmt.Sprintf("the model's engine cannot be reached now (%d)", s)
		r.RetryAfter = max(r.RetryAfter, 2*time.Second)
	}
	return r, nil
}

func retryAfter(h http.Header) time.Duration {
	n, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || n < 0 || n > 3600 {
		return 0
	}
	return time.Duration(n) * time.Second
}
