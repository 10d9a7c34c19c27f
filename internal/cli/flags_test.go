package cli

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"justright/problem"
)

// What a person mistypes is named in his words, with the way on.
func TestMistypedFlags(t *testing.T) {
	t.Parallel()
	const m = "openai/gpt-oss-20b"
	for args, says := range map[string]string{
		"plan " + m + " --context 32k":             `--context "32k" is no whole number`,
		"up " + m + " --ttl 5":                     `--ttl "5" is no length of time like 3h`,
		"plan " + m + " --json=maybe":              `--json "maybe" is neither true nor false`,
		"plan " + m + " --gpuu L4":                 "did you mean --gpu",
		"up " + m + " --bugdet 3":                  "did you mean --budget",
		"plan " + m + " --max-model-len 8192":      "stand after --",
		"check " + m + " --tensor_parallel_size 2": "stand after --",
		"verify x --timeout -1s":                   "--timeout -1s: a length of time is not negative",
		"bench x --requests -1":                    "--requests -1: it counts things",
		"sim --speed NaN":                          "--speed NaN is no number",
		"sim --speed -1":                           "--speed -1 is no number",
		"sim extra":                                `justright sim takes no argument, and "extra" was given`,
		"catalog sow":                              "justright catalog show",
		"why-not openai/gpt-oss-20b banana":        "justright check openai/gpt-oss-20b --driver",
		"help banana":                              `there is no command "banana"`,
	} {
		code, out, errs := runMain(t, map[string]string{"JUSTRIGHT_STATE_DIR": t.TempDir()}, strings.Fields(args)...)
		if code != int(problem.ExitUsage) || !strings.Contains(errs, says) || strings.Contains(errs, "strconv") {
			t.Errorf("%s: exit %d, want %q in\n%s%s", args, code, says, out, errs)
		}
	}
	if code, out, _ := runMain(t, nil, "help", "plan"); code != 0 || !strings.Contains(out, "plan joins") {
		t.Errorf("help plan: exit %d\n%s", code, out)
	}
}

// fullDisk takes some bytes and no more.
type fullDisk struct{ room int }

var errNoRoom = errors.New("no space left on device")

func (d *fullDisk) Write(b []byte) (int, error) {
	n := min(len(b), d.room)
	d.room -= n
	if n < len(b) {
		return n, errNoRoom
	}
	return n, nil
}

// An answer that did not get out is no success, whichever way it was written.
func TestAnAnswerCutShort(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"plan openai/gpt-oss-20b", "plan openai/gpt-oss-20b --json", "check openai/gpt-oss-20b", "fit openai/gpt-oss-20b", "version", "exit-codes", "catalog show", "--help",
		"export openai/gpt-oss-20b --as script"} {
		code, errs := onFullDisk(t, args)
		if code != int(problem.ExitCapacity) || !strings.Contains(errs, "cannot be written") || strings.Contains(errs, "journal") {
			t.Errorf("%s: exit %d: %s", args, code, errs)
		}
	}
	if code, errs := onFullDisk(t, "plan no/such/model --json"); code != int(problem.ExitUsage) || !strings.Contains(errs, "no/such/model") {
		t.Errorf("an error that cannot be written: exit %d: %s", code, errs)
	}
}

func onFullDisk(t *testing.T, args string) (code int, stderr string) {
	t.Helper()
	var errs strings.Builder
	code = Main(t.Context(), World{Args: strings.Fields(args), Stdin: strings.NewReader(""), Stdout: &fullDisk{20}, Stderr: &errs, Env: func(string) string { return "" }, Now: time.Now,
		Dir: t.TempDir(), Transport: offline{}})
	return code, errs.String()
}

// A document comes out whole through a writer that takes it in pieces of any size.
func TestPlansAreOneDocument(t *testing.T) {
	t.Parallel()
	r, to := io.Pipe()
	go func() {
		w := World{Args: strings.Fields("plan openai/gpt-oss-20b --all --json --starts 1 --gpu L4"), Stdin: strings.NewReader(""), Stdout: to, Stderr: io.Discard, Env: func(string) string { return "" },
			Now: time.Now, Dir: "/", Transport: offline{}}
		_ = Main(t.Context(), w)
		_ = to.Close()
	}()
	d := json.NewDecoder(r)
	var doc planDocument
	if err := d.Decode(&doc); err != nil || len(doc.Plans) < 65 || doc.Schema == "" || doc.Refused == nil {
		t.Errorf("%v: %d plans, %d refused", err, len(doc.Plans), len(doc.Refused))
	}
	if _, err := d.Token(); err != io.EOF {
		t.Errorf("after the document: %v", err)
	}
}
