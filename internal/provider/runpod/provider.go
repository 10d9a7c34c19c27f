// Package runpod rents pods through RunPod's REST v2 API. Nothing here knows whether it talks to RunPod or to a
// simulator: the base address and the proxy template of Config are all the difference.
package runpod

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"justright/internal/httpclient"
	"justright/internal/provider"
	"justright/launch"
	"justright/version"
)

// Provider is RunPod as one account sees it.
type Provider struct {
	cfg Config
	c   *client
	// argsOnly is set once this base address has said that it knows no exec form (DESIGN 3.8).
	argsOnly atomic.Bool
}

var _ provider.Provider = (*Provider)(nil)

// New makes the adapter. It does not call the API.
func New(cfg Config) (*Provider, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	h := httpclient.New(httpclient.Options{Transport: cfg.Transport, Now: cfg.Now, Sleep: cfg.Sleep, Attempts: cfg.Attempts})
	return &Provider{cfg: cfg, c: &client{http: h, base: cfg.BaseURL, key: cfg.Key}}, nil
}

// Name is the word of --on.
func (p *Provider) Name() string { return "runpod" }

// BaseURL is the API's address without /v2: denials count only through the address that made the pod.
func (p *Provider) BaseURL() string { return p.cfg.BaseURL }

// Create asks once. The only second request is the one after an API without exec form refused entrypoint and cmd
// with a 422, which creates nothing.
func (p *Provider) Create(ctx context.Context, s launch.Spec) (launch.Instance, error) {
	body, err := p.body(s)
	if err != nil {
		return launch.Instance{}, err
	}
	pod, err := p.create(ctx, s, body)
	if err != nil && (body.Entrypoint != nil || body.Cmd != nil) && lacksExecForm(err) {
		if s.Start.Args == "" {
			return launch.Instance{}, &provider.Error{Op: "create", Kind: launch.FailRejected, Status: http.StatusUnprocessableEntity,
				Detail: "this API takes the start command only as one string, and the plan has none", Err: err}
		}
		p.argsOnly.Store(true)
		body.Entrypoint, body.Cmd, body.Args = nil, nil, s.Start.Args
		pod, err = p.create(ctx, s, body)
	}
	if err != nil {
		return launch.Instance{}, err
	}
	in := p.instance(*pod)
	if in.AttemptID == "" { // an answer may leave env out; we know what we asked
		in.AttemptID, in.OwnerID = s.AttemptID, s.OwnerID
	}
	if in.BaseURL == "" {
		in.BaseURL = p.baseURL(in.ID, s.Ports)
	}
	return in, nil
}

func (p *Provider) create(ctx context.Context, s launch.Spec, body createWire) (*podWire, error) {
	var pod podWire
	hide := make([]httpclient.Secret, 0, len(s.Env))
	for _, v := range s.Env {
		hide = append(hide, httpclient.NewSecret(v))
	}
	err := p.c.do(ctx, call{op: "create", method: http.MethodPost, path: "/pods", in: body, paid: true, hide: hide}, &pod)
	if err == nil && pod.ID != "" {
		return &pod, nil
	}
	e := &provider.Error{Op: "create", Kind: launch.FailTemporary, Detail: "the answer names no pod"}
	if err != nil {
		errors.As(err, &e)
		if e.Status != 0 && e.Status < 300 {
			e.Kind = launch.FailTemporary // said yes, unreadably: the pod may exist
		}
	}
	return nil, e
}

// body maps a spec to the create request.
func (p *Provider) body(s launch.Spec) (createWire, error) {
	refuse := func(why string) (createWire, error) {
		return createWire{}, &provider.Error{Op: "create", Kind: launch.FailRejected, Detail: why}
	}
	switch {
	case s.AttemptID == "" || s.OwnerID == "":
		return refuse("a create without attempt and owner id could not be found again")
	case s.GPU == "":
		return refuse("a pod needs a GPU type; machines without one are not rented on runpod")
	case len(s.Env) > 48: // 50 by the API's limit, two of them ours
		return refuse("more environment variables than the 50 a pod may have")
	}
	env := make(map[string]string, len(s.Env)+2)
	for k, v := range s.Env {
		env[k] = v
	}
	env["JUSTRIGHT_ATTEMPT"], env["JUSTRIGHT_OWNER"] = s.AttemptID, s.OwnerID
	b := createWire{
		Name: s.Name, Image: s.Image, Disk: s.DiskGB, Env: env, Ports: s.Ports, Registry: s.RegistryID, Cloud: s.Cloud,
		DataCenterIDs: s.DataCenters, GPU: &createGPUWire{ID: s.GPU, Count: max(1, s.GPUCount)},
	}
	if b.Name == "" {
		b.Name = "jr-" + s.AttemptID[:min(8, len(s.AttemptID))]
	}
	if !s.MinCUDA.IsZero() {
		b.GPU.MinCUDAVersion = s.MinCUDA.String()
	}
	if s.VolumeID != "" {
		path := s.VolumePath
		if path == "" {
			path = "/workspace"
		}
		b.Mounts = &mountsWire{Network: []networkMountWire{{VolumeID: s.VolumeID, Path: path}}}
	}
	exec := len(s.Start.Entrypoint) > 0 || len(s.Start.Cmd) > 0
	if exec && (!p.argsOnly.Load() || s.Start.Args == "") {
		b.Entrypoint, b.Cmd = s.Start.Entrypoint, s.Start.Cmd
	} else {
		b.Args = s.Start.Args
	}
	return b, nil
}

// Get describes one pod. Gone needs RunPod's own error document or its word TERMINATED.
func (p *Provider) Get(ctx context.Context, id string) (launch.Instance, error) {
	var pod podWire
	err := p.c.do(ctx, call{op: "get", path: podPath(id)}, &pod)
	if err != nil {
		if denied(err) {
			return launch.Instance{ID: id, Status: launch.Gone}, nil
		}
		return launch.Instance{}, unproven(err)
	}
	if pod.ID != id {
		return launch.Instance{}, &provider.Error{Op: "get", Kind: launch.FailUnknown, Detail: "the answer describes another pod, or none"}
	}
	return p.instance(pod), nil
}

// List describes all pods of the account.
func (p *Provider) List(ctx context.Context) ([]launch.Instance, error) {
	var raw json.RawMessage
	if err := p.c.do(ctx, call{op: "list", path: "/pods"}, &raw); err != nil {
		return nil, unproven(err)
	}
	pods, err := decodeList(raw)
	if err != nil {
		return nil, &provider.Error{Op: "list", Kind: launch.FailUnknown, Detail: "the answer is no list of pods", Err: err}
	}
	out := make([]launch.Instance, 0, len(pods))
	for _, pod := range pods {
		if pod.ID != "" {
			out = append(out, p.instance(pod))
		}
	}
	return out, nil
}

// decodeList reads {"pods":[…]} or a bare array; an object without the key is an error, never an empty list:
// absence is what a lost create is decided by.
func decodeList(raw []byte) ([]podWire, error) {
	var bare []podWire
	if json.Unmarshal(raw, &bare) == nil && bare != nil {
		return bare, nil
	}
	var doc struct {
		Pods *[]podWire `json:"pods"`
		// This API has no pages. Should it learn them, a first page must not pass for the whole.
		More   any `json:"hasMore"`
		Cursor any `json:"nextCursor"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, err
	}
	switch {
	case doc.Pods == nil:
		return nil, errors.New("no field pods")
	case doc.More == true || doc.Cursor != nil && doc.Cursor != "":
		return nil, errors.New("it is one page of several")
	}
	return *doc.Pods, nil
}

// Delete asks for removal by DELETE (the action terminate has been seen to answer 405 where DELETE works).
func (p *Provider) Delete(ctx context.Context, id string) error {
	err := p.c.do(ctx, call{op: "delete", method: http.MethodDelete, path: podPath(id)}, nil)
	if err == nil || denied(err) {
		return nil
	}
	return unproven(err)
}

// unproven makes a 404 without RunPod's own document "unknown": a wrong address denies nothing.
func unproven(err error) error {
	var e *provider.Error
	if errors.As(err, &e) && e.Kind == launch.FailNotFound && !denied(err) {
		e.Kind = launch.FailUnknown
		e.Detail = "404 without RunPod's error document: is RUNPOD_API_BASE_URL right? " + e.Detail
	}
	return err
}

// instance maps a pod. RunPod says RUNNING from the moment of rental: only a runtime with something in it shows
// that a container has started.
func (p *Provider) instance(w podWire) launch.Instance {
	in := launch.Instance{
		ID: w.ID, Name: w.Name, AttemptID: w.Env["JUSTRIGHT_ATTEMPT"], OwnerID: w.Env["JUSTRIGHT_OWNER"],
		PricePerHour: usd(w.Cost), Created: when(w.CreatedAt), BaseURL: p.baseURL(w.ID, w.Ports),
	}
	up := w.Runtime != nil && (w.Runtime.Uptime != nil || len(w.Runtime.GPUs) > 0 || len(w.Runtime.Ports) > 0)
	switch w.Status {
	case "PROVISIONING", "STARTING":
		in.Status = launch.Provisioning
	case "RUNNING":
		in.Status = launch.Provisioning
		if up {
			in.Status = launch.Running
		}
	case "EXITED", "ERROR":
		in.Status = launch.Stopped
	case "TERMINATED":
		in.Status = launch.Gone
	default:
		in.Status = launch.StatusUnknown
	}
	if up && w.Runtime.Uptime != nil {
		if s, err := w.Runtime.Uptime.Float64(); err == nil && s > 0 && s < 1e9 { // it has been seen negative
			in.Uptime = time.Duration(s * float64(time.Second))
		}
	}
	if w.StartedAt != nil {
		in.Started = when(*w.StartedAt)
	}
	if w.DataCenterID != nil {
		in.DataCenter = *w.DataCenterID
	}
	if w.CUDAVersion != nil {
		if v, err := version.ParseCUDA(*w.CUDAVersion); err == nil {
			in.HostCUDA = v
		}
	}
	if w.GPU != nil {
		in.GPU, in.GPUCount = w.GPU.ID, w.GPU.Count
	}
	return in
}

// baseURL is the public address of the first port declared as http; others answer 404 on the proxy.
func (p *Provider) baseURL(id string, ports []string) string {
	for _, port := range ports {
		if n, ok := strings.CutSuffix(port, "/http"); ok && id != "" {
			return p.cfg.address(id, n)
		}
	}
	return ""
}
