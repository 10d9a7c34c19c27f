package kubernetes

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"justright/internal/httpclient"
	"justright/money"
	"justright/problem"
)

// Expose is how the endpoint is reached. Its word is that of --expose.
type Expose string

// The ways to reach an endpoint.
const (
	PortForward  Expose = "port-forward"  // a process on this machine, through the API server: nothing opens in the cluster
	InCluster    Expose = "service"       // the Service's name: for who is in the cluster
	NodePort     Expose = "node-port"     // a port of the node
	LoadBalancer Expose = "load-balancer" // an address that the cloud gives
)

// Exposes lists them in the order of help.
func Exposes() []Expose { return []Expose{PortForward, InCluster, NodePort, LoadBalancer} }

// Config is one cluster as one user sees it, and how machines are made there.
type Config struct {
	REST      *rest.Config // where and as whom; nothing else of it is used
	Namespace string
	Context   string // of the kubeconfig; empty in a cluster
	User      string // of the kubeconfig: tells credentials apart

	Transport http.RoundTripper // nil: made of REST. For tests
	Expose    Expose            // empty: PortForward
	Host      string            // this machine's name: a port-forward belongs to it
	// Forward keeps a port of this machine connected to a machine's port. It is called for each machine of Host that is seen,
	// and does nothing where that is so already. nil: nobody does.
	Forward func(ctx context.Context, id string, local int)
	// FreePort finds a port of this machine; nil: ask the system.
	FreePort func(ctx context.Context) (int, error)

	Price   *money.USD          // of one card (or one CPU machine) an hour; nil: what nodes say, else not known
	CPU     bool                // offer nodes without a card although the cluster has cards
	Runtime string              // RuntimeClass of machines with cards; empty: "nvidia" where there is one
	GPU     func(string) string // catalog id of a card's own name; nil: the name itself
	Memory  func(string) int64  // bytes of a catalog card; 0 not known; nil: not compared
	Now     func() time.Time

	Sleep func(ctx context.Context, d time.Duration) error // nil: a timer
	Poll  time.Duration                                    // between looks at a machine whose log is followed; 0: 2 s
	// Patience is how long a pod may find no node before that is told as a failure; 0: 45 s. An autoscaler's word stops the clock.
	Patience time.Duration
}

// Where says what of a kubeconfig is taken; the zero value is what kubectl would take.
type Where struct {
	Context   string
	Namespace string
}

// serviceAccount is where a pod finds its own credentials.
const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount"

// Load reads $KUBECONFIG, else ~/.kube/config, else the credentials of the pod this runs in.
func Load(env func(string) string, w Where) (Config, error) {
	rules := rulesOf(env)
	raw, err := rules.Load()
	if err != nil {
		return Config{}, problem.New(problem.ExitUsage, "kubeconfig", "the kubeconfig cannot be read").Wrap(err)
	}
	if len(raw.Contexts) == 0 && w.Context == "" {
		return inside(env, w)
	}
	return of(*raw, w)
}

func rulesOf(env func(string) string) *clientcmd.ClientConfigLoadingRules {
	r := &clientcmd.ClientConfigLoadingRules{}
	if list := env("KUBECONFIG"); list != "" {
		r.Precedence = filepath.SplitList(list)
	} else if home := env("HOME"); home != "" {
		r.Precedence = []string{filepath.Join(home, ".kube", "config")}
	}
	return r
}

// of is one context of a kubeconfig.
func of(raw api.Config, w Where) (Config, error) {
	name := w.Context
	if name == "" {
		name = raw.CurrentContext
	}
	c, ok := raw.Contexts[name]
	if !ok {
		var all []string
		for k := range raw.Contexts {
			all = append(all, k)
		}
		slices.Sort(all)
		p := problem.New(problem.ExitUsage, "kubeconfig", "the kubeconfig has no context %q", name)
		if name == "" {
			p = problem.New(problem.ExitUsage, "kubeconfig", "the kubeconfig names no current context")
		}
		return Config{}, p.Because("it has %s", orNone(strings.Join(all, ", "))).Try("choose one", "kubectl config use-context NAME")
	}
	cc := clientcmd.NewNonInteractiveClientConfig(raw, name, &clientcmd.ConfigOverrides{}, nil)
	r, err := cc.ClientConfig()
	if err != nil {
		return Config{}, problem.New(problem.ExitUsage, "kubeconfig", "the context %q of the kubeconfig cannot be used", name).Wrap(err)
	}
	ns := w.Namespace
	if ns == "" {
		ns = c.Namespace
	}
	if ns == "" {
		ns = "default"
	}
	return Config{REST: r, Namespace: ns, Context: name, User: c.AuthInfo}, nil
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// inside is the cluster this process runs in.
func inside(env func(string) string, w Where) (Config, error) {
	missing := problem.New(problem.ExitCredentials, "no_cluster", "no Kubernetes cluster is configured").
		Because("neither KUBECONFIG nor ~/.kube/config names one, and this is no pod of a cluster").
		Try("name a kubeconfig", "export KUBECONFIG=FILE")
	if env("KUBERNETES_SERVICE_HOST") == "" {
		return Config{}, missing
	}
	r, err := rest.InClusterConfig()
	if err != nil {
		return Config{}, missing.Wrap(err)
	}
	ns := w.Namespace
	if ns == "" {
		raw, err := os.ReadFile(filepath.Join(serviceAccount, "namespace"))
		if ns = strings.TrimSpace(string(raw)); err != nil || ns == "" {
			ns = "default"
		}
	}
	return Config{REST: r, Namespace: ns, User: "service account", Expose: InCluster}, nil
}

// Address names the door: denials count only through the one that made a machine.
func (c Config) Address() string {
	return strings.TrimSuffix(c.REST.Host, "/") + "/namespaces/" + c.Namespace
}

// Account tells users of one cluster apart without showing anything of them.
func (c Config) Account() string {
	sum := sha256.Sum256([]byte("justright kubernetes\x00" + c.REST.Host + "\x00" + c.User))
	return hex.EncodeToString(sum[:4])
}

// Reload finds the context through which machines at an address were made, whatever is current now.
func Reload(env func(string) string, address, account string) (Config, error) {
	server, ns, ok := cutLast(address, "/namespaces/")
	if !ok {
		return Config{}, problem.New(problem.ExitBug, "internal", "%q is no address of a cluster", address)
	}
	raw, err := rulesOf(env).Load()
	if err != nil {
		return Config{}, problem.New(problem.ExitUsage, "kubeconfig", "the kubeconfig cannot be read").Wrap(err)
	}
	names := []string{raw.CurrentContext}
	for k := range raw.Contexts {
		names = append(names, k)
	}
	slices.Sort(names[1:])
	for _, n := range names {
		c, err := of(*raw, Where{Context: n, Namespace: ns})
		if err == nil && strings.TrimSuffix(c.REST.Host, "/") == server && c.Account() == account {
			return c, nil
		}
	}
	if c, err := inside(env, Where{Namespace: ns}); err == nil && strings.TrimSuffix(c.REST.Host, "/") == server {
		return c, nil
	}
	return Config{}, problem.New(problem.ExitCredentials, "no_cluster", "no context of the kubeconfig leads to %s as the user who made the machine", server).
		Try("name the kubeconfig that was used", "export KUBECONFIG=FILE")
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// complete checks and fills a configuration.
func (c *Config) complete() error {
	if c.REST == nil || c.REST.Host == "" || c.Namespace == "" || c.Now == nil {
		return errors.New("kubernetes provider: no server, namespace or clock")
	}
	if c.Expose == "" {
		c.Expose = PortForward
	}
	if !slices.Contains(Exposes(), c.Expose) {
		return problem.New(problem.ExitUsage, "usage", "--expose %q is no way to reach an endpoint", c.Expose).
			Because("there are %s", fmt.Sprint(Exposes()))
	}
	if c.Poll == 0 {
		c.Poll = 2 * time.Second
	}
	if c.Patience == 0 {
		c.Patience = 45 * time.Second
	}
	if c.FreePort == nil {
		c.FreePort = freePort
	}
	if c.Sleep == nil {
		c.Sleep = httpclient.Sleep
	}
	return nil
}
