package refresh

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"

	"justright/catalog"
	"justright/internal/artefact"
	"justright/internal/pyindex"
	"justright/version"
)

// Lie is a claim of the catalog that an artefact contradicts.
type Lie struct {
	Release  string `json:"release"` // "vllm 0.10.1"
	Claim    string `json:"claim"`
	Found    string `json:"found"`
	Fact     string `json:"fact"` // its id
	Artefact string `json:"artefact"`
}

// Checked is what Check looked at.
type Checked struct {
	Releases []string `json:"releases"`
	Claims   int      `json:"claims"`
	Lies     []Lie    `json:"lies"`
	Recipes  []Lie    `json:"recipes"` // recipes whose minimum version the registry contradicts; no claims of ours
	Skipped  []string `json:"skipped"`
}

// CheckOptions of Check.
type CheckOptions struct {
	Index  *pyindex.Client
	Sample int      // vLLM releases to read; the newest is always among them
	Seed   uint64   // picks the sample
	Only   []string // exactly these versions instead
	Note   func(string)
}

// Check reads a sample of releases out of their wheels and compares every claim the catalog makes of them.
func Check(ctx context.Context, snap *catalog.Snapshot, o CheckOptions) (Checked, error) {
	r := &run{o: Options{Index: o.Index, Note: o.Note, Workers: 4}, snap: snap}
	if r.o.Note == nil {
		r.o.Note = func(string) {}
	}
	all, err := r.releases(ctx, catalog.VLLM)
	if err != nil {
		return Checked{}, err
	}
	all = slices.DeleteFunc(all, func(c candidate) bool { _, ok := snap.Release(catalog.VLLM, c.version); return !ok })
	out := Checked{Releases: []string{}, Lies: []Lie{}, Recipes: recipeLies(snap), Skipped: []string{}}
	err = each(ctx, 4, sample(all, o), r.readVLLM, func(c candidate, v vllmReading, err error) error {
		if err != nil {
			out.Skipped = append(out.Skipped, fmt.Sprintf("vllm %s: %v", c.version, err))
			return nil
		}
		k := &comparison{snap: snap, out: &out, release: "vllm " + c.version.String(), artefact: c.wheel.Name}
		k.vllm(c, v.reading(c, ""), v.wheel)
		out.Releases = append(out.Releases, k.release)
		r.o.Note(fmt.Sprintf("compared %s with %s", k.release, c.wheel.Name))
		return nil
	})
	if err != nil {
		return out, err
	}
	return out, r.checkTransformers(ctx, &out, o)
}

// sample picks releases: the newest, and others by the seed; or exactly those named.
func sample(all []candidate, o CheckOptions) []candidate {
	if len(o.Only) > 0 {
		return slices.DeleteFunc(all, func(c candidate) bool { return !slices.Contains(o.Only, c.version.String()) })
	}
	n := min(o.Sample, len(all))
	if n == 0 {
		return nil
	}
	rng := rand.New(rand.NewPCG(o.Seed, 1))
	picked := map[int]bool{len(all) - 1: true}
	for len(picked) < n {
		picked[rng.IntN(len(all))] = true
	}
	var out []candidate
	for i, c := range all {
		if picked[i] {
			out = append(out, c)
		}
	}
	return out
}

// comparison compares one release.
type comparison struct {
	snap     *catalog.Snapshot
	out      *Checked
	release  string
	artefact string
}

func (k *comparison) same(claim, found string, f catalog.Fact) {
	k.out.Claims++
	if claim != found {
		k.out.Lies = append(k.out.Lies, Lie{k.release, f.Statement, found, string(f.ID), k.artefact})
	}
}

func (k *comparison) vllm(c candidate, got catalog.Reading, w artefact.VLLM) {
	rel, _ := k.snap.Release(catalog.VLLM, c.version)
	k.same(rel.Python.Set().String(), specifier(got.Python).Set().String(), rel.Fact(catalog.AspectPython))
	k.same(rel.Torch.String(), got.Torch, rel.Fact(catalog.AspectTorch))
	k.same(rel.Released, got.Released, rel.Fact(catalog.AspectReleased))
	if got.Transformers != nil {
		k.same(rel.Transformers.Set().String(), specifier(*got.Transformers).Set().String(), rel.Fact(catalog.AspectTransformers))
	}
	if def, ok := rel.Variant(version.CUDA{}); ok && !got.CUDA.IsZero() {
		k.same(def.CUDA.String(), got.CUDA.String(), rel.Fact(catalog.AspectWheelCUDA))
	}
	k.architectures(c.version, w.Architectures)
	for kind, names := range got.Names {
		k.names(kind, c.version, names)
	}
}

func specifier(s string) version.Specifier {
	sp, err := version.ParseSpecifier(s)
	if err != nil {
		return version.MustParseSpecifier("===unreadable")
	}
	return sp
}

// architectures compares the registry both ways: what the wheel lists and we deny, what we claim and it lacks.
func (k *comparison) architectures(v version.PEP440, listed []string) {
	for _, name := range listed {
		a, ok := k.snap.Architecture(name)
		k.out.Claims++
		if stale := !a.StillListed.IsZero() && v.Compare(a.StillListed) <= 0; !ok || a.Registered.At(v) != catalog.Present && !stale {
			f := a.Fact()
			if !ok {
				f = catalog.Fact{ID: catalog.FactID("vllm/architectures/" + name), Statement: "the catalog does not know " + name}
			}
			k.out.Lies = append(k.out.Lies, Lie{k.release, f.Statement, "registry.py lists " + name, string(f.ID), k.artefact})
		}
	}
	for _, name := range k.snap.Architectures() {
		a, _ := k.snap.Architecture(name)
		if a.Registered.At(v) == catalog.Present && !slices.Contains(listed, name) {
			f := a.Fact()
			k.out.Lies = append(k.out.Lies, Lie{k.release, f.Statement, "registry.py does not list " + name, string(f.ID), k.artefact})
		}
	}
}

func (k *comparison) names(kind catalog.NameKind, v version.PEP440, found []string) {
	claimed, ok := k.snap.NamesIn(kind, v)
	if !ok {
		return
	}
	k.out.Claims += len(claimed)
	differ := func(name, what string) {
		n, _ := k.snap.Named(kind, name)
		f := n.Fact()
		k.out.Lies = append(k.out.Lies, Lie{k.release, f.Statement, what, string(f.ID), k.artefact})
	}
	for _, n := range found {
		if !slices.Contains(claimed, n) {
			differ(n, "the wheel has "+n)
		}
	}
	for _, n := range claimed {
		if !slices.Contains(found, n) {
			differ(n, "the wheel has no "+n)
		}
	}
}

// checkTransformers compares the model types of the newest release, and of some older ones.
func (r *run) checkTransformers(ctx context.Context, out *Checked, o CheckOptions) error {
	if len(o.Only) > 0 {
		return nil
	}
	all, err := r.releases(ctx, "transformers")
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(c candidate) bool {
		_, known := r.snap.TransformersYanked(c.version)
		return !known || c.version.Compare(firstTransformers) < 0
	})
	o.Sample = max(2, o.Sample/4)
	return each(ctx, 4, sample(all, o), r.readTransformers, func(c candidate, t artefact.Transformers, err error) error {
		if err != nil {
			out.Skipped = append(out.Skipped, fmt.Sprintf("transformers %s: %v", c.version, err))
			return nil
		}
		k := &comparison{snap: r.snap, out: out, release: "transformers " + c.version.String(), artefact: c.wheel.Name}
		for _, name := range r.snap.ModelTypes() {
			m, _ := r.snap.ModelType(name)
			has := slices.Contains(t.Types, name)
			out.Claims++
			if p := m.KnownTo(c.version); p == catalog.Present && !has || p == catalog.Absent && has {
				f := m.Fact()
				out.Lies = append(out.Lies, Lie{k.release, f.Statement, fmt.Sprintf("CONFIG_MAPPING_NAMES has it: %v", has), string(f.ID), k.artefact})
			}
		}
		out.Releases = append(out.Releases, k.release)
		r.o.Note(fmt.Sprintf("compared %s with %s", k.release, c.wheel.Name))
		return nil
	})
}

// draftClass matches helpers of speculative decoding, which name the model they help as their example.
var draftClass = regexp.MustCompile(`Eagle|MTP|DFlash|Draft|Medusa|Speculator|DSpark|Assistant`)

// recipeLies names the published recipes whose minimum version does not register the model's class. They are reported facts, and the
// artefact wins.
func recipeLies(snap *catalog.Snapshot) []Lie {
	classOf := map[string]string{}
	for _, name := range snap.Architectures() {
		a, _ := snap.Architecture(name)
		id := strings.ToLower(a.Example)
		if id == "" || a.Registered.First().IsZero() || draftClass.MatchString(name) {
			continue
		}
		if other, taken := snap.Architecture(classOf[id]); !taken || a.Registered.First().Compare(other.Registered.First()) < 0 {
			classOf[id] = name
		}
	}
	out := []Lie{}
	ids := snap.Recipes()
	slices.Sort(ids)
	for _, id := range ids {
		r, ok := snap.Recipe(id)
		class := classOf[id]
		if sv, found := snap.Serving(id, ""); class == "" && found {
			class = sv.Architecture
		}
		if !ok || class == "" || r.MinEngine.IsZero() {
			continue
		}
		a, _ := snap.Architecture(class)
		if a.Registered.At(r.MinEngine) == catalog.Absent && r.MinEngine.Compare(a.Registered.First()) < 0 {
			out = append(out, Lie{"recipe " + r.Model, r.Fact().Statement, a.Fact().Statement, string(r.Fact().ID), a.Fact().Source})
		}
	}
	return out
}
