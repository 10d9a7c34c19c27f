// Command benchdiagnose measures the diagnosis of a noisy log beside grep, which searches the same literals in the
// same file: the physical floor is grep's, and grep names no cause.
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"justright/diagnose"
)

func main() {
	size := flag.Int("mb", 128, "size of the log in MB")
	rounds := flag.Int("rounds", 5, "rounds; the best of each counts")
	flag.Parse()
	if err := run(*size, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "benchdiagnose:", err)
		os.Exit(1)
	}
}

func run(mb, rounds int) error {
	dir, err := os.MkdirTemp("", "benchdiagnose")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	log, lits := filepath.Join(dir, "log"), filepath.Join(dir, "literals")
	if err := os.WriteFile(lits, []byte(strings.Join(oneLine(diagnose.Literals()), "\n")+"\n"), 0o600); err != nil {
		return err
	}
	if err := writeNoise(log, mb<<20); err != nil {
		return err
	}
	text, err := os.ReadFile(log)
	if err != nil {
		return err
	}
	ours, greps, folds := time.Duration(1<<62), time.Duration(1<<62), time.Duration(1<<62)
	for range rounds {
		t := time.Now()
		r := diagnose.NewReader(diagnose.Options{})
		_, _ = r.Write(text)
		if c := r.Result().Cause; c != diagnose.FreeMemoryBelowUtilization {
			return fmt.Errorf("the cause was lost: %s", c)
		}
		ours = min(ours, time.Since(t))
		for i, best := range []*time.Duration{&greps, &folds} {
			d, err := grep(lits, log, i == 1)
			if err != nil {
				return err
			}
			*best = min(*best, d)
		}
	}
	rate := func(d time.Duration) float64 { return float64(len(text)) / 1e6 / d.Seconds() }
	fmt.Printf("log %d MB, %d literals, best of %d, one core each\n", len(text)/1_000_000, len(diagnose.Literals()), rounds)
	fmt.Printf("justright diagnose   %7.0f MB/s   any case; names the cause\n", rate(ours))
	fmt.Printf("grep -F -f           %7.0f MB/s   exact case\n", rate(greps))
	fmt.Printf("grep -i -F -f        %7.0f MB/s   any case\n", rate(folds))
	fmt.Printf("ratio to grep -F %.2f, to grep -i -F %.2f\n", rate(ours)/rate(greps), rate(ours)/rate(folds))
	return nil
}

// oneLine drops what grep's pattern file cannot hold: patterns with line breaks.
func oneLine(lits []string) (out []string) {
	for _, l := range lits {
		if !strings.Contains(l, "\n") {
			out = append(out, l)
		}
	}
	return out
}

func grep(lits, log string, anyCase bool) (time.Duration, error) {
	args := []string{"-c", "-F", "-f", lits, log}
	if anyCase {
		args = append([]string{"-i"}, args...)
	}
	c := exec.CommandContext(context.Background(), "grep", args...)
	c.Env = append(os.Environ(), "LC_ALL=C")
	c.Stdout = &bytes.Buffer{} // to /dev/null GNU grep stops at its first match
	t := time.Now()
	err := c.Run()
	d := time.Since(t)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		err = nil // nothing found is an answer
	}
	return d, err
}

// writeNoise writes lines as healthy engines and their neighbours print them, and one failure in the middle.
func writeNoise(name string, size int) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	rng := rand.New(rand.NewPCG(11, 25)) //nolint:gosec // noise, not a secret
	var b bytes.Buffer
	told := false
	for n := 0; n < size; {
		b.Reset()
		noise(&b, rng)
		if n > size/2 && !told {
			told = true
			b.WriteString("(EngineCore pid=20) ERROR 11-25 10:00:22 [core.py:708] ValueError: Free memory on device (59.32/79.15 GiB) on startup is less than desired GPU memory utilization (0.9, 71.24 GiB).\n(APIServer pid=10) RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}\n")
		}
		k, err := w.Write(b.Bytes())
		if err != nil {
			return err
		}
		n += k
	}
	return errors.Join(w.Flush(), f.Close())
}

func noise(b *bytes.Buffer, rng *rand.Rand) {
	s := rng.IntN(60)
	switch rng.IntN(7) {
	case 0:
		fmt.Fprintf(b, "(Worker_TP%d pid=%d) INFO 11-25 10:00:%02d [weight_utils.py:392] loaded model.layers.%d.mlp.gate_up_proj.weight torch.Size([%d, 4096])\n", rng.IntN(8), rng.IntN(900), s, rng.IntN(80), rng.IntN(30000))
	case 1:
		fmt.Fprintf(b, "INFO:     10.0.%d.%d:%d - \"GET /metrics HTTP/1.1\" 200 OK\n", rng.IntN(255), rng.IntN(255), rng.IntN(60000))
	case 2:
		fmt.Fprintf(b, "DEBUG 11-25 10:00:%02d [cache.py:88] block table slot %d refcount %d hash %016x\n", s, rng.IntN(9999), rng.IntN(9), rng.Uint64())
	case 3:
		fmt.Fprintf(b, "WARNING 11-25 10:00:%02d [logger.py:12] the field guided_choice is deprecated and will be removed in a future release (%d)\n", s, rng.IntN(99))
	case 4:
		fmt.Fprintf(b, "  File \"/usr/local/lib/python3.12/dist-packages/somewhere/module_%d.py\", line %d, in wrapper\n    return func(*args, **kwargs)\n", rng.IntN(99), rng.IntN(999))
	case 5:
		fmt.Fprintf(b, "Loading part %d:  %2d%%|####      | %d/100 [00:%02d<00:%02d,  3.62it/s]\n", rng.IntN(9), rng.IntN(99), rng.IntN(99), s, s)
	default:
		fmt.Fprintf(b, "2026-11-25T10:00:%02d.%09dZ stdout F heartbeat node=%d load=%d.%02d mem=%dMi\n", s, rng.IntN(1e9), rng.IntN(64), rng.IntN(9), rng.IntN(99), rng.IntN(64000))
	}
}
