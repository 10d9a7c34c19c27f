// Package pyindex reads Python package indexes: project pages (PEP 691 JSON, PEP 503 HTML), metadata beside files
// (PEP 658), and single files inside wheels and sdists without downloading them whole. Everything it reads is
// bounded in bytes and checked against what the index said; an index may lie.
package pyindex

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"justright/internal/httpclient"
)

// DefaultIndex is the index pip asks when nothing is configured.
const DefaultIndex = "https://pypi.org/simple/"

// The bounds on what is read.
const (
	maxPage     = 32 << 20 // a project page; torch's is 0.5 MB
	maxMetadata = 4 << 20
)

// ErrNotFound says that no index has the project.
var ErrNotFound = errors.New("no such project on the index")

// ErrNoIndex: the address answers, but not as a package index does.
var ErrNoIndex = errors.New("is it a package index?")

// Client asks indexes in order; the first that has a project answers for it, as uv does. It is safe for concurrent
// use.
type Client struct {
	http    *httpclient.Client
	indexes []*url.URL
}

// Options of a Client.
type Options struct {
	Indexes   []string          // simple-API roots in order; empty: DefaultIndex
	Transport http.RoundTripper // nil: the default
	Sleep     func(context.Context, time.Duration) error
	Timeout   time.Duration // of one request; 0: 60 s
}

// New makes a client. An index that is no http or https address is an error.
func New(o Options) (*Client, error) {
	if len(o.Indexes) == 0 {
		o.Indexes = []string{DefaultIndex}
	}
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	c := &Client{http: httpclient.New(httpclient.Options{Transport: o.Transport, Sleep: o.Sleep, Timeout: o.Timeout, MaxBody: maxPage})}
	for _, s := range o.Indexes {
		u, err := url.Parse(s)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			return nil, fmt.Errorf("package index %q is not an http address", httpclient.RedactURL(s))
		}
		if !strings.HasSuffix(u.Path, "/") {
			u.Path += "/"
		}
		c.indexes = append(c.indexes, u)
	}
	return c, nil
}

// Project is the page of a project: every file the index offers of it.
type Project struct {
	Name  string // normalised
	Index string // the index that answered, redacted
	Files []File
}

// File is one file of a project, as the index describes it. Empty fields were not stated.
type File struct {
	Name           string
	URL            string
	SHA256         string
	RequiresPython string
	Size           int64     // 0: not stated
	Uploaded       time.Time // zero: not stated
	Yanked         bool
	HasMetadata    bool   // PEP 658: URL + ".metadata" exists
	MetadataSHA256 string // of that
}

var runs = regexp.MustCompile(`[-_.]+`)

// Normalise is the name as PEP 503 compares it.
func Normalise(name string) string { return strings.ToLower(runs.ReplaceAllString(name, "-")) }

// Project reads the page of a project from the first index that has it.
func (c *Client) Project(ctx context.Context, name string) (Project, error) {
	name = Normalise(name)
	var nothing error
	for _, index := range c.indexes {
		page := index.JoinPath(name + "/")
		res, err := c.http.Do(ctx, httpclient.Request{URL: page.String(), Header: http.Header{
			"Accept": {"application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"}}})
		var he *httpclient.Error
		if errors.As(err, &he) && (he.Status == http.StatusNotFound || he.Status == http.StatusGone) {
			continue
		}
		if err != nil {
			return Project{}, fmt.Errorf("read the page of %s: %w", name, err)
		}
		kind := res.Header.Get("Content-Type")
		files, err := parsePage(page, kind, res.Body)
		if err != nil {
			return Project{}, fmt.Errorf("the page of %s on %s: %w: %w", name, httpclient.RedactURL(index.String()), err, ErrNoIndex)
		}
		if len(files) == 0 && !strings.Contains(kind, "json") { // a page for people: of a proxy, a portal, a login
			nothing = fmt.Errorf("%s answers with a page that names no file of %s: %w", httpclient.RedactURL(index.String()), name, ErrNoIndex)
			continue
		}
		return Project{Name: name, Index: httpclient.RedactURL(index.String()), Files: files}, nil
	}
	if nothing != nil {
		return Project{}, nothing
	}
	return Project{}, fmt.Errorf("%s: %w", name, ErrNotFound)
}

func parsePage(base *url.URL, contentType string, body []byte) ([]File, error) {
	if strings.Contains(contentType, "json") {
		return parseJSON(base, body)
	}
	return parseHTML(base, body)
}

// jsonFile is a file of PEP 691; several fields may hold one of two types.
type jsonFile struct {
	Filename       string            `json:"filename"`
	URL            string            `json:"url"`
	Hashes         map[string]string `json:"hashes"`
	RequiresPython *string           `json:"requires-python"`
	Size           *int64            `json:"size"`
	UploadTime     string            `json:"upload-time"`
	Yanked         json.RawMessage   `json:"yanked"`
	CoreMetadata   json.RawMessage   `json:"core-metadata"`
	DistInfo       json.RawMessage   `json:"dist-info-metadata"`
}

func parseJSON(base *url.URL, body []byte) ([]File, error) {
	var page struct {
		Meta  struct{ APIVersion string } `json:"meta"`
		Files []jsonFile                  `json:"files"`
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return nil, fmt.Errorf("not a PEP 691 document: %w", err)
	}
	files := make([]File, 0, len(page.Files))
	for _, j := range page.Files {
		f, err := newFile(base, j.Filename, j.URL)
		if err != nil {
			return nil, err
		}
		f.SHA256 = j.Hashes["sha256"]
		if j.RequiresPython != nil {
			f.RequiresPython = *j.RequiresPython
		}
		if j.Size != nil {
			if *j.Size < 0 {
				return nil, fmt.Errorf("%s has a size of %d bytes", f.Name, *j.Size)
			}
			f.Size = *j.Size
		}
		f.Uploaded, _ = time.Parse(time.RFC3339Nano, j.UploadTime) // not stated: zero
		f.Yanked = truthy(j.Yanked)
		meta := j.CoreMetadata
		if len(meta) == 0 {
			meta = j.DistInfo
		}
		f.HasMetadata = truthy(meta)
		var hashes map[string]string
		if json.Unmarshal(meta, &hashes) == nil {
			f.MetadataSHA256 = hashes["sha256"]
		}
		files = append(files, f)
	}
	return files, nil
}

// truthy reads a field that is false, true, a text (a reason; present means true) or an object.
func truthy(raw json.RawMessage) bool {
	s := string(raw)
	return s != "" && s != "false" && s != "null"
}

// newFile resolves an address against the page and refuses what no file of an index can be.
func newFile(base *url.URL, name, address string) (File, error) {
	ref, err := url.Parse(address)
	if err != nil {
		return File{}, fmt.Errorf("file %.80q has an address that cannot be read", name)
	}
	u := base.ResolveReference(ref)
	f := File{Name: name}
	if frag, ok := strings.CutPrefix(u.Fragment, "sha256="); ok {
		f.SHA256 = frag
	}
	u.Fragment = ""
	if u.Scheme != "http" && u.Scheme != "https" {
		return File{}, fmt.Errorf("file %.80q has the address scheme %q", name, u.Scheme)
	}
	if u.Host == base.Host && u.User == nil {
		u.User = base.User // the index's own credentials, never another host's
	}
	f.URL = u.String()
	if name == "" || len(name) > 300 || strings.ContainsAny(name, "/\\\x00\n") {
		return File{}, fmt.Errorf("%.80q is no file name", name)
	}
	return f, nil
}

// Metadata reads a file's METADATA: beside it where the index offers that, else from inside the wheel.
func (c *Client) Metadata(ctx context.Context, f File) (Metadata, error) {
	if f.HasMetadata {
		res, err := c.http.Do(ctx, httpclient.Request{URL: f.URL + ".metadata", MaxBody: maxMetadata})
		if err == nil {
			if err := checkSum(res.Body, f.MetadataSHA256); err != nil {
				return Metadata{}, fmt.Errorf("metadata of %s: %w", f.Name, err)
			}
			return ParseMetadata(res.Body)
		}
		var he *httpclient.Error
		if !errors.As(err, &he) || he.Status != http.StatusNotFound {
			return Metadata{}, fmt.Errorf("metadata of %s: %w", f.Name, err)
		}
	}
	w, err := c.OpenWheel(ctx, f)
	if err != nil {
		return Metadata{}, err
	}
	return w.Metadata(ctx)
}
