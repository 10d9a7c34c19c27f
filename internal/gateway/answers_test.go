package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"justright/internal/gateway"
)

// keeper is an engine that keeps responses, as vLLM does with VLLM_ENABLE_RESPONSES_API_STORE=1.
type keeper struct {
	name string
	mu   sync.Mutex
	kept map[string]string // what each response goes on from
	seen []string
}

func (k *keeper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seen = append(k.seen, r.Method+" "+r.URL.RequestURI())
	id := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/v1/responses/"), "/cancel")
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path == "/v1/responses" {
		var q struct {
			Stream   bool   `json:"stream"`
			Previous string `json:"previous_response_id"`
		}
		_ = json.NewDecoder(r.Body).Decode(&q)
		if _, ok := k.kept[q.Previous]; q.Previous != "" && !ok {
			w.WriteHeader(http.StatusNotFound)
			_, _ = fmt.Fprintf(w, `{"error":{"message":"Response with id '%s' not found.","type":"invalid_request_error","param":"response_id","code":404}}`, q.Previous)
			return
		}
		id = fmt.Sprintf("resp_%s%d", k.name, len(k.kept))
		k.kept[id] = q.Previous
		if q.Stream {
			w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
			_, _ = fmt.Fprintf(w, "event: response.created\ndata: {\"response\":{\"id\":\"%s\",\"created_at\":1},\"type\":\"response.created\"}\n\n", id)
			return
		}
		_, _ = fmt.Fprintf(w, `{"id":"%s","output":[{"id":"msg_1"}]}`, id)
		return
	}
	if _, ok := k.kept[id]; !ok {
		w.WriteHeader(http.StatusNotFound)
		_, _ = fmt.Fprintf(w, `{"error":{"message":"Response with id '%s' not found.","type":"invalid_request_error","param":"response_id","code":404}}`, id)
		return
	}
	_, _ = fmt.Fprintf(w, `{"id":"%s","by":"%s"}`, id, k.name)
}

// A response is asked for, cancelled and gone on from at the engine that made it, also when the gateway was started since.
func TestAResponseIsAskedForWhereItWasMade(t *testing.T) {
	engines := []*keeper{{name: "a", kept: map[string]string{}}, {name: "b", kept: map[string]string{}}}
	var urls []string
	for _, k := range engines {
		srv := httptest.NewServer(k)
		t.Cleanup(srv.Close)
		urls = append(urls, srv.URL)
	}
	p := newPlace(t, gateway.Options{})
	p.serves(urls...)
	var ids []string
	for i := range 8 {
		body := fmt.Sprintf(`{"input":"hi","model":%q,"stream":%v}`, model, i%2 == 0)
		code, _, answer := p.do(p.request(http.MethodPost, "/v1/responses", body))
		_, rest, ok := strings.Cut(answer, `"id":"resp_`)
		if code != http.StatusOK || !ok {
			t.Fatalf("%d %s", code, answer)
		}
		id, _, _ := strings.Cut(rest, `"`)
		ids = append(ids, "resp_"+id)
	}
	if len(engines[0].kept) != 4 || len(engines[1].kept) != 4 {
		t.Fatalf("%d and %d responses: the test needs both engines", len(engines[0].kept), len(engines[1].kept))
	}
	again := newPlace(t, gateway.Options{}) // knows nothing of them
	again.serves(urls...)
	for _, id := range ids {
		made := string(id[len("resp_")])
		for name, at := range map[string]*place{"the same gateway": p, "a new one": again} {
			if code, h, answer := at.do(at.request(http.MethodGet, "/v1/responses/"+id+"?starting_after=3&stream=false", "")); code != http.StatusOK || !strings.Contains(answer, `"by":"`+made+`"`) || h.Get("X-Justright-Launch") == "" {
				t.Errorf("%s, %s: %d %s", name, id, code, answer)
			}
			if code, _, answer := at.do(at.request(http.MethodPost, "/v1/responses/"+id+"/cancel", "")); code != http.StatusOK || !strings.Contains(answer, id) {
				t.Errorf("%s, cancel %s: %d %s", name, id, code, answer)
			}
		}
		if code, _, answer := p.do(p.request(http.MethodPost, "/v1/responses", fmt.Sprintf(`{"previous_response_id":%q,"input":"more","model":%q}`, id, model))); code != http.StatusOK {
			t.Errorf("going on from %s: %d %s", id, code, answer)
		}
	}
	if s := strings.Join(engines[0].seen, "\n"); !strings.Contains(s, "?starting_after=3&stream=false") {
		t.Errorf("the query does not arrive:\n%s", s)
	}
	if code, _, body := p.do(p.request(http.MethodGet, "/v1/responses/resp_none", "")); code != http.StatusNotFound || codeOf(t, body) != "response_not_found" {
		t.Errorf("an unknown one: %d %s", code, body)
	}
	for method, path := range map[string]string{http.MethodDelete: "/v1/responses/" + ids[0], http.MethodPost: "/v1/responses/" + ids[0], http.MethodGet: "/v1/responses/" + ids[0] + "/cancel"} {
		if code, _, body := p.do(p.request(method, path, "")); code != http.StatusMethodNotAllowed || codeOf(t, body) == "" {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	for _, path := range []string{"/v1/responses/", "/v1/responses/a/b", "/v1/responses/..%2f..%2fsleep", "/v1/responses//cancel", "/v1/responses/a%20b"} {
		if code, _, body := p.do(p.request(http.MethodGet, path, "")); code != http.StatusNotFound || codeOf(t, body) != "unknown_url" {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	for _, r := range p.fleet.Status() {
		if r.InFlight != 0 {
			t.Errorf("%d requests are still counted at %s", r.InFlight, r.Launch)
		}
	}
}
