package boot_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"justright/boot"
)

// api is RunPod as far as a guard talks to it, with a clock of its own.
type api struct {
	mu     sync.Mutex
	calls  []string
	agents map[string]bool
	ahead  time.Duration
	answer func(call string) int
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	call := r.Method + " " + r.URL.Path
	var doc struct{ Action, Query string }
	if json.Unmarshal(body, &doc) == nil && doc.Action+doc.Query != "" {
		call += " " + doc.Action + doc.Query
	}
	a.mu.Lock()
	a.calls = append(a.calls, call)
	a.agents[r.UserAgent()] = true
	ahead, answer := a.ahead, a.answer
	a.mu.Unlock()
	w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
	if r.Header.Get("Authorization") != "Bearer rpa_secretpodkey" {
		w.WriteHeader(401)
		return
	}
	status := answer(call)
	w.WriteHeader(status)
	if strings.HasSuffix(r.URL.Path, "/graphql") {
		_, _ = fmt.Fprint(w, `{"data":{"podTerminate":null}}`)
	}
}

// goAhead sets the API's clock, which is served already.
func (a *api) goAhead(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ahead = d
}

// callers are the user agents of those who called.
func (a *api) callers() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Collect(maps.Keys(a.agents))
}

func (a *api) heard() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.calls)
}

// prudent answers as an API does that lets the pod's key act.
func prudent(call string) int {
	switch {
	case strings.HasPrefix(call, "GET"):
		return 200
	case strings.HasSuffix(call, " prove"):
		return 422
	default:
		return 204
	}
}

func runpod(t *testing.T, answer func(string) int) (*api, map[string]string) {
	a := &api{answer: answer, agents: map[string]bool{}}
	env := world(outside(t, 200))
	env["RUNPOD_API_BASE_URL"], env["RUNPOD_POD_ID"], env["RUNPOD_API_KEY"] = newServer(t, a).URL, "pod123", "rpa_secretpodkey"
	return a, env
}

func at(d time.Duration) string { return strconv.FormatInt(time.Now().Add(d).Unix(), 10) }

func TestGuardEndsThePodAtEachLimit(t *testing.T) {
	for reason, set := range map[string]func(*api, map[string]string){
		"cap":  func(_ *api, env map[string]string) { env["JUSTRIGHT_CAP_BY"] = at(-time.Second) },
		"ttl":  func(_ *api, env map[string]string) { env["JUSTRIGHT_END_BY"] = at(-time.Second) },
		"idle": func(_ *api, env map[string]string) { env["JUSTRIGHT_IDLE"] = "2" },
		"boot_deadline": func(_ *api, env map[string]string) {
			env["JUSTRIGHT_BOOT_BY"], env["STANDIN_WEIGHTS"], env["STANDIN_SPEED"] = at(-1), "1", "0.1"
		},
		"hold": func(_ *api, env map[string]string) { env["STANDIN_CUDA"] = "11.0" },
		// The provider's clock counts, not this machine's: it is an hour ahead, and so is the limit passed.
		"ttl of another clock": func(a *api, env map[string]string) { a.goAhead(time.Hour); env["JUSTRIGHT_END_BY"] = at(time.Minute) },
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			a, env := runpod(t, prudent)
			set(a, env)
			m := start(t, []string{"sh"}, render(t, gpuSpec(t)), env)
			m.await("justright guard status=armed by=runpod")
			m.await("justright guard status=ending reason=" + strings.Fields(reason)[0])
			eventually(t, "deleted", func() bool { return slices.Contains(a.heard(), "DELETE /v2/pods/pod123") })
			want := []string{"GET /v2/pods/pod123", "POST /v2/pods/pod123/action prove", "DELETE /v2/pods/pod123"}
			if got := a.heard(); !slices.Equal(got, want) {
				t.Errorf("calls %q, want %q", got, want)
			}
			if strings.Contains(m.said(), "rpa_secretpodkey") {
				t.Error("the log holds the pod's key")
			}
			for _, agent := range a.callers() {
				if !strings.HasPrefix(agent, "justright") {
					t.Errorf("user agent %q", agent)
				}
			}
		})
	}
}

// An engine that answers is not idle, nor is one that has answered since the last look.
func TestGuardLeavesABusyEngineAlone(t *testing.T) {
	t.Parallel()
	_, env := runpod(t, prudent)
	env["JUSTRIGHT_IDLE"], env["ENGINE_RUNNING"] = "2", "1.0"
	m := start(t, []string{"sh"}, render(t, gpuSpec(t)), env)
	m.await("justright phase=ready status=ok")
	time.Sleep(4500 * time.Millisecond)
	if strings.Contains(m.said(), "status=ending") {
		t.Error("ended a machine whose engine was running a request")
	}
}

func TestGuardSaysWhenItHasNoRight(t *testing.T) {
	for reason, c := range map[string]struct {
		answer func(string) int
		env    map[string]string
	}{
		"key_refused": {func(string) int { return 403 }, nil},
		"key_refused of acting": {func(call string) int {
			if strings.HasPrefix(call, "GET") {
				return 200
			}
			return 403
		}, nil},
		"pod_denied":  {func(string) int { return 404 }, nil},
		"http_500":    {func(string) int { return 500 }, nil},
		"no_key":      {prudent, map[string]string{"RUNPOD_API_KEY": ""}},
		"unreachable": {prudent, map[string]string{"RUNPOD_API_BASE_URL": "http://127.0.0.1:1"}},
		"no_pod_id":   {prudent, map[string]string{"RUNPOD_POD_ID": "x/../y"}},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			_, env := runpod(t, c.answer)
			for k, v := range c.env {
				env[k] = v
			}
			m := start(t, []string{"sh"}, render(t, gpuSpec(t)), env)
			m.await("justright guard status=unguarded reason=" + strings.Fields(reason)[0] + "$")
			m.await("justright phase=preflight start|justright phase=preflight status=start")
		})
	}
}

// No answer, or a pod that is not known yet, says nothing of the right: it is asked again, and the answer is said, whichever it is.
func TestGuardAsksAgain(t *testing.T) {
	for name, c := range map[string]struct {
		first, then int
		says        string
	}{
		"unknown at first":  {404, 422, "status=unguarded reason=pod_denied.*\n(.*\n)*.*status=armed by=runpod"},
		"an error at first": {503, 422, "status=unguarded reason=http_503.*\n(.*\n)*.*status=armed by=runpod"},
		"refused then":      {503, 403, "status=unguarded reason=http_503.*\n(.*\n)*.*status=unguarded reason=key_refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			_, env := runpod(t, func(call string) int {
				switch n := calls.Add(1); {
				case n <= 2:
					return c.first
				case strings.HasPrefix(call, "GET"):
					return 200
				default:
					return c.then
				}
			})
			env["JUSTRIGHT_GUARD_TICK"] = "0"
			said := regexp.MustCompile(c.says)
			m := start(t, []string{"sh"}, render(t, gpuSpec(t)), env)
			eventually(t, c.says, func() bool { return said.MatchString(m.said()) })
		})
	}
}

// A refused DELETE is not the end: the other ways are tried, in order, and again.
func TestGuardTriesEveryWay(t *testing.T) {
	t.Parallel()
	a, env := runpod(t, func(call string) int {
		switch {
		case strings.HasPrefix(call, "GET"):
			return 200
		case strings.HasSuffix(call, " prove"):
			return 422
		case strings.HasSuffix(call, " stop"):
			return 200
		default:
			return 500
		}
	})
	env["JUSTRIGHT_END_BY"] = at(-time.Second)
	m := start(t, []string{"sh"}, render(t, gpuSpec(t)), env)
	m.await("justright guard status=ending reason=ttl")
	want := []string{
		"DELETE /v2/pods/pod123", "POST /v2/pods/pod123/action terminate",
		`POST /graphql mutation { podTerminate(input: {podId: "pod123"}) }`, "POST /v2/pods/pod123/action stop",
	}
	eventually(t, "tried in every way", func() bool { return len(a.heard()) >= 2+len(want) })
	if got := a.heard()[2 : 2+len(want)]; !slices.Equal(got, want) { // and then all over again
		t.Errorf("calls %q, want %q", got, want)
	}
}

// The guard comes before everything that costs time: no phase has begun when it is proved.
func TestGuardIsProvedFirst(t *testing.T) {
	t.Parallel()
	_, env := runpod(t, prudent)
	m := start(t, []string{"sh"}, render(t, gpuSpec(t)), env)
	m.await("justright phase=ready status=ok")
	first, _, _ := strings.Cut(m.said(), "\n")
	if l, ok := boot.ParseLine(first); !ok || l.Kind != boot.KindGuard || l.Status != boot.StatusArmed {
		t.Errorf("the first line is %q", first)
	}
}
