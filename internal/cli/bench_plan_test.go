package cli

import (
	"bytes"
	"context"
	"testing"
	"time"
)

func BenchmarkPlanCommand(b *testing.B) {
	for b.Loop() {
		var out, errs bytes.Buffer
		w := World{Args: []string{"plan", "openai/gpt-oss-20b", "--host-cuda", "12.4", "--json"}, Stdout: &out, Stderr: &errs, Dir: b.TempDir(),
			Env: func(string) string { return "" }, Environ: func() []string { return nil }, Now: time.Now, Transport: offline{}}
		if status := Main(context.Background(), w); status != 0 {
			b.Fatal(errs.String())
		}
	}
}
