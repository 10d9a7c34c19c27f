package hub

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"

	"justright/model"
	"justright/problem"
)

// errNoAPI marks an answer of 404 to the model API without the hub's own word for why: a mirror that serves files only.
var errNoAPI = errors.New("the address of the model's description is not served")

// plain reads which files a mirror without the model API has: config.json, and the index or the one file that an
// engine would load. ok is false when not even config.json is there.
func (r *Resolver) plain(ctx context.Context, id, revision string) (*repository, bool) {
	repo := &repository{ID: id, SHA: revision}
	if revision == "" {
		repo.SHA = "main"
	}
	at := func(file string) string {
		return r.endpoint() + "/" + id + "/resolve/" + url.PathEscape(repo.SHA) + "/" + file
	}
	has := func(file string, whole int64) bool {
		if whole > 0 {
			_, err := r.small(ctx, id, at(file), whole, nil)
			return err == nil
		}
		var read atomic.Int64
		b, err := r.span(ctx, id, at(file), 0, 8, &read)
		return err == nil && len(b) == 8
	}
	if !has("config.json", model.MaxConfigBytes) {
		return nil, false
	}
	repo.Siblings = append(repo.Siblings, sibling{Name: "config.json"})
	for _, name := range quantFiles {
		if has(name, model.MaxConfigBytes) {
			repo.Siblings = append(repo.Siblings, sibling{Name: name})
			break
		}
	}
	if has(indexName, maxIndexBytes) {
		return r.named(ctx, repo, at), true
	}
	if has("model.safetensors", 0) {
		repo.Siblings = append(repo.Siblings, sibling{Name: "model.safetensors"})
	}
	return repo, true
}

// named adds the files that the index names, so that the list is whole.
func (r *Resolver) named(ctx context.Context, repo *repository, at func(string) string) *repository {
	repo.Siblings = append(repo.Siblings, sibling{Name: indexName})
	index, err := r.small(ctx, repo.ID, at(indexName), maxIndexBytes, nil)
	if err != nil {
		return repo
	}
	w, err := chooseWeights(nil, index)
	if err != nil {
		return repo // said when the index is read for good
	}
	for _, name := range w.names {
		repo.Siblings = append(repo.Siblings, sibling{Name: name})
	}
	return repo
}

// withoutHeaders goes on when weight files are listed but cannot be read, as long as something says how large they are:
// their sizes, the total of the index, or the hub's count of parameters. It returns what to tell, "" when err must stand.
func (r *Resolver) withoutHeaders(s *model.Sizes, err error, w weights, repo *repository) string {
	var p *problem.Problem
	if !errors.As(err, &p) || p.Code != "no_checkpoint" {
		return "" // refused, gated, broken or out of reach: not ours to overlook
	}
	s.Tensors = nil
	why := "weights: the headers of the files cannot be read; "
	counted := int64(0)
	for dtype, n := range repo.SafeTensors.Parameters {
		if bits := model.ElementBits(dtype); bits > 0 && n > 0 && n < 1<<50 {
			counted += n * bits / 8
		}
	}
	switch {
	case s.WeightsBytes > 0:
		return why + "their sizes are taken"
	case w.total > 0:
		s.WeightsBytes = w.total
		return why + fmt.Sprintf("the total of %s is taken", indexName)
	case counted > 0:
		s.WeightsBytes = counted
		return why + "the hub's count of parameters is taken"
	}
	return strings.TrimSuffix(why, "; ")
}
