package runner_test

import (
	"context"
	"slices"
	"sync"
	"time"

	"justright/internal/provider"
	"justright/internal/runner"
	"justright/internal/store"
	"justright/launch"
)

// doubling is a proxy that sends a create twice: the second machine is nobody's.
type doubling struct{ provider.Provider }

func (p doubling) Create(ctx context.Context, s launch.Spec) (launch.Instance, error) {
	in, err := p.Provider.Create(ctx, s)
	if c, ok := p.Provider.(counting); ok && err == nil {
		_, _ = c.Provider.Create(ctx, s)
	}
	return in, err
}

// lateJournal is the mutation that acts before it writes: a step that creates is stored with the one after it.
type lateJournal struct {
	store.Store
	mu   sync.Mutex
	held *store.Step
}

func (j *lateJournal) Commit(ctx context.Context, st store.Step) ([]int64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.held != nil {
		held := *j.held
		j.held = nil
		if _, err := j.Store.Commit(ctx, held); err != nil {
			return nil, err
		}
	}
	for _, e := range st.Effects {
		if _, ok := e.(launch.Create); ok {
			j.held = &st
			return make([]int64, len(st.Effects)), nil
		}
	}
	return j.Store.Commit(ctx, st)
}

// blind is the mutation without the look-up: lists show nothing.
type blind struct{ provider.Provider }

func (blind) List(context.Context) ([]launch.Instance, error) { return nil, nil }

// stranger is another account: it sees what was made with its key, and denies the rest in good faith.
type stranger struct {
	provider.Provider
	mine *sync.Map // by pod
}

func (p stranger) Create(ctx context.Context, s launch.Spec) (launch.Instance, error) {
	in, err := p.Provider.Create(ctx, s)
	if err == nil {
		p.mine.Store(in.ID, true)
	}
	return in, err
}

func (p stranger) List(ctx context.Context) ([]launch.Instance, error) {
	all, err := p.Provider.List(ctx)
	return slices.DeleteFunc(all, func(in launch.Instance) bool { _, ok := p.mine.Load(in.ID); return !ok }), err
}

func (p stranger) Get(ctx context.Context, id string) (launch.Instance, error) {
	if _, ok := p.mine.Load(id); !ok {
		return launch.Instance{ID: id, Status: launch.Gone}, nil
	}
	return p.Provider.Get(ctx, id)
}

func (p stranger) Delete(ctx context.Context, id string) error {
	if _, ok := p.mine.Load(id); !ok {
		return nil
	}
	return p.Provider.Delete(ctx, id)
}

// credulous is the mutation that takes any word of a container for its guard's.
type credulous struct{}

func (credulous) Watch(a launch.Attempt, now time.Time) runner.Watch {
	return credulousWatch{phaseWatcher{}.Watch(a, now), a.ID}
}

type credulousWatch struct {
	runner.Watch
	attempt string
}

func (w credulousWatch) Line(l launch.LogLine) []runner.Sign {
	return append([]runner.Sign{{Event: launch.GuardSaid{At: launch.At(time.Now()), Attempt: w.attempt, Status: "armed"}}}, w.Watch.Line(l)...)
}

// forgetful is the mutation that plans on after a machine was ended by somebody else.
type forgetful struct{ store.Store }

func (f *forgetful) Task(ctx context.Context, id string) (store.Task, error) {
	t, err := f.Store.Task(ctx, id)
	if t.Wanted != launch.WantGone {
		t.State.NoNext, t.State.Verdict = false, nil
	}
	return t, err
}

// gullible is the mutation without the confirmation: a delete that was answered is believed.
type gullible struct{ provider.Provider }

func (gullible) Get(_ context.Context, id string) (launch.Instance, error) {
	return launch.Instance{ID: id, Status: launch.Gone}, nil
}
