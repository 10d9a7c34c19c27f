package hubsim

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// api answers /api/models/ID[/revision/REV | /tree/REV[/PATH] | /paths-info/REV].
func (h *Hub) api(w http.ResponseWriter, q *http.Request, rest, token string) {
	id, verb, arg := rest, "", ""
	for _, v := range []string{"/revision/", "/tree/", "/paths-info/"} {
		if before, after, ok := strings.Cut(rest, v); ok {
			id, verb, arg = before, v, after
			break
		}
	}
	if n, err := url.PathUnescape(id); err == nil {
		id = n
	}
	s := h.open(w, id, token)
	if s == nil {
		return
	}
	switch verb {
	case "/tree/":
		revision, dir, _ := strings.Cut(arg, "/")
		if files, _, ok := s.revisionOf(w, revision); ok {
			h.tree(w, q, s, files, dir)
		}
	case "/paths-info/":
		if files, _, ok := s.revisionOf(w, arg); ok {
			h.pathsInfo(w, q, s, files)
		}
	default:
		if verb == "" {
			arg = "main"
		}
		if files, commit, ok := s.revisionOf(w, arg); ok {
			h.info(w, q, s, id, files, commit)
		}
	}
}

func (h *Hub) info(w http.ResponseWriter, q *http.Request, s *served, id string, files []file, commit string) {
	blobs := q.URL.Query().Get("blobs") == "true" || q.URL.Query().Get("blobs") == "1"
	var siblings []map[string]any
	for _, f := range files {
		e := map[string]any{"rfilename": f.name}
		if blobs {
			d, err := s.digestOf(f)
			if err != nil {
				http.Error(w, "hubsim: "+err.Error(), http.StatusInternalServerError)
				return
			}
			e["size"], e["blobId"] = f.size, d.git
			if f.lfs {
				e["lfs"] = map[string]any{"sha256": d.sha256, "size": f.size, "pointerSize": 134}
			}
		}
		siblings = append(siblings, e)
	}
	var gated any = false
	if s.Gated != "" {
		gated = s.Gated
	}
	tags := []string{"transformers", "safetensors"}
	if s.License != "" {
		tags = append(tags, "license:"+s.License)
	}
	author, _, _ := strings.Cut(id, "/")
	writeJSON(w, map[string]any{
		"_id": commit[:24], "id": id, "modelId": id, "author": author, "sha": commit, "gated": gated, "private": s.Private, "disabled": false,
		"lastModified": "2026-01-01T00:00:00.000Z", "createdAt": "2026-01-01T00:00:00.000Z", "downloads": 0, "likes": 0,
		"library_name": "transformers", "tags": tags, "cardData": map[string]any{"license": s.License}, "siblings": siblings,
	})
}

func (s *served) entry(f file) (map[string]any, error) {
	d, err := s.digestOf(f)
	if err != nil {
		return nil, err
	}
	e := map[string]any{"type": "file", "oid": d.git, "size": f.size, "path": f.name}
	if f.lfs {
		e["lfs"] = map[string]any{"oid": d.sha256, "size": f.size, "pointerSize": 134}
	}
	return e, nil
}

func (h *Hub) tree(w http.ResponseWriter, q *http.Request, s *served, files []file, dir string) {
	if n, err := url.PathUnescape(dir); err == nil {
		dir = n
	}
	prefix := ""
	if dir != "" {
		prefix = strings.TrimSuffix(dir, "/") + "/"
	}
	recursive := q.URL.Query().Get("recursive")
	all := recursive == "true" || recursive == "1" || recursive == "True"
	out, folders := []map[string]any{}, map[string]bool{}
	for _, f := range files {
		rest, ok := strings.CutPrefix(f.name, prefix)
		if !ok {
			continue
		}
		if folder, _, nested := strings.Cut(rest, "/"); nested {
			if !folders[folder] {
				folders[folder] = true
				out = append(out, map[string]any{"type": "directory", "oid": strings.Repeat("0", 40), "size": 0, "path": prefix + folder})
			}
			if !all {
				continue
			}
		}
		e, err := s.entry(f)
		if err != nil {
			http.Error(w, "hubsim: "+err.Error(), http.StatusInternalServerError)
			return
		}
		out = append(out, e)
	}
	if len(out) == 0 && dir != "" {
		refuse(w, http.StatusNotFound, "EntryNotFound", "Entry not found")
		return
	}
	writeJSON(w, out)
}

// pathsInfo answers POST with the entries of the asked paths.
func (h *Hub) pathsInfo(w http.ResponseWriter, q *http.Request, s *served, files []file) {
	q.Body = http.MaxBytesReader(w, q.Body, 1<<20)
	if err := q.ParseForm(); err != nil {
		refuse(w, http.StatusBadRequest, "", "hubsim reads forms")
		return
	}
	out := []map[string]any{}
	for _, f := range files {
		if !contains(q.PostForm["paths"], f.name) {
			continue
		}
		e, err := s.entry(f)
		if err != nil {
			http.Error(w, "hubsim: "+err.Error(), http.StatusInternalServerError)
			return
		}
		out = append(out, e)
	}
	writeJSON(w, out)
}

// resolve answers /ID/resolve/REV/PATH.
func (h *Hub) resolve(w http.ResponseWriter, q *http.Request, raw, token string) {
	id, rest, ok := strings.Cut(raw, "/resolve/")
	if !ok {
		refuse(w, http.StatusNotFound, "", "hubsim does not know this address")
		return
	}
	revision, name, ok := strings.Cut(rest, "/")
	if after, pull := strings.CutPrefix(rest, "refs/pr/"); pull {
		n, file, more := strings.Cut(after, "/")
		revision, name, ok = "refs/pr/"+n, file, more
	}
	name, err := url.PathUnescape(name)
	if !ok || err != nil {
		refuse(w, http.StatusBadRequest, "", "hubsim reads /ID/resolve/REVISION/FILE")
		return
	}
	if q.Method != http.MethodGet && q.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed, "", "files are read with GET and HEAD")
		return
	}
	s := h.open(w, id, token)
	if s == nil {
		return
	}
	if s.Gated != "" && !contains(s.Access, token) {
		status := http.StatusForbidden
		if token == "" {
			status = http.StatusUnauthorized
		}
		refuse(w, status, "GatedRepo", "Access to model "+id+" is restricted. You must have access to it and be authenticated to access it.")
		return
	}
	files, commit, ok := s.revisionOf(w, revision)
	if !ok {
		return
	}
	w.Header().Set("X-Repo-Commit", commit)
	for _, f := range files {
		if f.name == name {
			h.send(w, q, s, f, id)
			return
		}
	}
	refuse(w, http.StatusNotFound, "EntryNotFound", "Entry not found")
}

func (h *Hub) send(w http.ResponseWriter, q *http.Request, s *served, f file, id string) {
	d, err := s.digestOf(f)
	if err != nil {
		http.Error(w, "hubsim: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("ETag", `"`+d.etag(f.lfs)+`"`)
	w.Header().Set("Accept-Ranges", "bytes")
	if f.lfs {
		w.Header().Set("X-Linked-Size", fmt.Sprint(f.size))
		w.Header().Set("X-Linked-ETag", `"`+d.sha256+`"`)
		if h.Redirect && q.Method == http.MethodGet { // HEAD is answered here: the client wants the hub's headers
			w.Header().Set("Location", "http://"+q.Host+"/_cdn/"+(&url.URL{Path: id + "/-/" + f.name}).EscapedPath())
			w.WriteHeader(http.StatusFound)
			return
		}
	}
	h.content(w, q, s, f)
}

// cdn answers the addresses that redirects lead to; like a signed address, it asks for no token.
func (h *Hub) cdn(w http.ResponseWriter, q *http.Request, raw string) {
	raw, err := url.PathUnescape(raw)
	id, name, ok := strings.Cut(raw, "/-/")
	s := h.repo(id)
	if err != nil || !ok || s == nil {
		http.NotFound(w, q)
		return
	}
	files, err := s.files()
	if err != nil {
		http.Error(w, "hubsim: "+err.Error(), http.StatusInternalServerError)
		return
	}
	for _, f := range files {
		if f.name == name {
			h.content(w, q, s, f)
			return
		}
	}
	http.NotFound(w, q)
}

func (h *Hub) content(w http.ResponseWriter, q *http.Request, s *served, f file) {
	in, err := os.Open(filepath.Join(s.Dir, filepath.FromSlash(f.name)))
	if err != nil {
		http.Error(w, "hubsim: "+err.Error(), http.StatusInternalServerError)
		return
	}
	defer in.Close()
	st, err := in.Stat()
	if err != nil {
		http.Error(w, "hubsim: "+err.Error(), http.StatusInternalServerError)
		return
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", contentType(f.name))
	}
	c := &counting{ResponseWriter: w}
	http.ServeContent(c, q, "", st.ModTime(), in)
	h.mu.Lock()
	h.reads += c.n
	h.mu.Unlock()
}

func contentType(name string) string {
	if strings.HasSuffix(name, ".json") {
		return "application/json"
	}
	if largeByName(name) {
		return "application/octet-stream"
	}
	return "text/plain; charset=utf-8"
}

// counting counts the bytes of a body.
type counting struct {
	http.ResponseWriter
	n int64
}

func (c *counting) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.n += int64(n)
	return n, err
}

var _ io.Writer = (*counting)(nil)
