package cli_test

import (
	"io"
	"testing"
	"time"

	"justright/catalog"
	"justright/internal/cli"
)

// planning are questions that a person asks again and again while choosing.
func planning() map[string][]string {
	return map[string][]string{
		"plan":        {"plan", "openai/gpt-oss-20b"},
		"plan-json":   {"plan", "openai/gpt-oss-20b", "--json"},
		"plan-all":    {"plan", "openai/gpt-oss-20b", "--host-cuda", "12.4", "--all", "--json"},
		"matrix":      {"matrix", "openai/gpt-oss-20b"},
		"matrix-json": {"matrix", "openai/gpt-oss-20b", "--json"},
	}
}

func ask(tb testing.TB, args []string) {
	env := func(k string) string { return map[string]string{"HOME": "/nonexistent"}[k] }
	code := cli.Main(tb.Context(), cli.World{Args: args, Stdout: io.Discard, Stderr: io.Discard, Env: env, Now: time.Now, Dir: "/"})
	if code != 0 {
		tb.Fatalf("%v: exit status %d", args, code)
	}
}

// The work of an answer grows with the number of releases and not faster, and a release takes few allocations: that
// stands for the time on any machine. Parsing the driver branches of an image's condition for each cell again, which the
// matrix once did, is nearly twice the limit; the race detector adds a few.
func TestPlanningStaysCheap(t *testing.T) {
	s, err := catalog.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	releases := float64(len(s.Releases(catalog.VLLM)) + len(s.EarlyVLLM()))
	for name, most := range map[string]float64{"plan": 1500, "plan-json": 1650, "matrix": 1200} {
		allocs := testing.AllocsPerRun(2, func() { ask(t, planning()[name]) })
		if per := allocs / releases; per > most {
			t.Errorf("%s: %.0f allocations a release, %.0f is the limit", name, per, most)
		} else {
			t.Logf("%s: %.0f allocations a release", name, per)
		}
	}
}

// BenchmarkAnswers is what a process does for each question, its start apart.
func BenchmarkAnswers(b *testing.B) {
	for name, args := range planning() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ask(b, args)
			}
		})
	}
}
