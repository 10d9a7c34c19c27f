package pyindex

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"justright/internal/httpclient"
)

// The bounds on reading an sdist.
const (
	maxSdistPacked = 64 << 20 // vLLM's are 47 MB
	maxSdistPlain  = 1 << 30
	maxSdistFiles  = 200_000
	maxSdistMember = 8 << 20
)

// SdistFiles streams a .tar.gz sdist and returns the named files (paths below its one top directory) that it holds. It stops
// reading at the last of them; an archive is sorted, so hidden directories such as .buildkite come first.
func (c *Client) SdistFiles(ctx context.Context, f File, names ...string) (map[string][]byte, error) {
	fail := func(err error) (map[string][]byte, error) { return nil, fmt.Errorf("sdist %s: %w", f.Name, err) }
	if !strings.HasSuffix(f.Name, ".tar.gz") {
		return fail(errors.New("not a .tar.gz"))
	}
	res, err := c.http.Stream(ctx, httpclient.Request{URL: f.URL, Header: http.Header{"Accept-Encoding": {"identity"}}})
	if err != nil {
		return fail(err)
	}
	defer res.Body.Close()
	gz, err := gzip.NewReader(io.LimitReader(res.Body, maxSdistPacked))
	if err != nil {
		return fail(err)
	}
	defer gz.Close()
	missing := make(map[string]bool, len(names))
	for _, n := range names {
		missing[n] = true
	}
	found := make(map[string][]byte, len(names))
	t := tar.NewReader(io.LimitReader(gz, maxSdistPlain))
	for n := 0; len(missing) > 0; n++ {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fail(err)
		}
		if n > maxSdistFiles {
			return fail(errors.New("too many files"))
		}
		_, name, _ := strings.Cut(h.Name, "/")
		if !missing[name] || h.Typeflag != tar.TypeReg {
			continue
		}
		b, err := io.ReadAll(io.LimitReader(t, maxSdistMember+1))
		if err != nil {
			return fail(err)
		}
		if len(b) > maxSdistMember {
			return fail(fmt.Errorf("%s is larger than %d bytes", name, maxSdistMember))
		}
		found[name] = b
		delete(missing, name)
	}
	return found, nil
}
