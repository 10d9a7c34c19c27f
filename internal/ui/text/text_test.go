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
		"● env        142 of 166 packages",
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
	row := s.row("✓", "weights", strings.Repeat("long ", 40), 3725*time.Second)
	if n := len([]rune(row)); n > 80 {
		t.Errorf("row of %d columns on 80: %q", n, row)
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
