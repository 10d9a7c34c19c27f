package text

import (
	"strings"
	"testing"
	"time"

	"justright/money"
	"justright/report"
)

func TestHang(t *testing.T) {
	tests := []struct {
		line  string
		width int
		want  string
	}{
		{"short", 10, "short"},
		{"one two three", 8, "one two\n  three"},
		{"  one two three", 9, "  one two\n    three"},
		{"ok     package-index  the index answers in a tenth of a second", 45, "ok     package-index the index answers in a\n       tenth of a second"},
		{"ok     index  the index answers in a tenth of a second", 50, "ok     index  the index answers in a tenth of a\n              second"},
		{"a/word/that/is/wider/than/the/terminal and more", 20, "a/word/that/is/wider/than/the/terminal\n  and more"},
		{"\x1b[1mbold words that wrap\x1b[0m", 12, "\x1b[1mbold words\n  that wrap\x1b[0m"},
		{"", 1, ""},
	}
	for _, tt := range tests {
		if got := Hang(tt.line, tt.width); got != tt.want {
			t.Errorf("%q at %d:\n got %q\nwant %q", tt.line, tt.width, got, tt.want)
		}
	}
}

func FuzzHang(f *testing.F) {
	f.Add("  a  b c", 5)
	f.Add("\x1b[1mfoo  bar\x1b[0m", 3)
	f.Fuzz(func(t *testing.T, line string, width int) {
		if width < 1 || width > 300 || strings.ContainsAny(line, "\n\r") {
			return
		}
		got := Hang(line, width)
		if strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(line), " ") {
			t.Errorf("%q at %d lost words: %q", line, width, got)
		}
	})
}

// What happens fits a terminal of forty columns, but for what is to be pasted and for words that are longer.
func TestNarrowTerminal(t *testing.T) {
	price := money.USD(260_000_000)
	at := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
	for _, width := range []int{40, 50, 60, 80, 200} {
		var b strings.Builder
		s := New(&b, Options{TTY: true, Width: width})
		for _, e := range []report.Event{
			{Begin: &report.Begin{Model: "openai/gpt-oss-20b", Target: "rehearsal", Why: "a simulator; nothing is rented", Budget: money.USD(2_000_000_000)}},
			{Plan: &report.Plan{Attempt: 1, Summary: "rtx-a4500 20 GB · vllm 0.32.0 (cu129) · wheels", PricePerHour: &price, ReadySeconds: [2]int{120, 420}}},
			{State: &report.State{State: "created", ID: "0689diixh4gsab", Detail: "EU-SE-1 · CUDA 12.8", Cap: money.USD(2_000_000_000)}},
			{Progress: &report.Progress{Phase: "weights", Done: 13_000_000_000, Total: 13_800_000_000, Unit: "bytes", Rate: 3e8}},
			{Check: &report.Check{Name: "architecture", Passed: true, Applies: true, Detail: "the engine resolved GptOssForCausalLM, as the model's config says"}},
			{Note: &report.Note{Text: "refused  vllm/vllm-openai:latest  vLLM 0.33.0 is built for CUDA 13, the driver stops at 12.8"}},
		} {
			e.At = at
			if err := s.Emit(e); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if line = strings.TrimRight(line, "\n"); columnsOf(line) > width && len(strings.Fields(line)) > 1 && !strings.Contains(line, "\x1b[1A") {
				t.Errorf("wider than %d: %q", width, line)
			}
		}
		if !strings.Contains(b.String(), "weights") || (width >= 60) != strings.Contains(b.String(), "$0.00 of $2.00") {
			t.Errorf("at %d:\n%s", width, b.String())
		}
	}
}

type writes struct {
	n    int
	text strings.Builder
}

func (w *writes) Write(b []byte) (int, error) { w.n++; return w.text.Write(b) }

// One event is one write: a screen that is erased and drawn in two flickers. The script's own ready is not shown as the end.
func TestOneEventIsOneWrite(t *testing.T) {
	var w writes
	s := New(&w, Options{TTY: true, Width: 80})
	for i, e := range []report.Event{
		{Plan: &report.Plan{Attempt: 1}},
		{Phase: &report.Phase{Name: "engine", Status: "start"}},
		{Phase: &report.Phase{Name: "import", Status: "start"}},
		{Phase: &report.Phase{Name: "import", Status: "ok"}},
		{Phase: &report.Phase{Name: "ready", Status: "ok"}},
	} {
		e.At = time.Date(2026, 11, 25, 10, 0, i, 0, time.UTC)
		if err := s.Emit(e); err != nil {
			t.Fatal(err)
		}
		if w.n != i+1 {
			t.Errorf("%d writes after %d events", w.n, i+1)
		}
	}
	if err := s.Close(); err != nil || strings.Contains(w.text.String(), "✓ ready") {
		t.Errorf("%v: %q", err, w.text.String())
	}
}
