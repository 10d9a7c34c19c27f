package probe

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"justright/internal/httpclient"
	"justright/money"
)

func TestBench(t *testing.T) {
	price := money.Dollar
	ticks := 0
	b, err := RunBench(t.Context(), (&engine{key: "k"}).serve(t), BenchOptions{
		Concurrency: []int{1, 3}, Requests: 7, Time: time.Minute, Limit: time.Minute, PromptTokens: 40, MaxTokens: 4, Price: &price,
		Each: func(Tick) { ticks++ },
	})
	if err != nil || len(b.Levels) != 2 || ticks != 14 || b.Model != "tiny" || !b.FixedLength {
		t.Fatalf("%+v, %v after %d ticks", b, err, ticks)
	}
	for _, l := range b.Levels {
		if l.Requests != 7 || l.Errors != 0 || l.OutputTokens != 28 || l.TTFT.N != 7 || l.ITL.N != 21 || l.TTFT.P50 > l.TTFT.P95 || l.TTFT.P95 > l.TTFT.P99 {
			t.Errorf("%+v", l)
		}
		// dollars per million = price / (tokens per second × 3600) × 10^6, within the rounding of the speed
		want := 1 / (l.TokensPerSecond * 3600) * 1e6
		if got := l.DollarsPerMillionTokens.Float(); got < want*0.99 || got > want*1.01 {
			t.Errorf("%v dollars per million at %v tokens/s, want %v", got, l.TokensPerSecond, want)
		}
	}
}

// The engine of this test takes ignore_eos and stops early all the same: its answers are not of one length.
func TestBenchLengthIsWhatWasSeen(t *testing.T) {
	b, err := RunBench(t.Context(), (&engine{}).serve(t), BenchOptions{Concurrency: []int{1}, Requests: 2, Time: time.Minute, Limit: time.Minute, MaxTokens: 4000})
	if err != nil || b.FixedLength || b.Levels[0].Requests != 2 {
		t.Errorf("%+v, %v", b, err)
	}
}

func TestBenchIsBounded(t *testing.T) {
	ep := (&engine{}).serve(t)
	var looks atomic.Int64
	ep.Now = func() time.Time { return time.Unix(looks.Add(1), 0) } // every look at the clock costs a second
	b, err := RunBench(t.Context(), ep, BenchOptions{Concurrency: []int{1}, Requests: 1000, Time: 60 * time.Second, Limit: time.Minute, PromptTokens: 8, MaxTokens: 4})
	if err != nil || b.Levels[0].Requests == 0 || b.Levels[0].Requests > 30 || b.Levels[0].DollarsPerMillionTokens != nil {
		t.Errorf("%+v, %v", b.Levels, err)
	}
}

func TestBenchCountsErrorsAndRefusals(t *testing.T) {
	ep := (&engine{key: "k"}).serve(t)
	ep.Key = httpclient.NewSecret("wrong")
	if _, err := RunBench(t.Context(), ep, BenchOptions{Limit: time.Second}); !errors.Is(err, ErrKeyRefused) {
		t.Errorf("wrong key: %v", err)
	}
	if _, err := RunBench(t.Context(), (&engine{embeds: true}).serve(t), BenchOptions{Limit: time.Second}); !errors.Is(err, ErrNoText) {
		t.Errorf("embedding model: %v", err)
	}
	e := &engine{context: 60} // the warm-up fits, the real prompts do not
	b, err := RunBench(t.Context(), e.serve(t), BenchOptions{Concurrency: []int{2}, Requests: 4, Time: time.Minute, Limit: time.Minute, PromptTokens: 40, MaxTokens: 4})
	if err != nil || b.Levels[0].Errors != 0 {
		t.Fatalf("%+v, %v", b, err)
	}
	m := &meter{e: e.serve(t), kind: chat, o: BenchOptions{Requests: 4, Time: time.Minute, Limit: time.Minute, PromptTokens: 40, MaxTokens: 4}}
	e.dead.Store(true)
	if l := m.level(t.Context(), 2); l.Errors != 4 || l.Requests != 0 || l.FirstError == "" || l.TokensPerSecond != 0 {
		t.Errorf("%+v", l)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := RunBench(ctx, (&engine{}).serve(t), BenchOptions{Limit: time.Second}); err == nil {
		t.Error("a cancelled measurement reports success")
	}
}

func TestPromptsDiffer(t *testing.T) {
	m := &meter{kind: chat, o: BenchOptions{PromptTokens: 100}}
	seen := map[string]bool{}
	for range 50 {
		p := m.body(1)["messages"].([]any)[0].(map[string]any)["content"].(string)
		if seen[p] || len(strings.Fields(p)) < 80 {
			t.Fatalf("prompt %q", p)
		}
		seen[p] = true
	}
}

func TestQuantiles(t *testing.T) {
	var s []float64
	for i := 100; i >= 1; i-- {
		s = append(s, float64(i))
	}
	if q := quantiles(s); q != (Quantiles{50, 95, 99, 100}) {
		t.Errorf("%+v", q)
	}
	if q := quantiles([]float64{3}); q != (Quantiles{3, 3, 3, 1}) {
		t.Errorf("%+v", q)
	}
	if got := perToken(Stream{Tokens: 9, Gaps: []time.Duration{2 * time.Second, 2 * time.Second}}); got[0] != 0.5 {
		t.Errorf("two gaps for eight more tokens: %v, want half a second each", got)
	}
}
