// Package ociregistry asks a container registry what an image's tag means, over the OCI distribution protocol. It
// reads only; it sends credentials to nobody.
package ociregistry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"justright/internal/httpclient"
)

// accepted are the manifests whose digest stands for a tag: indexes before single images, as a pull resolves them.
const accepted = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, " +
	"application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"

// Docker Hub's registry and the host its images are named by.
const (
	hubHost     = "docker.io"
	hubRegistry = "registry-1.docker.io"
)

var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// Reference is an image's name taken apart.
type Reference struct{ Host, Repository, Tag string }

// ParseReference reads "vllm/vllm-openai:v0.19.1", "ghcr.io/owner/name:tag", "localhost:5000/x". A digest is no tag.
func ParseReference(ref string) (Reference, error) {
	if strings.Contains(ref, "@") {
		return Reference{}, fmt.Errorf("image %q is already named by digest", ref)
	}
	r := Reference{Host: hubRegistry, Repository: ref, Tag: "latest"}
	if i := strings.LastIndexByte(ref, ':'); i > strings.LastIndexByte(ref, '/') {
		r.Repository, r.Tag = ref[:i], ref[i+1:]
	}
	if first, rest, ok := strings.Cut(r.Repository, "/"); ok && (strings.ContainsAny(first, ".:") || first == "localhost") {
		r.Host, r.Repository = first, rest
	}
	if r.Repository == "" || r.Tag == "" || strings.ContainsAny(r.Repository+r.Tag, " ?#%") {
		return Reference{}, fmt.Errorf("%q is no image reference", ref)
	}
	if r.Host == hubHost || r.Host == "index.docker.io" {
		r.Host = hubRegistry
	}
	if r.Host == hubRegistry && !strings.Contains(r.Repository, "/") {
		r.Repository = "library/" + r.Repository
	}
	return r, nil
}

// Client asks registries.
type Client struct{ http *httpclient.Client }

// New makes a client; a nil transport is the default one.
func New(transport http.RoundTripper) *Client {
	return &Client{httpclient.New(httpclient.Options{Transport: transport, Timeout: 20 * time.Second, MaxBody: 4 << 20})}
}

// Digest is the digest a tag has now ("sha256:…").
func (c *Client) Digest(ctx context.Context, ref string) (string, error) {
	r, err := ParseReference(ref)
	if err != nil {
		return "", err
	}
	scheme := "https"
	if strings.HasPrefix(r.Host, "127.0.0.1") || strings.HasPrefix(r.Host, "localhost") {
		scheme = "http"
	}
	address := scheme + "://" + r.Host + "/v2/" + r.Repository + "/manifests/" + url.PathEscape(r.Tag)
	header := http.Header{"Accept": {accepted}}
	res, err := c.http.Do(ctx, httpclient.Request{Method: http.MethodHead, URL: address, Header: header})
	var he *httpclient.Error
	if errors.As(err, &he) && he.Status == http.StatusUnauthorized && r.Host == hubRegistry {
		token, terr := c.token(ctx, r.Repository)
		if terr != nil {
			return "", terr
		}
		header.Set("Authorization", "Bearer "+token)
		res, err = c.http.Do(ctx, httpclient.Request{Method: http.MethodHead, URL: address, Header: header})
	}
	if err != nil {
		return "", fmt.Errorf("ask the registry about %s: %w", ref, err)
	}
	d := res.Header.Get("Docker-Content-Digest")
	if !digestForm.MatchString(d) {
		return "", fmt.Errorf("the registry answers no digest for %s", ref)
	}
	return d, nil
}

// token gets Docker Hub's anonymous pull token.
func (c *Client) token(ctx context.Context, repository string) (string, error) {
	q := url.Values{"service": {"registry.docker.io"}, "scope": {"repository:" + repository + ":pull"}}
	res, err := c.http.Do(ctx, httpclient.Request{URL: "https://auth.docker.io/token?" + q.Encode()})
	if err != nil {
		return "", fmt.Errorf("ask for an anonymous pull token: %w", err)
	}
	var doc struct {
		Token string `json:"token"`
	}
	if err := json.Unmarshal(res.Body, &doc); err != nil || doc.Token == "" {
		return "", errors.New("the registry's token service answers no token")
	}
	return doc.Token, nil
}
