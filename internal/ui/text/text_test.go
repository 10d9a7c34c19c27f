package text

import (
	"strings"
	"testing"
	"time"

	"justright/money"
	"justright/report"
)

func at(sec int) time.Time { return time.Date(2026, 11, 25, 12, 0, sec, 0, time.UTC) }

// story is a launch that fails once and then ends in an endpoint.
func story() []report.Event {
	price := money.USD(270_000_000)
	return []report.Event{
		{At: at(0), Begin: &report.Begin{Protocol: 1, Command: "up", Model: "openai/gpt-oss-20b", Target: "runpod", Budget: 2 * money.Dollar}},
		{At: at(0), Plan: &report.Plan{Attempt: 1, Rank: 1, Summary: "RTX A5000 24 GB · vLLM 0.19.1 (cu129) · wheels", PricePerHour: &price, ReadySeconds: [2]int{240, 420}, Guarded: true}},
		{At: at(9), State: &report.State{State: "created", ID: "jr-gpt-oss-20b-7f3a", Detail: "EU-RO-1  CUDA 12.8", Spent: 0, Cap: 2 * money.Dollar}},
		{At: at(10), Phase: &report.Phase{Name: "env", Status: "start"}},
		{At: at(12), Progress: &report.Progress{Phase: "env", Done: 142, Total: 166, Unit: "packages"}},
		{At: at(20), Finding: &report.Finding{Cause: "driver_too_old", Stage: "kernel", Evidence: []string{"the driver\x1b[2J is too old"}, Next: "plan 2"}},
		{At: at(21), Attempt: &report.Attempt{ID: "1", Seconds: 21, Cost: 1_575_000, Cause: "driver_too_old"}},
		{At: at(21), Plan: &report.Plan{Attempt: 2, Rank: 2, Summary: "L4 24 GB", PricePerHour: &price}},
		{At: at(30), Phase: &report.Phase{Name: "ready", Status: "ok", Spent: 2_000_000}},
		{At: at(31), Check: &report.Check{Name: "chat", Passed: true, Detail: "Paris", Applies: true}},
		{At: at(31), Check: &report.Check{Name: "embeddings", Passed: true, Detail: "does not apply"}},
		{At: at(32), End: &report.End{Outcome: "ready", Name: "gpt", BaseURL: "https://x/v1", Model: "openai/gpt-oss-20b", KeyFile: "/k", Spent: 3_000_000}},
	}
}

func TestPlainStory(t *testing.T) {
	var b strings.Builder
	s := New(&b, Options{Width: 100})
	for _, e := range story() {
		if err := s.Emit(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	got := b.String()
	for _, want := range []string{
		"this task may spend $2.00",
		"$0.27/h with disk   ready in 4–7 min",
		"✓ created    jr-gpt-oss-20b-7f3a  EU-RO-1  CUDA 12.8",
		"0:09   $0.00 of $2.00",
		"✗ driver_too_old  (kernel)",
		`the driver\x1b[2J is too old`,
		"no guard inside this machine",
		"✓ proof      chat ",
		"- proof      embeddings ",
		"justright down gpt",
		"curl https://x/v1/chat/completions",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the screen lacks %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "\x1b") {
		t.Errorf("escape codes in plain output:\n%q", got)
	}
}

func TestTerminalRedrawsInPlace(t *testing.T) {
	var b strings.Builder
	s := New(&b, Options{TTY: true, Width: 80})
	for _, e := range story()[:5] {
		if err := s.Emit(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	got := b.String()
	if n := strings.Count(got, "\x1b[1A\x1b[2K"); n != 2 {
		t.Errorf("the running step was erased %d times, want 2 (next event, close): %q", n, got)
	}
	if !strings.Contains(got, "142 of 166 packages") {
		t.Errorf("no progress: %q", got)
	}
}

func TestRowsFitTheTerminal(t *testing.T) {
	s := New(&strings.Builder{}, Options{Width: 80})
	s.cap = 2 * money.Dollar
	row := s.row("✓", "env, weights, engine", strings.Repeat("long ", 40), 3725*time.Second)
	if n := len([]rune(row)); n != 79 {
		t.Errorf("row of %d columns on 80: %q", n, row)
	}
	if row := s.row("●", "env", "", time.Second); len([]rune(row)) != 79 || !strings.HasSuffix(row, "0:01   $0.00 of $2.00") {
		t.Errorf("row %q", row)
	}
	if !strings.Contains(row, "1:02:05") || !strings.Contains(row, "…") {
		t.Errorf("row %q lacks clock or cut mark", row)
	}
}

func TestThisMachineShowsNoDollars(t *testing.T) {
	var b strings.Builder
	s := New(&b, Options{Width: 80})
	for _, e := range []report.Event{
		{At: at(0), Begin: &report.Begin{Target: "local", Model: "m"}},
		{At: at(9), State: &report.State{State: "created", Cap: 2 * money.Dollar}},
	} {
		if err := s.Emit(e); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.String(); strings.Contains(got, "$") || !strings.Contains(got, "0:09") {
		t.Errorf("the screen shows dollars or no clock:\n%s", got)
	}
}

// TestPlainHeart: where lines cannot be redrawn a step is said when it ends; while nothing ends, one line now and then says
// all that runs, with the expected end, and a word from elsewhere puts it off.
func TestPlainHeart(t *testing.T) {
	var b strings.Builder
	s := New(&b, Options{Width: 120})
	emit := func(sec int, e report.Event) {
		e.At = at(sec)
		if err := s.Emit(e); err != nil {
			t.Fatal(err)
		}
	}
	emit(0, report.Event{Plan: &report.Plan{Attempt: 1, Summary: "L4"}})
	emit(0, report.Event{Expect: &report.Expect{Ready: at(240), Cap: 2 * money.Dollar}})
	emit(1, report.Event{Phase: &report.Phase{Name: "env", Status: "start"}})
	emit(1, report.Event{Phase: &report.Phase{Name: "weights", Status: "start"}})
	for sec := 2; sec < 290; sec++ {
		emit(sec, report.Event{Progress: &report.Progress{Phase: "weights", Done: int64(sec) * 1e8, Total: 30e9, Unit: "bytes", Rate: 1e8, Spent: 20_000_000, Cap: 2 * money.Dollar}})
		if sec == 100 {
			emit(sec, report.Event{Phase: &report.Phase{Name: "env", Status: "ok"}})
		}
	}
	got := b.String()
	for _, want := range []string{
		"● env, weights 3.0 GB of 30.0 GB · 100 MB/s; expected ready at 4:00",
		"● weights    13.0 GB of 30.0 GB · 100 MB/s; expected ready at 4:00",
		"● weights    25.0 GB of 30.0 GB · 100 MB/s; expected ready at 4:00, late by 0:10",
		"0:30   $0.02 of $2.00",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the screen lacks %q", want)
		}
	}
	if n := strings.Count(got, "●"); n != 3 {
		t.Errorf("%d lines say what runs", n)
	}
	if t.Failed() {
		t.Log(got)
	}
}

// TestTerminalShowsTheExpectedEnd below the running steps, and no line is wider than the terminal.
func TestTerminalShowsTheExpectedEnd(t *testing.T) {
	for _, width := range []int{30, 80, 120} {
		var b strings.Builder
		s := New(&b, Options{TTY: true, Width: width})
		for _, e := range []report.Event{
			{At: at(0), Plan: &report.Plan{Attempt: 1}},
			{At: at(5), Expect: &report.Expect{Ready: at(200)}},
			{At: at(10), Progress: &report.Progress{Phase: "weights", Done: 1e9, Total: 9e9, Unit: "bytes", Cap: 2 * money.Dollar}},
		} {
			if err := s.Emit(e); err != nil {
				t.Fatal(err)
			}
		}
		got := b.String()
		if !strings.Contains(got, "  expected ready at 3:20") {
			t.Errorf("%d columns: %q", width, got)
		}
		for line := range strings.SplitSeq(got, "\n") {
			if strings.HasPrefix(line, "●") && len([]rune(line)) >= width {
				t.Errorf("%d columns: a line of %d: %q", width, len([]rune(line)), line)
			}
		}
	}
}

// TestTheEndSaysWhatWasLearned: the time that was needed against what was expected, and what the next launch heeds.
func TestTheEndSaysWhatWasLearned(t *testing.T) {
	var b strings.Builder
	s := New(&b, Options{Width: 100})
	_ = s.Emit(report.Event{At: at(0), Begin: &report.Begin{Target: "runpod"}})
	_ = s.Emit(report.Event{At: at(284), End: &report.End{Outcome: "ready", ReadySeconds: 270, PredictedSeconds: [2]int{180, 420}, Learned: []string{"on l4: not in EU-RO-1"}}})
	for _, want := range []string{"in 4:44 (4:30 from the create; 3–7 min was expected), spent $0.00", "learned    on l4: not in EU-RO-1"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("lacks %q: %s", want, b.String())
		}
	}
}
