package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"justright/internal/store"
	"justright/internal/store/storetest"
	"justright/launch"
)

// postgres is the address of a fresh journal: a schema of its own in the server of JUSTRIGHT_TEST_POSTGRES.
func postgres(t *testing.T) string {
	t.Helper()
	address := os.Getenv("JUSTRIGHT_TEST_POSTGRES")
	if address == "" {
		t.Skip("JUSTRIGHT_TEST_POSTGRES names no server; make postgres starts one and runs this")
	}
	db, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	schema := fmt.Sprintf("t%d", time.Now().UnixNano())
	if _, err := db.ExecContext(t.Context(), "CREATE SCHEMA "+schema); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = db.ExecContext(context.WithoutCancel(t.Context()), "DROP SCHEMA "+schema+" CASCADE")
		_ = db.Close()
	})
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String()
}

func openPostgres(t *testing.T, address string) *store.Journal {
	t.Helper()
	s, err := store.OpenPostgres(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPostgresConforms(t *testing.T) {
	if os.Getenv("JUSTRIGHT_TEST_POSTGRES") == "" {
		postgres(t)
	}
	storetest.Run(t, func(t *testing.T) store.Store { return openPostgres(t, postgres(t)) })
}

// Several controllers open a new journal at one instant: one makes the tables, all have one owner.
func TestControllersOpenANewJournal(t *testing.T) {
	address := postgres(t)
	owners := make([]string, 6)
	var wg sync.WaitGroup
	for i := range owners {
		wg.Go(func() {
			s, err := store.OpenPostgres(context.WithoutCancel(t.Context()), address)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = s.Close() }()
			if owners[i], err = s.Owner(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, o := range owners {
		if o != owners[0] || len(o) != 32 {
			t.Fatalf("owners differ: %q", owners)
		}
	}
}

// Two controllers, each with connections of its own, race for every step of one launch: exactly one takes each, and each intent has
// one create.
func TestTwoControllersRace(t *testing.T) {
	address := postgres(t)
	controllers := []*store.Journal{openPostgres(t, address), openPostgres(t, address)}
	ctx := t.Context()
	st := launch.State{ID: "1", Name: "x", Model: "m/m", Target: "t", Wanted: launch.WantRunning, Started: time.Unix(1, 0).UTC()}
	const rounds = 20
	for round := range rounds {
		st.ID, st.Name = fmt.Sprint(round), fmt.Sprint("x", round)
		st.Model = fmt.Sprint("m/", round)
		begun, leases, commits := make([]error, 2), make([]error, 2), make([]error, 2)
		var wg sync.WaitGroup
		for i, c := range controllers {
			wg.Go(func() {
				other := st
				other.ID = fmt.Sprint(round, "-", i)
				begun[i] = c.BeginAlone(ctx, other)
			})
		}
		wg.Wait()
		winner := 0
		if begun[0] != nil {
			winner = 1
		}
		var running *store.RunningError
		if begun[winner] != nil || !errors.As(begun[1-winner], &running) {
			t.Fatalf("round %d: began %v", round, begun)
		}
		st.ID = fmt.Sprint(round, "-", winner)
		now := time.Now()
		for i, c := range controllers {
			h := store.Holder{Host: fmt.Sprint("host", i), PID: 1, Start: "1"}
			wg.Go(func() {
				l, err := c.Acquire(ctx, st.ID, h, now.Add(time.Minute), now, nil)
				if leases[i] = err; err != nil {
					return
				}
				_, commits[i] = c.Commit(ctx, store.Step{Lease: l, Version: 1, State: st, At: now,
					Effects: []launch.Effect{launch.Create{Attempt: fmt.Sprint("a", round)}}})
			})
		}
		wg.Wait()
		held := 0
		for i := range leases {
			switch {
			case errors.Is(leases[i], store.ErrHeld):
				held++
			case leases[i] != nil || commits[i] != nil:
				t.Errorf("round %d: controller %d: %v, %v", round, i, leases[i], commits[i])
			}
		}
		if held != 1 {
			t.Errorf("round %d: %d of two were refused the lease", round, held)
		}
		creates := 0
		es, err := controllers[0].Effects(ctx, st.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range es {
			if e.Kind == "create" {
				creates++
			}
		}
		if creates != 1 {
			t.Errorf("round %d: %d creates of one intent", round, creates)
		}
	}
}

// What a machine says may hold anything.
func TestPostgresHoldsWhatMachinesSay(t *testing.T) {
	s := openPostgres(t, postgres(t))
	defer func() { _ = s.Close() }()
	long := strings.Repeat("long line ", 2000)
	lines := []launch.LogLine{{ID: "1", Text: "nul\x00 and \xff"}, {ID: "2", Text: long}, {ID: "2", Text: long}}
	if err := s.AppendLog(t.Context(), "a", lines); err != nil {
		t.Fatal(err)
	}
	got, err := s.Log(t.Context(), "a", 0, 10)
	if err != nil || len(got) != 2 || got[0].Text != "nul\uFFFD and \uFFFD" || got[1].Text != long {
		t.Errorf("%d lines, %v", len(got), err)
	}
	if err := s.AppendEvent(t.Context(), "1", time.Unix(1, 0), []byte("{\"line\":\"\x00\"}")); err != nil {
		t.Error(err)
	}
}

func TestPostgresErrorsHideThePassword(t *testing.T) {
	for _, address := range []string{"postgres://me:hunter2secret@127.0.0.1:1/x?connect_timeout=1", "postgres://me:hunter2secret@127.0.0.1:port/x", "postgres://me:hunter2secret@127.0.0.1/x?sslmode=what"} {
		_, err := store.OpenPostgres(t.Context(), address)
		if err == nil || strings.Contains(err.Error(), "hunter2secret") {
			t.Errorf("%v", err)
		}
	}
}
