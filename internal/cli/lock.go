package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"justright/boot"
	"justright/internal/ociregistry"
	"justright/internal/pyindex"
	"justright/internal/redact"
	"justright/model"
	"justright/problem"
	"justright/solve"
	"justright/version"
)

// lockDocument is the justright/lock/1 document: one plan with everything that settles it.
type lockDocument struct {
	Schema   string        `json:"schema"`
	Created  string        `json:"created"`
	Target   string        `json:"target"`
	Model    lockedModel   `json:"model"`
	Plan     solve.Stack   `json:"plan"`
	Wheels   []lockedWheel `json:"wheels"`
	Image    lockedImage   `json:"image"`
	Resolved string        `json:"resolved,omitempty"` // every package with its hashes, as uv pip compile writes it; empty: only the pins above
	Profile  model.Profile `json:"profile"`
}

type lockedModel struct {
	ID       string   `json:"id"`
	Revision optional `json:"revision"` // null for a directory
}

type lockedWheel struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	File    string `json:"file"`
	URL     string `json:"url"`
	SHA256  string `json:"sha256"`
}

// lockedImage has nulls where the machine starts from none.
type lockedImage struct {
	Ref    optional `json:"ref"`
	Digest optional `json:"digest"`
}

const lockSchema = "justright/lock/1"

// writeLock saves a plan. What cannot be settled is named, and then nothing is written.
func (w *World) writeLock(ctx context.Context, path string, r solve.Request, plan solve.Stack) error {
	if err := w.roomFor(path); err != nil {
		return err
	}
	d := lockDocument{Schema: lockSchema, Created: w.Now().UTC().Format("2006-01-02"), Target: r.Target, Plan: plan, Profile: r.Model,
		Model: lockedModel{r.Model.ID, optional(r.Model.Revision)}, Wheels: []lockedWheel{}, Image: lockedImage{Ref: optional(plan.Image), Digest: optional(plan.ImageDigest)}}
	d.Profile.Tensors = nil
	d.Plan.Offer = nil // today's offer is not tomorrow's
	var lacks []string
	if r.Model.Revision == "" && !r.Model.Local {
		lacks = append(lacks, "the revision of "+r.Model.ID+" (the model hub was not asked: --online)")
	}
	if plan.Install == "wheels" {
		wheels, missing := w.lockWheels(ctx, plan)
		d.Wheels, lacks = wheels, append(lacks, missing...)
	}
	if plan.Image != "" && plan.ImageDigest == "" {
		digest, err := w.imageDigest(ctx, plan.Image)
		if err != nil {
			lacks = append(lacks, fmt.Sprintf("the digest of the image %s (%s)", plan.Image, err))
		}
		d.Image.Digest, d.Plan.ImageDigest = optional(digest), digest
	}
	if len(lacks) > 0 {
		return problem.New(problem.ExitCapacity, "lock_incomplete", "the lock is not written: it would lack %d of what settles it", len(lacks)).
			Because("%s", "missing: "+strings.Join(lacks, "\nmissing: ")).Try("with the package index, the model hub and the registry in reach, again", "justright plan "+r.Model.ID+" --online --lock "+path)
	}
	if plan.Install == "wheels" {
		if d.Resolved = w.resolveAll(ctx, plan); d.Resolved == "" {
			w.note(fmt.Sprintf("note: the lock holds the hashes of the %d packages that are pinned, not of what they need, since uv is not here or cannot resolve them; with it on PATH it holds all", len(d.Wheels)))
		}
	}
	b, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	if path, err = w.keepFile(path, append(b, '\n'), 0o644); err != nil {
		return err
	}
	fmt.Fprintf(w.Stderr, "wrote %s\n", path)
	return nil
}

// lockWheels finds the file and hash of every pinned requirement on the indexes it comes from.
func (w *World) lockWheels(ctx context.Context, plan solve.Stack) (out []lockedWheel, missing []string) {
	out = []lockedWheel{}
	var minor int
	if _, err := fmt.Sscanf(plan.Engine.Python, "3.%d", &minor); err != nil {
		minor = 12
	}
	for _, req := range plan.Requirements {
		name, v, pinned := strings.Cut(req, "==")
		if !pinned {
			missing = append(missing, "the hash of "+req)
			continue
		}
		want, err := version.ParsePEP440(v)
		if err != nil {
			missing = append(missing, "the hash of "+req)
			continue
		}
		c, err := w.packageIndex()
		if want.Local() != "" || name == "torch" && len(plan.IndexURLs) > 0 {
			c, err = pyindex.New(pyindex.Options{Indexes: plan.IndexURLs, Transport: w.Transport})
		}
		if err != nil {
			missing = append(missing, fmt.Sprintf("the hash of %s (%s)", req, err))
			continue
		}
		wheel, err := lockWheel(ctx, c, name, want, minor)
		if err != nil {
			missing = append(missing, fmt.Sprintf("the hash of %s (%s)", req, problem.From(err).Summary))
			if p := problem.From(err); p.Code == "internal" {
				missing[len(missing)-1] = fmt.Sprintf("the hash of %s (%s)", req, err)
			}
			continue
		}
		out = append(out, wheel)
	}
	return out, missing
}

// lockWheel picks the file that an installer would: of several builds of a version the highest.
func lockWheel(ctx context.Context, c *pyindex.Client, name string, want version.PEP440, minor int) (lockedWheel, error) {
	p, err := c.Project(ctx, name)
	if err != nil {
		return lockedWheel{}, err
	}
	var best lockedWheel
	bestBuild := ""
	for _, f := range p.Files {
		d, err := pyindex.ParseName(p.Name, f.Name)
		if err != nil || d.Sdist || f.SHA256 == "" || !sameVersion(d.Version, want) || !d.ForPython(minor) {
			continue
		}
		if _, ok := d.Linux("x86_64"); !ok {
			continue
		}
		if best.File == "" || d.Build > bestBuild {
			best, bestBuild = lockedWheel{name, d.Version.String(), f.Name, redact.Address(f.URL), f.SHA256}, d.Build
		}
	}
	if best.File == "" {
		return best, fmt.Errorf("%s has no wheel of %s for Linux x86-64 and Python 3.%d", p.Index, want, minor)
	}
	return best, nil
}

// sameVersion: a pin without local part also takes the build with one ("2.11.0" takes "2.11.0+cu129").
func sameVersion(have, want version.PEP440) bool {
	return have.Compare(want) == 0 || want.Local() == "" && have.Public().Compare(want) == 0
}

// imageDigest asks the image's registry what the tag means now.
func (w *World) imageDigest(ctx context.Context, ref string) (string, error) {
	return ociregistry.New(w.Transport).Digest(ctx, ref)
}

// resolveAll asks uv, where it is installed, for every package with its hashes; empty when it is not or cannot.
func (w *World) resolveAll(ctx context.Context, plan solve.Stack) string {
	uv := w.lookPath("uv")
	if uv == "" {
		return ""
	}
	spec, err := boot.SpecFrom(plan, boot.Options{Model: model.Profile{ID: "model"}})
	if err != nil {
		return ""
	}
	dir, err := os.MkdirTemp("", "justright-lock")
	if err != nil {
		return ""
	}
	defer func() { _ = os.RemoveAll(dir) }()
	in, over := filepath.Join(dir, "in.txt"), filepath.Join(dir, "over.txt")
	if os.WriteFile(in, []byte(strings.Join(spec.Env.Requirements, "\n")+"\n"), 0o600) != nil || os.WriteFile(over, []byte(strings.Join(spec.Env.Overrides, "\n")+"\n"), 0o600) != nil {
		return ""
	}
	args := []string{"pip", "compile", "--quiet", "--generate-hashes", "--no-header", "--python-version", orDefault(plan.Engine.Python, "3.12"), "--python-platform", "x86_64-manylinux_2_28", "--override", over}
	if spec.Env.TorchBackend != "" {
		args = append(args, "--torch-backend", spec.Env.TorchBackend)
	}
	for _, u := range spec.Env.IndexURLs {
		args = append(args, "--extra-index-url", u)
	}
	cmd := exec.CommandContext(ctx, uv, append(args, in)...)
	cmd.Env = w.Environ()
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	return string(out)
}

func orDefault(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// lookPath finds a program on this world's PATH.
func (w *World) lookPath(name string) string {
	for _, dir := range filepath.SplitList(w.Env("PATH")) {
		f := filepath.Join(dir, name)
		if st, err := os.Stat(f); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return f
		}
	}
	return ""
}

// readLockFile reads a lock; ok is false when the path is no file. A file that is no lock, and a lock that contradicts itself,
// is a problem: what it shows is then not what it starts.
func (w *World) readLockFile(ref string) (d lockDocument, ok bool, err error) {
	path := ref
	if !filepath.IsAbs(path) {
		path = filepath.Join(w.Dir, path)
	}
	st, err := os.Stat(path)
	if err != nil || !st.Mode().IsRegular() {
		return d, false, nil
	}
	raw, err := readAtMost(path, maxLockBytes)
	if err != nil {
		return d, true, problem.New(problem.ExitUsage, "unreadable_file", "cannot read %s", path).Wrap(err)
	}
	if err := json.Unmarshal(raw, &d); err != nil || d.Schema != lockSchema {
		return d, true, problem.New(problem.ExitUsage, "no_lock", "%s is no lock file", path).
			Because("it must hold a %s document", lockSchema).
			Try("write one", "justright plan MODEL --lock "+boot.Quote(ref))
	}
	if why := d.contradiction(); why != "" {
		return d, true, problem.New(problem.ExitUsage, "no_lock", "the lock %s contradicts itself", path).Because("%s", why).
			Try("a lock is written, not edited; write it again", "justright plan "+boot.Quote(orDefault(d.Model.ID, "MODEL"))+" --lock "+boot.Quote(ref))
	}
	return d, true, nil
}

// maxLockBytes is far above any lock: one with every package and its hashes has half a megabyte.
const maxLockBytes = 64 << 20

func readAtMost(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(raw)) > most {
		err = fmt.Errorf("it is larger than %d bytes", most)
	}
	return raw, err
}

// contradiction names a thing that the lock says twice and differently; "" when there is none.
func (d lockDocument) contradiction() string {
	e := d.Plan.Engine
	switch {
	case d.Model.ID == "" || e.Name == "" || e.Version == "":
		return "it names no model, no engine or no release of it"
	case d.Model.ID != d.Profile.ID:
		return fmt.Sprintf("its model is %s, and its profile %s", d.Model.ID, d.Profile.ID)
	case string(d.Model.Revision) != d.Profile.Revision:
		return fmt.Sprintf("its model's revision is %q, and its profile's %q", string(d.Model.Revision), d.Profile.Revision)
	case string(d.Image.Ref) != d.Plan.Image:
		return fmt.Sprintf("its image is %q, and its plan's %q", string(d.Image.Ref), d.Plan.Image)
	case string(d.Image.Digest) != d.Plan.ImageDigest:
		return fmt.Sprintf("its image's digest is %q, and its plan's %q", string(d.Image.Digest), d.Plan.ImageDigest)
	}
	pins := map[string]version.PEP440{}
	for _, r := range d.Plan.Requirements {
		name, v, pinned := strings.Cut(r, "==")
		if p, err := version.ParsePEP440(v); pinned && err == nil {
			pins[name] = p
		}
	}
	same := func(name, text string) bool {
		v, err := version.ParsePEP440(text)
		pin, pinned := pins[name]
		return err == nil && (!pinned || sameVersion(pin, v) || sameVersion(v, pin))
	}
	if !same(e.Name, e.Version) {
		return fmt.Sprintf("its plan is %s %s, and requires %s==%s", e.Name, e.Version, e.Name, pins[e.Name])
	}
	for _, l := range d.Wheels {
		if !same(l.Name, l.Version) {
			return fmt.Sprintf("its wheel is %s %s, and its plan requires %s==%s", l.Name, l.Version, l.Name, pins[l.Name])
		}
	}
	return ""
}
