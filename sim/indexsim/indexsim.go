// Package indexsim is a Python package index that anybody's client can use: project pages as PEP 691 JSON or PEP 503
// HTML, files with byte ranges, PEP 658 metadata, and wheels and sdists made on the fly. Switches make it lie.
package indexsim

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// File is one file the index offers.
type File struct {
	Name           string
	Content        []byte
	RequiresPython string
	Uploaded       time.Time
	Yanked         bool
	Metadata       []byte // offered as PEP 658 when not nil

	// Lies.
	ClaimSize   int64  // size the page states; 0: the true one, -1: none
	ClaimSHA256 string // "": the true one
}

// Faults are what the server does wrong. The zero value does nothing wrong.
type Faults struct {
	NoRanges   bool  // answers 200 with the whole file
	CutAfter   int64 // ends every file answer after so many bytes; 0: never
	WrongRange bool  // answers a range other than the one asked for
	HTMLOnly   bool  // knows only PEP 503
	FailFirst  int   // answers 503 to so many requests first
}

// Index is an http.Handler. Simple pages are below /simple/, files below /files/.
type Index struct {
	mu       sync.Mutex
	projects map[string][]File
	faults   Faults
	requests int
	sent     int64
}

// New makes an empty index.
func New(f Faults) *Index { return &Index{projects: map[string][]File{}, faults: f} }

var runs = regexp.MustCompile(`[-_.]+`)

// Add offers files of a project.
func (x *Index) Add(project string, files ...File) {
	x.mu.Lock()
	defer x.mu.Unlock()
	key := strings.ToLower(runs.ReplaceAllString(project, "-"))
	x.projects[key] = append(x.projects[key], files...)
}

// Requests is how many requests came, and how many bytes of files went out.
func (x *Index) Requests() (n int, sent int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.requests, x.sent
}

func (x *Index) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x.mu.Lock()
	x.requests++
	fail := x.requests <= x.faults.FailFirst
	x.mu.Unlock()
	if fail {
		http.Error(w, "busy", http.StatusServiceUnavailable)
		return
	}
	if project, ok := strings.CutPrefix(r.URL.Path, "/simple/"); ok {
		x.page(w, r, strings.Trim(project, "/"))
		return
	}
	rest, ok := strings.CutPrefix(r.URL.Path, "/files/")
	project, name, slash := strings.Cut(rest, "/")
	if !ok || !slash {
		http.NotFound(w, r)
		return
	}
	x.file(w, r, project, name)
}

func (x *Index) find(project string) []File {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.projects[project])
}

func (x *Index) page(w http.ResponseWriter, r *http.Request, project string) {
	files := x.find(project)
	if files == nil {
		http.NotFound(w, r)
		return
	}
	if x.faults.HTMLOnly || !strings.Contains(r.Header.Get("Accept"), "json") {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write(htmlPage(project, files))
		return
	}
	w.Header().Set("Content-Type", "application/vnd.pypi.simple.v1+json")
	_, _ = w.Write(jsonPage(project, files))
}

func jsonPage(project string, files []File) []byte {
	rows := make([]map[string]any, 0, len(files))
	for _, f := range files {
		row := map[string]any{"filename": f.Name, "url": "/files/" + project + "/" + f.Name, "hashes": map[string]string{"sha256": f.hash()},
			"yanked": f.Yanked, "core-metadata": f.Metadata != nil}
		if f.RequiresPython != "" {
			row["requires-python"] = f.RequiresPython
		}
		if f.ClaimSize >= 0 {
			row["size"] = f.size()
		}
		if !f.Uploaded.IsZero() {
			row["upload-time"] = f.Uploaded.UTC().Format(time.RFC3339Nano)
		}
		rows = append(rows, row)
	}
	b, err := json.Marshal(map[string]any{"meta": map[string]string{"api-version": "1.1"}, "name": project, "files": rows})
	if err != nil {
		panic(err) // strings and numbers
	}
	return b
}

func htmlPage(project string, files []File) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "<!DOCTYPE html><html><body><h1>Links for %s</h1>\n", html.EscapeString(project))
	for _, f := range files {
		fmt.Fprintf(&b, `<a href="../../files/%s/%s#sha256=%s"`, project, f.Name, f.hash())
		if f.RequiresPython != "" {
			fmt.Fprintf(&b, ` data-requires-python="%s"`, html.EscapeString(f.RequiresPython))
		}
		if f.Yanked {
			b.WriteString(` data-yanked=""`)
		}
		if f.Metadata != nil {
			b.WriteString(` data-core-metadata="true"`)
		}
		fmt.Fprintf(&b, ">%s</a><br>\n", f.Name)
	}
	b.WriteString("</body></html>\n")
	return b.Bytes()
}

func (f File) hash() string {
	if f.ClaimSHA256 != "" {
		return f.ClaimSHA256
	}
	sum := sha256.Sum256(f.Content)
	return hex.EncodeToString(sum[:])
}

func (f File) size() int64 {
	if f.ClaimSize != 0 {
		return f.ClaimSize
	}
	return int64(len(f.Content))
}

func (x *Index) file(w http.ResponseWriter, r *http.Request, project, name string) {
	for _, f := range x.find(project) {
		switch {
		case f.Name == name:
			x.send(w, r, f.Content)
			return
		case f.Metadata != nil && f.Name+".metadata" == name:
			_, _ = w.Write(f.Metadata)
			return
		}
	}
	http.NotFound(w, r)
}

// send answers with a range of a file, or breaks as the faults say.
func (x *Index) send(w http.ResponseWriter, r *http.Request, content []byte) {
	counted := &counter{ResponseWriter: w, x: x, left: -1}
	if x.faults.CutAfter > 0 {
		counted.left = x.faults.CutAfter
	}
	switch {
	case x.faults.NoRanges:
		counted.Header().Set("Content-Type", "application/octet-stream")
		_, _ = counted.Write(content)
		return
	case x.faults.WrongRange && r.Header.Get("Range") != "":
		n := min(10, len(content))
		counted.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", n-1, len(content)))
		counted.WriteHeader(http.StatusPartialContent)
		_, _ = counted.Write(content[:n])
		return
	}
	http.ServeContent(counted, r, path.Base(r.URL.Path), time.Time{}, bytes.NewReader(content))
}

// counter counts what is sent, and cuts it off when told to.
type counter struct {
	http.ResponseWriter
	x    *Index
	left int64
}

func (c *counter) Write(b []byte) (int, error) {
	if c.left == 0 {
		panic(http.ErrAbortHandler) // breaks the connection
	}
	if c.left > 0 && int64(len(b)) > c.left {
		b = b[:c.left]
	}
	n, err := c.ResponseWriter.Write(b)
	if c.left > 0 {
		c.left -= int64(n)
	}
	c.x.mu.Lock()
	c.x.sent += int64(n)
	c.x.mu.Unlock()
	return n, err
}

// Wheel makes a wheel's bytes from its files. The order is that of names, so that equal input gives equal bytes.
func Wheel(files map[string]string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range sorted(files) {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate})
		if err == nil {
			_, err = w.Write([]byte(files[name]))
		}
		if err != nil {
			panic(err) // memory
		}
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// Sdist makes the bytes of a .tar.gz with one top directory.
func Sdist(top string, files map[string]string) []byte {
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	t := tar.NewWriter(gz)
	for _, name := range sorted(files) {
		err := t.WriteHeader(&tar.Header{Name: top + "/" + name, Mode: 0o644, Size: int64(len(files[name])), Typeflag: tar.TypeReg})
		if err == nil {
			_, err = t.Write([]byte(files[name]))
		}
		if err != nil {
			panic(err) // memory
		}
	}
	if t.Close() != nil || gz.Close() != nil {
		panic("closing an archive in memory")
	}
	return b.Bytes()
}

func sorted(files map[string]string) []string {
	names := make([]string, 0, len(files))
	for n := range files {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
