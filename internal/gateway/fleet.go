package gateway

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"justright/internal/httpclient"
	"justright/money"
)

// Replica is one proven endpoint of a model.
type Replica struct {
	ID      string // unlike any other's, and never used again: the attempt
	Task    string // the journal's id of its launch
	Launch  string // name of its launch
	Model   string // hub id
	Served  string // the name its engine answers to
	Base    string // address without /v1
	Key     httpclient.Secret
	Price   money.USD     // per hour, disks included
	Idle    time.Duration // it may be removed after so long without requests; 0: never
	Context int           // longest request in tokens; 0: not known
	Fill    int           // it takes so many requests at once before a younger one of its model gets any; 0: each gets as many as the others
	Since   time.Time
	// Tunnel: its address is an end of a tunnel on this machine, so that a refused connection may be the tunnel's and not the engine's.
	Tunnel bool
}

// Model is one that may be woken.
type Model struct {
	ID      string
	Aliases []string // other names clients may use
	Keep    int      // replicas that stay while any of them has been in use; 0 and 1: each goes by itself when idle
}

// replica is a Replica with what the gateway knows of it. The fleet's lock guards it.
type replica struct {
	Replica
	inFlight int
	served   int       // requests sent to it
	failures int       // in a row
	ejected  time.Time // until then no request goes there while another can take it; zero: it is well
	leaving  bool      // it is about to be removed: no new request
	dead     time.Time // since when every look has found its engine dead; zero: none has, or one could not tell
	active   time.Time // when its last request ended, or its engine was last seen to work
	mark     string    // the engine's own counters as last read
	read     time.Time // when they were
	queued   bool      // requests waited for their turn inside the engine, then
}

// Fleet is what the gateway can send requests to. All methods are safe for concurrent use.
type Fleet struct {
	now func() time.Time

	mu       sync.Mutex
	models   []Model
	replicas []*replica
	gone     []*replica    // that still answer requests
	changed  chan struct{} // closed when the fleet has changed
}

// NewFleet makes a fleet of models that may be woken and of nothing that runs.
func NewFleet(models []Model, now func() time.Time) *Fleet {
	return &Fleet{now: now, models: models, changed: make(chan struct{})}
}

// Update makes the fleet what runs now. What stays keeps its counts; what goes may finish its requests.
func (f *Fleet) Update(now []Replica) {
	f.mu.Lock()
	defer f.mu.Unlock()
	old := map[string]*replica{}
	for _, r := range slices.Concat(f.replicas, f.gone) {
		old[r.ID] = r
	}
	f.replicas, f.gone = make([]*replica, 0, len(now)), nil
	for _, r := range now {
		k := old[r.ID]
		if k == nil {
			k = &replica{active: f.now()}
		}
		delete(old, r.ID)
		k.Replica = r
		f.replicas = append(f.replicas, k)
	}
	for _, k := range old {
		if k.inFlight > 0 {
			f.gone = append(f.gone, k)
		}
	}
	slices.SortFunc(f.replicas, func(a, b *replica) int {
		return cmp.Or(strings.Compare(a.Model, b.Model), a.Since.Compare(b.Since), strings.Compare(a.ID, b.ID))
	})
	f.announce()
}

// announce tells whoever waits that the fleet has changed. The lock is held.
func (f *Fleet) announce() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// Changed is closed at the next change.
func (f *Fleet) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

// pick takes the replica with the least to do, and counts the request in until done. False: there is none that was not tried
// already. One that is ejected is taken only when no other is left: a wrong ejection must not close a door that is open.
//
// A replica that is preferred, because it has what the request goes on from, is taken while it is well.
func (f *Fleet) pick(m meant, tried map[string]bool, prefer string) (Replica, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	var best *replica
	for _, r := range f.replicas {
		if !r.answersTo(m) || r.leaving || tried[r.ID] {
			continue
		}
		if r.ID == prefer && !now.Before(r.ejected) {
			best = r
			break
		}
		if best == nil || r.before(best, now) {
			best = r
		}
	}
	if best == nil {
		return Replica{}, false
	}
	best.inFlight++
	best.served++
	return best.Replica, true
}

// before reports whether a replica is to be asked rather than another: one that is well; then an elder one that is not yet filled, so that what is
// not needed has nothing to do and goes; then the one with the least to do.
func (r *replica) before(o *replica, now time.Time) bool {
	a, b := r.room(), o.room()
	if a && b && now.Before(r.ejected) == now.Before(o.ejected) {
		return r.Since.Before(o.Since)
	}
	return cmp.Or(boolCompare(now.Before(r.ejected), now.Before(o.ejected)), boolCompare(b, a), cmp.Compare(r.inFlight, o.inFlight),
		cmp.Compare(r.served, o.served)) < 0
}

// room reports whether a replica that is to be filled before others is not yet.
func (r *replica) room() bool { return r.inFlight < r.Fill }

// Load is what a model has to do.
type Load struct {
	Replicas int // that take requests
	Requests int // under way at them
	Queued   int // replicas whose engine, when last looked at, let requests wait for their turn
}

// Load says what a model has to do now. A queue that was seen long ago does not count.
func (f *Fleet) Load(model string) (l Load) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	for _, r := range f.replicas {
		if r.Model != model || r.leaving || now.Before(r.ejected) {
			continue
		}
		l.Replicas++
		l.Requests += r.inFlight
		if r.queued && now.Sub(r.read) < freshFor {
			l.Queued++
		}
	}
	return l
}

// take counts a request in at one replica. False: it is not there any more.
func (f *Fleet) take(id string) (rep Replica, ok bool) {
	f.with(id, func(r *replica) {
		if !r.leaving {
			r.inFlight++
			r.served++
			rep, ok = r.Replica, true
		}
	})
	return rep, ok
}

// another reports whether there is a replica that was not tried.
func (f *Fleet) another(m meant, tried map[string]bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.ContainsFunc(f.replicas, func(r *replica) bool { return r.answersTo(m) && !r.leaving && !tried[r.ID] })
}

// with lets change do so to a replica, if it is still there or still answers.
func (f *Fleet) with(id string, change func(*replica)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, all := range [][]*replica{f.replicas, f.gone} {
		for _, r := range all {
			if r.ID == id {
				change(r)
			}
		}
	}
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

// has reports whether anything serves what is meant. dying says that there are replicas, and that the last look found the engine of each
// dead: they come back, or are about to be removed.
func (f *Fleet) has(m meant) (has, dying bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.replicas {
		if r.answersTo(m) && !r.leaving {
			has = has || r.dead.IsZero()
			dying = true
		}
	}
	return has, dying && !has
}

// done counts a request out.
func (f *Fleet) done(id string) {
	f.with(id, func(r *replica) { r.inFlight, r.active = r.inFlight-1, f.now() })
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gone = slices.DeleteFunc(f.gone, func(r *replica) bool { return r.inFlight == 0 })
}

// Status is a replica as the dashboard and the metrics show it.
type Status struct {
	Replica
	InFlight int
	Served   int
	Ejected  bool
	Leaving  bool
	Active   time.Time
}

// Status lists the replicas by model and age.
func (f *Fleet) Status() []Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	now, out := f.now(), make([]Status, 0, len(f.replicas))
	for _, r := range f.replicas {
		out = append(out, Status{r.Replica, r.inFlight, r.served, now.Before(r.ejected), r.leaving, r.active})
	}
	return out
}

// Idle lists the replicas that nobody has asked anything for as long as they may stay: neither through the gateway nor, by
// their engine's own counters, past it. One whose counters cannot be read now is not idle as far as anybody knows.
func (f *Fleet) Idle() []Replica {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	var out []Replica
	for _, r := range slices.Backward(f.replicas) { // the youngest first
		if r.idle(now) && !r.leaving && f.spare(r, out, now) {
			out = append(out, r.Replica)
		}
	}
	return out
}

// spare reports whether a replica may go beside others that go: more are left than are to stay, or none of them is in use.
func (f *Fleet) spare(r *replica, going []Replica, now time.Time) bool {
	i := slices.IndexFunc(f.models, func(m Model) bool { return m.ID == r.Model })
	if i < 0 || f.models[i].Keep < 2 {
		return true
	}
	left, used := 0, false
	for _, o := range f.replicas {
		if o.Model == r.Model && !o.leaving {
			left++
			used = used || !o.idle(now)
		}
	}
	for _, g := range going {
		if g.Model == r.Model {
			left--
		}
	}
	return !used || left > f.models[i].Keep
}

// freshFor is how long a reading of an engine's counters is worth something.
const freshFor = 2 * time.Minute

func (r *replica) idle(now time.Time) bool {
	return r.Idle > 0 && r.inFlight == 0 && now.Sub(r.active) >= r.Idle && now.Sub(r.read) < freshFor
}

// Leave takes a replica out of use, if it is still idle at this instant: from then on no request goes there. False: it has
// something to do again.
func (f *Fleet) Leave(id string) (left bool) {
	f.with(id, func(r *replica) {
		left = r.idle(f.now())
		r.leaving = left
	})
	return left
}

// Stay takes Leave back, when the removal could not be asked for.
func (f *Fleet) Stay(id string) { f.with(id, func(r *replica) { r.leaving = false }) }

// counted notes what an engine's counters say: work since the last look, or now, is activity.
func (f *Fleet) counted(id string, c counters) {
	f.with(id, func(r *replica) {
		if c.running || c.queued || r.mark != "" && c.mark != r.mark {
			r.active = f.now()
		}
		r.mark, r.queued, r.read = c.mark, c.queued, f.now()
	})
}
