package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"justright/internal/gateway"
	"justright/internal/store"
	"justright/launch"
	"justright/money"
	"justright/problem"
	"justright/sim/runpodsim"
)

// served is a `justright serve` that runs in this process.
type served struct {
	place
	url, key string
	stop     context.CancelFunc
	ended    chan int
	out, log *syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// serve starts one on a port of its own and waits for its first line.
func (p place) serve(args ...string) *served {
	p.t.Helper()
	ctx, stop := context.WithCancel(p.t.Context())
	g := &served{place: p, stop: stop, ended: make(chan int, 1), out: new(syncBuffer), log: new(syncBuffer)}
	w := realWorld(append([]string{"serve", "--listen", "127.0.0.1:0", "--json", "--drain", "5s"}, args...), nil, nil, p.env)
	w.Stdout, w.Stderr = g.out, g.log
	go func() { g.ended <- Main(ctx, w) }()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); {
		var hello serveDocument
		for line := range strings.Lines(g.out.String()) {
			if json.Unmarshal([]byte(line), &hello) == nil && hello.Schema == "justright/serve/1" {
				g.url = hello.URL
				b, err := os.ReadFile(hello.KeyFile)
				if err != nil {
					p.t.Fatal(err)
				}
				g.key = strings.TrimSpace(string(b))
				p.t.Cleanup(func() { g.end(); p.run("", "down", "--all", "--timeout", "20s") })
				return g
			}
		}
		select {
		case code := <-g.ended:
			p.t.Fatalf("serve exits %d:\n%s%s", code, g.out, g.log)
		case <-time.After(10 * time.Millisecond):
		}
	}
	p.t.Fatalf("serve says nothing:\n%s", g.out)
	return nil
}

// end is what SIGTERM is, in a test of one process.
func (g *served) end() {
	g.t.Helper()
	g.stop()
	select {
	case code := <-g.ended:
		if code != 0 {
			g.t.Errorf("serve exits %d:\n%s%s", code, g.out, g.log)
		}
		g.ended <- code
		hello, events, _ := strings.Cut(g.out.String(), "\n")
		c := readContract(g.t)
		c.document(g.t, "the first line of serve", hello)
		c.lines(g.t, "an event of serve", "event", events)
	case <-time.After(2 * time.Minute):
		g.t.Fatalf("serve does not end:\n%s", g.out)
	}
}

// ask sends a chat and returns status and answer.
func (g *served) ask(model string, header ...string) (int, string) {
	g.t.Helper()
	code, answer := g.tryAsk(model, header...)
	if code == 0 {
		g.t.Fatal(answer)
	}
	return code, answer
}

// tryAsk is ask of a gateway that may be killed meanwhile: then the status is 0.
func (g *served) tryAsk(model string, header ...string) (int, string) {
	g.t.Helper()
	r, err := http.NewRequestWithContext(g.t.Context(), http.MethodPost, g.url+"/v1/chat/completions", strings.NewReader(
		fmt.Sprintf(`{"messages":[{"role":"user","content":"hi"}],"model":%q}`, model)))
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+g.key)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

func (p place) creates() int { return p.sim.Counts()["createPod"] }

func (p place) tasks() []store.Task {
	p.t.Helper()
	j, err := store.OpenSQLite(p.t.Context(), p.env["JUSTRIGHT_STATE_DIR"])
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	all, err := j.Tasks(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	return all
}

// eventually waits for something that a loop of the gateway does.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

// A crowd of requests for a model that sleeps rents one machine by the road of up, and everybody is answered; the next serve takes
// it over as it is; down wins over both.
func TestServeWakesOnceAdoptsAndHeedsDown(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	g := p.serve(tryModel, "--yes", "--as", "oss", "--budget", "1.50", "--idle", "45m")
	if p.creates() != 0 {
		t.Fatal("something was rented before anybody asked")
	}
	for _, header := range []string{"", "Bearer wrong"} {
		if code, _ := g.ask(tryModel, "Authorization", header); code != http.StatusUnauthorized {
			t.Errorf("with %q: %d", header, code)
		}
	}
	if code, body := g.ask("no/such"); code != http.StatusNotFound || !strings.Contains(body, tryModel) {
		t.Errorf("unknown model: %d %s", code, body)
	}
	if p.creates() != 0 {
		t.Fatal("a request without the key, or for an unknown model, rents")
	}
	var wg sync.WaitGroup
	for _, name := range []string{tryModel, "oss", tryModel, "oss", tryModel} {
		wg.Go(func() {
			if code, body := g.ask(name); code != http.StatusOK || !strings.Contains(body, "I stand in for") {
				t.Errorf("%s: %d %s", name, code, body)
			}
		})
	}
	wg.Wait()
	all := p.tasks()
	if p.creates() != 1 || len(all) != 1 {
		t.Fatalf("%d creates, %d launches", p.creates(), len(all))
	}
	st := all[0].State
	if st.Budget.Cents() != "1.50" || st.Idle != 45*time.Minute || st.Current() == nil || !st.Current().Armed || st.MaxPrice == 0 {
		t.Errorf("the launch is not up's: %+v", st)
	}
	if code, out, _ := p.run("", "verify", st.Name, "--json"); code != 0 {
		t.Errorf("the endpoint does not prove: %d %s", code, out)
	}
	// The journal has the proof, the events and the log, as with up.
	if _, out, _ := p.run("", "events", st.Name); !strings.Contains(out, "ready") {
		t.Errorf("events: %s", out)
	}
	g.end()
	if ps := p.answers(problem.ExitOK, "ps"); !strings.Contains(ps, "ready") {
		t.Errorf("after serve: %s", ps)
	}
	if out := g.out.String() + g.log.String(); strings.Contains(out, g.key) || strings.Contains(out, "rpa_PLANTED") {
		t.Error("a key stands in what serve says")
	}

	h := p.serve(tryModel, "--yes")
	if h.key != g.key {
		t.Error("the second serve has another key")
	}
	if code, body := h.ask(tryModel); code != http.StatusOK || p.creates() != 1 {
		t.Errorf("adopted: %d %s after %d creates", code, body, p.creates())
	}
	p.answers(problem.ExitOK, "down", st.Name)
	eventually(t, "the gateway heeds down", func() bool {
		code, body := h.ask(tryModel)
		return code == http.StatusServiceUnavailable && strings.Contains(body, "taken_down")
	})
	if p.creates() != 1 {
		t.Error("down did not win: a request rented again")
	}
	if l := p.sim.Ledger(); l.Billing != 0 {
		t.Errorf("%d machines bill", l.Billing)
	}
}

// Without a yes nothing is served that could rent; what cannot be served is said at once.
func TestServeAsksBeforeItMayRent(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	if out := p.answers(problem.ExitLimit, "serve", tryModel, "--listen", "127.0.0.1:0"); !strings.Contains(out, "--yes") || !strings.Contains(out, "$10.00 a day") || !strings.Contains(out, "$2.00 a wake") {
		t.Errorf("the question does not say what it is about:\n%s", out)
	}
	for _, c := range [][]string{
		{"--listen", "0.0.0.0:0"}, {"--listen", "nowhere"}, {tryModel, "--name", "x", "--yes"}, {tryModel, tryModel, "--yes"},
		{tryModel, "--daily-budget", "x", "--yes"}, {"--models", "/no/such/file"}, {"--hold", "-1s"}, {"--", "--max-model-len", "1"},
	} {
		if code, out, errs := p.run("", append([]string{"serve", "--listen", "127.0.0.1:0"}, c...)...); code != int(problem.ExitUsage) {
			t.Errorf("%v exits %d\n%s%s", c, code, out, errs)
		}
	}
	file := filepath.Join(p.dir, "models")
	for text, want := range map[string]string{
		tryModel + " --budgett 2": "models:1:", "# x\n\n" + tryModel + " extra": "models:3:", tryModel + " --as 'x": "models:1:", tryModel + "\n" + tryModel: "models:2:",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out := p.answers(problem.ExitUsage, "serve", "--listen", "127.0.0.1:0", "--models", file); !strings.Contains(out, want) {
			t.Errorf("%q: %s", text, out)
		}
	}
	weak := filepath.Join(p.dir, "weak")
	_ = os.WriteFile(weak, []byte("short\n"), 0o600)
	p.answers(problem.ExitUsage, "serve", "--listen", "127.0.0.1:0", "--key-file", weak)
	p.nothingCreated()
}

// Three machines in a row that fail stop the waking, however often serve is started, until told otherwise.
func TestServeStopsAfterThreeFailures(t *testing.T) {
	t.Parallel()
	sim := runpodsim.New(runpodsim.Options{Runner: failing{}, DelayScale: runpodsim.NoDelay, RateLimit: &runpodsim.Unlimited, Seed: 5})
	srv := httptest.NewServer(sim)
	sim.SetBaseURL(srv.URL)
	t.Cleanup(func() { sim.Close(); srv.CloseClientConnections(); srv.Close() })
	p := newPlace(t)
	p.sim, p.env["RUNPOD_API_BASE_URL"] = sim, srv.URL
	said := ""
	for n := 0; n < 5 && !strings.Contains(said, "wake_stopped"); n++ {
		g := p.serve(tryModel, "--yes")
		code, body := g.ask(tryModel, "Prefer", "wait=120")
		if said = body; code != http.StatusServiceUnavailable {
			t.Fatalf("%d %s", code, body)
		}
		g.end()
	}
	if !strings.Contains(said, "wake_stopped") || p.creates() == 0 || p.creates() > maxFailedBoots {
		t.Fatalf("%d machines were paid for; at last: %s", p.creates(), said)
	}
	made := p.creates()
	g := p.serve(tryModel, "--yes", "--reset")
	if _, body := g.ask(tryModel, "Prefer", "wait=120"); strings.Contains(body, "wake_stopped") || p.creates() == made {
		t.Errorf("told otherwise, and it does not try: %s", body)
	}
}

// failing is a host on which no engine comes up.
type failing struct{}

func (failing) Close() {}

func (failing) Start(c *runpodsim.Container) func() {
	c.Log("justright phase=preflight status=start t=0")
	c.Log("justright guard status=armed by=runpod")
	c.After(100*time.Millisecond, func() { c.Log("justright phase=engine status=fail t=1 cause=engine_exited") })
	return nil
}

// What another controller of a shared journal has begun, whose key is there, is neither rented a second time nor waited for.
func TestServeWithoutTheKey(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.answers(problem.ExitOK, "up", tryModel, "--yes")
	if err := os.Remove(filepath.Join(p.env["JUSTRIGHT_STATE_DIR"], "keys", p.tasks()[0].State.ID)); err != nil {
		t.Fatal(err)
	}
	g := p.serve(tryModel, "--yes")
	if code, body := g.ask(tryModel); code != http.StatusServiceUnavailable || !strings.Contains(body, "key_elsewhere") || p.creates() != 1 {
		t.Errorf("%d %s after %d creates", code, body, p.creates())
	}
}

// The daily budget bounds what wakes reserve, by the journal: also what other processes began today.
func TestTheDailyBudget(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	g := p.serve(tryModel, "--yes", "--budget", "1.00", "--daily-budget", "1.20", "--idle", "0")
	if code, body := g.ask(tryModel); code != http.StatusOK {
		t.Fatalf("%d %s", code, body)
	}
	all := p.tasks()
	if all[0].State.Budget.Cents() != "1.00" {
		t.Errorf("the first wake may cost $%s", all[0].State.Budget.Cents())
	}
	g.end()
	p.answers(problem.ExitOK, "down", all[0].State.Name)
	h := p.serve(tryModel, "--yes", "--budget", "1.00", "--daily-budget", "0.005")
	if code, body := h.ask(tryModel); code != http.StatusTooManyRequests || !strings.Contains(body, "daily_budget_reached") {
		t.Errorf("a budget that is used up: %d %s", code, body)
	}
	h.end()
	if p.creates() != 1 {
		t.Errorf("%d creates", p.creates())
	}
}

// A machine that was woken with a lease ends itself unless a gateway renews it; the next one does so at its start.
func TestServeRenewsLeases(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	g := p.serve(tryModel, "--yes", "--lease", "30m")
	if code, body := g.ask(tryModel); code != http.StatusOK {
		t.Fatalf("%d %s", code, body)
	}
	g.end()
	end := func() time.Duration { return time.Until(p.tasks()[0].State.Current().EndBy) }
	if d := end(); d < 80*time.Minute || d > 91*time.Minute {
		t.Errorf("the first lease, which covers the boot, ends in %v", d)
	}
	p.serve("--lease", "20m")
	eventually(t, "the lease is renewed", func() bool { d := end(); return d > 18*time.Minute && d <= 20*time.Minute })
	p.answers(problem.ExitUsage, "serve", "--listen", "127.0.0.1:0", "--lease", "1m")
}

// A boot that broke off with its process is taken up by the next serve, and not paid for twice.
func TestServeTakesUpWhatBrokeOff(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	killed := p.env
	var out, errs bytes.Buffer
	w := realWorld([]string{"up", tryModel, "--yes"}, &out, &errs, killed)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		eventually(t, "a create", func() bool { return p.creates() == 1 })
		cancel()
	}()
	Main(ctx, w)
	g := p.serve(tryModel, "--yes")
	if code, body := g.ask(tryModel); code != http.StatusOK || p.creates() != 1 {
		t.Errorf("%d %s after %d creates", code, body, p.creates())
	}
}

// The dashboard of a real serve shows the launch and takes it down; the reconciler does the rest.
func TestTheDashboardTakesDown(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	g := p.serve(tryModel, "--yes")
	if code, body := g.ask(tryModel); code != http.StatusOK {
		t.Fatalf("%d %s", code, body)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	send := func(method, path, form string, cookies []*http.Cookie) *http.Response {
		r, _ := http.NewRequestWithContext(t.Context(), method, g.url+path, strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for _, c := range cookies {
			r.AddCookie(c)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	login := send(http.MethodPost, "/ui/login", "key="+g.key, nil)
	_ = login.Body.Close()
	page := send(http.MethodGet, "/", "", login.Cookies())
	b, _ := io.ReadAll(page.Body)
	_ = page.Body.Close()
	for _, want := range []string{"gpt-oss-20b", "ready", "armed", "what it says", "checks passed", "$2.00"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(string(b), g.key) {
		t.Error("the key stands in the page")
	}
	down := send(http.MethodPost, "/ui/down", "launch=gpt-oss-20b", login.Cookies())
	_ = down.Body.Close()
	eventually(t, "the machine is gone and denied", func() bool {
		return p.sim.Ledger().Billing == 0 && p.tasks()[0].State.Over()
	})
	if code, body := g.ask(tryModel); code != http.StatusServiceUnavailable || !strings.Contains(body, "taken_down") {
		t.Errorf("after the dashboard's down: %d %s", code, body)
	}
	forgive := send(http.MethodPost, "/ui/forgive", "model="+strings.ReplaceAll(tryModel, "/", "%2F"), login.Cookies())
	_ = forgive.Body.Close()
	if code, body := g.ask(tryModel); code != http.StatusOK || p.creates() != 2 {
		t.Errorf("told otherwise: %d %s after %d creates", code, body, p.creates())
	}
}

// What was spent on a day is what that day's machines cost; what is left of their caps is committed.
func TestSpentOn(t *testing.T) {
	day := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	now := day.Add(2 * time.Hour)
	at := func(a launch.Attempt) launch.State {
		return launch.State{Model: "m", Attempts: []launch.Attempt{a}}
	}
	d, committed := gateway.SpentOn([]launch.State{
		at(launch.Attempt{PodID: "a", Phase: launch.Ready, Price: 100, Reserved: 1000, Created: day.Add(-2 * time.Hour)}),                   // 400 so far, 200 today
		at(launch.Attempt{PodID: "b", Phase: launch.Removed, Cost: 300, Created: day.Add(-time.Hour), Stopped: day.Add(2 * time.Hour)}),     // 200 today
		at(launch.Attempt{PodID: "c", Phase: launch.Removed, Cost: 70, Created: day.Add(-9 * time.Hour), Stopped: day.Add(-8 * time.Hour)}), // yesterday
		at(launch.Attempt{Phase: launch.Unanswered, Reserved: 500}),                                                                         // may bill
		{Model: "other", Attempts: []launch.Attempt{{PodID: "x", Phase: launch.Ready, Price: 1e6, Created: day}}},
	}, "m", now)
	// One that is between two machines may still spend all that is left of its budget; one that is ready, or tries no further plan, may not.
	failed := launch.Attempt{PodID: "d", Cause: "oom", Phase: launch.Removed, Cost: 100, Created: day, Stopped: day.Add(time.Hour)}
	for _, c := range []struct {
		name string
		s    launch.State
		want money.USD
	}{
		{"between", launch.State{Model: "m", Budget: 2000, Attempts: []launch.Attempt{failed}}, 2000},
		{"between, over midnight", launch.State{Model: "m", Budget: 2000, Attempts: []launch.Attempt{{PodID: "d", Cause: "oom", Phase: launch.Removed, Cost: 400, Created: day.Add(-time.Hour), Stopped: day}}}, 1600},
		{"not begun", launch.State{Model: "m", Budget: 2000}, 2000},
		{"no further plan", launch.State{Model: "m", Budget: 2000, NoNext: true, Attempts: []launch.Attempt{failed}}, 100},
		{"ready", launch.State{Model: "m", Budget: 2000, Attempts: []launch.Attempt{failed, {PodID: "e", Phase: launch.Ready, Price: 100, Reserved: 900, Created: day.Add(time.Hour)}}}, 1000},
	} {
		if _, got := gateway.SpentOn([]launch.State{c.s}, "m", now); got != c.want {
			t.Errorf("%s: %d committed, want %d", c.name, got, c.want)
		}
	}
	if d.Spent != 770 || d.Today != 400 || d.PerHour != 100 || committed != 800+200+500 {
		t.Errorf("spent %d, today %d, per hour %d, committed %d", d.Spent, d.Today, d.PerHour, committed)
	}
}

// Failures count in a row, by machines that were paid for, since the last proof and since somebody said to try again.
func TestFailedBoots(t *testing.T) {
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	bad := func(cause string, when time.Time) launch.Attempt {
		return launch.Attempt{PodID: "p", Cause: cause, Intended: when, Phase: launch.Removed}
	}
	good := func(s launch.State) bool { return s.ID == "good" }
	died := func(after time.Duration) launch.State {
		a := bad(gateway.CauseDead, at)
		a.Created, a.Stopped = at, at.Add(after)
		return launch.State{ID: "good", Model: "m", Attempts: []launch.Attempt{bad("oom", at), a}}
	}
	for _, c := range []struct {
		name  string
		tasks []launch.State
		since time.Time
		want  int
	}{
		{"none", nil, time.Time{}, 0},
		{"two machines of one launch, one of the next", []launch.State{{Model: "m", Attempts: []launch.Attempt{bad("oom", at), bad("oom", at)}}, {Model: "m", Attempts: []launch.Attempt{bad("guard", at)}}}, time.Time{}, 3},
		{"a proof between", []launch.State{{Model: "m", Attempts: []launch.Attempt{bad("oom", at)}}, {ID: "good", Model: "m"}, {Model: "m", Attempts: []launch.Attempt{bad("oom", at)}}}, time.Time{}, 1},
		{"engines that died young, over an endpoint", []launch.State{{ID: "good", Model: "m"}, died(10 * time.Minute), died(20 * time.Minute)}, time.Time{}, 2},
		{"an engine that died old", []launch.State{died(10 * time.Minute), died(3 * time.Hour)}, time.Time{}, 0},
		{"another model", []launch.State{{Model: "n", Attempts: []launch.Attempt{bad("oom", at)}}}, time.Time{}, 0},
		{"ended by people", []launch.State{{Model: "m", Attempts: []launch.Attempt{bad("down", at), bad("interrupted", at), bad("ended_elsewhere", at), bad("idle", at)}}}, time.Time{}, 0},
		{"never rented", []launch.State{{Model: "m", Attempts: []launch.Attempt{{Cause: "no_capacity", Phase: launch.Refused}}}}, time.Time{}, 0},
		{"forgiven", []launch.State{{Model: "m", Attempts: []launch.Attempt{bad("oom", at), bad("oom", at.Add(2*time.Hour))}}}, at.Add(time.Hour), 1},
	} {
		if n, _, _ := gateway.FailedBoots(c.tasks, "m", c.since, good); n != c.want {
			t.Errorf("%s: %d, want %d", c.name, n, c.want)
		}
	}
}
