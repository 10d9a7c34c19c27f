// Package providertest is the conformance suite of provider.Provider. Every adapter runs it in full in the ordinary
// go test, against a simulator where the real thing costs money:
//
//	func TestConformance(t *testing.T) { providertest.Run(t, func(t *testing.T) providertest.Subject { … }) }
//
// There is no switch that turns it off, and it prints which implementation it drives.
package providertest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"justright/internal/provider"
	"justright/launch"
)

// Subject is one fresh implementation, with what the suite must know of it.
type Subject struct {
	Provider provider.Provider
	// Spec starts a machine that prints exactly Lines on its standard output, in order, and then stays up. The suite
	// sets its name and ids.
	Spec  launch.Spec
	Lines []string
	// Wait is the longest a change of state may take; 0: a minute, which only a failure takes, however slow the machine.
	Wait time.Duration
	// Machines that fit at the same time; 0: 4.
	Machines int
}

// secret is planted in the environment of every machine and must not come back.
const secret = "sk-conformance-secret"

// Run drives the suite. factory is called once for each part.
func Run(t *testing.T, factory func(t *testing.T) Subject) {
	parts := []struct {
		name string
		run  func(*bench)
	}{
		{"offers", offers}, {"create", create}, {"no create without ids", withoutIDs}, {"run", run}, {"names do not identify", names},
		{"delete", remove}, {"what never was", neverWas}, {"logs from the first line", logsFromStart}, {"logs resume", logsResume},
		{"logs end", logsEnd}, {"cancelled", cancelled}, {"concurrent", concurrent},
	}
	for _, part := range parts {
		t.Run(strings.ReplaceAll(part.name, " ", "-"), func(t *testing.T) {
			s := factory(t)
			if s.Wait == 0 {
				s.Wait = time.Minute
			}
			if s.Machines == 0 {
				s.Machines = 4
			}
			t.Logf("driving %T (%q)", s.Provider, s.Provider.Name())
			part.run(&bench{T: t, s: s, p: s.Provider})
		})
	}
}

// bench is one part being run.
type bench struct {
	*testing.T
	s Subject
	p provider.Provider
	n int
}

// create asks for one more machine with ids of its own, and removes it at the end.
func (b *bench) create(name string) launch.Instance {
	b.Helper()
	in, err := b.p.Create(b.Context(), b.spec(name))
	if err != nil {
		b.Fatalf("create: %v", err)
	}
	b.Cleanup(func() { _ = b.p.Delete(context.WithoutCancel(b.Context()), in.ID) })
	return in
}

func (b *bench) spec(name string) launch.Spec {
	b.n++
	s := b.s.Spec
	s.Name, s.AttemptID, s.OwnerID = name, fmt.Sprintf("%032x", b.n), strings.Repeat("f", 32)
	env := map[string]string{"VLLM_API_KEY": secret}
	for k, v := range s.Env {
		env[k] = v
	}
	s.Env = env
	return s
}

// until asks get again until ok.
func (b *bench) until(what, id string, ok func(launch.Instance) bool) launch.Instance {
	b.Helper()
	end := time.Now().Add(b.s.Wait)
	for {
		in, err := b.p.Get(b.Context(), id)
		if err != nil {
			b.Fatalf("get while waiting until %s: %v", what, err)
		}
		if ok(in) {
			return in
		}
		if time.Now().After(end) {
			b.Fatalf("not %s within %s: %+v", what, b.s.Wait, in)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (b *bench) list() map[string]launch.Instance {
	b.Helper()
	all, err := b.p.List(b.Context())
	if err != nil {
		b.Fatalf("list: %v", err)
	}
	out := map[string]launch.Instance{}
	for _, in := range all {
		if _, twice := out[in.ID]; twice {
			b.Errorf("%s is listed twice", in.ID)
		}
		out[in.ID] = in
	}
	return out
}

func offers(b *bench) {
	if b.p.Name() == "" {
		b.Error("no name")
	}
	all, err := b.p.Offers(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for _, o := range all {
		if o.Provider == "" || (o.GPU != "" && o.ProviderID == "") {
			b.Errorf("%+v: an offer names its provider and the id to ask for", o)
		}
		if o.PricePerHour != nil && *o.PricePerHour < 0 {
			b.Errorf("%+v: negative price", o)
		}
	}
}

func create(b *bench) {
	s := b.spec("jr-suite")
	in, err := b.p.Create(b.Context(), s)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = b.p.Delete(context.WithoutCancel(b.Context()), in.ID) })
	if in.ID == "" || in.AttemptID != s.AttemptID || in.OwnerID != s.OwnerID || in.Status == launch.Gone || in.Status == launch.Stopped {
		b.Errorf("create answered %+v for attempt %s of owner %s", in, s.AttemptID, s.OwnerID)
	}
	got := b.until("described", in.ID, func(in launch.Instance) bool { return in.Status != launch.Gone })
	listed, ok := b.list()[in.ID]
	if !ok {
		b.Fatal("the machine is not listed")
	}
	for what, in := range map[string]launch.Instance{"get": got, "list": listed} {
		if in.AttemptID != s.AttemptID || in.OwnerID != s.OwnerID {
			b.Errorf("%s tells attempt %q of owner %q, want %q of %q", what, in.AttemptID, in.OwnerID, s.AttemptID, s.OwnerID)
		}
		if strings.Contains(fmt.Sprintf("%+v", in), secret) {
			b.Errorf("%s gives the environment away: %+v", what, in)
		}
	}
}

func withoutIDs(b *bench) {
	before := len(b.list())
	for _, change := range []func(*launch.Spec){func(s *launch.Spec) { s.AttemptID = "" }, func(s *launch.Spec) { s.OwnerID = "" }} {
		s := b.spec("jr-suite")
		change(&s)
		in, err := b.p.Create(b.Context(), s)
		if provider.KindOf(err) != launch.FailRejected {
			b.Errorf("created %+v, %v; want it rejected: it could not be found again", in, err)
		}
	}
	if n := len(b.list()); n != before {
		b.Errorf("%d machines after refused creates, %d before", n, before)
	}
}

func run(b *bench) {
	in := b.create("jr-suite")
	first := b.until("running", in.ID, func(in launch.Instance) bool { return in.Status == launch.Running })
	for _, port := range b.s.Spec.Ports {
		if strings.HasSuffix(port, "/http") && !strings.Contains(first.BaseURL, "://") {
			b.Errorf("base URL %q with an http port", first.BaseURL)
		}
	}
	if strings.HasSuffix(first.BaseURL, "/v1") {
		b.Errorf("base URL %q ends in /v1", first.BaseURL)
	}
	later := b.until("described", in.ID, func(launch.Instance) bool { return true })
	if later.Uptime < first.Uptime {
		b.Errorf("uptime went from %s back to %s without a restart", first.Uptime, later.Uptime)
	}
}

func names(b *bench) {
	x, y := b.create("jr-same"), b.create("jr-same")
	all := b.list()
	if x.ID == y.ID || all[x.ID].AttemptID == all[y.ID].AttemptID {
		b.Errorf("two machines of one name are not told apart: %+v and %+v", all[x.ID], all[y.ID])
	}
}

func remove(b *bench) {
	in, other := b.create("jr-suite"), b.create("jr-other")
	for range 2 { // the second time it is gone, or going
		if err := b.p.Delete(b.Context(), in.ID); err != nil {
			b.Fatalf("delete: %v", err)
		}
	}
	b.until("gone", in.ID, func(in launch.Instance) bool { return in.Status == launch.Gone })
	if got, ok := b.list()[in.ID]; ok && got.Status != launch.Gone {
		b.Errorf("still listed: %+v", got)
	}
	if err := b.p.Delete(b.Context(), in.ID); err != nil {
		b.Errorf("delete of what is gone: %v", err)
	}
	if got := b.list()[other.ID]; got.ID == "" || got.Status == launch.Gone {
		b.Errorf("the other machine went too: %+v", got)
	}
}

func neverWas(b *bench) {
	const id = "neverwas000000"
	if in, err := b.p.Get(b.Context(), id); err != nil || in.Status != launch.Gone || in.ID != id {
		b.Errorf("get: %+v, %v; want gone", in, err)
	}
	if err := b.p.Delete(b.Context(), id); err != nil {
		b.Errorf("delete: %v", err)
	}
	ctx, cancel := context.WithTimeout(b.Context(), b.s.Wait)
	defer cancel()
	if err := b.p.Logs(ctx, id, "", func(l launch.LogLine) error { return fmt.Errorf("a line of nobody: %+v", l) }); err != nil {
		b.Errorf("logs: %v; want nil, the machine is gone", err)
	}
}

var errEnough = errors.New("enough")

// read collects container lines after the mark until it has n of them.
func (b *bench) read(id, after string, n int) []launch.LogLine {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), b.s.Wait)
	defer cancel()
	var got []launch.LogLine
	if n == 0 {
		return got
	}
	err := b.p.Logs(ctx, id, after, func(l launch.LogLine) error {
		if l.ID == "" {
			return errors.New("a line without a mark")
		}
		if l.Source != "container" {
			return nil
		}
		if got = append(got, l); len(got) == n {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		b.Fatalf("logs after %q: %v, with %d of %d lines: %q", after, err, len(got), n, texts(got))
	}
	return got
}

func texts(lines []launch.LogLine) []string {
	var out []string
	for _, l := range lines {
		out = append(out, l.Text)
	}
	return out
}

func logsFromStart(b *bench) {
	in := b.create("jr-suite")
	b.until("running", in.ID, func(in launch.Instance) bool { return in.Status == launch.Running })
	for range 2 { // reading takes nothing away
		if got := texts(b.read(in.ID, "", len(b.s.Lines))); fmt.Sprint(got) != fmt.Sprint(b.s.Lines) {
			b.Errorf("read %q, want %q", got, b.s.Lines)
		}
	}
}

func logsResume(b *bench) {
	in := b.create("jr-suite")
	all := b.read(in.ID, "", len(b.s.Lines))
	seen := map[string]bool{}
	for i, l := range all {
		if seen[l.ID] {
			b.Errorf("mark %q stands twice", l.ID)
		}
		seen[l.ID] = true
		rest := texts(b.read(in.ID, l.ID, len(all)-1-i))
		if fmt.Sprint(rest) != fmt.Sprint(texts(all[i+1:])) {
			b.Errorf("after line %d: %q, want %q", i, rest, texts(all[i+1:]))
		}
	}
}

func logsEnd(b *bench) {
	in := b.create("jr-suite")
	boom := errors.New("the reader's own error")
	if err := b.p.Logs(b.Context(), in.ID, "", func(launch.LogLine) error { return boom }); !errors.Is(err, boom) {
		b.Errorf("a failing reader: %v, want its own error", err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	once := sync.OnceFunc(cancel)
	go func() { done <- b.p.Logs(ctx, in.ID, "", func(launch.LogLine) error { once(); return nil }) }()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			b.Errorf("a cancelled reader: %v, want context.Canceled", err)
		}
	case <-time.After(b.s.Wait):
		b.Fatal("a cancelled reader does not end")
	}
	started := make(chan struct{}, 1)
	go func() {
		done <- b.p.Logs(b.Context(), in.ID, "", func(launch.LogLine) error {
			select {
			case started <- struct{}{}:
			default:
			}
			return nil
		})
	}()
	select {
	case <-started:
	case <-time.After(b.s.Wait):
		b.Fatal("no line")
	}
	if err := b.p.Delete(b.Context(), in.ID); err != nil {
		b.Fatal(err)
	}
	select {
	case err := <-done:
		if err != nil {
			b.Errorf("the log of a machine that went: %v, want nil", err)
		}
	case <-time.After(b.s.Wait):
		b.Error("the log of a machine that is gone does not end")
	}
}

func cancelled(b *bench) {
	in := b.create("jr-suite")
	before := len(b.list())
	ctx, cancel := context.WithCancel(b.Context())
	cancel()
	_, err1 := b.p.Offers(ctx)
	_, err2 := b.p.Create(ctx, b.spec("jr-cancelled"))
	_, err3 := b.p.Get(ctx, in.ID)
	_, err4 := b.p.List(ctx)
	err5 := b.p.Delete(ctx, in.ID)
	err6 := b.p.Logs(ctx, in.ID, "", func(launch.LogLine) error { return nil })
	for i, err := range []error{err1, err2, err3, err4, err5, err6} {
		what := []string{"offers", "create", "get", "list", "delete", "logs"}[i]
		var e *provider.Error
		if i == 0 && err == nil {
			continue // a target that has nothing to ask may answer
		}
		if !errors.As(err, &e) || !errors.Is(err, context.Canceled) {
			b.Errorf("%s with a cancelled context: %v, want a *provider.Error around context.Canceled", what, err)
		}
	}
	if n := len(b.list()); n != before {
		b.Errorf("%d machines after a cancelled create, %d before", n, before)
	}
}

func concurrent(b *bench) {
	specs := make([]launch.Spec, b.s.Machines)
	for i := range specs {
		specs[i] = b.spec("jr-suite")
	}
	ids := make([]string, len(specs))
	var wg sync.WaitGroup
	for i := range specs {
		wg.Go(func() {
			in, err := b.p.Create(b.Context(), specs[i])
			if err != nil || in.AttemptID != specs[i].AttemptID {
				b.Errorf("create %d: %+v, %v", i, in, err)
				return
			}
			ids[i] = in.ID
			if _, err := b.p.Get(b.Context(), in.ID); err != nil {
				b.Errorf("get %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	all := b.list()
	for i, id := range ids {
		if all[id].AttemptID != specs[i].AttemptID {
			b.Errorf("machine %d is listed as %+v", i, all[id])
		}
	}
	for _, id := range ids {
		wg.Go(func() {
			if err := b.p.Delete(b.Context(), id); err != nil {
				b.Errorf("delete: %v", err)
			}
		})
	}
	wg.Wait()
	for _, id := range ids {
		b.until("gone", id, func(in launch.Instance) bool { return in.Status == launch.Gone })
	}
}
