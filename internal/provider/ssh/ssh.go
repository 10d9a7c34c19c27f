package ssh

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"justright/catalog"
	"justright/internal/provider"
	"justright/internal/provider/onhost"
	"justright/launch"
)

// Config is what the provider needs of its surroundings.
type Config struct {
	Target    Target
	Client    []string // the ssh client and arguments that come first; empty: ssh
	StateDir  string   // of this machine: which launches have a tunnel, and its port
	RunDir    string   // of this machine, short and private: sockets of shared connections; empty: none are shared
	Environ   []string // the client's environment
	Now       func() time.Time
	LookupGPU func(string) string // catalog id of a GPU's own name; nil: the name itself
	Grace     time.Duration       // how long Delete waits before it kills; 0: 18 s
	Hold      time.Duration       // how long a failed start stays up; its log is a file, so: a moment
	// Keep starts a process that outlives this one and calls KeepTunnel of an instance. nil: no tunnels are kept.
	Keep func(id string) error
}

// Provider runs launches as processes of one machine that ssh reaches.
type Provider struct {
	c    Config
	side side

	mu    sync.Mutex
	facts onhost.Machine
	asked time.Time
}

var _ provider.Provider = (*Provider)(nil)

// New checks the configuration. It reaches nobody.
func New(c Config) (*Provider, error) {
	if c.StateDir == "" || c.Now == nil {
		return nil, errors.New("ssh provider: no directory for state, or no clock")
	}
	if len(c.Client) == 0 {
		c.Client = []string{"ssh"}
	}
	c.Grace, c.Hold = cmp.Or(c.Grace, 18*time.Second), cmp.Or(c.Hold, 2*time.Second)
	p := &Provider{c: c}
	p.side.settle = sync.OnceFunc(func() { p.learn() })
	if err := os.MkdirAll(p.tunnels(), 0o700); err != nil {
		return nil, fmt.Errorf("ssh provider: %w", err)
	}
	return p, nil
}

// Name is the word of --on.
func (p *Provider) Name() string { return p.c.Target.String() }

func (p *Provider) tunnels() string { return filepath.Join(p.c.StateDir, "ssh") }

// Create starts the process and returns when it runs.
func (p *Provider) Create(ctx context.Context, s launch.Spec) (launch.Instance, error) {
	none := launch.Instance{}
	refuse := func(format string, args ...any) (launch.Instance, error) {
		return none, fail("create", launch.FailRejected, fmt.Errorf(format, args...))
	}
	if err := ctx.Err(); err != nil {
		return none, fail("create", launch.FailTemporary, err)
	}
	if s.AttemptID == "" || s.OwnerID == "" {
		return refuse("no attempt id or owner: it could not be found again")
	}
	script, err := startScript(s, p.c.Hold)
	if err != nil {
		return refuse("%w", err)
	}
	expose, ports, err := exposed(s.Expose)
	if err != nil {
		return refuse("%w", err)
	}
	record := fmt.Sprintf("name %s\nattempt %s\nowner %s\ngpu %s\ngpus %d\nexpose %s", s.Name, s.AttemptID, s.OwnerID, s.GPU, s.GPUCount, expose)
	if strings.Count(record, "\n") != 5 {
		return refuse("a name with a line break")
	}
	a, err := p.ask(ctx, "create", "create", map[string]string{
		"RECORD": record, "PORTS": ports, "RAND": random(6), "FRESH": random(16),
	}, script)
	if err != nil {
		return none, err
	}
	all, err := a.instances()
	if err != nil || len(all) != 1 {
		return none, fail("create", launch.FailTemporary, fmt.Errorf("the host's answer cannot be read: %q: %w", a.lines, err))
	}
	return p.describe(all[0], a.clock, true), nil
}

func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails, by its contract
	return hex.EncodeToString(b)
}

// exposed reads the address clients will use: host or host:port. Without a port the host chooses among some below the range that
// systems give to outgoing connections.
func exposed(address string) (host, ports string, err error) {
	if address != "" {
		h, port, err := net.SplitHostPort(address)
		if err != nil {
			h, port = strings.Trim(address, "[]"), ""
		}
		if !isHost(h) {
			return "", "", fmt.Errorf("%q is no address of a host", address)
		}
		if n, err := strconv.Atoi(port); port != "" && (err != nil || n < 1 || n > 65535) {
			return "", "", fmt.Errorf("port %q is none", port)
		}
		host = h
		if port != "" {
			return host, port, nil
		}
	}
	var out []string
	for range 12 {
		n, err := rand.Int(rand.Reader, big.NewInt(12000))
		if err != nil {
			return "", "", err
		}
		out = append(out, strconv.FormatInt(20000+n.Int64(), 10))
	}
	return host, strings.Join(out, " "), nil
}

// errElsewhere says that what answered cannot speak for an instance.
var errElsewhere = errors.New("this is not the machine the launch was made on, or its directory is not there: it can neither be seen nor denied from here")

// idForm: instances are called s, eight digits of the host's own id, and twelve of their own.
func knows(host, id string) bool {
	return len(host) >= 8 && strings.HasPrefix(id, "s"+host[:8])
}

func isID(id string) bool {
	raw, ok := strings.CutPrefix(id, "s")
	b, err := hex.DecodeString(raw)
	return ok && err == nil && len(b) == 10
}

// Get describes one instance. Only the machine that made it can say that it is gone.
func (p *Provider) Get(ctx context.Context, id string) (launch.Instance, error) {
	if err := ctx.Err(); err != nil {
		return launch.Instance{}, fail("get", launch.FailTemporary, err)
	}
	if !isID(id) { // nobody was ever called that
		return launch.Instance{ID: id, Status: launch.Gone}, nil
	}
	a, err := p.ask(ctx, "get", "get", map[string]string{"ID": id}, "")
	if err != nil {
		return launch.Instance{}, err
	}
	all, err := a.instances()
	switch {
	case err != nil:
		return launch.Instance{}, fail("get", launch.FailTemporary, err)
	case !knows(a.host, id):
		return launch.Instance{}, fail("get", launch.FailAuth, errElsewhere)
	case len(all) == 0:
		p.dropTunnel(id)
		return launch.Instance{ID: id, Status: launch.Gone}, nil
	}
	return p.describe(all[0], a.clock, true), nil
}

// List describes the instances that run, whoever made them.
func (p *Provider) List(ctx context.Context) ([]launch.Instance, error) {
	if err := ctx.Err(); err != nil {
		return nil, fail("list", launch.FailTemporary, err)
	}
	a, err := p.ask(ctx, "list", "list", nil, "")
	if err != nil {
		return nil, err
	}
	all, err := a.instances()
	if err != nil {
		return nil, fail("list", launch.FailTemporary, err)
	}
	out := []launch.Instance{}
	for _, r := range all {
		if r.status != launch.Gone {
			out = append(out, p.describe(r, a.clock, false))
		}
	}
	return out, nil
}

// describe turns the host's word into ours. mine says that the instance is one the caller knows: then it may have a tunnel from
// here although none was begun yet, as after a move to another controller.
func (p *Provider) describe(r told, clock time.Time, mine bool) launch.Instance {
	base := ""
	switch {
	case r.expose != "":
		base = "http://" + net.JoinHostPort(r.expose, strconv.Itoa(r.Port))
	case r.status != launch.Gone:
		if port := p.tunnelPort(r.ID, r.Port, mine); port != 0 {
			base = "http://127.0.0.1:" + strconv.Itoa(port)
		}
	}
	return r.Instance(r.status, base, clock)
}

// Delete asks the first process to end and returns when nothing of the instance lives; its directory goes, log included.
func (p *Provider) Delete(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return fail("delete", launch.FailTemporary, err)
	}
	if !isID(id) {
		return nil
	}
	a, err := p.ask(ctx, "delete", "delete", map[string]string{"ID": id, "GRACE": strconv.Itoa(int(p.c.Grace.Seconds()))}, "")
	if err != nil {
		return err
	}
	if !knows(a.host, id) {
		return fail("delete", launch.FailAuth, errElsewhere)
	}
	p.dropTunnel(id)
	return nil
}

// Whoami tells the host's clock, by which the limits of its guards are counted.
func (p *Provider) Whoami(ctx context.Context) (time.Time, error) {
	a, err := p.ask(ctx, "whoami", "get", map[string]string{"ID": "none"}, "")
	return a.clock, err
}

// Offers describes the machine.
func (p *Provider) Offers(ctx context.Context) ([]catalog.Offer, error) {
	m, err := p.Describe(ctx)
	if err != nil {
		return nil, err
	}
	return []catalog.Offer{m.Offer(p.Name(), p.c.Target.Host, p.c.LookupGPU, p.c.Now())}, nil
}
