// Package storetest is the conformance suite of store.Store. Every backend runs all of it.
package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"justright/catalog"
	"justright/internal/store"
	"justright/launch"
	"justright/money"
)

var (
	t0   = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	here = store.Holder{Host: "a", PID: 1, Start: "1"}
	gone = store.Holder{Host: "a", PID: 2, Start: "2"}
)

func state(id, name string) launch.State {
	return launch.State{ID: id, Name: name, Model: "m/m", Target: "t", Owner: "o", Budget: 2 * money.Dollar,
		Wanted: launch.WantRunning, Timing: launch.DefaultTiming(), Started: t0}
}

// Run runs the suite. open returns a fresh journal; the suite does not share one between cases.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	cases := []struct {
		name string
		f    func(*testing.T, store.Store)
	}{
		{"owner is one 128-bit id", owner},
		{"a live name is taken once", names},
		{"a model runs alone on its target", alone},
		{"of many at one instant one begins", aloneRace},
		{"a step needs the lease and the version", steps},
		{"down wins over a create", down},
		{"one intent, one create", oneCreate},
		{"a lease changes hands", leases},
		{"racing steps: exactly one wins", race},
		{"effects tell what was not finished", effects},
		{"notes go along with a step, and not with a refused one", notes},
		{"log lines neither repeat nor get lost", logs},
		{"events keep their order", events},
		{"costs, proofs and answers are facts", facts},
		{"lessons expire and are forgotten", lessons},
		{"settings", settings},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			t.Logf("driving %T", s)
			c.f(t, s)
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
}

func must[T any](t *testing.T, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %v", what, err, want)
	}
}

// begin starts launch 1, named x, and takes its lease.
func begin(t *testing.T, s store.Store) store.Lease {
	t.Helper()
	if err := s.Begin(t.Context(), state("1", "x")); err != nil {
		t.Fatal(err)
	}
	l, err := s.Acquire(t.Context(), "1", here, t0.Add(time.Minute), t0, nil)
	return must(t, l, err)
}

func owner(t *testing.T, s store.Store) {
	a, err := s.Owner(t.Context())
	must(t, a, err)
	b, err := s.Owner(t.Context())
	must(t, b, err)
	if a != b || len(a) != 32 {
		t.Errorf("owner %q, then %q; want the same 32 hex digits", a, b)
	}
}

func names(t *testing.T, s store.Store) {
	l := begin(t, s)
	wantErr(t, "a second live x", s.Begin(t.Context(), state("2", "x")), store.ErrExists)
	over := state("1", "x")
	over.Wanted = launch.WantGone
	_, err := s.Commit(t.Context(), store.Step{Lease: l, Version: 1, State: over, At: t0})
	must(t, 0, err)
	if err := s.Begin(t.Context(), state("3", "x")); err != nil {
		t.Errorf("x again, after it is over: %v", err)
	}
	all, err := s.Tasks(t.Context())
	if must(t, len(all), err) != 2 {
		t.Errorf("%d tasks, want 2", len(all))
	}
	_, err = s.Task(t.Context(), "none")
	wantErr(t, "a task that is not there", err, store.ErrNotFound)
}

func alone(t *testing.T, s store.Store) {
	l := begin(t, s)
	refused := func(what string, st launch.State, by string) {
		t.Helper()
		var r *store.RunningError
		if err := s.BeginAlone(t.Context(), st); !errors.As(err, &r) || r.Task != by {
			t.Errorf("%s: %v, want it refused for task %s", what, err, by)
		}
	}
	begins := func(what string, st launch.State) {
		t.Helper()
		if err := s.BeginAlone(t.Context(), st); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("the same model under another name", state("2", "y"), "1")
	elsewhere, other := state("3", "z"), state("4", "x4")
	elsewhere.Target, other.Model = "u", "n/n"
	begins("the same model on another target", elsewhere)
	begins("another model", other)
	other.ID, other.Model = "5", "o/o"
	wantErr(t, "a name that is taken", s.BeginAlone(t.Context(), other), store.ErrExists)
	if err := s.Begin(t.Context(), state("6", "second")); err != nil {
		t.Errorf("a second by its own name: %v", err)
	}
	for _, id := range []string{"1", "6"} {
		if err := s.WantGone(t.Context(), id, "down"); err != nil {
			t.Fatal(err)
		}
	}
	begins("beside one that is being taken down", state("7", "y"))
	if err := s.WantGone(t.Context(), "7", "down"); err != nil {
		t.Fatal(err)
	}
	over := state("1", "x")
	over.Wanted = launch.WantGone
	_, err := s.Commit(t.Context(), store.Step{Lease: l, Version: 1, State: over, At: t0})
	must(t, 0, err)
	begins("after the first is over", state("8", "x"))
}

func aloneRace(t *testing.T, s store.Store) {
	const n = 8
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = s.BeginAlone(t.Context(), state(fmt.Sprint(i), fmt.Sprint("x", i))) })
	}
	all.Wait()
	won := 0
	for _, err := range errs {
		var r *store.RunningError
		switch {
		case err == nil:
			won++
		case !errors.As(err, &r):
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d began, want one", won)
	}
}

func steps(t *testing.T, s store.Store) {
	l := begin(t, s)
	st := state("1", "x")
	st.Tried = []string{"a"}
	ids, err := s.Commit(t.Context(), store.Step{Lease: l, Version: 1, State: st, Effects: []launch.Effect{launch.FindPlan{}, launch.Poll{}}, At: t0})
	if must(t, len(ids), err) != 2 {
		t.Fatalf("%d effect numbers, want 2", len(ids))
	}
	got, err := s.Task(t.Context(), "1")
	must(t, got, err)
	if got.Version != 2 || !slices.Equal(got.State.Tried, st.Tried) || got.State.Budget != st.Budget {
		t.Errorf("stored %+v at version %d", got.State, got.Version)
	}
	_, err = s.Commit(t.Context(), store.Step{Lease: l, Version: 1, State: st, At: t0})
	wantErr(t, "a step from an old version", err, store.ErrMoved)
	_, err = s.Commit(t.Context(), store.Step{Lease: store.Lease{Task: "1", Token: l.Token - 1}, Version: 2, State: st, At: t0})
	wantErr(t, "a step with an old lease", err, store.ErrLost)
	if err := s.Release(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	_, err = s.Commit(t.Context(), store.Step{Lease: l, Version: 2, State: st, At: t0})
	wantErr(t, "a step with a lease that was given back", err, store.ErrLost)
}

func down(t *testing.T, s store.Store) {
	l := begin(t, s)
	if err := s.WantGone(t.Context(), "1", "down"); err != nil {
		t.Fatal(err)
	}
	_, err := s.Commit(t.Context(), store.Step{Lease: l, Version: 1, State: state("1", "x"), Effects: []launch.Effect{launch.Create{Attempt: "a"}}, At: t0})
	wantErr(t, "a create after down", err, store.ErrGone)
	if es, err := s.Effects(t.Context(), "1"); err != nil || len(es) != 0 {
		t.Errorf("the refused step left %v, %v", es, err)
	}
	_, err = s.Commit(t.Context(), store.Step{Lease: l, Version: 1, State: state("1", "x"), Effects: []launch.Effect{launch.Poll{}}, At: t0})
	must(t, 0, err)
	got, err := s.Task(t.Context(), "1")
	if must(t, got, err); got.Wanted != launch.WantGone || got.WantedWhy != "down" {
		t.Errorf("a step took the wish back: %s %q", got.Wanted, got.WantedWhy)
	}
	if err := s.WantGone(t.Context(), "1", "again"); err != nil {
		t.Error(err)
	}
	if got, _ = s.Task(t.Context(), "1"); got.WantedWhy != "down" {
		t.Errorf("the first reason is lost: %q", got.WantedWhy)
	}
	wantErr(t, "down of nothing", s.WantGone(t.Context(), "none", "down"), store.ErrNotFound)
}

func oneCreate(t *testing.T, s store.Store) {
	l := begin(t, s)
	step := store.Step{Lease: l, Version: 1, State: state("1", "x"), Effects: []launch.Effect{launch.Create{Attempt: "a"}}, At: t0}
	_, err := s.Commit(t.Context(), step)
	must(t, 0, err)
	step.Version = 2
	if _, err = s.Commit(t.Context(), step); err == nil {
		t.Error("a second create of one intent was committed")
	}
	if got, _ := s.Task(t.Context(), "1"); got.Version != 2 {
		t.Errorf("the refused step moved the task to version %d", got.Version)
	}
}

func leases(t *testing.T, s store.Store) {
	ctx := t.Context()
	l := begin(t, s)
	_, err := s.Acquire(ctx, "1", gone, t0.Add(time.Minute), t0, nil)
	wantErr(t, "a lease somebody holds", err, store.ErrHeld)
	var held *store.HeldError
	if !errors.As(err, &held) || held.Holder != here {
		t.Errorf("held by %+v, want %+v", held, here)
	}
	same, err := s.Acquire(ctx, "1", here, t0.Add(time.Minute), t0, nil)
	if must(t, same, err); same.Token <= l.Token {
		t.Errorf("taken again: token %d after %d", same.Token, l.Token)
	}
	late, err := s.Acquire(ctx, "1", gone, t0.Add(3*time.Minute), t0.Add(time.Minute), nil)
	must(t, late, err)
	wantErr(t, "renewing what was lost", s.Renew(ctx, same, t0.Add(time.Hour)), store.ErrLost)
	if err := s.Renew(ctx, late, t0.Add(time.Hour)); err != nil {
		t.Error(err)
	}
	h, until, err := s.Leaseholder(ctx, "1")
	if must(t, h, err) != gone || !until.Equal(t0.Add(time.Hour)) {
		t.Errorf("held by %+v until %v", h, until)
	}
	dead, err := s.Acquire(ctx, "1", here, t0.Add(time.Hour), t0, func(h store.Holder) bool { return h == gone })
	must(t, dead, err)
	stolen, err := s.Steal(ctx, "1", gone, t0.Add(time.Hour))
	if must(t, stolen, err); stolen.Token <= dead.Token {
		t.Errorf("stolen: token %d after %d", stolen.Token, dead.Token)
	}
	if err := s.Release(ctx, dead); err != nil {
		t.Errorf("giving back what was lost: %v", err)
	}
	if h, _, err := s.Leaseholder(ctx, "1"); err != nil || h != gone {
		t.Errorf("the loser's release ended the winner's lease: %+v, %v", h, err)
	}
	if err := s.Release(ctx, stolen); err != nil {
		t.Error(err)
	}
	_, _, err = s.Leaseholder(ctx, "1")
	wantErr(t, "the holder of a free task", err, store.ErrNotFound)
	_, err = s.Acquire(ctx, "1", here, t0.Add(time.Hour), t0, nil)
	must(t, 0, err)
}

func race(t *testing.T, s store.Store) {
	l := begin(t, s)
	const n = 8
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			_, errs[i] = s.Commit(t.Context(), store.Step{Lease: l, Version: 1, State: state("1", "x"),
				Effects: []launch.Effect{launch.Create{Attempt: fmt.Sprint("a", i)}}, At: t0})
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, store.ErrMoved) {
			t.Errorf("a loser got %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d steps from one version were committed", won)
	}
}

func effects(t *testing.T, s store.Store) {
	l := begin(t, s)
	ids, err := s.Commit(t.Context(), store.Step{Lease: l, Version: 1, State: state("1", "x"),
		Effects: []launch.Effect{launch.Create{Attempt: "a"}, launch.Delete{Attempt: "b", PodID: "p"}}, At: t0})
	must(t, ids, err)
	if err := s.Done(t.Context(), ids[1], "ok", t0.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	es, err := s.Effects(t.Context(), "1")
	if must(t, len(es), err) != 2 {
		t.Fatalf("%d effects", len(es))
	}
	if es[0].Kind != "create" || es[0].Attempt != "a" || !es[0].DoneAt.IsZero() || !es[0].At.Equal(t0) {
		t.Errorf("first effect %+v", es[0])
	}
	if es[1].Kind != "delete" || es[1].Outcome != "ok" || !es[1].DoneAt.Equal(t0.Add(time.Second)) {
		t.Errorf("second effect %+v", es[1])
	}
}

func notes(t *testing.T, s store.Store) {
	ctx := t.Context()
	l := begin(t, s)
	ids, err := s.Commit(ctx, store.Step{Lease: l, Version: 1, State: state("1", "x"), Effects: []launch.Effect{launch.Poll{}, launch.FindPlan{}}, At: t0,
		Notes: store.Notes{Events: []store.EventLine{{At: t0, JSON: []byte(`{"i":0}`)}}}})
	must(t, ids, err)
	_, err = s.Commit(ctx, store.Step{Lease: l, Version: 1, State: state("1", "x"), At: t0,
		Notes: store.Notes{Events: []store.EventLine{{At: t0, JSON: []byte(`{"refused":1}`)}}}})
	wantErr(t, "a step from an old version", err, store.ErrMoved)
	if err := s.Note(ctx, "1", store.Notes{
		Events: []store.EventLine{{At: t0, JSON: []byte(`{"i":1}`)}, {At: t0, JSON: []byte(`{"i":2}`)}},
		Done:   []store.Ended{{Effect: ids[1], Outcome: "found", At: t0.Add(time.Second)}},
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.Note(ctx, "1", store.Notes{}); err != nil {
		t.Errorf("no notes: %v", err)
	}
	all, err := s.Events(ctx, "1", 0, 10)
	must(t, all, err)
	var got []string
	for _, e := range all {
		got = append(got, string(e.JSON))
	}
	if want := []string{`{"i":0}`, `{"i":1}`, `{"i":2}`}; !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
	es, err := s.Effects(ctx, "1")
	if must(t, len(es), err) != 2 || !es[0].DoneAt.IsZero() || es[1].Outcome != "found" || !es[1].DoneAt.Equal(t0.Add(time.Second)) {
		t.Errorf("effects %+v", es)
	}
}

func logs(t *testing.T, s store.Store) {
	line := func(id, text string) launch.LogLine {
		return launch.LogLine{ID: id, At: t0, Source: "container", Text: text}
	}
	add := func(lines ...launch.LogLine) {
		t.Helper()
		if err := s.AppendLog(t.Context(), "a", lines); err != nil {
			t.Fatal(err)
		}
	}
	if m, err := s.LogMark(t.Context(), "a"); err != nil || m != "" {
		t.Errorf("mark of nothing: %q, %v", m, err)
	}
	add(line("1", "one"), line("2", "two"))
	add(line("2", "two"), line("3", "three"), line("", "unmarked"), line("", "unmarked"))
	if m, _ := s.LogMark(t.Context(), "a"); m != "3" {
		t.Errorf("mark %q, want 3", m)
	}
	all, err := s.Log(t.Context(), "a", 0, 100)
	must(t, all, err)
	var texts []string
	for _, l := range all {
		texts = append(texts, l.Text)
	}
	if want := []string{"one", "two", "three", "unmarked", "unmarked"}; !slices.Equal(texts, want) {
		t.Errorf("stored %q, want %q", texts, want)
	}
	if !all[0].At.Equal(t0) || all[0].Source != "container" {
		t.Errorf("first line %+v", all[0])
	}
	rest, _ := s.Log(t.Context(), "a", all[1].N, 2)
	if len(rest) != 2 || rest[0].Text != "three" {
		t.Errorf("two lines after the second: %+v", rest)
	}
	if other, _ := s.Log(t.Context(), "b", 0, 10); len(other) != 0 {
		t.Errorf("lines of another attempt: %v", other)
	}
}

func events(t *testing.T, s store.Store) {
	for i := range 5 {
		if err := s.AppendEvent(t.Context(), "1", t0.Add(time.Duration(i)*time.Second), fmt.Appendf(nil, `{"i":%d}`, i)); err != nil {
			t.Fatal(err)
		}
	}
	all, err := s.Events(t.Context(), "1", 0, 3)
	if must(t, len(all), err) != 3 || string(all[2].JSON) != `{"i":2}` || !all[2].At.Equal(t0.Add(2*time.Second)) {
		t.Errorf("first three: %+v", all)
	}
	rest, _ := s.Events(t.Context(), "1", all[2].N, 10)
	if len(rest) != 2 || string(rest[0].JSON) != `{"i":3}` {
		t.Errorf("the rest: %+v", rest)
	}
}

func facts(t *testing.T, s store.Store) {
	ctx := t.Context()
	in := launch.Instance{ID: "p1", AttemptID: "a", Created: t0}
	for range 2 {
		if err := s.Answered(ctx, "a", in, t0); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.Answers(ctx, "a"); err != nil || len(got) != 1 || got[0].ID != "p1" || !got[0].Created.Equal(t0) {
		t.Errorf("answers %+v, %v", got, err)
	}
	for _, c := range []store.Cost{
		{Task: "1", Attempt: "b", N: 2, Cost: 7, Cause: "y", Seconds: 1.5},
		{Task: "1", Attempt: "a", N: 1, Cost: 5, Cause: "x", Estimate: true},
		{Task: "1", Attempt: "a", N: 1, Cost: 6, Cause: "x", PodID: "p"},
		{Task: "2", Attempt: "c", N: 1, Cost: 9},
	} {
		if err := s.RecordCost(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Costs(ctx, "1")
	if must(t, len(got), err) != 2 || got[0].Cost != 6 || got[0].Estimate || got[1].Seconds != 1.5 {
		t.Errorf("costs %+v", got)
	}
	_, err = s.Proof(ctx, "1")
	wantErr(t, "a proof that is not there", err, store.ErrNotFound)
	_ = s.SaveProof(ctx, "1", t0, []byte(`{"a":1}`))
	_ = s.SaveProof(ctx, "1", t0, []byte(`{"a":2}`))
	if p, err := s.Proof(ctx, "1"); err != nil || string(p) != `{"a":2}` {
		t.Errorf("proof %s, %v", p, err)
	}
}

func lessons(t *testing.T, s store.Store) {
	ctx := t.Context()
	for _, l := range []catalog.Lesson{
		{ID: "1", Cause: "old", Expires: "2026-11-24"},
		{ID: "2", Cause: "today", Expires: "2026-11-25"},
		{ID: "3", Cause: "ever"},
		{ID: "2", Cause: "today again", Expires: "2026-11-25"},
		{ID: "4", Cause: "an hour ago", Expires: "2026-11-25T11:00:00Z"},
	} {
		if err := s.Teach(ctx, l); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Lessons(ctx, t0)
	if must(t, len(got), err) != 2 || got[0].Cause != "today again" || got[1].Cause != "ever" {
		t.Errorf("lessons %+v", got)
	}
	if err := s.Forget(ctx, "3"); err != nil {
		t.Error(err)
	}
	wantErr(t, "forgetting twice", s.Forget(ctx, "3"), store.ErrNotFound)
	if got, _ := s.Lessons(ctx, t0); len(got) != 1 {
		t.Errorf("after forgetting: %+v", got)
	}
}

func settings(t *testing.T, s store.Store) {
	if v, err := s.Setting(t.Context(), "k"); err != nil || v != "" {
		t.Errorf("unset: %q, %v", v, err)
	}
	for _, v := range []string{"a", "b"} {
		if err := s.SetSetting(t.Context(), "k", v); err != nil {
			t.Fatal(err)
		}
	}
	if v, _ := s.Setting(t.Context(), "k"); v != "b" {
		t.Errorf("set: %q", v)
	}
}
