// Package local is the provider of this machine: a launch is a process of its own that outlives the command, in a
// directory of its own that holds its description and its log. Nothing is rented and nothing is billed.
package local

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"justright/catalog"
	"justright/internal/provider"
	"justright/internal/provider/onhost"
	"justright/launch"
	"justright/money"
)

// Name is the word of --on.
const Name = "local"

// Config is what the provider needs of its surroundings.
type Config struct {
	StateDir  string              // instances live below it
	CacheDir  string              // environments, weights and engine caches, kept between launches
	Environ   []string            // the environment that child processes begin with; secrets are left out of it
	Port      int                 // 0: a free one
	Now       func() time.Time    // clock of Instance.Created and log lines
	LookupGPU func(string) string // catalog id of a GPU's own name; nil: the name itself
	Find      func(string) string // path of a program, empty when absent; nil: search PATH of Environ
	Grace     time.Duration       // how long Delete waits before it kills; 0: 25 s
	Hold      time.Duration       // how long a failed start stays up; its log is a file, so: a moment
}

// Provider runs launches as processes of this machine.
type Provider struct{ c Config }

// New checks the configuration and makes the directories.
func New(c Config) (*Provider, error) {
	if c.StateDir == "" || c.CacheDir == "" {
		return nil, errors.New("local provider: no directory for state or caches")
	}
	if c.Now == nil {
		return nil, errors.New("local provider: no clock")
	}
	if c.Grace == 0 {
		c.Grace = 25 * time.Second
	}
	if c.Hold == 0 {
		c.Hold = 2 * time.Second
	}
	p := &Provider{c}
	if c.Find == nil {
		p.c.Find = p.findInPath
	}
	if err := os.MkdirAll(p.instances(), 0o700); err != nil {
		return nil, fmt.Errorf("local provider: %w", err)
	}
	if err := os.MkdirAll(c.CacheDir, 0o755); err != nil {
		return nil, fmt.Errorf("local provider: %w", err)
	}
	return p, nil
}

// Name is "local".
func (p *Provider) Name() string { return Name }

func (p *Provider) instances() string { return filepath.Join(p.c.StateDir, "local") }

func (p *Provider) dir(id string) string { return filepath.Join(p.instances(), id) }

// record is an instance as its directory describes it.
type record = onhost.Record

// Create starts the process and returns at once.
func (p *Provider) Create(ctx context.Context, s launch.Spec) (launch.Instance, error) {
	if err := ctx.Err(); err != nil {
		return launch.Instance{}, fail("create", launch.FailTemporary, err)
	}
	if s.AttemptID == "" || s.OwnerID == "" {
		return launch.Instance{}, fail("create", launch.FailRejected, errors.New("no attempt id or owner: it could not be found again"))
	}
	argv := slices.Concat(s.Start.Entrypoint, s.Start.Cmd)
	if len(argv) == 0 {
		return launch.Instance{}, fail("create", launch.FailRejected, errors.New("no start command in exec form"))
	}
	p.sweep()
	port, err := p.freePort(ctx)
	if err != nil {
		return launch.Instance{}, fail("create", launch.FailNoCapacity, err)
	}
	var raw [6]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return launch.Instance{}, fail("create", launch.FailUnknown, err)
	}
	r := record{ID: "l" + hex.EncodeToString(raw[:]), Name: s.Name, AttemptID: s.AttemptID, OwnerID: s.OwnerID,
		Created: p.c.Now().UTC(), Port: port, GPU: s.GPU, GPUCount: s.GPUCount}
	dir := p.dir(r.ID)
	if err := p.prepare(dir, r); err != nil {
		return launch.Instance{}, fail("create", launch.FailNoCapacity, err)
	}
	if done := p.tidyEnvs(ctx); done != "" {
		_ = os.WriteFile(filepath.Join(dir, "log"), []byte(done+"\n"), 0o600) // the first line of the launch's log
	}
	if err := p.start(dir, r, argv, s.Env); err != nil {
		_ = os.RemoveAll(dir)
		return launch.Instance{}, fail("create", launch.FailRejected, err)
	}
	return p.describe(r, launch.Running), nil
}

func (p *Provider) prepare(dir string, r record) error {
	if err := os.MkdirAll(filepath.Join(dir, "run"), 0o700); err != nil {
		return err
	}
	raw, err := json.Marshal(r)
	if err != nil {
		return err
	}
	tmp := filepath.Join(dir, "instance.tmp")
	if err := os.WriteFile(tmp, raw, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(dir, "instance.json"))
}

// environ is what the process starts with: the user's environment without secrets that are not for it, the launch's
// own on top.
func (p *Provider) environ(dir string, r record, own map[string]string) []string {
	var env []string
	for _, kv := range p.c.Environ {
		name, _, _ := strings.Cut(kv, "=")
		if _, ours := own[name]; !ours && onhost.MayPass(name) {
			env = append(env, kv)
		}
	}
	set := onhost.Vars(launch.Spec{Name: r.Name, AttemptID: r.AttemptID, OwnerID: r.OwnerID, Env: own}, p.c.Hold)
	set["JUSTRIGHT_PORT"], set["JUSTRIGHT_ROOT"] = strconv.Itoa(r.Port), p.c.CacheDir
	set["JUSTRIGHT_RUN"], set["JUSTRIGHT_MACHINE"] = filepath.Join(dir, "run"), r.ID
	for k, v := range set {
		env = append(env, k+"="+v)
	}
	slices.Sort(env)
	return env
}

func (p *Provider) freePort(ctx context.Context) (int, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p.c.Port)))
	if err != nil {
		return 0, fmt.Errorf("port %d of this machine is taken: %w", p.c.Port, err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// Get describes one instance.
func (p *Provider) Get(ctx context.Context, id string) (launch.Instance, error) {
	if err := ctx.Err(); err != nil {
		return launch.Instance{}, fail("get", launch.FailTemporary, err)
	}
	r, err := p.read(id)
	if errors.Is(err, fs.ErrNotExist) {
		return launch.Instance{ID: id, Status: launch.Gone}, nil
	}
	if err != nil {
		return launch.Instance{}, fail("get", launch.FailUnknown, err)
	}
	return p.describe(r, p.status(id)), nil
}

// List describes the instances that run.
func (p *Provider) List(ctx context.Context) ([]launch.Instance, error) {
	if err := ctx.Err(); err != nil {
		return nil, fail("list", launch.FailTemporary, err)
	}
	all, err := os.ReadDir(p.instances())
	if err != nil {
		return nil, fail("list", launch.FailUnknown, err)
	}
	out := []launch.Instance{}
	for _, e := range all {
		r, err := p.read(e.Name())
		if err != nil {
			continue // half made or just removed
		}
		if st := p.status(r.ID); st != launch.Gone {
			out = append(out, p.describe(r, st))
		}
	}
	return out, nil
}

func (p *Provider) read(id string) (record, error) {
	if id == "" || strings.ContainsAny(id, "/\\.") {
		return record{}, fs.ErrNotExist
	}
	raw, err := os.ReadFile(filepath.Join(p.dir(id), "instance.json"))
	if err != nil {
		return record{}, err
	}
	var r record
	if err := json.Unmarshal(raw, &r); err != nil {
		return record{}, fmt.Errorf("description of %s: %w", id, err)
	}
	return r, nil
}

func (p *Provider) describe(r record, st launch.Status) launch.Instance {
	return r.Instance(st, "http://127.0.0.1:"+strconv.Itoa(r.Port), p.c.Now())
}

// sweep removes what ended instances left behind a week ago.
func (p *Provider) sweep() {
	all, _ := os.ReadDir(p.instances())
	for _, e := range all {
		r, err := p.read(e.Name())
		if err == nil && p.c.Now().Sub(r.Created) > 7*24*time.Hour && p.status(r.ID) == launch.Gone {
			_ = os.RemoveAll(p.dir(r.ID))
		}
	}
}

// Offers describes this machine.
func (p *Provider) Offers(ctx context.Context) ([]catalog.Offer, error) {
	free := money.USD(0)
	o := p.Describe(ctx).Offer(Name, "this machine", p.c.LookupGPU, p.c.Now())
	o.PricePerHour = &free
	return []catalog.Offer{o}, nil
}

func fail(op string, kind launch.FailureKind, err error) error {
	return &provider.Error{Op: op, Kind: kind, Err: err}
}

func (p *Provider) findInPath(name string) string {
	for _, kv := range p.c.Environ {
		path, ok := strings.CutPrefix(kv, "PATH=")
		if !ok {
			continue
		}
		for _, dir := range filepath.SplitList(path) {
			f := filepath.Join(dir, name)
			if st, err := os.Stat(f); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
				return f
			}
		}
	}
	return ""
}
