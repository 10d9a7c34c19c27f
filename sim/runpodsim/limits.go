package runpodsim

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// RateLimit is how many authenticated v2 requests a user has in each window.
type RateLimit struct {
	Minute int `json:"minute"`
	Hour   int `json:"hour"`
	Day    int `json:"day"`
}

// DefaultRateLimit is near what a live account was seen to have left (runpod-plugins-official, August 2026).
var DefaultRateLimit = RateLimit{Minute: 180, Hour: 7200, Day: 100000}

// Unlimited makes every caller exempt; exempt callers get no RateLimit headers.
var Unlimited = RateLimit{}

// windows are one user's counters.
type windows struct {
	start [3]time.Time
	used  [3]int
}

var windowNames = [3]string{"minute", "hour", "day"}
var windowLengths = [3]time.Duration{time.Minute, time.Hour, 24 * time.Hour}

// spend counts one request of account, sets the headers, and refuses when a window is used up. The caller holds the lock.
func (s *Server) spend(h http.Header, account string) *apiError {
	l := *s.opts.RateLimit
	if l == Unlimited {
		return nil
	}
	quota := [3]int{l.Minute, l.Hour, l.Day}
	win := s.limits[account]
	if win == nil {
		win = &windows{}
		s.limits[account] = win
	}
	now := s.now()
	var refused *apiError
	left, reset := [3]int{}, [3]int{}
	for i := range quota {
		if now.Sub(win.start[i]) >= windowLengths[i] {
			win.start[i], win.used[i] = now.Truncate(windowLengths[i]), 0
		}
		win.used[i]++
		left[i] = max(quota[i]-win.used[i], 0)
		reset[i] = int(win.start[i].Add(windowLengths[i]).Sub(now)/time.Second) + 1
		if win.used[i] > quota[i] && refused == nil {
			refused = refuse(http.StatusTooManyRequests, "rate limit exceeded for the "+windowNames[i]+" window")
			refused.retry = reset[i]
		}
	}
	setLimitHeaders(h, quota, left, reset)
	return refused
}

func setLimitHeaders(h http.Header, quota, left, reset [3]int) {
	r, p := "", ""
	for i, n := range windowNames {
		if i > 0 {
			r, p = r+", ", p+", "
		}
		r += fmt.Sprintf("%q;r=%d;t=%d", n, left[i], reset[i])
		p += fmt.Sprintf("%q;q=%d;w=%d", n, quota[i], int(windowLengths[i]/time.Second))
	}
	h.Set("RateLimit", r)
	h.Set("RateLimit-Policy", p)
}

func itoa(n int) string { return strconv.Itoa(n) }
