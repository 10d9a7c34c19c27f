package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"justright/internal/httpclient"
	"justright/model"
	"justright/problem"
)

// repository is what the hub's model API says (GET /api/models/ID/revision/REV?blobs=true).
type repository struct {
	ID       string          `json:"id"`
	SHA      string          `json:"sha"`
	Gated    json.RawMessage `json:"gated"` // false, "auto" or "manual"
	Disabled bool            `json:"disabled"`
	Tags     []string        `json:"tags"`
	CardData struct {
		License json.RawMessage `json:"license"`
	} `json:"cardData"`
	Siblings    []sibling `json:"siblings"`
	SafeTensors struct {
		Parameters map[string]int64 `json:"parameters"` // by element type, as the hub counted them
	} `json:"safetensors"`
}

type sibling struct {
	Name string `json:"rfilename"`
	Size int64  `json:"size"`
	LFS  struct {
		SHA256 string `json:"sha256"`
		Size   int64  `json:"size"`
	} `json:"lfs"`
}

// fromHub reads one model of the hub. Everything after the first answer is asked of its commit.
func (r *Resolver) fromHub(ctx context.Context, id, revision string) (model.Profile, error) {
	repo, err := r.repository(ctx, id, revision)
	if errors.Is(err, errNoAPI) {
		if plain, ok := r.plain(ctx, id, revision); ok {
			repo, err = plain, nil
		}
	}
	if err != nil {
		return model.Profile{}, err
	}
	at := func(file string) string {
		return r.endpoint() + "/" + id + "/resolve/" + url.PathEscape(repo.SHA) + "/" + (&url.URL{Path: file}).EscapedPath()
	}
	sizes, files := map[string]int64{}, map[string]model.File{}
	for _, s := range repo.Siblings {
		f := model.File{Name: s.Name, Bytes: max(s.Size, s.LFS.Size), SHA256: s.LFS.SHA256}
		files[s.Name] = f
		sizes[s.Name] = f.Bytes
	}
	var read atomic.Int64
	config, err := r.small(ctx, id, at("config.json"), model.MaxConfigBytes, &read)
	if err != nil {
		return model.Profile{}, err
	}
	s := model.Sizes{}
	if !strings.Contains(string(config), "quantization_config") {
		for _, name := range quantFiles {
			if _, ok := sizes[name]; ok {
				if s.QuantConfig, err = r.small(ctx, id, at(name), model.MaxConfigBytes, &read); err != nil {
					return model.Profile{}, err
				}
				break
			}
		}
	}
	var index []byte
	if _, ok := sizes[indexName]; ok {
		if index, err = r.small(ctx, id, at(indexName), maxIndexBytes, &read); err != nil {
			return model.Profile{}, err
		}
	}
	w, err := chooseWeights(sizes, index)
	if err != nil {
		return model.Profile{}, problem.New(problem.ExitUsage, "bad_checkpoint", "%s of %s cannot be used", indexName, id).Wrap(err)
	}
	for _, name := range w.names {
		f, ok := files[name]
		if !ok {
			return model.Profile{}, problem.New(problem.ExitUsage, "bad_checkpoint", "%s lacks %s", id, name).Because("%s names it, the file list does not", indexName)
		}
		s.Files = append(s.Files, f)
		s.WeightsBytes += f.Bytes
	}
	headless := ""
	if !w.pickle {
		if s.Tensors, err = r.headers(ctx, id, s.Files, at, &read); err != nil {
			if headless = r.withoutHeaders(&s, err, w, repo); headless == "" {
				return model.Profile{}, err
			}
		}
	}
	p, err := finish(config, s, id)
	if err != nil {
		return p, err
	}
	if headless != "" {
		p.Unknowns = append(p.Unknowns, headless)
	}
	p.ID, p.Revision, p.PickleOnly = id, repo.SHA, w.pickle
	p.Gated = len(repo.Gated) > 0 && string(repo.Gated) != "false" && string(repo.Gated) != "null"
	p.License = repo.license()
	if len(w.names) == 0 {
		p.Unknowns = append(p.Unknowns, "weights: the repository has no safetensors and no pickles at its top level")
	}
	p.Sources = append(p.Sources,
		r.fact("model/"+id+"/config", "config.json at commit "+repo.SHA, at("config.json")),
		r.fact("model/"+id+"/weights", describe(p, read.Load()), at("")))
	return p, nil
}

func (r *Resolver) endpoint() string {
	if r.o.Endpoint == "" {
		return DefaultEndpoint
	}
	return strings.TrimRight(r.o.Endpoint, "/")
}

func (r *repository) license() string {
	var s string
	if json.Unmarshal(r.CardData.License, &s) == nil && s != "" {
		return s
	}
	for _, t := range r.Tags {
		if l, ok := strings.CutPrefix(t, "license:"); ok {
			return l
		}
	}
	return ""
}

func (r *Resolver) repository(ctx context.Context, id, revision string) (*repository, error) {
	address := r.endpoint() + "/api/models/" + id
	if revision != "" {
		address += "/revision/" + url.PathEscape(revision)
	}
	b, err := r.small(ctx, id, address+"?blobs=true", 32<<20, nil)
	if err != nil {
		return nil, err
	}
	var repo repository
	if err := json.Unmarshal(b, &repo); err == nil && repo.SHA == "" && len(repo.Siblings) > 0 {
		repo.SHA = revision // a mirror without commits: the revision asked for stands in
		if repo.SHA == "" {
			repo.SHA = "main"
		}
	}
	if repo.SHA == "" {
		return nil, problem.New(problem.ExitCapacity, "hub_unreachable", "%s does not answer like a model hub", r.host()).
			Because("%s", "its answer about the model has no commit").Try("HF_ENDPOINT must be the address before /api/models", "")
	}
	if repo.Disabled {
		return nil, problem.New(problem.ExitUsage, "model_disabled", "%s is disabled on the hub", id)
	}
	return &repo, nil
}

func (r *Resolver) host() string {
	u, err := url.Parse(r.endpoint())
	if err != nil || u.Host == "" {
		return r.endpoint()
	}
	return u.Host
}

// small reads a whole small file.
func (r *Resolver) small(ctx context.Context, id, address string, limit int64, read *atomic.Int64) ([]byte, error) {
	h := &hubHeaders{}
	res, err := r.client.Do(context.WithValue(ctx, headerKey{}, h), httpclient.Request{URL: address, Bearer: httpclient.NewSecret(r.o.Token), MaxBody: limit})
	if err != nil {
		return nil, r.explain(id, address, h, err)
	}
	if read != nil {
		read.Add(int64(len(res.Body)))
	}
	return res.Body, nil
}

// headers reads the header of each weight file by range, a few at a time.
func (r *Resolver) headers(ctx context.Context, id string, files []model.File, at func(string) string, read *atomic.Int64) ([]model.Tensor, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results, errs := make([][]model.Tensor, len(files)), make([]error, len(files))
	slots := make(chan struct{}, 6)
	var wg sync.WaitGroup
	for i, f := range files {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if results[i], errs[i] = r.header(ctx, id, f, at(f.Name), read); errs[i] != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	var out []model.Tensor
	for i := range files {
		if errs[i] != nil && !errors.Is(errs[i], context.Canceled) {
			return nil, errs[i]
		}
	}
	for i := range files {
		if errs[i] != nil {
			return nil, errs[i]
		}
		out = append(out, results[i]...)
	}
	return out, nil
}

// header reads one header: a first piece that is small against the file, then what is missing.
func (r *Resolver) header(ctx context.Context, id string, f model.File, address string, read *atomic.Int64) ([]model.Tensor, error) {
	bad := func(err error) error {
		var h *model.HeaderError
		if errors.As(err, &h) {
			return problem.New(problem.ExitUsage, "bad_checkpoint", "%s of %s cannot be used", f.Name, id).Wrap(err)
		}
		return err
	}
	first, err := r.span(ctx, id, address, 0, min(max(f.Bytes/2000, 8), 100<<10), read)
	if err != nil {
		return nil, err
	}
	length, err := model.HeaderLength(first, f.Bytes)
	if err != nil {
		return nil, bad(err)
	}
	have := first[8:]
	if missing := length - int64(len(have)); missing > 0 {
		rest, err := r.span(ctx, id, address, int64(len(first)), missing, read)
		if err != nil {
			return nil, err
		}
		if int64(len(rest)) < missing {
			return nil, bad(&model.HeaderError{Why: "the file is cut off in it"})
		}
		have = append(have, rest...)
	}
	size := f.Bytes
	if size == length+8 {
		size = 0 // a header alone, as mirrors of descriptions keep it: what it says of the tensors is still true
	}
	t, err := model.ParseHeader(have[:length], size)
	return t, bad(err)
}

// span reads n bytes from an offset. A server that ignores the range is read up to the end of the span and no
// further.
func (r *Resolver) span(ctx context.Context, id, address string, from, n int64, read *atomic.Int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 4*r.o.Patience)
	defer cancel()
	h := &hubHeaders{}
	res, err := r.client.Stream(context.WithValue(ctx, headerKey{}, h), httpclient.Request{
		URL: address, Bearer: httpclient.NewSecret(r.o.Token), Header: http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", from, from+n-1)}},
	})
	if err != nil {
		return nil, r.explain(id, address, h, err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusOK && from > 0 {
		if _, err := io.CopyN(io.Discard, res.Body, from); err != nil {
			return nil, r.explain(id, address, h, err)
		}
		read.Add(from)
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, n))
	read.Add(int64(len(b)))
	if err != nil {
		return nil, r.explain(id, address, h, err)
	}
	return b, nil
}
