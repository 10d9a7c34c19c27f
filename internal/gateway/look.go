package gateway

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// LookAfter asks every replica for its counters, again and again, until the context ends: that tells whether it is there, and
// whether it works for somebody who does not come through the gateway.
func (g *Gateway) LookAfter(ctx context.Context, every time.Duration) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		g.Look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// lookFor bounds one look at one replica.
const lookFor = 10 * time.Second

// Look asks every replica once.
func (g *Gateway) Look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	var wg sync.WaitGroup
	slots := make(chan struct{}, 16)
	for _, r := range g.fleet.Status() {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			g.lookAt(ctx, r.Replica)
		})
	}
	wg.Wait()
}

// lookAt reads one engine's counters. An answer brings an ejected replica back; silence is a failure like any other.
func (g *Gateway) lookAt(ctx context.Context, r Replica) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.Base+"/metrics", nil)
	if err != nil {
		return
	}
	req.Header.Set("User-Agent", "justright")
	if r.Key.Set() {
		req.Header.Set("Authorization", "Bearer "+r.Key.Reveal())
	}
	resp, err := g.o.Transport.RoundTrip(req)
	if ctx.Err() != nil && err != nil {
		err = ctx.Err()
	}
	if err != nil {
		g.looked(r, false)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		// An engine that shows no counters is asked for its health, which needs no key; its idleness stays unknown.
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
		g.looked(r, g.healthy(ctx, r))
		return
	}
	if c, err := readCounters(resp.Body); err == nil {
		g.fleet.counted(r.ID, c)
	}
	// Counters are answered by the server's front; a dead engine core is seen in its health alone.
	g.looked(r, g.healthy(ctx, r))
}

func (g *Gateway) healthy(ctx context.Context, r Replica) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.Base+"/health", nil)
	if err != nil {
		return false
	}
	req.Header.Set("User-Agent", "justright")
	resp, err := g.o.Transport.RoundTrip(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// looked notes what a look said.
func (g *Gateway) looked(r Replica, well bool) {
	switch {
	case well:
		g.fleet.well(r.ID)
	case g.fleet.ill(r.ID):
		g.met.ejected(r.Model)
		if g.o.Doubt != nil {
			g.o.Doubt(r)
		}
	}
}

// maxCounters bounds an engine's counters.
const maxCounters = 4 << 20

// counters are what an engine says of its work.
type counters struct {
	mark    string // changes with every piece of work
	running bool   // there is work now
	queued  bool   // there is work that waits for its turn
}

// readCounters reads vLLM's and SGLang's counters. It reads what the guard inside the machine reads.
func readCounters(r io.Reader) (counters, error) {
	var c counters
	var b strings.Builder
	lines := bufio.NewScanner(io.LimitReader(r, maxCounters))
	lines.Buffer(make([]byte, 0, 64<<10), 1<<20)
	for lines.Scan() {
		l := lines.Text()
		name, _, _ := strings.Cut(l, "{")
		name, _, _ = strings.Cut(name, " ")
		value := l[strings.LastIndexByte(l, ' ')+1:]
		switch name {
		case "vllm:num_requests_running", "sglang:num_running_reqs":
			c.running = c.running || positive(value)
		case "vllm:num_requests_waiting", "sglang:num_queue_reqs":
			c.queued = c.queued || positive(value)
		case "vllm:request_success_total", "vllm:prompt_tokens_total", "vllm:generation_tokens_total", "sglang:num_requests_total":
			b.WriteString(value + ",")
		}
	}
	c.mark = b.String()
	return c, lines.Err()
}

func positive(s string) bool {
	n, err := strconv.ParseFloat(s, 64)
	return err == nil && n > 0
}
