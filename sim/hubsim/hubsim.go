// Package hubsim serves local checkpoint directories under any hub id, as the model hub does: the model API, file
// trees, and files by revision with ranges and the headers that the hub's own client reads. An http.Handler that
// anybody may mount; HF_ENDPOINT points huggingface_hub, vLLM and justright at it.
package hubsim

import (
	"crypto/sha1" //nolint:gosec // git's object names are SHA-1
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"time"
)

// Repo is one served repository.
type Repo struct {
	Dir     string   // its files; links are followed, dot files are not served
	Gated   string   // "", "auto" or "manual": the files need a token with access
	Access  []string // tokens that have access to a gated or private repository
	Private bool     // hidden from everybody without access
	License string
	Pulls   int // how many refs/pr/N exist, each with the same files
}

// Hub is the handler. The zero value serves nothing; Add repositories before or while it serves.
type Hub struct {
	// Tokens, when not empty, are the only ones that are valid; any other is answered 401.
	Tokens []string
	// Redirect answers GET of large files with 302 to another path, as the real hub sends to its CDN.
	Redirect bool

	mu    sync.Mutex
	repos map[string]*served
	reads int64 // bytes of files sent
}

type served struct {
	Repo
	mu     sync.Mutex
	digest map[string]digest // by path
}

type digest struct {
	size    int64
	changed time.Time
	sha256  string
	git     string
}

// Add serves r under a hub id such as "owner/name".
func (h *Hub) Add(id string, r Repo) error {
	st, err := os.Stat(r.Dir)
	if err != nil {
		return fmt.Errorf("hubsim: %s: %w", id, err)
	}
	if !st.IsDir() {
		return fmt.Errorf("hubsim: %s: %s is no directory", id, r.Dir)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.repos == nil {
		h.repos = map[string]*served{}
	}
	h.repos[id] = &served{Repo: r, digest: map[string]digest{}}
	return nil
}

// BytesSent counts what left as file content, for tests that bound it.
func (h *Hub) BytesSent() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reads
}

func (h *Hub) repo(id string) *served {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.repos[id]
}

// lfsBytes is where the hub keeps a file in large-file storage whatever its name.
const lfsBytes = 10 << 20

// file is one file of a repository.
type file struct {
	name string
	size int64
	lfs  bool
}

// files lists a repository in the order of names.
func (s *served) files() ([]file, error) {
	var out []file
	err := filepath.WalkDir(s.Dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if p != s.Dir && strings.HasPrefix(d.Name(), ".") {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		st, err := os.Stat(p) // through links: a hub cache is made of them
		if err != nil || !st.Mode().IsRegular() {
			return nil //nolint:nilerr // a dangling link is no file of the repository
		}
		rel, err := filepath.Rel(s.Dir, p)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(rel)
		out = append(out, file{name, st.Size(), st.Size() > lfsBytes || largeByName(name)})
		return nil
	})
	sort.Slice(out, func(a, b int) bool { return out[a].name < out[b].name })
	return out, err
}

func largeByName(name string) bool {
	switch path.Ext(name) {
	case ".safetensors", ".bin", ".pt", ".pth", ".gguf", ".onnx", ".model", ".msgpack", ".h5":
		return true
	}
	return false
}

// commit names the content: names and sizes of all files and the bytes of the small ones.
func (s *served) commit(files []file) (string, error) {
	sum := sha1.New() //nolint:gosec // git's object names are SHA-1
	for _, f := range files {
		sum.Write(fmt.Appendf(nil, "%s %d\n", f.name, f.size))
		if !f.lfs {
			d, err := s.digestOf(f)
			if err != nil {
				return "", err
			}
			sum.Write([]byte(d.git + "\n"))
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// digestOf hashes a file once, and again when it has changed.
func (s *served) digestOf(f file) (digest, error) {
	p := filepath.Join(s.Dir, filepath.FromSlash(f.name))
	st, err := os.Stat(p)
	if err != nil {
		return digest{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if d, ok := s.digest[f.name]; ok && d.size == st.Size() && d.changed.Equal(st.ModTime()) {
		return d, nil
	}
	in, err := os.Open(p)
	if err != nil {
		return digest{}, err
	}
	defer in.Close()
	whole, blob := sha256.New(), sha1.New() //nolint:gosec // git's object names are SHA-1
	blob.Write(fmt.Appendf(nil, "blob %d\x00", st.Size()))
	if _, err := io.Copy(io.MultiWriter(whole, blob), in); err != nil {
		return digest{}, err
	}
	d := digest{st.Size(), st.ModTime(), hex.EncodeToString(whole.Sum(nil)), hex.EncodeToString(blob.Sum(nil))}
	s.digest[f.name] = d
	return d, nil
}

func (d digest) etag(lfs bool) string {
	if lfs {
		return d.sha256
	}
	return d.git
}

// ServeHTTP answers the routes of the hub.
func (h *Hub) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	w.Header().Set("X-Request-Id", "hubsim")
	token := strings.TrimPrefix(q.Header.Get("Authorization"), "Bearer ")
	if token != "" && len(h.Tokens) > 0 && !contains(h.Tokens, token) {
		refuse(w, http.StatusUnauthorized, "", "Invalid credentials in Authorization header")
		return
	}
	raw := strings.TrimPrefix(q.URL.EscapedPath(), "/")
	switch {
	case raw == "api/whoami-v2":
		if token == "" {
			refuse(w, http.StatusUnauthorized, "", "Invalid username or password.")
			return
		}
		writeJSON(w, map[string]any{"type": "user", "name": "hubsim", "auth": map[string]any{"type": "access_token"}})
	case strings.HasPrefix(raw, "api/models/"):
		h.api(w, q, strings.TrimPrefix(raw, "api/models/"), token)
	case strings.HasPrefix(raw, "_cdn/"):
		h.cdn(w, q, strings.TrimPrefix(raw, "_cdn/"))
	default:
		h.resolve(w, q, raw, token)
	}
}

// open finds a repository and checks that token may see it.
func (h *Hub) open(w http.ResponseWriter, id, token string) *served {
	s := h.repo(id)
	if s == nil || s.Private && !contains(s.Access, token) {
		status := http.StatusNotFound
		if token == "" {
			status = http.StatusUnauthorized // the hub does not tell missing from private
		}
		refuse(w, status, "RepoNotFound", "Repository not found")
		return nil
	}
	return s
}

// revisionOf checks a revision and returns the commit.
func (s *served) revisionOf(w http.ResponseWriter, revision string) (files []file, commit string, ok bool) {
	files, err := s.files()
	if err == nil {
		commit, err = s.commit(files)
	}
	if err != nil {
		http.Error(w, "hubsim: "+err.Error(), http.StatusInternalServerError)
		return nil, "", false
	}
	revision, err = url.PathUnescape(revision)
	pull := 0
	if n, _ := fmt.Sscanf(revision, "refs/pr/%d", &pull); n == 1 && pull >= 1 && pull <= s.Pulls {
		return files, commit, true
	}
	if err != nil || revision != "main" && revision != "refs/heads/main" && (len(revision) < 7 || !strings.HasPrefix(commit, revision)) {
		refuse(w, http.StatusNotFound, "RevisionNotFound", "Invalid rev id: "+revision)
		return nil, "", false
	}
	return files, commit, true
}

func contains(l []string, s string) bool {
	for _, e := range l {
		if e == s && s != "" {
			return true
		}
	}
	return false
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	if code != "" {
		w.Header().Set("X-Error-Code", code)
	}
	w.Header().Set("X-Error-Message", message)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": message})
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(v)
}
