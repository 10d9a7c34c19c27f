package hub

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"justright/problem"
)

// files serves a directory under /owner/name/resolve/REV/ and nothing else, but what refuse says.
func files(t *testing.T, dir string, refuse func(w http.ResponseWriter, q *http.Request, name string) bool) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		rest, ok := strings.CutPrefix(q.URL.Path, "/acme/tiny/resolve/")
		_, name, whole := strings.Cut(rest, "/")
		if refuse != nil && refuse(w, q, name) {
			return
		}
		if !ok || !whole {
			http.NotFound(w, q)
			return
		}
		http.ServeFile(w, q, filepath.Join(dir, name))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// A mirror that serves files but not the model API is read file by file.
func TestMirrorWithoutAPI(t *testing.T) {
	dir, bytes := tiny(t)
	base := files(t, dir, nil)
	p, err := New(Options{Endpoint: base}).Resolve(t.Context(), "acme/tiny")
	if err != nil {
		t.Fatal(err)
	}
	if p.WeightsBytes != bytes || len(p.Tensors) == 0 || p.TieEmbeddings {
		t.Errorf("%d bytes, %d groups of tensors, tied %v; want %d", p.WeightsBytes, len(p.Tensors), p.TieEmbeddings, bytes)
	}
	if _, err := New(Options{Endpoint: base}).Resolve(t.Context(), "acme/other"); err == nil {
		t.Error("a model that is not there was found")
	} else {
		wantProblem(t, err, problem.ExitUsage, "unknown_model")
	}
	one := t.TempDir()
	write(t, one, "config.json", tinyConfig)
	shard(t, filepath.Join(one, "model.safetensors"), map[string][]int64{"lm_head.weight": {16, 8}})
	p, err = New(Options{Endpoint: files(t, one, nil)}).Resolve(t.Context(), "acme/tiny")
	if err != nil || p.WeightsBytes == 0 {
		t.Errorf("one file: %d bytes, %v", p.WeightsBytes, err)
	}
}

// Where the weight files cannot be read, the index's total stands in, and that is said; a refusal is not overlooked.
func TestWeightsThatCannotBeRead(t *testing.T) {
	dir, _ := tiny(t)
	write(t, dir, indexName, `{"metadata":{"total_size":12345678},"weight_map":{"lm_head.weight":"model-00001-of-00002.safetensors"}}`)
	missing := func(w http.ResponseWriter, q *http.Request, name string) bool {
		if strings.HasSuffix(name, ".safetensors") {
			http.NotFound(w, q)
			return true
		}
		return false
	}
	p, err := New(Options{Endpoint: files(t, dir, missing)}).Resolve(t.Context(), "acme/tiny")
	if err != nil || p.WeightsBytes != 12345678 || !strings.Contains(strings.Join(p.Unknowns, "\n"), "headers") {
		t.Errorf("%d bytes, %q, %v", p.WeightsBytes, p.Unknowns, err)
	}
	gated := func(w http.ResponseWriter, q *http.Request, name string) bool {
		if strings.HasSuffix(name, ".safetensors") {
			w.Header().Set("X-Error-Code", "GatedRepo")
			http.Error(w, "", http.StatusForbidden)
			return true
		}
		return false
	}
	_, err = New(Options{Endpoint: files(t, dir, gated)}).Resolve(t.Context(), "acme/tiny")
	wantProblem(t, err, problem.ExitCredentials, "gated_model")
}

// A mirror may keep a weight file's header alone; a file cut elsewhere is refused.
func TestHeaderAlone(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "config.json", tinyConfig)
	path := filepath.Join(dir, "model.safetensors")
	bytes := shard(t, path, map[string][]int64{"lm_head.weight": {16, 8}})
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	list := func(size int) func(w http.ResponseWriter, q *http.Request, name string) bool {
		return func(w http.ResponseWriter, q *http.Request, name string) bool {
			if !strings.HasPrefix(q.URL.Path, "/api/models/") {
				return false
			}
			_, _ = w.Write([]byte(`{"id":"acme/tiny","sha":"` + strings.Repeat("a", 40) + `","siblings":[{"rfilename":"config.json"},{"rfilename":"model.safetensors","size":` + strconv.Itoa(size) + `}]}`))
			return true
		}
	}
	header := len(whole) - int(bytes)
	if err := os.WriteFile(path, whole[:header], 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := New(Options{Endpoint: files(t, dir, list(header))}).Resolve(t.Context(), "acme/tiny")
	if err != nil || p.WeightsBytes != bytes {
		t.Errorf("%d bytes, want %d (%v)", p.WeightsBytes, bytes, err)
	}
	_, err = New(Options{Endpoint: files(t, dir, list(header+3))}).Resolve(t.Context(), "acme/tiny")
	wantProblem(t, err, problem.ExitUsage, "bad_checkpoint")
}
