package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"justright/internal/httpclient"
	"justright/internal/provider"
	"justright/launch"
)

// client is the API server. client-go brings address and credentials; calls are our own, since its clients repeat some by
// themselves and a create must not be.
type client struct {
	http *httpclient.Client
	base string
}

func newClient(cfg Config) (*client, error) {
	t := cfg.Transport
	if t == nil {
		r := rest.CopyConfig(cfg.REST)
		r.UserAgent = httpclient.DefaultUserAgent
		var err error
		if t, err = rest.TransportFor(r); err != nil {
			return nil, err
		}
	}
	base, _, err := rest.DefaultServerUrlFor(cfg.REST)
	if err != nil {
		return nil, err
	}
	return &client{http: httpclient.New(httpclient.Options{Transport: t, Now: cfg.Now, Sleep: cfg.Sleep}), base: trimSlash(base.String())}, nil
}

func trimSlash(s string) string {
	for len(s) > 0 && s[len(s)-1] == '/' {
		s = s[:len(s)-1]
	}
	return s
}

// call is one request.
type call struct {
	op, method, path string
	query            url.Values
	in               any
	kind             string // content type of in; empty: JSON
	once             bool
}

// do sends a call and decodes the answer. Its error is a *provider.Error.
func (c *client) do(ctx context.Context, k call, out any) error {
	r := httpclient.Request{Method: k.method, URL: c.base + k.path, Once: k.once, Type: k.kind, MaxBody: 256 << 20,
		Header: http.Header{"Accept": {"application/json"}}}
	if len(k.query) > 0 {
		r.URL += "?" + k.query.Encode()
	}
	if k.in != nil {
		raw, err := json.Marshal(k.in)
		if err != nil {
			return &provider.Error{Op: k.op, Kind: launch.FailRejected, Err: err}
		}
		r.Body = raw
	}
	res, err := c.http.Do(ctx, r)
	if err != nil {
		return fail(k.op, err)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(res.Body, out); err != nil {
		return &provider.Error{Op: k.op, Kind: launch.FailTemporary, Status: res.Status, URL: res.URL, Detail: "the answer is no JSON of a cluster", Err: err}
	}
	return nil
}

// list is the head every list of the API has.
type list[T any] struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`
	Items           *[]T `json:"items"`
}

// page is how many objects are asked for at once.
const page = "500"

// all reads a whole list, page by page. An answer without its list is an error: absence is what a lost create is decided by.
func all[T any](ctx context.Context, c *client, op, path string, query url.Values) ([]T, error) {
	out := []T{}
	q := url.Values{"limit": {page}}
	for k, v := range query {
		q[k] = v
	}
	restarted := false
	for {
		var l list[T]
		if err := c.do(ctx, call{op: op, path: path, query: q}, &l); err != nil {
			if statusOf(err) == http.StatusGone && !restarted { // the list's snapshot is too old to be continued
				restarted, out = true, out[:0]
				q.Del("continue")
				continue
			}
			return nil, err
		}
		if l.Items == nil && l.Kind == "" {
			return nil, &provider.Error{Op: op, Kind: launch.FailUnknown, Detail: "the answer is no list"}
		}
		if l.Items != nil {
			out = append(out, *l.Items...)
		}
		if l.Continue == "" {
			return out, nil
		}
		q.Set("continue", l.Continue)
	}
}

func (p *Provider) path(group, resource string, name ...string) string {
	s := group + "/namespaces/" + url.PathEscape(p.cfg.Namespace) + "/" + resource
	for _, n := range name {
		s += "/" + url.PathEscape(n)
	}
	return s
}

// The API groups that are used.
const (
	coreV1  = "/api/v1"
	batchV1 = "/apis/batch/v1"
	nodeV1  = "/apis/node.k8s.io/v1"
)

func freePort(ctx context.Context) (int, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("no free port on this machine: %w", err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}
