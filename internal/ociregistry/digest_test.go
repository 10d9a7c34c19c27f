package ociregistry

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestParseReference(t *testing.T) {
	for ref, want := range map[string]Reference{
		"vllm/vllm-openai:v0.19.1":       {"registry-1.docker.io", "vllm/vllm-openai", "v0.19.1", ""},
		"ubuntu":                         {"registry-1.docker.io", "library/ubuntu", "latest", ""},
		"docker.io/runpod/base:1":        {"registry-1.docker.io", "runpod/base", "1", ""},
		"ghcr.io/owner/name:tag":         {"ghcr.io", "owner/name", "tag", ""},
		"localhost:5000/a/b:c":           {"localhost:5000", "a/b", "c", ""},
		"127.0.0.1:5000/a":               {"127.0.0.1:5000", "a", "latest", ""},
		"registry.example.com:443/x/y:z": {"registry.example.com:443", "x/y", "z", ""},
	} {
		got, err := ParseReference(ref)
		if err != nil || got != want {
			t.Errorf("ParseReference(%q) = %+v, %v; want %+v", ref, got, err, want)
		}
	}
	for _, ref := range []string{"", "a@sha256:" + strings.Repeat("0", 63), "a b:c", ":x"} {
		if _, err := ParseReference(ref); err == nil {
			t.Errorf("ParseReference(%q) is no error", ref)
		}
	}
}

func TestDigest(t *testing.T) {
	good := "sha256:" + strings.Repeat("ab", 32)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodHead || !strings.Contains(r.Header.Get("Accept"), "index.v1+json"):
			w.WriteHeader(http.StatusBadRequest)
		case r.URL.Path == "/v2/a/b/manifests/good":
			w.Header().Set("Docker-Content-Digest", good)
		case r.URL.Path == "/v2/a/b/manifests/lie":
			w.Header().Set("Docker-Content-Digest", "sha256:short")
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer srv.Close()
	host := strings.TrimPrefix(srv.URL, "http://")
	c := New(nil)
	if d, err := c.Digest(t.Context(), host+"/a/b:good"); err != nil || d != good {
		t.Errorf("Digest = %q, %v", d, err)
	}
	for _, tag := range []string{"lie", "absent"} {
		if d, err := c.Digest(t.Context(), host+"/a/b:"+tag); err == nil {
			t.Errorf("Digest of %s = %q and no error", tag, d)
		}
	}
}
