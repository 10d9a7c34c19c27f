package httpclient

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Window is one rate-limit window as the RateLimit header tells it: `"minute";r=0;t=12`.
type Window struct {
	Name  string
	Left  int           // requests left in the window
	Reset time.Duration // until it starts anew
}

// ParseRateLimit reads the RateLimit header fields (draft-ietf-httpapi-ratelimit-headers); what it cannot read
// it leaves out.
func ParseRateLimit(values []string) []Window {
	var out []Window
	for _, v := range values {
		for _, item := range strings.Split(v, ",") {
			parts := strings.Split(item, ";")
			w := Window{Name: strings.Trim(strings.TrimSpace(parts[0]), `"`), Left: -1}
			for _, p := range parts[1:] {
				k, val, ok := strings.Cut(strings.TrimSpace(p), "=")
				n, err := strconv.Atoi(val)
				if !ok || err != nil || n < 0 || n > 1<<30 {
					continue
				}
				switch k {
				case "r":
					w.Left = n
				case "t":
					w.Reset = time.Duration(n) * time.Second
				}
			}
			if w.Left >= 0 && w.Name != "" {
				out = append(out, w)
			}
		}
	}
	return out
}

// ParseRetryAfter reads seconds or an HTTP date; 0 when there is nothing to read or it is past.
func ParseRetryAfter(v string, now time.Time) time.Duration {
	v = strings.TrimSpace(v)
	if v == "" {
		return 0
	}
	if n, err := strconv.Atoi(v); err == nil {
		if n < 0 || n > 7*24*3600 {
			return 0
		}
		return time.Duration(n) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil && t.After(now) {
		return t.Sub(now)
	}
	return 0
}

// noteWindows remembers a used-up window, so that the next call waits for it instead of spending a 429.
func (c *Client) noteWindows(host string, h http.Header) {
	var until time.Time
	for _, w := range ParseRateLimit(h.Values("RateLimit")) {
		// A window that opens later than one wait is worth a try: the answer says exactly how long.
		if w.Left == 0 && w.Reset > 0 && w.Reset <= c.o.MaxWait {
			if t := c.o.Now().Add(w.Reset); t.After(until) {
				until = t
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if until.IsZero() {
		delete(c.pause, host)
		return
	}
	c.pause[host] = until
}

func (c *Client) waitForWindow(ctx context.Context, host string) error {
	c.mu.Lock()
	d := c.pause[host].Sub(c.o.Now())
	c.mu.Unlock()
	if d <= 0 {
		return nil
	}
	return c.o.Sleep(ctx, d)
}
