package runpodsim

import (
	"container/heap"
	"sync"
	"time"
)

// Clock is the simulator's idea of time. Everything the simulator does later (a pull that ends, a restart, a bill)
// hangs on it, so that a test can run a week in a millisecond.
type Clock interface {
	Now() time.Time
	// AfterFunc calls f once d has passed on this clock, unless the returned function was called before.
	AfterFunc(d time.Duration, f func()) (stop func())
}

// RealClock runs with the machine's clock, Speed simulated seconds per real one.
type RealClock struct {
	start time.Time
	speed float64
}

// NewRealClock starts a clock at the present. A speed of 0 means 1.
func NewRealClock(speed float64) *RealClock {
	if speed <= 0 {
		speed = 1
	}
	return &RealClock{start: time.Now(), speed: speed}
}

// Now is the simulated time.
func (c *RealClock) Now() time.Time {
	if c.speed == 1 {
		return time.Now()
	}
	return c.start.Add(time.Duration(float64(time.Since(c.start)) * c.speed))
}

// AfterFunc is time.AfterFunc, shortened by the speed.
func (c *RealClock) AfterFunc(d time.Duration, f func()) func() {
	t := time.AfterFunc(time.Duration(float64(d)/c.speed), f)
	return func() { t.Stop() }
}

// VirtualClock stands still until somebody calls Advance.
type VirtualClock struct {
	mu  sync.Mutex
	now time.Time
	seq int
	due timerHeap
}

// NewVirtualClock makes a clock that shows start.
func NewVirtualClock(start time.Time) *VirtualClock { return &VirtualClock{now: start} }

// Now is the time last advanced to.
func (c *VirtualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// AfterFunc plans f; Advance calls it, in the caller's goroutine.
func (c *VirtualClock) AfterFunc(d time.Duration, f func()) func() {
	if d < 0 {
		d = 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seq++
	t := &timer{at: c.now.Add(d), seq: c.seq, f: f}
	heap.Push(&c.due, t)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if t.index >= 0 {
			heap.Remove(&c.due, t.index)
		}
	}
}

// Advance moves the clock by d and runs everything that falls due on the way, in order of time and then of planning;
// what those calls plan within d runs too.
func (c *VirtualClock) Advance(d time.Duration) {
	c.mu.Lock()
	end := c.now.Add(d)
	for len(c.due) > 0 && !c.due[0].at.After(end) {
		t := heap.Pop(&c.due).(*timer)
		if t.at.After(c.now) {
			c.now = t.at
		}
		c.mu.Unlock()
		t.f()
		c.mu.Lock()
	}
	if end.After(c.now) {
		c.now = end
	}
	c.mu.Unlock()
}

// Next tells when the next planned call is due.
func (c *VirtualClock) Next() (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.due) == 0 {
		return time.Time{}, false
	}
	return c.due[0].at, true
}

type timer struct {
	at    time.Time
	seq   int
	index int
	f     func()
}

type timerHeap []*timer

func (h timerHeap) Len() int { return len(h) }
func (h timerHeap) Less(i, j int) bool {
	if !h[i].at.Equal(h[j].at) {
		return h[i].at.Before(h[j].at)
	}
	return h[i].seq < h[j].seq
}
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *timerHeap) Push(x any) {
	t := x.(*timer)
	t.index = len(*h)
	*h = append(*h, t)
}
func (h *timerHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	t.index = -1
	*h = old[:len(old)-1]
	return t
}
