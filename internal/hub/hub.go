// Package hub finds out what a model is: from a local directory, from the catalog's embedded profiles, or from a
// model hub (huggingface.co, or whatever HF_ENDPOINT names) by reading config.json and the first bytes of the
// weight files, never the weights.
package hub

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"justright/catalog"
	"justright/internal/httpclient"
	"justright/model"
	"justright/problem"
)

// DefaultEndpoint is the hub asked when HF_ENDPOINT is not set.
const DefaultEndpoint = "https://huggingface.co"

// Options of a Resolver. The zero value answers from local directories and embedded profiles, and asks
// DefaultEndpoint, without a token, only for models it does not know.
type Options struct {
	Endpoint  string // HF_ENDPOINT; when set, the hub is asked before the embedded profiles
	Token     string // HF_TOKEN
	Online    bool   // ask the hub first although no endpoint is set
	Offline   bool   // never ask a hub (HF_HUB_OFFLINE)
	Dir       string // where relative paths begin; empty: the process's directory
	Home      string // for paths that begin with ~/
	Transport http.RoundTripper
	// Patience bounds each request; a hub that does not answer costs at most two of them. 0: 4 s.
	Patience time.Duration
	// Now is the date written on facts that were read; nil: time.Now.
	Now func() time.Time
}

// Resolver turns what a person calls a model into its profile. It is safe for concurrent use.
type Resolver struct {
	o      Options
	client *httpclient.Client
}

// New makes a resolver.
func New(o Options) *Resolver {
	if o.Patience == 0 {
		o.Patience = 4 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Transport == nil {
		o.Transport = httpclient.NewTransport()
	}
	return &Resolver{o: o, client: httpclient.New(httpclient.Options{
		Transport: headerKeeper{o.Transport}, Timeout: o.Patience, Attempts: 2, FirstWait: 200 * time.Millisecond, MaxWait: time.Second, MaxBody: 32 << 20,
	})}
}

// hubID is owner/name or a bare name, as the hub spells them.
var hubID = regexp.MustCompile(`^[A-Za-z0-9][\w.\-]{0,95}(/[A-Za-z0-9_][\w.\-]{0,95})?$`)

// revisionWord is a branch, tag, commit or refs/pr/N.
var revisionWord = regexp.MustCompile(`^[A-Za-z0-9][\w.\-/]{0,127}$`)

// Resolve reads ref: a directory, an id of the hub with an optional @revision, or a short name of the catalog.
// Every error is a *problem.Problem.
func (r *Resolver) Resolve(ctx context.Context, ref string) (model.Profile, error) {
	if strings.TrimSpace(ref) == "" {
		return model.Profile{}, problem.New(problem.ExitUsage, "usage", "no model is named").Try("name one", "justright plan openai/gpt-oss-20b")
	}
	if dir, ok, err := r.localDir(ref); err != nil {
		return model.Profile{}, err
	} else if ok {
		return readDir(dir)
	}
	id, revision, _ := strings.Cut(ref, "@")
	embedded := catalog.FindModels(id)
	if len(embedded) > 1 {
		p := problem.New(problem.ExitUsage, "ambiguous_model", "%q names more than one model", id)
		for _, m := range embedded[:min(len(embedded), 5)] {
			p = p.Try("perhaps", "justright plan "+m.ID)
		}
		return model.Profile{}, p
	}
	if len(embedded) == 1 && revision == "" && (r.o.Offline || r.o.Endpoint == "" && !r.o.Online) {
		return fromRecord(embedded[0])
	}
	if len(embedded) == 1 && !strings.Contains(id, "/") {
		id = embedded[0].ID // a short name means the same on the hub
	}
	if !hubID.MatchString(id) || strings.Contains(id, "..") || strings.HasSuffix(id, ".git") || revision != "" && (!revisionWord.MatchString(revision) || strings.Contains(revision, "..")) {
		if len(embedded) == 1 {
			return fromRecord(embedded[0])
		}
		return model.Profile{}, unknown(ref, "it is no directory here, no id of a hub (owner/name) and not in the catalog")
	}
	if r.o.Offline {
		return model.Profile{}, unknown(ref, "it is not in the catalog, and HF_HUB_OFFLINE forbids asking the hub")
	}
	if !strings.Contains(id, "/") && r.o.Endpoint == "" {
		return model.Profile{}, unknown(ref, "a name without a slash is one of the catalog's, and the catalog has none like it")
	}
	return r.fromHub(ctx, id, revision)
}

func fromRecord(m catalog.ModelRecord) (model.Profile, error) {
	p, err := model.FromRecord(m)
	if err != nil {
		return model.Profile{}, problem.New(problem.ExitBug, "internal", "the embedded profile of %s cannot be read", m.ID).Wrap(err)
	}
	return p, nil
}

func unknown(ref, why string) *problem.Problem {
	p := problem.New(problem.ExitUsage, "unknown_model", "unknown model %q", clip(ref)).Because("%s", why)
	if p = alike(p, ref); len(p.Hints) == 0 {
		p = p.Try("give the hub's id of the model, OWNER/NAME, or a directory that holds config.json", "")
	}
	return p
}

// alike names what the catalog knows under almost that name.
func alike(p *problem.Problem, ref string) *problem.Problem {
	for _, id := range similar(ref) {
		p = p.Try("known offline", "justright plan "+id)
	}
	return p
}

// similar finds up to three models of the catalog whose name contains the last part of ref or almost is it.
func similar(ref string) []string {
	name := func(id string) string { return strings.ToLower(id[strings.LastIndexByte(id, '/')+1:]) }
	want, _, _ := strings.Cut(name(ref), "@")
	if len(want) < 3 || len(want) > 100 {
		return nil
	}
	var out []string
	for _, m := range catalog.Models() {
		if n := name(m.ID); strings.Contains(n, want) || problem.Distance(n, want) <= 2 {
			out = append(out, m.ID)
		}
		if len(out) == 3 {
			break
		}
	}
	return out
}

func clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}

// localDir decides whether ref is a path, and whether it is there.
func (r *Resolver) localDir(ref string) (dir string, ok bool, err error) {
	dir = ref
	explicit := filepath.IsAbs(ref) || ref == "." || ref == ".." || strings.HasPrefix(ref, "./") || strings.HasPrefix(ref, "../") || strings.HasPrefix(ref, "~/") || strings.HasSuffix(ref, "/")
	if rest, home := strings.CutPrefix(ref, "~/"); home && r.o.Home != "" {
		dir = filepath.Join(r.o.Home, rest)
	}
	if !filepath.IsAbs(dir) {
		base := r.o.Dir
		if base == "" {
			if base, err = os.Getwd(); err != nil {
				return "", false, problem.New(problem.ExitUsage, "unreadable", "the working directory cannot be read").Wrap(err)
			}
		}
		dir = filepath.Join(base, dir)
	}
	st, err := os.Stat(dir)
	switch {
	case err == nil && st.IsDir():
		if _, err := os.Stat(filepath.Join(dir, "config.json")); err == nil || explicit {
			return dir, true, nil
		}
		return "", false, nil // a directory that happens to be called like a model
	case !explicit:
		return "", false, nil
	case err == nil:
		return "", false, problem.New(problem.ExitUsage, "no_checkpoint", "%s is a file, not a model's directory", clip(ref)).Try("name the directory that holds config.json", "")
	case errors.Is(err, os.ErrNotExist):
		return "", false, problem.New(problem.ExitUsage, "unknown_model", "no directory %s", clip(ref)).Because("%s", "a name that begins with a dot, a tilde or a slash is a path").
			Try("name a directory that holds config.json, or the hub's id of the model, OWNER/NAME", "")
	default:
		return "", false, problem.New(problem.ExitUsage, "unreadable", "%s cannot be read", clip(ref)).Wrap(err)
	}
}

// finish builds the profile and words the problem when config.json is not believed.
func finish(config []byte, s model.Sizes, name string) (model.Profile, error) {
	p, err := model.FromConfig(config, s)
	var bad *model.ConfigError
	if errors.As(err, &bad) {
		return p, problem.New(problem.ExitUsage, "bad_config", "config.json of %s cannot be used", name).Because("%s", bad.Error()).Wrap(err).
			Try("get the file again from where it came", "")
	}
	if err != nil {
		return p, problem.New(problem.ExitBug, "internal", "reading config.json of %s", name).Wrap(err)
	}
	if p.Architecture == "" && p.ModelType == "" {
		return p, problem.New(problem.ExitUsage, "bad_config", "config.json of %s cannot be used", name).
			Because("%s", "it names neither architectures nor model_type, so no engine can tell what it is").
			Try("look whether the download is complete: config.json of a model begins with its architectures", "")
	}
	return p, nil
}

func (r *Resolver) fact(id, statement, source string) catalog.Fact {
	return catalog.Fact{ID: catalog.FactID(id), Statement: statement, Source: source, Date: r.o.Now().UTC().Format("2006-01-02"), Standing: catalog.Derived}
}

func describe(p model.Profile, read int64) string {
	return fmt.Sprintf("%d tensors hold %d bytes (%d bytes read)", countTensors(p), p.WeightsBytes, read)
}

func countTensors(p model.Profile) int {
	n := 0
	for _, g := range p.Tensors {
		n += g.Count
	}
	return n
}
