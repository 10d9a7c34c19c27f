package catalog

import (
	"sync"

	"justright/version"
)

// derivations keeps what is worked out of a snapshot's texts again and again: many images share a condition, a
// distribution and a CUDA version. The zero value is ready; it is safe for concurrent use.
type derivations struct {
	mu        sync.Mutex
	gates     map[string]*gate
	ofCUDA    map[version.CUDA]string
	libraries map[string]foundOS
}

// gate is a condition on the host, read.
type gate struct {
	expr    string
	require Require
	floor   version.CUDA
	err     error
}

type foundOS struct {
	os OS
	ok bool
}

func readGate(expr string) *gate {
	g := &gate{expr: expr}
	g.require, g.err = ParseRequire(expr)
	g.floor = g.require.CUDAFloor()
	return g
}

// gate reads an expression once.
func (d *derivations) gate(expr string) *gate {
	d.mu.Lock()
	defer d.mu.Unlock()
	g, ok := d.gates[expr]
	if !ok {
		g = readGate(expr)
		if d.gates == nil {
			d.gates = map[string]*gate{}
		}
		d.gates[expr] = g
	}
	return g
}

// gateOf writes the expression of a CUDA version once; ok is false when none is known.
func (d *derivations) gateOf(s *Snapshot, c version.CUDA) (expr string, ok bool) {
	d.mu.Lock()
	expr, ok = d.ofCUDA[c]
	d.mu.Unlock()
	if ok {
		return expr, true
	}
	if expr, _, ok = s.GateOf(c); !ok {
		return "", false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ofCUDA == nil {
		d.ofCUDA = map[version.CUDA]string{}
	}
	d.ofCUDA[c] = expr
	return expr, true
}

// os finds a distribution once for each spelling.
func (d *derivations) os(s *Snapshot, name string) (OS, bool) {
	d.mu.Lock()
	f, seen := d.libraries[name]
	d.mu.Unlock()
	if seen {
		return f.os, f.ok
	}
	f.os, f.ok = s.FindOS(name)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.libraries == nil {
		d.libraries = map[string]foundOS{}
	}
	d.libraries[name] = f
	return f.os, f.ok
}

// Gate is the image's condition on its host, and the CUDA version it asks for; ok is false when it is not known, cannot be
// read, or there is none.
func (img *Image) Gate() (r Require, floor version.CUDA, ok bool) {
	if !img.RequireKnown || img.Require == "" {
		return Require{}, version.CUDA{}, false
	}
	g := img.gate
	if g == nil || g.expr != img.Require {
		g = readGate(img.Require)
	}
	return g.require, g.floor, g.err == nil
}
