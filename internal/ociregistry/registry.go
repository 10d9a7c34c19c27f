// Package ociregistry reads what an image says about itself from its registry: the config blob with environment, entrypoint,
// command and platform, without pulling a layer. It speaks the OCI distribution protocol with anonymous or basic
// token authentication, and bounds everything it reads.
package ociregistry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"justright/internal/httpclient"
)

// The bounds on what is read.
const (
	maxManifest = 4 << 20 // the limit of the distribution specification
	maxConfig   = 8 << 20
	maxToken    = 1 << 20
	maxEntries  = 1000 // platforms of one index
)

// ErrNotFound says that the registry has no such image.
var ErrNotFound = errors.New("no such image")

// ErrDenied says that the registry wants credentials that allow pulling.
var ErrDenied = errors.New("the registry refuses to show the image")

// Options of a Client.
type Options struct {
	Transport http.RoundTripper
	Sleep     func(context.Context, time.Duration) error
	// Credentials returns user and password for a registry host; nil: none anywhere.
	Credentials func(host string) (user, password string)
	// Insecure hosts are spoken to over plain http; loopback hosts always are.
	Insecure []string
}

// Client reads from registries. It is safe for concurrent use.
type Client struct {
	o    Options
	http *httpclient.Client
}

// New makes a client without credentials; a nil transport is the default one.
func New(transport http.RoundTripper) *Client { return NewClient(Options{Transport: transport}) }

// NewClient makes a client.
func NewClient(o Options) *Client {
	if o.Credentials == nil {
		o.Credentials = func(string) (string, string) { return "", "" }
	}
	if o.Transport == nil {
		o.Transport = httpclient.NewTransport()
	}
	return &Client{o: o, http: httpclient.New(httpclient.Options{Transport: o.Transport, Sleep: o.Sleep, MaxBody: maxConfig, Timeout: 20 * time.Second})}
}

// Config is what an image says about itself.
type Config struct {
	Digest     string // of the manifest for the platform
	Index      string // digest of the multi-platform index it was found in; "" when there is none
	OS         string
	Platform   string // "amd64", "arm64"
	Created    time.Time
	Env        map[string]string
	Entrypoint []string
	Cmd        []string
	User       string
	WorkingDir string
	Labels     map[string]string
	Bytes      int64 // of the compressed layers: what a pull downloads
}

// Reference is an image reference taken apart.
type Reference struct {
	Host, Repository, Tag, Digest string
}

var (
	repositoryForm = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagForm        = regexp.MustCompile(`^\w[\w.-]{0,127}$`)
	digestForm     = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

// ParseReference reads "vllm/vllm-openai:v0.33.0", "ghcr.io/a/b@sha256:…" or "localhost:5000/x"; without a tag or digest the
// tag is "latest".
func ParseReference(s string) (Reference, error) {
	r := Reference{}
	rest, digest, hasDigest := strings.Cut(s, "@")
	r.Digest = digest
	if i := strings.LastIndexByte(rest, ':'); i > strings.LastIndexByte(rest, '/') {
		rest, r.Tag = rest[:i], rest[i+1:]
		if r.Tag == "" {
			return Reference{}, fmt.Errorf("%q is no image reference: the tag is empty", s)
		}
	}
	host, path, ok := strings.Cut(rest, "/")
	if ok && (strings.ContainsAny(host, ".:") || host == "localhost") {
		r.Host, r.Repository = host, path
	} else {
		r.Host, r.Repository = "docker.io", rest
	}
	if r.Host == "docker.io" || r.Host == "index.docker.io" {
		r.Host = "registry-1.docker.io"
		if !strings.Contains(r.Repository, "/") {
			r.Repository = "library/" + r.Repository
		}
	}
	if r.Tag == "" && !hasDigest {
		r.Tag = "latest"
	}
	switch {
	case len(r.Repository) > 255 || !repositoryForm.MatchString(r.Repository):
		return Reference{}, fmt.Errorf("%q is no image reference: %q is no repository name", s, r.Repository)
	case r.Tag != "" && !tagForm.MatchString(r.Tag):
		return Reference{}, fmt.Errorf("%q is no image reference: %q is no tag", s, r.Tag)
	case hasDigest && !digestForm.MatchString(r.Digest):
		return Reference{}, fmt.Errorf("%q is no image reference: %q is no sha256 digest", s, r.Digest)
	case strings.ContainsAny(r.Host, "/\\@?# "):
		return Reference{}, fmt.Errorf("%q is no image reference: %q is no host", s, r.Host)
	}
	return r, nil
}

// tagOrDigest is what names the manifest; a digest wins over a tag.
func (r Reference) tagOrDigest() string {
	if r.Digest != "" {
		return r.Digest
	}
	return r.Tag
}

// String writes the reference back in its full form.
func (r Reference) String() string {
	s := r.Host + "/" + r.Repository
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + r.Digest
	}
	return s
}

const acceptManifests = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, " +
	"application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"

type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
	Platform  struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
	} `json:"platform"`
}

type manifest struct {
	MediaType string       `json:"mediaType"`
	Config    descriptor   `json:"config"`
	Layers    []descriptor `json:"layers"`
	Manifests []descriptor `json:"manifests"`
}

// Image reads the config of an image for a Linux platform ("amd64" or "arm64").
func (c *Client) Image(ctx context.Context, ref, platform string) (Config, error) {
	r, err := ParseReference(ref)
	if err != nil {
		return Config{}, err
	}
	s := &session{c: c, ref: r}
	m, digest, err := s.manifest(ctx, r.tagOrDigest())
	if err != nil {
		return Config{}, fmt.Errorf("image %s: %w", ref, err)
	}
	cfg := Config{Digest: digest}
	if len(m.Manifests) > 0 {
		d, err := choose(m.Manifests, platform)
		if err != nil {
			return Config{}, fmt.Errorf("image %s: %w", ref, err)
		}
		cfg.Index = digest
		if m, cfg.Digest, err = s.manifest(ctx, d.Digest); err != nil {
			return Config{}, fmt.Errorf("image %s for %s: %w", ref, platform, err)
		}
	}
	if err := s.config(ctx, m, &cfg); err != nil {
		return Config{}, fmt.Errorf("image %s: %w", ref, err)
	}
	if cfg.Platform != "" && cfg.Platform != platform {
		return Config{}, fmt.Errorf("image %s is for %s, not %s", ref, cfg.Platform, platform)
	}
	return cfg, nil
}

// Digest is the digest that a reference means now ("sha256:…"), of the index where there is one, as a pull resolves it. A
// reference by digest is its own answer.
func (c *Client) Digest(ctx context.Context, ref string) (string, error) {
	r, err := ParseReference(ref)
	if err != nil || r.Digest != "" {
		return r.Digest, err
	}
	s := &session{c: c, ref: r}
	res, err := s.send(ctx, http.MethodHead, "/manifests/"+r.Tag, acceptManifests, maxManifest)
	if err != nil {
		return "", fmt.Errorf("ask the registry about %s: %w", ref, err)
	}
	d := res.Header.Get("Docker-Content-Digest")
	if d == "" { // a registry may leave it out; the manifest itself has it
		_, d, err = s.manifest(ctx, r.Tag)
	}
	if err == nil && !digestForm.MatchString(d) {
		err = fmt.Errorf("the registry answers no digest for %s", ref)
	}
	if err != nil {
		return "", err
	}
	return d, nil
}

func choose(list []descriptor, platform string) (descriptor, error) {
	if len(list) > maxEntries {
		return descriptor{}, fmt.Errorf("its index has %d entries", len(list))
	}
	var have []string
	for _, d := range list {
		if d.Platform.OS == "linux" && d.Platform.Architecture == platform {
			return d, nil
		}
		have = append(have, d.Platform.OS+"/"+d.Platform.Architecture)
	}
	slices.Sort(have)
	return descriptor{}, fmt.Errorf("%w for linux/%s; there is %s", ErrNotFound, platform, strings.Join(slices.Compact(have), ", "))
}

// session is one image being read: it keeps the token.
type session struct {
	c     *Client
	ref   Reference
	token httpclient.Secret
	basic string
}

func (s *session) base() string {
	scheme := "https"
	host := s.ref.Host
	name := host
	if i := strings.LastIndexByte(host, ':'); i > 0 {
		name = host[:i]
	}
	if name == "localhost" || name == "127.0.0.1" || name == "[::1]" || slices.Contains(s.c.o.Insecure, host) {
		scheme = "http"
	}
	return scheme + "://" + host + "/v2/" + s.ref.Repository
}

func (s *session) get(ctx context.Context, path, accept string, limit int64) (*httpclient.Response, error) {
	return s.send(ctx, http.MethodGet, path, accept, limit)
}

// send asks the registry, and a second time with a token when it asks for one.
func (s *session) send(ctx context.Context, method, path, accept string, limit int64) (*httpclient.Response, error) {
	for attempt := 0; ; attempt++ {
		h := http.Header{"Accept": {accept}}
		if s.basic != "" {
			h.Set("Authorization", s.basic)
		}
		res, err := s.c.http.Do(ctx, httpclient.Request{Method: method, URL: s.base() + path, Header: h, Bearer: s.token, MaxBody: limit})
		var he *httpclient.Error
		if err == nil || !errors.As(err, &he) {
			return res, err
		}
		switch he.Status {
		case http.StatusNotFound:
			return nil, ErrNotFound
		case http.StatusForbidden:
			return nil, ErrDenied
		case http.StatusUnauthorized:
			if attempt > 0 {
				return nil, ErrDenied
			}
			if err := s.login(ctx); err != nil {
				return nil, err
			}
		default:
			return nil, err
		}
	}
}

func (s *session) manifest(ctx context.Context, ref string) (manifest, string, error) {
	res, err := s.get(ctx, "/manifests/"+ref, acceptManifests, maxManifest)
	if err != nil {
		return manifest{}, "", err
	}
	digest := digestOf(res.Body)
	if strings.HasPrefix(ref, "sha256:") && digest != ref {
		return manifest{}, "", fmt.Errorf("the registry answers %s with another manifest, %s", ref, digest)
	}
	var m manifest
	if err := json.Unmarshal(res.Body, &m); err != nil {
		return manifest{}, "", fmt.Errorf("its manifest cannot be read: %w", err)
	}
	return m, digest, nil
}

func (s *session) config(ctx context.Context, m manifest, into *Config) error {
	if !digestForm.MatchString(m.Config.Digest) {
		return errors.New("its manifest names no config")
	}
	if m.Config.Size < 0 || m.Config.Size > maxConfig {
		return fmt.Errorf("its config claims %d bytes", m.Config.Size)
	}
	res, err := s.get(ctx, "/blobs/"+m.Config.Digest, "*/*", maxConfig)
	if err != nil {
		return fmt.Errorf("config: %w", err)
	}
	if got := digestOf(res.Body); got != m.Config.Digest {
		return fmt.Errorf("the registry answers with another config, %s", got)
	}
	for _, l := range m.Layers {
		if l.Size < 0 || l.Size > 1<<40 || into.Bytes > 1<<42 {
			return fmt.Errorf("a layer claims %d bytes", l.Size)
		}
		into.Bytes += l.Size
	}
	return into.parse(res.Body)
}

func (c *Config) parse(b []byte) error {
	var j struct {
		OS           string    `json:"os"`
		Architecture string    `json:"architecture"`
		Created      time.Time `json:"created"`
		Config       struct {
			Env        []string
			Entrypoint []string
			Cmd        []string
			User       string
			WorkingDir string
			Labels     map[string]string
		} `json:"config"`
	}
	if err := json.Unmarshal(b, &j); err != nil {
		return fmt.Errorf("its config cannot be read: %w", err)
	}
	c.OS, c.Platform, c.Created = j.OS, j.Architecture, j.Created
	c.Entrypoint, c.Cmd, c.User, c.WorkingDir, c.Labels = j.Config.Entrypoint, j.Config.Cmd, j.Config.User, j.Config.WorkingDir, j.Config.Labels
	c.Env = make(map[string]string, len(j.Config.Env))
	for _, e := range j.Config.Env {
		if k, v, ok := strings.Cut(e, "="); ok {
			c.Env[k] = v
		}
	}
	return nil
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}
