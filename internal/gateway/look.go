package gateway

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
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

// Look asks every replica once.
func (g *Gateway) Look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, g.l.Look)
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
	if err != nil {
		g.looked(r, false, refused(r, err))
		return
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		// An engine that shows no counters is asked for its health, which needs no key; its idleness stays unknown.
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
		well, dead := g.healthy(ctx, r)
		g.looked(r, well, dead)
		return
	}
	if c, err := readCounters(resp.Body); err == nil {
		g.fleet.counted(r.ID, c)
	}
	// Counters are answered by the server's front; a dead engine core is seen in its health alone.
	well, dead := g.healthy(ctx, r)
	g.looked(r, well, dead)
}

// healthy asks an engine for its health. An engine that does not answer in time may be busy, and an address that cannot be reached may be
// our own network's fault; that it is dead is what it says itself (503), or what a proxy that stands before its closed port does.
func (g *Gateway) healthy(ctx context.Context, r Replica) (well, dead bool) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.Base+"/health", nil)
	if err != nil {
		return false, false
	}
	req.Header.Set("User-Agent", "justright")
	resp, err := g.o.Transport.RoundTrip(req)
	if err != nil {
		return false, refused(r, err)
	}
	_ = resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		return true, false
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusNotFound, http.StatusInternalServerError:
		return false, true
	}
	return false, false
}

// refused reports whether an error says that nothing listens where the engine did.
func refused(r Replica, err error) bool { return !r.Tunnel && errors.Is(err, syscall.ECONNREFUSED) }

// looked notes what a look said.
func (g *Gateway) looked(r Replica, well, dead bool) {
	if !well {
		g.fleet.seems(r.ID, dead)
	}
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
