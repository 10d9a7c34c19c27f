package cli

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"justright/internal/hub"
	"justright/model"
	"justright/problem"
)

// resolver makes the model resolver of this world: HF_ENDPOINT, HF_TOKEN (or the token file that the hub's own
// tools write) and HF_HUB_OFFLINE are honoured. online asks the hub first although no endpoint is set.
func (w *World) resolver(online bool) *hub.Resolver {
	return hub.New(hub.Options{
		Endpoint: w.Env("HF_ENDPOINT"), Token: w.hubToken(), Online: online, Offline: truthy(w.Env("HF_HUB_OFFLINE")),
		Dir: w.Dir, Home: w.Env("HOME"), Transport: w.Transport, Now: w.Now,
	})
}

// lookupModel turns MODEL of the command line into its profile; every error is a *problem.Problem.
func (w *World) lookupModel(ctx context.Context, ref string, online bool) (model.Profile, error) {
	if e := w.Env("HF_ENDPOINT"); e != "" {
		if u, err := url.Parse(e); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return model.Profile{}, problem.New(problem.ExitUsage, "usage", "HF_ENDPOINT %q is no address of a model hub", e).
				Try("an address begins with http:// or https://; without one the hub is huggingface.co", "unset HF_ENDPOINT")
		}
	}
	return w.resolver(online).Resolve(ctx, ref)
}

// hubToken is HF_TOKEN, else the token file at HF_TOKEN_PATH, $HF_HOME/token or ~/.cache/huggingface/token, in the
// order of huggingface_hub.
func (w *World) hubToken() string {
	if t := strings.TrimSpace(w.Env("HF_TOKEN")); t != "" {
		return t
	}
	path := w.Env("HF_TOKEN_PATH")
	if path == "" && w.Env("HF_HOME") != "" {
		path = filepath.Join(w.Env("HF_HOME"), "token")
	}
	if path == "" && w.Env("HOME") != "" {
		path = filepath.Join(w.Env("HOME"), ".cache", "huggingface", "token")
	}
	if path == "" {
		return ""
	}
	b, err := os.ReadFile(path)
	if err != nil || len(b) > 4096 {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func truthy(s string) bool {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "1", "true", "yes", "on":
		return true
	}
	return false
}
