package gateway

import "time"

// Health of a replica: a third failure in a row ejects it, for a time that doubles with each further one.
const (
	ejectAfter = 3
	ejectFirst = 5 * time.Second
	ejectMost  = time.Minute
)

// well notes an answer.
func (f *Fleet) well(id string) {
	revived := false
	f.with(id, func(r *replica) {
		revived = !r.dead.IsZero()
		r.failures, r.ejected, r.dead = 0, time.Time{}, time.Time{}
	})
	if revived {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.announce()
	}
}

// seems notes what a look that was not answered well says: that the engine is dead, or nothing that is certain.
func (f *Fleet) seems(id string, dead bool) {
	f.with(id, func(r *replica) {
		switch {
		case !dead:
			r.dead = time.Time{}
		case r.dead.IsZero():
			r.dead = f.now()
		}
	})
}

// deadAfter is how long every look must find an engine dead: five looks of the gateway, fifteen seconds apart.
const deadAfter = time.Minute

// Dead lists the replicas whose engine has been found dead by every look for a while: their machines run, and bill, for nothing.
func (f *Fleet) Dead() []Replica {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []Replica
	for _, r := range f.replicas {
		if !r.leaving && !r.dead.IsZero() && f.now().Sub(r.dead) >= deadAfter {
			out = append(out, r.Replica)
		}
	}
	return out
}

// ill notes a failure to answer, and reports whether the replica is ejected by it.
func (f *Fleet) ill(id string) (ejected bool) {
	f.with(id, func(r *replica) {
		if r.failures++; r.failures < ejectAfter {
			return
		}
		wait := ejectFirst
		for i := ejectAfter; i < r.failures && wait < ejectMost; i++ {
			wait *= 2
		}
		r.ejected, ejected = f.now().Add(min(wait, ejectMost)), true
	})
	return ejected
}
