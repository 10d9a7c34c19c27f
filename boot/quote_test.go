package boot_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/shlex"

	"justright/boot"
)

// nasty are pieces that shells, lexers and JSON treat in ways of their own.
var nasty = []string{
	"'", `"`, `\`, "$", "`", "!", "#", "&", "|", ";", "(", ")", "<", ">", "*", "?", "[", "]", "{", "}", "~", "=", "%", "^", " ", "  ",
	"\t", "\n", "\r", "$(x)", "${HOME}", "$HOME", "`x`", "!!", "''", `\'`, `'\''`, `""`, "--", "-n", "-e", "a=b", "if", "done", "[[", "%s", "%%",
	`\n`, `\0`, `\c`, "ü", "日本", "\u2028", "\ufeff", `{"a":"b c"}`, "\x01", "\x7f", "\x1b[0m", "\\\n", "&&", "||", "<<EOF", "~root", "a", "Z", "0", "/", ".", ":", "@", "+", ",",
}

// word is a random argument: pieces of nasty, now and then bytes that are no text at all.
func word(r *rand.Rand, text bool) string {
	var b strings.Builder
	for range r.IntN(7) {
		if !text && r.IntN(8) == 0 {
			b.WriteByte(byte(1 + r.IntN(255)))
		} else {
			b.WriteString(nasty[r.IntN(len(nasty))])
		}
	}
	return b.String()
}

// words is how many the round trip takes: few in a plain test run, 1,000,000 by `make fuzz-quoting`.
func words(t *testing.T) int {
	v := os.Getenv("QUOTING_WORDS")
	if v == "" {
		return 30_000
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		t.Fatalf("QUOTING_WORDS: %v", err)
	}
	return n
}

// What Quote writes, a shell hands to execve as it was: half of the words as arguments, half as environment.
func TestQuotedWordsArriveThroughRealShells(t *testing.T) {
	total, began := words(t), time.Now()
	const perCall, calls = 150, 40
	for name, shell := range shells(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(uint64(total), uint64(len(name))))
			for sent := 0; sent < total; {
				var script, want bytes.Buffer
				for range calls {
					for i := range perCall {
						w := word(r, false)
						fmt.Fprintf(&script, "V%d=%s ", i, boot.Quote(w))
						fmt.Fprintf(&want, "V%d=%s\x00", i, w)
					}
					script.WriteString("/usr/bin/env -0 PATH=\n/usr/bin/printf '%s\\0'")
					want.WriteString("PATH=\x00")
					for range perCall {
						w := word(r, false)
						script.WriteString(" " + boot.Quote(w))
						want.WriteString(w + "\x00")
					}
					script.WriteString("\n")
					sent += 2 * perCall
				}
				compare(t, shell, script.Bytes(), want.Bytes())
				if t.Failed() {
					return
				}
			}
			t.Logf("%d words through %s in %.1f s", total, name, time.Since(began).Seconds())
		})
	}
}

// compare runs a script that prints words apart by NUL. The order of an environment is the shell's business.
func compare(t *testing.T, shell []string, script, want []byte) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "s")
	if err := os.WriteFile(file, script, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), shell[0], append(shell[1:], file)...)
	cmd.Env = []string{"PATH="}
	if p, err := exec.LookPath(shell[0]); err == nil {
		cmd.Path = p
	}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", shell, err)
	}
	got, expected := bytes.Split(out, []byte{0}), bytes.Split(want, []byte{0})
	// Shells add variables of their own, always the same.
	dir, _ := os.Getwd()
	got = slices.DeleteFunc(got, func(w []byte) bool {
		return slices.Contains([]string{"PWD=" + dir, "SHLVL=0", "SHLVL=1", "_=/usr/bin/env", "OLDPWD"}, string(w))
	})
	slices.SortFunc(got, bytes.Compare)
	slices.SortFunc(expected, bytes.Compare)
	for i := range min(len(got), len(expected)) {
		if !bytes.Equal(got[i], expected[i]) {
			t.Fatalf("sent %q, arrived %q", expected[i], got[i])
		}
	}
	if len(got) != len(expected) {
		t.Fatalf("%d words sent, %d arrived", len(expected), len(got))
	}
}

// decode is what RunPod does with a start string (https://github.com/runpod/runpodctl/pull/314): a JSON object is taken
// as it is, else a lexer of shell words splits it.
func decode(t *testing.T, s string) []string {
	t.Helper()
	var doc struct{ Entrypoint, Cmd []string }
	if json.Unmarshal([]byte(s), &doc) == nil && len(doc.Cmd) > 0 {
		return append(doc.Entrypoint, doc.Cmd...)
	}
	out, err := shlex.Split(s)
	if err != nil {
		t.Fatalf("the lexer fails: %v", err)
	}
	return out
}

// From the API's string to the engine's argv: decoder, shell, unpacking, the script, execve.
func TestEngineArgumentsArriveFromTheStartString(t *testing.T) {
	tools := t.TempDir()
	// A python3 that reports the engine's argv instead of becoming it.
	const python = "#!/bin/sh\nif [ $# -lt 3 ]; then echo \"$0\"; exit; fi\n[ \"$3\" = engine ] || exit 1\nshift 3\n/usr/bin/printf '%s\\0' \"$@\" >\"$OUT\"\n"
	if err := os.WriteFile(filepath.Join(tools, "python3"), []byte(python), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tools, "config.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, shell := range shells(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(7, uint64(len(name))))
			for range 3 {
				spec := gpuSpec(t)
				spec.Install, spec.Model, spec.Door, spec.Preflight = "image", boot.Model{ID: tools, Dir: tools}, false, boot.Preflight{}
				spec.EngineEnv = map[string]string{"ODD": word(r, true)}
				spec.Argv = []boot.Word{{Text: "engine"}, {Var: boot.VarModel}, {Var: boot.VarPort}}
				want := []string{"engine", tools, "8000"}
				for range 250 {
					w := word(r, true)
					if strings.HasPrefix(w, "--api-key") {
						continue
					}
					spec.Argv, want = append(spec.Argv, boot.Word{Text: w}), append(want, w)
				}
				s := render(t, spec)
				object, err := json.Marshal(map[string][]string{"entrypoint": s.Start().Entrypoint, "cmd": s.Start().Cmd})
				if err != nil {
					t.Fatal(err)
				}
				for _, sent := range []string{s.Start().Args, string(object)} {
					argv := decode(t, sent)
					if len(argv) != 3 || argv[0] != "/bin/sh" || argv[1] != "-c" {
						t.Fatalf("decoded to %.60q", argv)
					}
					argv = append(slices.Clone(shell), argv[1:]...)
					out := filepath.Join(t.TempDir(), "out")
					cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
					cmd.Env = []string{"PATH=" + tools + ":/usr/bin:/bin", "OUT=" + out, "JUSTRIGHT_GUARD=local", "JUSTRIGHT_HOLD=0",
						"TMPDIR=" + t.TempDir(), "HOME=" + t.TempDir(), "JUSTRIGHT_PYTHON=python3"}
					cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // it ends its whole group
					said, err := cmd.CombinedOutput()
					got, readErr := os.ReadFile(out)
					if err != nil || readErr != nil {
						t.Fatalf("%v %v: %s", err, readErr, said)
					}
					if string(got) != strings.Join(want, "\x00")+"\x00" {
						t.Fatalf("meant %q\narrived %q", want, strings.Split(string(got), "\x00"))
					}
				}
			}
		})
	}
}

func TestQuoteKeepsPlainWordsBare(t *testing.T) {
	for _, c := range [][2]string{{"--max-model-len", "--max-model-len"}, {"org/model", "org/model"}, {"", "''"}, {"a b", "'a b'"}, {"it's", `'it'\''s'`}, {"~", "'~'"}, {"a=b", "'a=b'"}} {
		if got := boot.Quote(c[0]); got != c[1] {
			t.Errorf("Quote(%q) = %s, want %s", c[0], got, c[1])
		}
	}
}
