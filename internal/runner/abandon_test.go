package runner_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"justright/internal/runner"
	"justright/internal/store"
	"justright/launch"
	"justright/money"
)

// filling is a journal that takes no more steps from a moment on.
type filling struct {
	store.Store
	full func(launch.State) bool
}

var errNoRoom = errors.New("no room")

func (f filling) Commit(ctx context.Context, st store.Step) ([]int64, error) {
	if f.full(st.State) {
		return nil, errNoRoom
	}
	return f.Store.Commit(ctx, st)
}

// A run that cannot write on leaves no machine whose guard has not reported, and one that is armed alone. What was written
// before lets a later down prove the rest.
func TestAFullJournalLeavesNothingUnguarded(t *testing.T) {
	for name, tt := range map[string]struct {
		full func(launch.State) bool
		left int
	}{
		"before the create":              {func(s launch.State) bool { return len(s.Attempts) > 0 }, 0},
		"while the create is on its way": {func(s launch.State) bool { return len(s.Attempts) > 0 && s.Attempts[0].PodID != "" }, 0},
		"while it boots":                 {func(s launch.State) bool { return len(s.Attempts) > 0 && s.Attempts[0].Status == launch.Running }, 0},
		"once it is armed": {func(s launch.State) bool {
			return len(s.Attempts) > 0 && s.Attempts[0].Armed && s.Attempts[0].Phase == launch.Proving
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				st := w.begin("x", 2*money.Dollar)
				c := w.config(0)
				c.Journal = filling{w.journal, tt.full}
				if _, err := runner.Run(t.Context(), c, st.ID, false); !errors.Is(err, errNoRoom) {
					t.Fatalf("ended with %v", err)
				}
				if n := w.sim.Ledger().Billing; n != tt.left {
					t.Errorf("%d machines bill, want %d", n, tt.left)
				}
				time.Sleep(time.Minute)
				w.down(t, st.ID)
				nothingBills(t, w)
			})
		})
	}
}
