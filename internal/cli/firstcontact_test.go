package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"justright/internal/store"
	"justright/launch"
	"justright/model"
	"justright/problem"
	"justright/report"
)

// A stream that has begun ends as one: with the problem as an event, and the end.
func TestAStreamEndsAsOne(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	code, out, errs := p.run("", "up", tryModel, "--json")
	if code != int(problem.ExitLimit) {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	lines := strings.Split(strings.TrimRight(out, "\n"), "\n")
	var events []report.Event
	for _, l := range lines {
		e, err := report.Parse([]byte(l))
		if err != nil {
			t.Fatalf("no event: %v: %s", err, l)
		}
		events = append(events, e)
	}
	n := len(events)
	if n < 3 || events[0].Begin == nil || events[n-2].Problem == nil || events[n-2].Problem.Code != "not_confirmed" || events[n-1].End == nil || events[n-1].End.Outcome != "failed" {
		t.Errorf("%s", out)
	}
	p.nothingCreated()
}

// What up says before it rents fits a narrow terminal, the question too.
func TestTheQuestionFitsTheTerminal(t *testing.T) {
	t.Parallel()
	for _, width := range []int{40, 60, 80} {
		p := newPlace(t)
		var out, errs bytes.Buffer
		w := realWorld([]string{"up", tryModel}, &out, &errs, p.env)
		w.Stdin, w.StdinTTY, w.StderrTTY, w.ErrWidth = strings.NewReader("n\n"), true, true, width
		if code := Main(t.Context(), w); code != int(problem.ExitLimit) || !strings.Contains(errs.String(), "[y/N]") || !strings.Contains(errs.String(), "refused") {
			t.Fatalf("exit %d: %s", code, errs.String())
		}
		for line := range strings.Lines(strings.Replace(errs.String(), "[y/N] ", "[y/N]\n", 1)) { // the terminal itself shows what is typed
			line = strings.TrimRight(line, " \n")
			if plain := strings.NewReplacer("\x1b[1m", "", "\x1b[0m", "").Replace(line); len([]rune(plain)) > width && len(strings.Fields(plain)) > 1 && !strings.HasPrefix(strings.TrimSpace(plain), "justright ") {
				t.Errorf("wider than %d: %q", width, plain)
			}
		}
		p.nothingCreated()
	}
}

// An error is one line with what it needs: null where no cause is known, and a way on.
func TestErrorsAreOneLine(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"plan openai/gpt-oss-20b --max-price banana --json", "up openai/gpt-oss-20b --attempts 0 --json=1", "logs nothing --json", "plam --json=true"} {
		code, out, _ := runMain(t, map[string]string{"HOME": t.TempDir()}, strings.Fields(args)...)
		var d struct {
			Schema string
			Cause  *string
			Hints  []problem.Hint
		}
		if err := json.Unmarshal([]byte(out), &d); err != nil || strings.Count(out, "\n") != 1 || d.Schema != "justright/problem/1" || d.Cause != nil && *d.Cause == "" || len(d.Hints) == 0 {
			t.Errorf("%s: %v: %s", args, err, out)
		}
		if code != int(problem.ExitUsage) {
			t.Errorf("%s exits %d", args, code)
		}
	}
}

// A bug that panics is a problem with status 1, so that a reader of documents gets one.
func TestAPanicIsABugOfOurs(t *testing.T) {
	root := &cobra.Command{Use: "justright", RunE: func(*cobra.Command, []string) error { panic("at the disco") }}
	root.SetArgs(nil)
	_, err := execute(context.Background(), root)
	p := problem.From(err)
	if p.Exit != problem.ExitBug || !strings.Contains(p.Summary, "at the disco") || !strings.Contains(p.Cause, "firstcontact_test.go") {
		t.Errorf("%+v", p)
	}
}

// A rehearsal is a pretended endpoint: an up that does not ask for it goes past it.
func TestNobodyGetsARehearsalUnasked(t *testing.T) {
	t.Parallel()
	var w World
	journal := store.NewMemory()
	for i, target := range []string{onRehearsal, onLocal} {
		if err := journal.Begin(t.Context(), launch.State{ID: target, Name: []string{"a", "b"}[i], Model: "x/y", Target: target, Wanted: launch.WantRunning, Started: time.Now()}); err != nil {
			t.Fatal(err)
		}
		for on, want := range map[string]string{"": []string{"", onLocal}[i], onRehearsal: onRehearsal, onRunPod: ""} {
			r := upRequest{wish: wish{Model: model.Profile{ID: "x/y"}}}
			r.on = on
			got, err := w.running(t.Context(), journal, r)
			switch {
			case err != nil:
				t.Error(err)
			case got == nil && want != "", got != nil && got.State.Target != want:
				t.Errorf("--on %q takes %+v, want %q", on, got, want)
			}
		}
	}
}

// The address of a model's page is its id.
func TestHubID(t *testing.T) {
	for ref, want := range map[string]string{
		"openai/gpt-oss-20b":                                        "openai/gpt-oss-20b",
		"https://huggingface.co/openai/gpt-oss-20b":                 "openai/gpt-oss-20b",
		"https://huggingface.co/openai/gpt-oss-20b/":                "openai/gpt-oss-20b",
		"huggingface.co/openai/gpt-oss-20b/tree/main":               "openai/gpt-oss-20b",
		"https://huggingface.co/openai/gpt-oss-20b/tree/abc123?x=y": "openai/gpt-oss-20b@abc123",
		"hf.co/openai/gpt-oss-20b/blob/main/config.json":            "openai/gpt-oss-20b",
		"https://mirror.example/openai/gpt-oss-20b":                 "openai/gpt-oss-20b",
		"https://elsewhere.example/openai/gpt-oss-20b":              "https://elsewhere.example/openai/gpt-oss-20b",
		"https://huggingface.co/datasets":                           "https://huggingface.co/datasets",
		"./huggingface.co/a/b":                                      "./huggingface.co/a/b",
		"gpt-oss-20b":                                               "gpt-oss-20b",
	} {
		if got := hubID(ref, "https://mirror.example"); got != want {
			t.Errorf("%s: %s, want %s", ref, got, want)
		}
	}
}
