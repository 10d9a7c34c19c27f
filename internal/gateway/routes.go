package gateway

import (
	"mime"
	"net/http"
	"strings"
)

// routeKind is what there is to know about a path.
type routeKind struct {
	name     string // the path as metrics and the log call it
	method   string
	streams  bool   // may answer with server-sent events
	repeat   bool   // may be sent twice: the second answer is as good as the first
	form     bool   // takes multipart forms
	bodiless bool   // no model stands in a body
	socket   bool   // a WebSocket
	response string // the id in the path of a response that an engine has made
}

// route knows the paths that reach a model, as vLLM 0.32 has them
// (https://github.com/vllm-project/vllm/tree/v0.32.0/vllm/entrypoints). What would change an engine (/sleep, /v1/load_lora_adapter,
// /scale_elastic_ep, /start_profile, ...) or end others' requests (/inference/v1/abort_requests) is not among them, and is not
// passed on; nor is what tells of one machine and not of a model (/load, /version, /server_info).
func route(path string) (routeKind, bool) {
	k := routeKind{name: path, method: http.MethodPost}
	switch path {
	case "/v1/chat/completions", "/v1/completions", "/v1/messages", "/invocations", "/inference/v1/generate":
		k.streams, k.repeat = true, true
		return k, true
	case "/v1/responses": // may be kept by the engine under its id
		k.streams = true
		return k, true
	case "/v1/audio/transcriptions", "/v1/audio/translations":
		k.streams, k.repeat, k.form = true, true, true
		return k, true
	case "/v1/embeddings", "/v1/score", "/score", "/v1/rerank", "/v2/rerank", "/rerank", "/pooling", "/classify", "/tokenize", "/detokenize",
		"/v1/chat/completions/batch", "/v1/chat/completions/render", "/v1/completions/render", "/v1/responses/render", "/v1/messages/render",
		"/v1/chat/completions/derender", "/v1/completions/derender", "/v1/messages/count_tokens", "/v2/embed", "/generative_scoring", "/v1/systemone":
		k.repeat = true
		return k, true
	case "/v1/realtime":
		k.method, k.bodiless, k.socket = http.MethodGet, true, true
		return k, true
	}
	return responseRoute(path)
}

// responseRoute knows the two paths below /v1/responses that take a response's id.
func responseRoute(path string) (routeKind, bool) {
	id, ok := strings.CutPrefix(path, "/v1/responses/")
	if !ok {
		return routeKind{}, false
	}
	k := routeKind{name: "/v1/responses/ID", method: http.MethodGet, streams: true, repeat: true, bodiless: true}
	if rest, cancels := strings.CutSuffix(id, "/cancel"); cancels {
		id, k.name, k.method, k.streams = rest, "/v1/responses/ID/cancel", http.MethodPost, false
	}
	k.response = id
	return k, responseID(id)
}

// allowed reports whether a content type is one that the path takes; an unset one is JSON.
func (k routeKind) allowed(h http.Header) bool {
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return k.bodiless || h.Get("Content-Type") == "" || err == nil && (kind == "application/json" || k.form && kind == "multipart/form-data")
}
