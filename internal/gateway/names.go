package gateway

import (
	"slices"
	"strings"
)

// meant is what a name stands for.
type meant struct {
	model  string // its hub id, for counting
	wakes  bool   // it may be woken
	launch string // one launch alone is meant; empty: every replica of the model
}

// answersTo reports whether a replica is meant by a name.
func (r *replica) answersTo(m meant) bool {
	return r.Model == m.model && (m.launch == "" || r.Launch == m.launch)
}

// find says what a name stands for. Names are a model's hub id, what its engine calls it, an alias, a launch, or a hub id without its owner; case
// counts only where it tells two apart.
func (f *Fleet) find(name string) (meant, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, same := range []func(a, b string) bool{func(a, b string) bool { return a == b }, strings.EqualFold} {
		for _, m := range f.models {
			if same(m.ID, name) || slices.ContainsFunc(m.Aliases, func(a string) bool { return same(a, name) }) {
				return meant{model: m.ID, wakes: true}, true
			}
		}
		for _, r := range f.replicas {
			if same(r.Model, name) || same(r.Served, name) {
				return meant{model: r.Model, wakes: f.wakes(r.Model)}, true
			}
		}
		for _, r := range f.replicas {
			if same(r.Launch, name) {
				return meant{model: r.Model, launch: r.Launch}, true
			}
		}
	}
	return f.findLast(name)
}

// findLast takes a name without an owner for the one model that is called so after its owner: its launches are, and what was asked by a
// launch's name while it ran may be asked so when it sleeps.
func (f *Fleet) findLast(name string) (m meant, ok bool) {
	ids := map[string]bool{}
	for _, x := range f.models {
		ids[x.ID] = true
	}
	for _, r := range f.replicas {
		ids[r.Model] = true
	}
	for id := range ids {
		if _, last, owned := strings.Cut(id, "/"); owned && !directory(id) && strings.EqualFold(last, name) {
			if ok {
				return meant{}, false // two of them
			}
			m, ok = meant{model: id, wakes: f.wakes(id)}, true
		}
	}
	return m, ok
}

func (f *Fleet) wakes(model string) bool {
	return slices.ContainsFunc(f.models, func(m Model) bool { return m.ID == model })
}

// only is the one model there is, for a request that names none.
func (f *Fleet) only() (meant, bool) {
	f.mu.Lock()
	var ids []string
	for _, m := range f.models {
		ids = append(ids, m.ID)
	}
	for _, r := range f.replicas {
		ids = append(ids, r.Model)
	}
	f.mu.Unlock()
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) != 1 {
		return meant{}, false
	}
	return f.find(ids[0])
}
