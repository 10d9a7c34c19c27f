package runner_test

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"justright/internal/runner"
	"justright/internal/store"
	"justright/launch"
	"justright/money"
	"justright/problem"
)

// Two controllers on two machines, with a journal in PostgreSQL between them, drive one launch: one wins, one machine is made, its
// money is reserved once, and either takes it down.
func TestTwoControllersDriveOneLaunch(t *testing.T) {
	address := os.Getenv("JUSTRIGHT_TEST_POSTGRES")
	if address == "" {
		t.Skip("JUSTRIGHT_TEST_POSTGRES names no server; make postgres starts one and runs this")
	}
	db, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	schema := fmt.Sprintf("r%d", time.Now().UnixNano())
	if _, err := db.ExecContext(t.Context(), "CREATE SCHEMA "+schema); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = db.ExecContext(t.Context(), "DROP SCHEMA "+schema+" CASCADE") }()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	synctest.Test(t, func(t *testing.T) {
		var journals [2]*store.Journal
		for i := range journals {
			if journals[i], err = store.OpenPostgres(t.Context(), u.String()); err != nil {
				t.Fatal(err)
			}
		}
		w := newWorld(7, journals[0])
		st := w.begin("x", 2*money.Dollar)
		var cfg [2]runner.Config
		for i := range cfg {
			cfg[i] = w.config(time.Duration(i) * time.Second)
			cfg[i].Journal, cfg[i].Holder = journals[i], store.Holder{Host: fmt.Sprint("machine", i), PID: 1, Start: "1"}
		}
		var wg sync.WaitGroup
		var states [2]launch.State
		var errs [2]error
		for i := range cfg {
			wg.Go(func() { states[i], errs[i] = runner.Run(t.Context(), cfg[i], st.ID, false) })
		}
		wg.Wait()
		winner := 0
		if errs[0] != nil {
			winner = 1
		}
		if errs[winner] != nil || !errors.Is(errs[1-winner], store.ErrHeld) {
			t.Fatalf("the two ended with %v", errs)
		}
		s := states[winner]
		expect(t, s, "ready", problem.ExitOK, "ready")
		if l := w.sim.Ledger(); len(s.Attempts) != 1 || len(l.Pods) != 1 || l.Billing != 1 {
			t.Errorf("%d attempts, %d machines, %d of them bill; want one", len(s.Attempts), len(l.Pods), l.Billing)
		}
		for id, n := range w.calls.creates {
			if n != 1 {
				t.Errorf("intent %s was asked for %d times", id, n)
			}
		}
		if c := s.Current(); c == nil || c.Reserved <= 0 || c.Reserved > s.Budget {
			t.Errorf("reserved %+v of $%s", c, s.Budget)
		}
		// The one that lost takes it down, by the journal alone.
		if err := journals[1-winner].WantGone(t.Context(), st.ID, launch.CauseDown); err != nil {
			t.Fatal(err)
		}
		if s, err = runner.Run(t.Context(), cfg[1-winner], st.ID, true); err != nil {
			t.Fatal(err)
		}
		expect(t, s, "cancelled", problem.ExitOK, launch.CauseDown)
		nothingBills(t, w)
		w.sim.Close()
		for _, j := range journals {
			_ = j.Close()
		}
		time.Sleep(10 * time.Minute) // let what is left run out
	})
}
