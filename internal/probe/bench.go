package probe

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"justright/money"
)

// BenchSchema names the document.
const BenchSchema = "justright/bench/1"

// BenchOptions bound a measurement: no level takes more requests or time than they say.
type BenchOptions struct {
	Concurrency  []int         // levels, in order
	Requests     int           // of one level
	Time         time.Duration // of one level: no request starts later, and those in flight are waited for, up to Limit
	Limit        time.Duration // of one request
	PromptTokens int           // about
	MaxTokens    int
	Price        *money.USD // of the machine per hour; nil: no dollars
	// Each is called after every request, from one goroutine at a time; may be nil.
	Each func(Tick)
}

// Tick says how far a measurement is.
type Tick struct {
	Concurrency, Done, Of, Errors int
	Elapsed                       time.Duration
}

// Bench is the justright/bench/1 document. Times are seconds.
type Bench struct {
	Schema       string     `json:"schema"`
	BaseURL      string     `json:"base_url"`
	Model        string     `json:"model"`
	At           time.Time  `json:"at"`
	PromptTokens int        `json:"prompt_tokens"` // asked for; each level says what was counted
	MaxTokens    int        `json:"max_tokens"`
	FixedLength  bool       `json:"fixed_length"` // every answer has max_tokens tokens, since the engine takes ignore_eos
	PricePerHour *money.USD `json:"price_per_hour"`
	Levels       []Level    `json:"levels"`
}

// Level is what was measured with so many requests in flight.
type Level struct {
	Concurrency             int        `json:"concurrency"`
	Requests                int        `json:"requests"` // answered in full
	Errors                  int        `json:"errors"`
	FirstError              string     `json:"first_error,omitempty"`
	Seconds                 float64    `json:"seconds"`
	PromptTokens            int        `json:"prompt_tokens"`
	OutputTokens            int        `json:"output_tokens"`
	TTFT                    Quantiles  `json:"ttft_seconds"` // from sending to the first text
	ITL                     Quantiles  `json:"itl_seconds"`  // between tokens: chunk gaps, a chunk of several tokens shared out
	TokensPerSecond         float64    `json:"tokens_per_second"`
	PerRequest              float64    `json:"tokens_per_second_per_request"`
	DollarsPerMillionTokens *money.USD `json:"dollars_per_million_tokens"` // output tokens; null when no price is known
}

// Quantiles of a sample, by nearest rank; zero when the sample is empty.
type Quantiles struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
	N   int     `json:"n"`
}

// firstLook is how long the list of models may take, which no engine computes.
const firstLook = 20 * time.Second

// RunBench measures. An error means that nothing could be measured; errors of single requests are counted in their
// level. When ctx ends, the levels finished so far are returned with its error.
func RunBench(ctx context.Context, e Endpoint, o BenchOptions) (Bench, error) {
	b := Bench{Schema: BenchSchema, BaseURL: e.BaseURL, At: e.Now().UTC().Truncate(time.Second), PromptTokens: o.PromptTokens,
		MaxTokens: o.MaxTokens, PricePerHour: o.Price, Levels: []Level{}}
	list, err := e.models(ctx, e.Key, min(o.Limit, firstLook))
	switch s := status(err); {
	case s == 401 || s == 403:
		return b, fmt.Errorf("%w: %s/v1/models says %s", ErrKeyRefused, e.BaseURL, words(err))
	case err != nil:
		return b, fmt.Errorf("%w: %s/v1/models: %s", ErrUnreachable, e.BaseURL, words(err))
	}
	if e.Model == "" && len(list) > 0 {
		e.Model = list[0].ID
	}
	b.Model = e.Model
	m := &meter{e: e, o: o}
	if err := m.warm(ctx); err != nil {
		return b, err
	}
	b.FixedLength = m.fixed
	for _, c := range o.Concurrency {
		l := m.level(ctx, c)
		if ctx.Err() != nil {
			return b, ctx.Err()
		}
		b.Levels = append(b.Levels, l)
		// An engine may take ignore_eos and stop all the same.
		b.FixedLength = b.FixedLength && l.OutputTokens == l.Requests*o.MaxTokens
	}
	return b, nil
}

// ErrNoText is why there is nothing to measure.
var ErrNoText = errors.New("this endpoint generates no text")

type meter struct {
	e     Endpoint
	o     BenchOptions
	kind  kind
	fixed bool
	next  int // number of the next prompt, so that none repeats
}

// warm finds out how the model is asked, with one request that is not counted.
func (m *meter) warm(ctx context.Context) error {
	var said []string
	for _, k := range []kind{chat, completion} {
		for _, fixed := range []bool{true, false} {
			m.kind, m.fixed = k, fixed
			_, err := m.e.stream(ctx, k, m.body(8), m.o.Limit)
			if err == nil {
				return nil
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			said = append(said, fmt.Sprintf("%s: %s", k.path(), words(err)))
			if s := status(err); s != 400 && s != 422 {
				break // not because of ignore_eos
			}
		}
	}
	return fmt.Errorf("%w: %s", ErrNoText, said[len(said)-1])
}

// body is a request with a prompt that no other has, so that no prefix cache answers it.
func (m *meter) body(maxTokens int) map[string]any {
	m.next++
	var p strings.Builder
	fmt.Fprintf(&p, "Request %d. ", m.next)
	vocabulary := []string{"river", "stone", "light", "paper", "cloud", "green", "seven", "table", "winter", "road", "apple", "metal", "night"}
	x := uint32(m.next)*2654435761 + 1
	for range max(1, m.o.PromptTokens-12) {
		x = x*1664525 + 1013904223
		p.WriteString(vocabulary[(x>>8)%uint32(len(vocabulary))])
		p.WriteByte(' ')
	}
	p.WriteString("\nTell a long story with these words.")
	b := m.kind.ask(m.e.Model, p.String(), maxTokens)
	if m.fixed {
		b["ignore_eos"] = true // vLLM and SGLang: go on to max_tokens
	}
	return b
}

// level measures one concurrency.
func (m *meter) level(ctx context.Context, c int) Level {
	l := Level{Concurrency: c}
	bodies := make(chan map[string]any)
	start := m.e.Now()
	var mu sync.Mutex
	var ttft, itl []float64
	var perRequest, lastEnd float64
	var wg sync.WaitGroup
	for range c {
		wg.Go(func() {
			for body := range bodies {
				s, err := m.e.stream(ctx, m.kind, body, m.o.Limit)
				mu.Lock()
				if err != nil {
					if l.Errors++; l.FirstError == "" {
						l.FirstError = words(err)
					}
				} else {
					l.Requests++
					l.PromptTokens += s.PromptTokens
					l.OutputTokens += s.Tokens
					ttft = append(ttft, s.First.Seconds())
					itl = append(itl, perToken(s)...)
					if d := (s.Total - s.First).Seconds(); d > 0 && s.Tokens > 1 {
						perRequest += float64(s.Tokens-1) / d
					}
					lastEnd = m.e.Now().Sub(start).Seconds()
				}
				if m.o.Each != nil {
					m.o.Each(Tick{Concurrency: c, Done: l.Requests + l.Errors, Of: m.o.Requests, Errors: l.Errors, Elapsed: m.e.Now().Sub(start)})
				}
				mu.Unlock()
			}
		})
	}
send:
	for range m.o.Requests {
		if m.e.Now().Sub(start) >= m.o.Time {
			break
		}
		select {
		case bodies <- m.body(m.o.MaxTokens):
		case <-ctx.Done():
			break send
		}
	}
	close(bodies)
	wg.Wait()
	l.Seconds = rounded(lastEnd)
	l.TTFT, l.ITL = quantiles(ttft), quantiles(itl)
	if lastEnd > 0 {
		speed := float64(l.OutputTokens) / lastEnd
		l.TokensPerSecond = rounded(speed)
		if m.o.Price != nil && speed > 0 {
			d := money.FromFloat(m.o.Price.Float() / 3600 / speed * 1e6)
			l.DollarsPerMillionTokens = &d
		}
	}
	if l.Requests > 0 {
		l.PerRequest = rounded(perRequest / float64(l.Requests))
	}
	return l
}

// perToken turns gaps between chunks into gaps between tokens: an engine that sends several tokens in a chunk is not
// slower for it.
func perToken(s Stream) []float64 {
	if len(s.Gaps) == 0 || s.Tokens < 2 {
		return nil
	}
	share := float64(len(s.Gaps)) / float64(s.Tokens-1)
	if share > 1 {
		share = 1
	}
	out := make([]float64, len(s.Gaps))
	for i, g := range s.Gaps {
		out[i] = g.Seconds() * share
	}
	return out
}

func quantiles(sample []float64) Quantiles {
	if len(sample) == 0 {
		return Quantiles{}
	}
	s := slices.Clone(sample)
	slices.Sort(s)
	at := func(q float64) float64 { return rounded(s[int(math.Ceil(q*float64(len(s))))-1]) }
	return Quantiles{P50: at(0.5), P95: at(0.95), P99: at(0.99), N: len(s)}
}

func rounded(x float64) float64 { return math.Round(x*10000) / 10000 }
