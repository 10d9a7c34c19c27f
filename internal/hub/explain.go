package hub

import (
	"errors"
	"net/http"
	"strings"

	"justright/internal/httpclient"
	"justright/problem"
)

// hubHeaders are what the hub says about a refusal; it puts it in headers, the bodies differ by route.
type hubHeaders struct{ code, message string }

type headerKey struct{}

// headerKeeper notes those headers for the call that asked, since an *httpclient.Error does not carry them.
type headerKeeper struct{ next http.RoundTripper }

func (k headerKeeper) RoundTrip(q *http.Request) (*http.Response, error) {
	res, err := k.next.RoundTrip(q)
	if h, ok := q.Context().Value(headerKey{}).(*hubHeaders); ok && err == nil && res.StatusCode >= 400 {
		h.code, h.message = res.Header.Get("X-Error-Code"), httpclient.OneLine(res.Header.Get("X-Error-Message"), 300)
	}
	return res, err
}

// explain turns a failed call into the problem a person can act on, in the order in which the official client
// decides (huggingface_hub, hf_raise_for_status).
func (r *Resolver) explain(id, address string, h *hubHeaders, err error) error {
	var e *httpclient.Error
	if !errors.As(err, &e) || e.Status == 0 {
		p := problem.New(problem.ExitCapacity, "hub_unreachable", "the model hub %s cannot be reached", r.host()).Wrap(err)
		return alike(p, id).Try("without a network, name a local directory or a model that the catalog knows, such as openai/gpt-oss-20b", "")
	}
	file := strings.Contains(address, "/resolve/")
	switch {
	case h.code == "RevisionNotFound":
		return problem.New(problem.ExitUsage, "unknown_revision", "%s has no such revision", id).Wrap(err)
	case h.code == "EntryNotFound" || e.Status == http.StatusNotFound && file:
		return problem.New(problem.ExitUsage, "no_checkpoint", "%s has no %s", id, address[strings.LastIndexByte(address, '/')+1:]).
			Because("%s", "it is not a model that an engine can load as it is (a GGUF, adapter or Mistral-format repository?)")
	case h.code == "GatedRepo":
		return r.gated(id)
	case strings.Contains(h.message, "Access to this resource is disabled"):
		return problem.New(problem.ExitUsage, "model_disabled", "%s is disabled on the hub", id)
	case e.Status == http.StatusUnauthorized && (strings.Contains(h.message, "Invalid credentials") || strings.Contains(e.Detail(), "Invalid credentials")):
		return problem.New(problem.ExitCredentials, "bad_token", "the hub refuses the token in HF_TOKEN").Try("make a new one at "+r.endpoint()+"/settings/tokens", "")
	case h.code == "RepoNotFound", e.Status == http.StatusUnauthorized, e.Status == http.StatusNotFound:
		p := problem.New(problem.ExitUsage, "unknown_model", "the hub %s knows no model %s", r.host(), id)
		p = alike(p, id)
		if h.code == "" && e.Status == http.StatusNotFound {
			p = p.Wrap(errNoAPI)
		}
		if r.o.Token == "" {
			return p.Because("%s", "it does not exist, or it is private and no HF_TOKEN is set").
				Try("if it is private, give the token of an account that may read it", "export HF_TOKEN=hf_…")
		}
		return p.Because("%s", "it does not exist, or it is private and HF_TOKEN may not see it")
	case e.Status == http.StatusForbidden:
		return r.gated(id)
	default:
		return problem.New(problem.ExitCapacity, "hub_unreachable", "the model hub %s does not answer", r.host()).Wrap(err).Try("wait a minute and ask again", "")
	}
}

func (r *Resolver) gated(id string) error {
	p := problem.New(problem.ExitCredentials, "gated_model", "%s is gated: its files need access granted by its owner", id)
	if r.o.Token == "" {
		p = p.Because("%s", "no HF_TOKEN is set").Try("accept the terms at "+r.endpoint()+"/"+id, "")
		return p.Try("then give the token of that account", "export HF_TOKEN=hf_…")
	}
	return p.Because("%s", "the account of HF_TOKEN has no access, or the token lacks the permission to read gated repositories").Try("accept the terms at "+r.endpoint()+"/"+id, "")
}
