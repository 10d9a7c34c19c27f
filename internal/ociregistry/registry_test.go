package ociregistry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// registry is a small registry: blobs by digest, manifests by tag, behind a token where secret is set.
type registry struct {
	files  map[string]string // path below /v2/REPO/ → content
	secret string
	self   string
	asked  []string
}

func (r *registry) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r.asked = append(r.asked, q.Method+" "+q.URL.Path)
	if q.URL.Path == "/token" {
		if q.URL.Query().Get("scope") != "repository:team/app:pull" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, `{"token":%q}`, r.secret)
		return
	}
	if r.secret != "" && q.Header.Get("Authorization") != "Bearer "+r.secret {
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="me"`, r.self))
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	content, ok := r.files[strings.TrimPrefix(q.URL.Path, "/v2/team/app/")]
	if !ok {
		http.NotFound(w, q)
		return
	}
	fmt.Fprint(w, content)
}

const appConfig = `{"os":"linux","architecture":"amd64","created":"2026-11-02T10:00:00Z","config":{"Env":["NVIDIA_REQUIRE_CUDA=cuda>=13.0 brand=tesla,driver>=535,driver<536","CUDA_VERSION=13.0.2","EMPTY"],"Entrypoint":["vllm","serve"],"Cmd":null,"Labels":{"a":"b"}}}`

// image makes the files of a two-platform image with appConfig.
func image() map[string]string {
	m := fmt.Sprintf(`{"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"digest":%q,"size":%d},"layers":[{"size":1000},{"size":234}]}`, digestOf([]byte(appConfig)), len(appConfig))
	index := fmt.Sprintf(`{"manifests":[{"digest":%q,"platform":{"os":"linux","architecture":"amd64"}},{"digest":"sha256:%s","platform":{"os":"linux","architecture":"arm64"}}]}`,
		digestOf([]byte(m)), strings.Repeat("0", 64))
	return map[string]string{"manifests/v1": index, "manifests/" + digestOf([]byte(m)): m, "blobs/" + digestOf([]byte(appConfig)): appConfig}
}

func serve(t *testing.T, r *registry) (c *Client, host string) {
	t.Helper()
	srv := httptest.NewServer(r)
	t.Cleanup(srv.Close)
	r.self = srv.URL
	return NewClient(Options{Sleep: func(context.Context, time.Duration) error { return nil }}), strings.TrimPrefix(srv.URL, "http://")
}

func TestImageConfig(t *testing.T) {
	for _, secret := range []string{"", "s3cret-token"} {
		r := &registry{files: image(), secret: secret}
		c, host := serve(t, r)
		got, err := c.Image(t.Context(), host+"/team/app:v1", "amd64")
		if err != nil {
			t.Fatalf("token %q: %v", secret, err)
		}
		if got.Env["CUDA_VERSION"] != "13.0.2" || !strings.HasPrefix(got.Env["NVIDIA_REQUIRE_CUDA"], "cuda>=13.0 brand") || strings.Join(got.Entrypoint, " ") != "vllm serve" ||
			got.Bytes != 1234 || got.Index == "" || got.Digest == got.Index || got.Created.Year() != 2026 {
			t.Errorf("config %+v", got)
		}
		d, err := c.Digest(t.Context(), host+"/team/app:v1")
		if err != nil || d != got.Index {
			t.Errorf("digest %s %v, want %s", d, err, got.Index)
		}
	}
}

func TestImageProblems(t *testing.T) {
	lie := image()
	for k := range lie {
		if strings.HasPrefix(k, "blobs/") {
			lie[k] = `{"config":{"Env":["CUDA_VERSION=11.0"]}}`
		}
	}
	huge := map[string]string{"manifests/v1": `{"config":{"digest":"sha256:` + strings.Repeat("1", 64) + `","size":99999999999}}`}
	negative := map[string]string{"manifests/v1": image()["manifests/v1"]}
	for _, c := range []struct {
		name, ref, platform, want string
		files                     map[string]string
		is                        error
	}{
		{"no such tag", "team/app:v2", "amd64", "", image(), ErrNotFound},
		{"no such platform", "team/app:v1", "riscv64", "amd64", image(), ErrNotFound},
		{"platform whose manifest is missing", "team/app:v1", "arm64", "arm64", image(), ErrNotFound},
		{"config of another hash", "team/app:v1", "amd64", "another config", lie, nil},
		{"config of 100 GB", "team/app:v1", "amd64", "claims", huge, nil},
		{"no JSON", "team/app:v1", "amd64", "cannot be read", map[string]string{"manifests/v1": "<html>"}, nil},
		{"manifest without config", "team/app:v1", "amd64", "names no config", map[string]string{"manifests/v1": "{}"}, nil},
		{"index that points nowhere", "team/app:v1", "amd64", "", negative, ErrNotFound},
		{"too large", "team/app:v1", "amd64", "more than", map[string]string{"manifests/v1": strings.Repeat(" ", maxManifest+1)}, nil},
	} {
		client, host := serve(t, &registry{files: c.files})
		_, err := client.Image(t.Context(), host+"/"+c.ref, c.platform)
		if err == nil || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestDenied(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/token" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+q.Host+`/token"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer srv.Close()
	c := NewClient(Options{Sleep: func(context.Context, time.Duration) error { return nil }})
	if _, err := c.Image(t.Context(), strings.TrimPrefix(srv.URL, "http://")+"/team/app:v1", "amd64"); !errors.Is(err, ErrDenied) {
		t.Errorf("denied: %v", err)
	}
}

// TestTokenGoesNowhereElse holds a registry on https from sending credentials to a plain address.
func TestTokenGoesNowhereElse(t *testing.T) {
	r, _ := ParseReference("registry.example/team/app:v1")
	s := &session{c: New(nil), ref: r}
	for _, realm := range []string{"http://evil.example/token", "file:///etc/passwd", "", "::"} {
		err := s.fetchToken(t.Context(), challenge{scheme: "bearer", params: map[string]string{"realm": realm}}, "Basic x", s.token)
		if err == nil || !strings.Contains(err.Error(), "token server") {
			t.Errorf("realm %q: %v", realm, err)
		}
	}
}

func FuzzParseReference(f *testing.F) {
	for _, s := range []string{"vllm/vllm-openai:v1", "a@sha256:", "localhost:5000/x", "//:@", "docker.io/ubuntu"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseReference(s)
		if err != nil {
			return
		}
		again, err := ParseReference(r.String())
		if err != nil || again != r {
			t.Fatalf("%q reads as %+v, which reads back as %+v, %v", s, r, again, err)
		}
	})
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(appConfig))
	f.Fuzz(func(t *testing.T, b []byte) {
		var c Config
		if c.parse(b) == nil && c.Env == nil {
			t.Fatal("parsed without an environment")
		}
		_, _ = parseChallenge([]string{string(b)})
	})
}
