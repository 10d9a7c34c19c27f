package runner

import (
	"context"
	"errors"
	"sync"
	"time"

	"justright/internal/store"
	"justright/launch"
)

// Supervised is what Supervise needs of a journal beside Journal.
type Supervised interface {
	Journal
	Tasks(ctx context.Context) ([]store.Task, error)
}

// Supervisor looks after every ready machine of one account from one process: one list per round for all of them, and the
// saga only for those that need it. It is the outer watchdog of `serve`, and starts no plans.
type Supervisor struct {
	Config  Config // Planner must start nothing; Journal is a Supervised
	Every   time.Duration
	Workers int // sagas at once; 0: 8
	// Round is told what each round saw; may be nil.
	Round func(machines, tasks, attention int)
}

// Supervise goes round until the context ends.
func (s Supervisor) Supervise(ctx context.Context) error {
	t := time.NewTicker(s.Every)
	defer t.Stop()
	for {
		if err := s.Once(ctx); err != nil && ctx.Err() != nil {
			return ctx.Err()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}

// Once is one round.
func (s Supervisor) Once(ctx context.Context) error {
	journal, ok := s.Config.Journal.(Supervised)
	if !ok {
		return errors.New("supervise: this journal cannot list its tasks")
	}
	tasks, err := journal.Tasks(ctx)
	if err != nil {
		return err
	}
	ins, err := s.Config.Provider.List(ctx)
	if err != nil {
		return err // a provider that cannot be heard has not lost anything
	}
	now := s.Config.Now()
	shown := make(map[string][]launch.Instance, len(ins))
	for _, in := range ins {
		shown[in.AttemptID] = append(shown[in.AttemptID], in)
	}
	var need []string
	for _, t := range tasks {
		if s.ours(t.State) && launch.Attention(t.State, t.Wanted, shown, now) {
			need = append(need, t.State.ID)
		}
	}
	if s.Round != nil {
		s.Round(len(ins), len(tasks), len(need))
	}
	return s.attend(ctx, need)
}

// ours reports whether all that may bill of a task was made through our door: nothing else can be judged from our list.
func (s Supervisor) ours(st launch.State) bool {
	for _, a := range st.Unsettled() {
		if a.Address != s.Config.Address || a.Account != s.Config.Account {
			return false
		}
	}
	return true
}

// attend runs the saga of the tasks that need it. One that is driven by another process is left to it.
func (s Supervisor) attend(ctx context.Context, tasks []string) error {
	workers := s.Workers
	if workers == 0 {
		workers = 8
	}
	slots := make(chan struct{}, workers)
	errs := make([]error, len(tasks))
	var wg sync.WaitGroup
	for i, id := range tasks {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			run, cancel := context.WithTimeout(ctx, 5*time.Minute)
			defer cancel()
			_, err := Run(run, s.Config, id, false)
			if !errors.Is(err, store.ErrHeld) && !errors.Is(err, context.DeadlineExceeded) {
				errs[i] = err
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
