package runpodsim_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"justright/sim/runpodsim"
)

// logLines reads what is there, inside a bubble of synctest: its time goes on when nobody has anything to do any more.
func logLines(t *testing.T, s *runpodsim.Server, id string) []string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", "http://sim.test/v2/pods/"+id+"/logs?tail=5000", nil)
	req.Header.Set("Authorization", "Bearer k")
	resp, err := s.Transport().RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	time.AfterFunc(time.Second, cancel)
	var out []string
	for sc := bufio.NewScanner(resp.Body); sc.Scan(); {
		if d, ok := strings.CutPrefix(sc.Text(), "data: "); ok {
			var e struct{ Line string }
			if err := json.Unmarshal([]byte(d), &e); err != nil {
				t.Fatal(err)
			}
			out = append(out, e.Line)
		}
	}
	return out
}

// TestLogs: tail, since, source and Last-Event-ID choose what comes; a stream cut at every byte and resumed by its last
// id gives every line once, in order.
func TestLogs(t *testing.T) {
	t.Parallel()
	for _, plain := range []bool{false, true} {
		t.Run(fmt.Sprintf("timestamps alone %t", plain), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var box *runpodsim.Container
				model := runpodsim.Model(func(c *runpodsim.Container) {
					box = c
					for i := range 6 {
						c.Log(fmt.Sprintf("line %d", i))
					}
				})
				s, clock, call := timeless(t, runpodsim.Options{Runner: model, DelayScale: runpodsim.NoDelay, PlainLogIDs: plain})
				_, doc := call("POST", "/v2/pods", l4+`}`)
				id := doc["id"].(string)
				clock.Advance(time.Second)
				get := func(query, last string, limit int) (lines []string, lastID string) {
					ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
					defer cancel()
					req, _ := http.NewRequestWithContext(ctx, "GET", "http://sim.test/v2/pods/"+id+"/logs?"+query, nil)
					req.Header.Set("Authorization", "Bearer k")
					if last != "" {
						req.Header.Set("Last-Event-ID", last)
					}
					resp, err := s.Transport().RoundTrip(req)
					if err != nil || resp.StatusCode != 200 {
						t.Fatalf("%v %v", resp, err)
					}
					defer resp.Body.Close()
					defer time.AfterFunc(time.Second, cancel).Stop() // when nobody has anything to do any more
					raw, err := io.ReadAll(io.LimitReader(resp.Body, int64(limit)))
					if err != nil && !errors.Is(err, context.Canceled) {
						t.Fatal(err)
					}
					// Only whole events count: a client that saw half of one has not seen it.
					events := strings.Split(string(raw), "\n\n")
					for _, e := range events[:len(events)-1] {
						var x struct{ Line string }
						lastID = strings.TrimPrefix(strings.Split(e, "\n")[0], "id: ")
						if err := json.Unmarshal([]byte(strings.TrimPrefix(strings.Split(e, "\n")[1], "data: ")), &x); err != nil {
							t.Fatalf("%q: %v", e, err)
						}
						lines = append(lines, x.Line)
					}
					return lines, lastID
				}
				all, lastID := get("source=container", "", 1<<20)
				if len(all) != 6 {
					t.Fatalf("%q", all)
				}
				if got, _ := get("source=container&tail=2", "", 1<<20); fmt.Sprint(got) != "[line 4 line 5]" {
					t.Errorf("tail=2: %q", got)
				}
				if got, _ := get("tail=0", "", 1<<20); len(got) != 0 {
					t.Errorf("tail=0: %q", got)
				}
				if got, _ := get("tail=1", lastID, 1<<20); len(got) != 0 {
					t.Errorf("after the last id: %q", got)
				}
				if got, _ := get("source=container&since=2026-11-25T12:00:00Z&tail=1", "", 1<<20); len(got) != 6 {
					t.Errorf("since beats tail: %q", got)
				}
				size := 0
				for cut := 1; cut < 400; cut += 7 {
					first, mark := get("source=container&tail=100", "", cut)
					rest, _ := get("source=container&tail=100", mark, 1<<20)
					if got := append(first, rest...); fmt.Sprint(got) != fmt.Sprint(all) {
						t.Fatalf("cut after %d bytes: %q", cut, got)
					}
					size += len(first)
					if cut > 100 {
						cut += 40
					}
				}
				if size == 0 {
					t.Error("no cut came after a whole event: the loop proves nothing")
				}
				_ = box
				call("POST", "/v2/pods/"+id+"/action", `{"action":"stop"}`)
				clock.Advance(3 * time.Minute)
				if got, _ := get("source=container", "", 1<<20); len(got) != 0 {
					t.Errorf("container lines three minutes after the container: %q", got)
				}
				if got, _ := get("source=system", "", 1<<20); len(got) == 0 {
					t.Error("system lines are gone too")
				}
				call("DELETE", "/v2/pods/"+id, "")
				if status, _ := call("GET", "/v2/pods/"+id+"/logs", ""); status != 404 {
					t.Errorf("logs of a deleted pod: %d", status)
				}
			})
		})
	}
}
