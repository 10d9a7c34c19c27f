package cli

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"justright/internal/gateway"
	"justright/internal/store"
	"justright/problem"
)

// killedServe is a serve in a process of its own that kills itself -9 at a point of an effect.
func (p place) killedServe(at string, args ...string) (url, key string, said *syncBuffer, dead <-chan struct{}) {
	p.t.Helper()
	self, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), 2*time.Minute)
	p.t.Cleanup(cancel)
	c := exec.CommandContext(ctx, self, append([]string{"serve", "--listen", "127.0.0.1:0", "--json"}, args...)...)
	c.Env = append(os.Environ(), killVariable+"="+at)
	for k, v := range p.env {
		c.Env = append(c.Env, k+"="+v)
	}
	out := new(syncBuffer)
	c.Stdout, c.Stderr = out, out
	if err := c.Start(); err != nil {
		p.t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		_ = c.Wait()
		close(gone)
	}()
	var hello serveDocument
	eventually(p.t, "serve says where it is", func() bool {
		for line := range strings.Lines(out.String()) {
			if json.Unmarshal([]byte(line), &hello) == nil && hello.URL != "" {
				return true
			}
		}
		return false
	})
	b, err := os.ReadFile(hello.KeyFile)
	if err != nil {
		p.t.Fatal(err)
	}
	return hello.URL, strings.TrimSpace(string(b)), out, gone
}

// wantGone commits the end of a launch, as a loop of serve does.
func (p place) wantGone(task, why string) {
	p.t.Helper()
	j, err := store.OpenSQLite(p.t.Context(), p.env["JUSTRIGHT_STATE_DIR"])
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	if err := j.WantGone(p.t.Context(), task, why); err != nil {
		p.t.Fatal(err)
	}
}

// However serve is killed while it wakes a model or removes an idle machine, the next one goes on: everything that bills is known, nothing
// is rented twice, and nothing bills in the end.
func TestServeKilled(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		at   string
		idle bool // it is idle once it has answered
		most int  // machines that may be made
	}{
		{"after-commit:create", false, 1},
		{"after-call:create", false, 1},
		{"after-act:create", false, 1},
		{"after-commit:12", false, 1},
		{"after-commit:delete", true, 2},
		{"after-act:delete", true, 2},
	} {
		t.Run(c.at, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			url, key, said, dead := p.killedServe(c.at, tryModel, "--yes")
			first := &served{place: p, url: url, key: key}
			if code, answer := first.tryAsk(tryModel); c.idle && code != http.StatusOK {
				t.Fatalf("%d %s", code, answer)
			}
			if c.idle {
				p.wantGone(p.tasks()[0].State.ID, gateway.CauseIdle) // what serve commits then; the engines of this simulator show no counters
			}
			select {
			case <-dead:
			case <-time.After(60 * time.Second):
				t.Fatalf("serve was not killed at %s:\n%s", c.at, said)
			}
			left := p.sim.Ledger().Billing
			g := p.serve(tryModel, "--yes")
			if code, body := g.ask(tryModel, "Prefer", "wait=90"); code != http.StatusOK {
				t.Errorf("the next serve: %d %s", code, body)
			}
			eventually(t, "one machine bills, and ps knows it", func() bool {
				var ps psDocument
				_ = json.Unmarshal([]byte(p.answers(problem.ExitOK, "ps", "--json")), &ps)
				ready := 0
				for _, l := range ps.Launches {
					if l.State == "ready" {
						ready++
					}
				}
				return p.sim.Ledger().Billing == 1 && ready == 1
			})
			made := p.creates()
			if made > c.most {
				t.Errorf("%d machines were made, %d billed after the kill", made, left)
			}
			g.end()
			p.answers(problem.ExitOK, "down", "--all")
			if l := p.sim.Ledger(); l.Billing != 0 {
				t.Errorf("%d machines bill after down --all", l.Billing)
			}
			t.Logf("killed with %d machines billing; %d made in all", left, made)
		})
	}
}

// Two gateways on one journal wake a model once between them, whoever is asked.
func TestTwoGatewaysWakeOnce(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	gs := []*served{p.serve(tryModel, "--yes", "--replicas", "2..2", "--daily-budget", "4"), p.serve(tryModel, "--yes", "--replicas", "2..2", "--daily-budget", "4")}
	var wg sync.WaitGroup
	for range 3 {
		for _, g := range gs {
			wg.Go(func() {
				if code, body := g.ask(tryModel, "Prefer", "wait=90"); code != http.StatusOK {
					t.Errorf("%d %s", code, body)
				}
			})
		}
	}
	wg.Wait()
	time.Sleep(3 * extraEvery / swiftRounds) // each tries for a second machine meanwhile
	eventually(t, "both stand", func() bool { return p.sim.Ledger().Billing == 2 })
	if n := p.creates(); n != 2 {
		t.Errorf("%d machines were made, want the two that are to stand", n)
	}
	gs[0].end()
	if code, body := gs[1].ask(tryModel); code != http.StatusOK || p.creates() != 2 {
		t.Errorf("the other, alone: %d %s", code, body)
	}
}
