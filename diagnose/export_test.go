package diagnose

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf16"
)

// exports are the forms in which consoles, collectors and terminals hand out a whole log.
var exports = map[string]func([]string) []byte{
	"UTF-16, little endian": func(l []string) []byte {
		return utf16Of(l, func(u uint16) []byte { return []byte{byte(u), byte(u >> 8)} })
	},
	"UTF-16, big endian": func(l []string) []byte {
		return utf16Of(l, func(u uint16) []byte { return []byte{byte(u >> 8), byte(u)} })
	},
	"UTF-8 with a mark": func(l []string) []byte { return []byte("\xef\xbb\xbf" + strings.Join(l, "\n")) },
	"filled with zeros": func(l []string) []byte { return []byte(strings.Repeat("\x00", 70000) + strings.Join(l, "\n")) },
	"one string":        func(l []string) []byte { return encoded(strings.Join(l, "\n")) },
	"Python's repr": func(l []string) []byte {
		return []byte("'" + strings.NewReplacer("\\", "\\\\", "'", "\\'", "\n", "\\n", "\t", "\\t").Replace(strings.Join(l, "\n")) + "'")
	},
	"CloudWatch events, one line": func(l []string) []byte {
		var events []map[string]any
		for i, s := range l {
			events = append(events, map[string]any{"timestamp": 1764064800000 + i, "message": s, "ingestionTime": 1764064800999})
		}
		return encoded(map[string]any{"events": events, "nextForwardToken": "f/1"})
	},
	"Loki's interface": func(l []string) []byte {
		var values [][2]string
		for i, s := range l {
			values = append(values, [2]string{fmt.Sprint(1764064800000000000 + i), s})
		}
		return encoded(map[string]any{"status": "success", "data": map[string]any{"result": []any{map[string]any{"stream": map[string]string{"app": "vllm"}, "values": values}}}})
	},
	"Grafana's download": func(l []string) []byte {
		var entries []map[string]any
		for _, s := range l {
			entries = append(entries, map[string]any{"line": s, "timestamp": "1764064800000000000", "fields": map[string]string{"app": "vllm"}})
		}
		return encoded(entries)
	},
	"systemd's journal as numbers": func(l []string) []byte {
		var b bytes.Buffer
		for _, s := range l {
			b.Write(encoded(map[string]any{"PRIORITY": "6", "MESSAGE": numbers("\x1b[36m" + s + "\x1b[0m")}))
			b.WriteByte('\n')
		}
		return b.Bytes()
	},
	"a collector that calls all of it info": func(l []string) []byte {
		var b bytes.Buffer
		for _, s := range l {
			b.Write(encoded(map[string]any{"severity": "INFO", "jsonPayload": map[string]string{"message": s}}))
			b.WriteByte('\n')
		}
		return b.Bytes()
	},
	"two ranks": func(l []string) []byte {
		var b strings.Builder
		rng := rand.New(rand.NewPCG(7, 8))
		for i, j := 0, 0; i < len(l) || j < len(l); {
			if j >= len(l) || i < len(l) && rng.IntN(2) == 0 {
				fmt.Fprintf(&b, "[rank0]: %s\n", l[i])
				i++
			} else {
				fmt.Fprintf(&b, "[rank1]: %s\n", l[j])
				j++
			}
		}
		return []byte(b.String())
	},
}

// lineForms are heads that a line gets on its way; more of them are in TestEveryDisguise.
var lineForms = map[string]string{
	"journalctl -o short-iso": "2026-11-25T10:00:00+0000 gpu1 vllm[4211]: ",
	"logcli":                  `2026-11-25T10:00:00Z {app="vllm", pod="vllm-0"} `,
	"aws logs tail":           "2026-11-25T10:00:00.123000+00:00 ecs/vllm/0a1b2c3d ",
	"a CI job":                "serve\tRun engine\t2026-11-25T10:00:00.1234567Z ",
	"an engine's process":     "(EngineCore_DP0 pid=123) ",
	"a coloured process":      "\x1b[1;36m(Worker_TP0 pid=123)\x1b[0;0m ",
	"Ray":                     "(RayWorkerWrapper pid=3151, ip=10.0.0.2) ",
	"pm2":                     "0|vllm     | ",
	"line numbers":            "   17\t",
}

func utf16Of(l []string, put func(uint16) []byte) []byte {
	var out []byte
	for _, u := range utf16.Encode([]rune("\ufeff" + strings.Join(l, "\r\n"))) {
		out = append(out, put(u)...)
	}
	return out
}

func encoded(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

func numbers(s string) []int {
	var out []int
	for i := range len(s) {
		out = append(out, int(s[i]))
	}
	return out
}

func read(p []byte) Result {
	r := NewReader(Options{})
	_, _ = r.Write(p)
	return r.Result()
}

// TestExports: the same log means the same in every form in which it is handed out.
func TestExports(t *testing.T) {
	for what, log := range map[string]string{"failing": sample, "healthy": healthy} {
		want := says(log)
		lines := strings.Split(strings.TrimSuffix(log, "\n"), "\n")
		for name, f := range exports {
			if r := read(f(lines)); r.Outcome != want.Outcome || r.Cause != want.Cause {
				t.Errorf("%s, %s: %s %s", what, name, r.Outcome, r.Cause)
			}
		}
		for name, head := range lineForms {
			if r := read([]byte(head + strings.Join(lines, "\n"+head) + "\n")); r.Outcome != want.Outcome || r.Cause != want.Cause {
				t.Errorf("%s, %s: %s %s", what, name, r.Outcome, r.Cause)
			}
		}
	}
}

// TestOneGiganticLine hides a failing log in a line of 20 MB, and asks for what is kept of it.
func TestOneGiganticLine(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	pad := strings.Repeat(strings.Join(noise(rng, 1000), " ")+" ", 120)
	r := NewReader(Options{})
	for _, p := range []string{pad, strings.ReplaceAll(sample, "\n", " "), pad} {
		_, _ = r.Write([]byte(p))
	}
	res := r.Result()
	if res.Cause != ofSample || res.Lines != 1 {
		t.Fatalf("%s %s in %d lines", res.Outcome, res.Cause, res.Lines)
	}
	if n := cap(r.buf) + cap(r.partial) + cap(r.lower); n > 1<<20 {
		t.Fatalf("keeps %d bytes of %d", n, 2*len(pad))
	}
}

// TestNoLog: what holds no log is unknown, and says why, whatever texts a binary file holds.
func TestNoLog(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	garbage := make([]byte, 4096)
	for i := range garbage {
		garbage[i] = byte(rng.Uint32())
	}
	for name, c := range map[string]struct {
		in   []byte
		want string
	}{
		"empty":       {nil, "empty"},
		"blank lines": {[]byte("\n\r\n  \n"), "empty"},
		"a gzip file": {append([]byte("\x1f\x8b\x08\x00"), sample...), "gzip"},
		"a program":   {append([]byte("\x7fELF\x02\x01\x01\x00"), sample...), "a program"},
		"garbage":     {append(garbage, sample...), "no text"},
	} {
		if r := read(c.in); r.Outcome != Unknown || r.Cause != CauseUnknown || !strings.Contains(r.Remedy.Text, c.want) {
			t.Errorf("%s: %s %s %q", name, r.Outcome, r.Cause, r.Remedy.Text)
		}
	}
	if r := says("hello"); r.Outcome != Unknown || strings.Contains(r.Remedy.Text, "empty") {
		t.Errorf("a word: %s %q", r.Outcome, r.Remedy.Text)
	}
}

// TestAborts: a program that ends itself in words that name no cause has failed.
func TestAborts(t *testing.T) {
	starting := strings.Join(strings.SplitAfter(healthy, "\n")[:5], "")
	for _, end := range []string{
		"terminate called after throwing an instance of 'std::length_error'\n  what():  vector::_M_default_append\nAborted (core dumped)\n",
		"python3: /project/lib/Analysis/Allocation.cpp:43: getCvtOrder: Assertion `!(a && b) && \"mma to mma\"' failed.\nAborted (core dumped)\n",
		"ggml/src/ggml.c:2420: GGML_ASSERT(a->ne[d] == b->ne[d]) failed\n",
	} {
		for _, log := range []string{end, starting + end} {
			if r := says(log); r.Outcome != Failure || r.Cause != CauseUnknown {
				t.Errorf("%s %s for\n%s", r.Outcome, r.Cause, log)
			}
		}
		if r := says(end + healthy); r.Outcome != Ready {
			t.Errorf("after a later start: %s %s", r.Outcome, r.Cause)
		}
	}
}
