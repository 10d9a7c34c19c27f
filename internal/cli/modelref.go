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
	return w.resolver(online).Resolve(ctx, hubID(ref, w.Env("HF_ENDPOINT")))
}

// hubID takes the id out of the address of a model's page, as a browser shows it: https://huggingface.co/OWNER/NAME, with
// /tree/REVISION behind it where one is looked at. What is no such address stays as it is.
func hubID(ref, endpoint string) string {
	_, at, ok := strings.Cut(ref, "://")
	if !ok {
		at = ref
	}
	host, path, _ := strings.Cut(at, "/")
	switch u, err := url.Parse(endpoint); {
	case host == "huggingface.co" || host == "www.huggingface.co" || host == "hf.co":
	case ok && err == nil && u.Host != "" && host == u.Host:
	default:
		return ref
	}
	path, _, _ = strings.Cut(path, "?")
	words := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case len(words) == 2:
		return words[0] + "/" + words[1]
	case len(words) > 3 && (words[2] == "tree" || words[2] == "blob" || words[2] == "resolve") && words[3] != "main":
		return words[0] + "/" + words[1] + "@" + words[3]
	case len(words) > 3:
		return words[0] + "/" + words[1]
	}
	return ref
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
