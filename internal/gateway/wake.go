package gateway

import (
	"context"
	"sync"
	"time"
)

// Waker brings models up. Both methods are called from several goroutines.
type Waker interface {
	// Wake returns when a replica of the model is in the fleet, or with the reason why there will be none now: a *Refusal when
	// clients may be told it. It is never called twice at a time for one model.
	Wake(ctx context.Context, model string) error
	// Outlook says what a wake is at, for those who wait.
	Outlook(model string) Outlook
}

// Outlook is what is known of a wake.
type Outlook struct {
	Doing  string        // "weights 9.2 of 12.8 GB"; empty: not known
	Expect time.Duration // from its begin to its end; 0: not known
}

// wakes lets each model be woken once, however many ask.
type wakes struct {
	waker  Waker
	now    func() time.Time
	met    *metrics
	ctx    context.Context // a wake outlives the request that asked for it: what is paid for is of use to the next
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	under   map[string]*wake
	refused map[string]refusedWake
	ended   bool
}

// wake is one under way.
type wake struct {
	began time.Time
	done  chan struct{} // closed at its end
	err   error         // valid then
}

// refusedWake is a wake that failed: until then nobody asks again.
type refusedWake struct {
	err   *Refusal
	until time.Time
}

func newWakes(w Waker, now func() time.Time, m *metrics) *wakes {
	ctx, cancel := context.WithCancel(context.Background())
	return &wakes{waker: w, now: now, met: m, ctx: ctx, cancel: cancel, under: map[string]*wake{}, refused: map[string]refusedWake{}}
}

// join is the wake of a model that is under way, or a new one. A failure is remembered for as long as it says, so that a crowd of
// retries does not become a crowd of wakes.
func (k *wakes) join(model string) (*wake, *Refusal) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if w := k.under[model]; w != nil {
		return w, nil
	}
	if r, ok := k.refused[model]; ok && k.now().Before(r.until) {
		again := *r.err
		if again.RetryAfter > 0 {
			again.RetryAfter = r.until.Sub(k.now())
		}
		return nil, &again
	}
	if k.waker == nil || k.ended {
		return nil, unavailable("model_not_running", 0, "nothing serves the model now, and the gateway wakes nothing")
	}
	w := &wake{began: k.now(), done: make(chan struct{})}
	k.under[model] = w
	k.wg.Go(func() {
		err := k.waker.Wake(k.ctx, model)
		k.end(model, w, err)
	})
	return w, nil
}

// refuseFor is how long a failure that does not say so is remembered.
const refuseFor = 30 * time.Second

func (k *wakes) end(model string, w *wake, err error) {
	k.met.woke(model, err, k.now().Sub(w.began))
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.under, model)
	delete(k.refused, model)
	if w.err = err; err != nil && k.ctx.Err() == nil {
		r := refusalOf(err)
		wait := r.RetryAfter
		if wait == 0 {
			wait = refuseFor
		}
		k.refused[model] = refusedWake{r, k.now().Add(wait)}
	}
	close(w.done)
}

// Forgive forgets that a model could not be woken.
func (g *Gateway) Forgive(model string) {
	g.wakes.mu.Lock()
	defer g.wakes.mu.Unlock()
	delete(g.wakes.refused, model)
}

// Waking reports whether a model is being woken.
func (g *Gateway) Waking(model string) bool { return g.wakes.is(model) }

func (k *wakes) is(model string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.under[model] != nil
}

func (k *wakes) close() {
	k.mu.Lock()
	k.ended = true
	k.mu.Unlock()
	k.cancel()
	k.wg.Wait()
}
