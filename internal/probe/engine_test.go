package probe

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"justright/internal/httpclient"
)

// engine is a small OpenAI-compatible server with the habits of vLLM 0.32: its own key guards /v1 alone, a base model
// has no chat template, an embedding model has no chat route. Each field is one defect.
type engine struct {
	key           string
	guardAll      bool // our middleware: the key on every path but /health
	base          bool
	embeds        bool
	deaf          bool // no check of the key at all
	noTools       bool
	wordsForTools bool
	callAsText    string // what stands in the text instead of a call
	callArgs      string // arguments of a call; empty: Paris
	streamedArgs  string // the same, streamed; empty: as whole
	streamsWords  bool   // streamed, the call comes as text
	asked         int    // for tools, freely
	tokens        []int  // that were allowed for a free call
	endless       bool   // words go on to the limit
	thoughts      int    // tokens of thinking before the call
	brokenJSON    bool
	collect       bool // something on the way collects the stream into one chunk
	cutStream     bool
	sick          bool // /health says 503
	emptyAnswer   bool
	nan           bool
	diesOnLong    bool
	truncates     bool // cuts long prompts silently
	name          string
	context       int

	dead *atomic.Bool // atomic: an abort writes nothing to the socket, so nothing orders it before the next request
}

func (e *engine) serve(t *testing.T) Endpoint {
	t.Helper()
	e.dead = new(atomic.Bool)
	s := httptest.NewServer(e)
	t.Cleanup(s.Close)
	return Endpoint{BaseURL: s.URL, Key: httpclient.NewSecret(e.key), HTTP: httpclient.New(httpclient.Options{}), Now: time.Now}
}

func (e *engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if e.dead.Load() {
		panic(http.ErrAbortHandler)
	}
	say := func(code int, body string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
	guarded := strings.HasPrefix(r.URL.Path, "/v1") || (e.guardAll && r.URL.Path != "/health")
	if e.key != "" && !e.deaf && guarded && r.Header.Get("Authorization") != "Bearer "+e.key {
		say(401, `{"error":"Unauthorized"}`)
		return
	}
	name := e.name
	if name == "" {
		name = "tiny"
	}
	var q map[string]any
	_ = json.NewDecoder(r.Body).Decode(&q) // GET has none
	switch r.URL.Path {
	case "/health":
		if e.sick {
			say(503, `{}`)
		}
	case "/v1/models":
		max := ""
		if e.context > 0 {
			max = fmt.Sprintf(`,"max_model_len":%d`, e.context)
		}
		say(200, fmt.Sprintf(`{"object":"list","data":[{"id":%q,"root":"org/tiny"%s}]}`, name, max))
	case "/v1/chat/completions", "/invocations":
		switch {
		case e.embeds:
			say(404, `{"detail":"Not Found"}`)
		case e.base:
			say(400, `{"error":{"message":"As of transformers v4.44, default chat template is no longer allowed, so you must provide a chat template","code":400}}`)
		default:
			e.generate(w, q, say)
		}
	case "/v1/completions":
		if e.embeds {
			say(404, `{"detail":"Not Found"}`)
			return
		}
		e.generate(w, q, say)
	case "/v1/embeddings":
		if !e.embeds {
			say(400, `{"error":{"message":"The model does not support Embeddings API"}}`)
			return
		}
		say(200, `{"data":[{"embedding":[0.1,-0.2,0.3]}]}`)
	case "/tokenize":
		say(200, `{"tokens":[1]}`)
	case "/metrics", "/version":
		say(200, `{}`)
	case "/sleep":
		if r.Method != "POST" {
			say(405, `{"detail":"Method Not Allowed"}`)
		}
	default:
		say(404, `{"detail":"Not Found"}`)
	}
}

func (e *engine) generate(w http.ResponseWriter, q map[string]any, say func(int, string)) {
	prompt := fmt.Sprint(q["messages"], q["prompt"])
	words := len(strings.Fields(prompt))
	if e.context > 0 && words+4 > e.context {
		say(400, `{"error":{"message":"This model's maximum context length is exceeded"}}`)
		return
	}
	if words > 300 && e.diesOnLong {
		e.dead.Store(true)
		panic(http.ErrAbortHandler)
	}
	if words > 300 && e.truncates {
		words = 12
	}
	text := "ready when you are"
	switch {
	case e.emptyAnswer:
		text = ""
	case e.nan:
		text = strings.Repeat("! ", 24)
	}
	if _, ok := q["response_format"]; ok && !e.brokenJSON {
		text = `{"colour":"red","liked":true}`
	}
	tools := ""
	if _, ok := q["tools"]; ok {
		if e.noTools {
			say(400, `{"error":{"message":"\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set"}}`)
			return
		}
		_, named := q["tool_choice"].(map[string]any)
		args := `{"city":"Paris"}`
		if !named {
			e.asked++
			limit, _ := q["max_tokens"].(float64)
			e.tokens = append(e.tokens, int(limit))
			if int(limit) < e.thoughts || e.endless {
				thought := ""
				if !e.endless {
					thought = `,"reasoning":"I wonder"`
				}
				say(200, fmt.Sprintf(`{"choices":[{"message":{"content":""%s},"finish_reason":"length"}]}`, thought))
				return
			}
			if e.callArgs != "" {
				args = e.callArgs
			}
		}
		streams := q["stream"] == true
		if streams && e.streamedArgs != "" {
			args = e.streamedArgs
		}
		switch {
		case !named && e.callAsText != "":
			text = e.callAsText
		case !named && streams && e.streamsWords:
		case named || !e.wordsForTools:
			raw, _ := json.Marshal(args)
			tools = fmt.Sprintf(`"tool_calls":[{"index":0,"function":{"name":"get_weather","arguments":%s}}]`, raw)
			if streams {
				streamCall(w, args)
				return
			}
			tools = "," + tools
		}
	}
	usage := fmt.Sprintf(`"usage":{"prompt_tokens":%d,"completion_tokens":4}`, words)
	raw, _ := json.Marshal(text)
	if q["stream"] != true {
		said := fmt.Sprintf(`"message":{"content":%s%s}`, raw, tools)
		if _, plain := q["prompt"]; plain {
			said = fmt.Sprintf(`"text":%s`, raw)
		}
		say(200, fmt.Sprintf(`{"model":"tiny","choices":[{%s,"finish_reason":"stop"}],%s}`, said, usage))
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	parts := strings.SplitAfter(text, " ")
	switch {
	case e.nan:
		parts = strings.Split(text, "")
	case e.collect:
		parts = []string{text}
	}
	for i, p := range parts {
		if e.cutStream && i == 2 {
			return
		}
		raw, _ := json.Marshal(p)
		_, _ = fmt.Fprintf(w, "data: {\"choices\":[{\"delta\":{\"content\":%s}}]}\n\n", raw)
		w.(http.Flusher).Flush()
	}
	_, _ = fmt.Fprintf(w, "data: {\"choices\":[],%s}\n\ndata: [DONE]\n\n", usage)
}

// streamCall streams a call in three parts, as engines do: name, half of the arguments, the rest.
func streamCall(w http.ResponseWriter, args string) {
	w.Header().Set("Content-Type", "text/event-stream")
	half := len(args) / 2
	for i, part := range []string{"", args[:half], args[half:]} {
		name := ""
		if i == 0 {
			name = `"name":"get_weather",`
		}
		raw, _ := json.Marshal(part)
		_, _ = fmt.Fprintf(w, "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{%s\"arguments\":%s}}]}}]}\n\n", name, raw)
	}
	_, _ = io.WriteString(w, "data: [DONE]\n\n")
}
