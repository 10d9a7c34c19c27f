package runpod

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"justright/internal/httpclient"
	"justright/problem"
)

// DefaultBaseURL is RunPod's own address; /v2 and /graphql are appended.
const DefaultBaseURL = "https://api.runpod.io"

// defaultProxy is how RunPod's edge names a pod's HTTP port (https://docs.runpod.io/pods/configuration/expose-ports).
const defaultProxy = "https://{pod}-{port}.proxy.runpod.net"

// Config says which account is used, and through which addresses.
type Config struct {
	Key     httpclient.Secret
	BaseURL string // without /v2; empty: DefaultBaseURL
	Proxy   string // template with {pod} and {port}; empty: RunPod's, or BASE/proxy/{pod}/{port} when the base is another's

	Clouds []string // of offers: SECURE, COMMUNITY; empty: SECURE alone
	// GPU maps RunPod's GPU id to the catalog's; nil or "" keeps RunPod's.
	GPU func(providerID string) string

	Attempts  int               // most tries of one harmless call; 0: the client's own
	Transport http.RoundTripper // nil: the default one
	Now       func() time.Time  // nil: time.Now
	// Sleep waits between tries; nil: a timer. Tests pass their own.
	Sleep func(context.Context, time.Duration) error
}

// FromEnv reads RUNPOD_API_KEY, RUNPOD_API_BASE_URL and JUSTRIGHT_RUNPOD_PROXY. Inside a pod RUNPOD_API_KEY is that
// pod's own key and no account key: there the key stays empty unless JUSTRIGHT_RUNPOD_API_KEY gives one.
func FromEnv(env func(string) string) (Config, error) {
	c := Config{
		Key:     httpclient.NewSecret(strings.TrimSpace(env("RUNPOD_API_KEY"))),
		BaseURL: strings.TrimSpace(env("RUNPOD_API_BASE_URL")),
		Proxy:   strings.TrimSpace(env("JUSTRIGHT_RUNPOD_PROXY")),
	}
	if InsidePod(env) {
		c.Key = httpclient.Secret{}
	}
	if k := strings.TrimSpace(env("JUSTRIGHT_RUNPOD_API_KEY")); k != "" {
		c.Key = httpclient.NewSecret(k)
	}
	if strings.ContainsFunc(c.Key.Reveal(), func(r rune) bool { return r <= ' ' || r > '~' }) {
		return Config{}, problem.New(problem.ExitCredentials, "bad_key", "the RunPod API key is none").
			Because("it holds a blank, a line break or a letter that no key has: was more than the key copied?").
			Try("set it anew", "export RUNPOD_API_KEY=...")
	}
	if err := c.complete(); err != nil {
		return Config{}, err
	}
	return c, nil
}

// InsidePod reports whether this process runs in a RunPod pod.
func InsidePod(env func(string) string) bool { return env("RUNPOD_POD_ID") != "" }

// KeyMissing is the problem of somebody who wants RunPod without a key.
func KeyMissing(env func(string) string) *problem.Problem {
	p := problem.New(problem.ExitCredentials, "no_credentials", "no RunPod API key")
	if InsidePod(env) {
		p = p.Because("this is a RunPod pod, and RUNPOD_API_KEY here is the pod's own key, not an account's").
			Try("give an account key by its own name", "export JUSTRIGHT_RUNPOD_API_KEY=...")
	} else {
		p = p.Because("RUNPOD_API_KEY is not set").
			Try("make a key at https://console.runpod.io/user/settings and set it", "export RUNPOD_API_KEY=...")
	}
	return p.Try("or try everything without an account", "justright up MODEL --on rehearsal")
}

// complete fills defaults and checks addresses.
func (c *Config) complete() error {
	if c.BaseURL == "" {
		c.BaseURL = DefaultBaseURL
	}
	c.BaseURL = strings.TrimSuffix(strings.TrimRight(c.BaseURL, "/"), "/v2")
	u, err := url.Parse(c.BaseURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.User != nil {
		return problem.New(problem.ExitUsage, "bad_address", "RUNPOD_API_BASE_URL is no base address: %s", httpclient.RedactURL(c.BaseURL)).
			Because("it must be http:// or https:// with a host, without user, query and /v2").
			Try("RunPod's own", "unset RUNPOD_API_BASE_URL")
	}
	if c.Proxy == "" {
		c.Proxy = c.BaseURL + "/proxy/{pod}/{port}"
		if IsRunPod(c.BaseURL) {
			c.Proxy = defaultProxy
		}
	}
	if !strings.Contains(c.Proxy, "{pod}") || !strings.Contains(c.Proxy, "{port}") || !strings.Contains(c.Proxy, "://") {
		return problem.New(problem.ExitUsage, "bad_address", "JUSTRIGHT_RUNPOD_PROXY lacks {pod} or {port}: %s", httpclient.RedactURL(c.Proxy)).
			Try("for example", "export JUSTRIGHT_RUNPOD_PROXY='"+defaultProxy+"'")
	}
	if strings.Contains(c.Proxy, "@") { // it becomes the address that is shown and stored
		return problem.New(problem.ExitUsage, "bad_address", "JUSTRIGHT_RUNPOD_PROXY names a user: %s", httpclient.RedactURL(c.Proxy)).
			Try("for example", "export JUSTRIGHT_RUNPOD_PROXY='"+defaultProxy+"'")
	}
	if len(c.Clouds) == 0 {
		c.Clouds = []string{"SECURE"}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return nil
}

// IsRunPod reports whether an address is RunPod's own (a host under runpod.io).
func IsRunPod(base string) bool {
	u, err := url.Parse(base)
	if err != nil {
		return false
	}
	h := strings.ToLower(u.Hostname())
	return h == "runpod.io" || strings.HasSuffix(h, ".runpod.io")
}

// address fills in the proxy template.
func (c *Config) address(pod, port string) string {
	return strings.NewReplacer("{pod}", pod, "{port}", port).Replace(c.Proxy)
}
