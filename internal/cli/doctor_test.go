package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// internet answers what doctor asks, by host; hosts that are not in it cannot be reached.
type internet map[string]func(*http.Request) (int, string)

func (n internet) RoundTrip(r *http.Request) (*http.Response, error) {
	f, ok := n[r.URL.Host]
	if !ok {
		return nil, errors.New("no route to host")
	}
	status, body := f(r)
	h := http.Header{"Content-Type": {"application/json"}, "Date": {time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC).Format(http.TimeFormat)}}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func TestDoctor(t *testing.T) {
	bin := t.TempDir()
	for name, text := range map[string]string{"uv": "uv 0.9.9", "python3": "Python 3.12.1", "nvidia-smi": "NVIDIA L4, 23034 MiB, 570.86.10"} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\necho '"+text+"'\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	api := func(key, balance string) func(*http.Request) (int, string) {
		return func(r *http.Request) (int, string) {
			switch {
			case r.Header.Get("Authorization") != "Bearer "+key:
				return 401, `{"title":"Unauthorized","status":401,"detail":"missing bearer token"}`
			case r.URL.Path == "/v2/registries":
				return 200, `{"registries":[]}`
			case r.URL.Path == "/v2/catalog/gpus":
				return 200, `{"gpus":[{"id":"a","secure":true,"availability":"HIGH"},{"id":"b","secure":true,"availability":"NONE"}]}`
			case r.URL.Path == "/graphql" && balance != "":
				return 200, `{"data":{"myself":{"clientBalance":` + balance + `,"currentSpendPerHr":0.5}}}`
			default:
				return 404, `{"title":"Not Found","status":404,"detail":"resource not found"}`
			}
		}
	}
	yes := func(*http.Request) (int, string) { return 200, `{}` }
	hub := func(r *http.Request) (int, string) {
		if r.URL.Path == "/api/whoami-v2" && r.Header.Get("Authorization") != "Bearer hf_good" {
			return 401, `{"error":"Invalid credentials"}`
		}
		return 200, `[]`
	}
	world := internet{"api.runpod.io": api("rpa_GOODGOOD", "18.2"), "pypi.org": yes, "huggingface.co": hub,
		"registry-1.docker.io": func(*http.Request) (int, string) { return 401, `{}` }}
	with := func(change func(internet)) internet {
		n := internet{}
		for k, v := range world {
			n[k] = v
		}
		change(n)
		return n
	}
	env := map[string]string{"RUNPOD_API_KEY": "rpa_GOODGOOD", "HF_TOKEN": "hf_good", "PATH": bin, "HOME": t.TempDir()}
	envWith := func(kv ...string) map[string]string {
		e := map[string]string{}
		for k, v := range env {
			e[k] = v
		}
		for i := 0; i < len(kv); i += 2 {
			e[kv[i]] = kv[i+1]
		}
		return e
	}
	noon := time.Date(2026, 11, 25, 12, 0, 1, 0, time.UTC)
	tests := []struct {
		name   string
		net    internet
		env    map[string]string
		now    time.Time
		args   []string
		status int
		want   map[string]string // check -> status and a part of its detail
	}{
		{"all is well", world, env, noon, []string{"--on", "runpod"}, 0, map[string]string{"runpod-key": "ok taken", "clock": "ok agrees", "balance": "ok $18.20",
			"runpod-offers": "ok 2 GPU types, 1 in stock", "package-index": "ok https://pypi.org", "model-hub": "ok", "hub-token": "ok", "image-registry": "ok",
			"uv": "ok uv 0.9.9", "python": "ok Python 3.12.1", "gpu": "ok NVIDIA L4"}},
		{"no key is a note", world, envWith("RUNPOD_API_KEY", ""), noon, nil, 0, map[string]string{"runpod-key": "note RUNPOD_API_KEY is not set", "clock": "ok"}},
		{"no key for runpod", world, envWith("RUNPOD_API_KEY", ""), noon, []string{"--on", "runpod"}, 4, map[string]string{"runpod-key": "failed"}},
		{"a pod's own key is none", world, envWith("RUNPOD_POD_ID", "p"), noon, []string{"--on", "runpod"}, 4, map[string]string{"runpod-key": "failed this is a RunPod pod"}},
		{"wrong key", world, envWith("RUNPOD_API_KEY", "rpa_WRONGWRONG"), noon, nil, 4, map[string]string{"runpod-key": "failed refused"}},
		{"balance unknown", with(func(n internet) { n["api.runpod.io"] = api("rpa_GOODGOOD", "") }), env, noon, nil, 0, map[string]string{"balance": "note not known"}},
		{"balance used up", with(func(n internet) { n["api.runpod.io"] = api("rpa_GOODGOOD", "-0.5") }), env, noon, []string{"--on", "runpod"}, 5, map[string]string{"balance": "failed $-0.50"}},
		{"API down", with(func(n internet) { delete(n, "api.runpod.io") }), env, noon, nil, 5, map[string]string{"runpod-api": "failed"}},
		{"rate limit used up", with(func(n internet) {
			n["api.runpod.io"] = func(*http.Request) (int, string) { return 429, `{"status":429,"detail":"rate limit exceeded"}` }
		}), env, noon, nil, 0, map[string]string{"runpod-api": "note https://api.runpod.io takes no more calls"}},
		{"index down", with(func(n internet) { delete(n, "pypi.org") }), env, noon, nil, 5, map[string]string{"package-index": "failed https://pypi.org/simple (the default)"}},
		{"index elsewhere", with(func(n internet) { n["mirror.example"] = yes }), envWith("PIP_INDEX_URL", "https://u:p@mirror.example/simple"), noon, nil, 0, map[string]string{"package-index": "ok https://[redacted]@mirror.example"}},
		{"hub down", with(func(n internet) { delete(n, "huggingface.co") }), env, noon, nil, 5, map[string]string{"model-hub": "failed", "hub-token": "skipped"}},
		{"wrong token", world, envWith("HF_TOKEN", "hf_bad"), noon, nil, 4, map[string]string{"hub-token": "failed refused"}},
		{"no registry", with(func(n internet) { delete(n, "registry-1.docker.io") }), env, noon, nil, 0, map[string]string{"image-registry": "note"}},
		{"clock an hour ahead", world, env, noon.Add(time.Hour), nil, 0, map[string]string{"clock": "note 1h0m1s ahead of api.runpod.io"}},
		{"no tools", world, envWith("PATH", ""), noon, nil, 0, map[string]string{"uv": "note", "python": "note", "gpu": "note"}},
		{"no tools for local", world, envWith("PATH", ""), noon, []string{"--on", "local"}, 5, map[string]string{"python": "failed neither"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			status := Main(context.Background(), World{Args: append([]string{"doctor", "--json"}, tt.args...), Stdout: &out, Stderr: &errs, Stdin: strings.NewReader(""),
				Env: func(k string) string { return tt.env[k] }, Now: func() time.Time { return tt.now }, Transport: tt.net, Dir: bin})
			var doc doctorDocument
			if err := json.Unmarshal(out.Bytes(), &doc); err != nil {
				t.Fatalf("%v\n%s%s", err, out.String(), errs.String())
			}
			if status != tt.status || doc.Healthy != (tt.status == 0) {
				t.Errorf("status %d, healthy %v; want %d", status, doc.Healthy, tt.status)
			}
			got := map[string]string{}
			for _, f := range doc.Checks {
				got[f.Name] = f.Status + " " + f.Detail
				if (f.Status == "failed") && f.Fix == nil {
					t.Errorf("%s failed without a fix", f.Name)
				}
			}
			for name, want := range tt.want {
				if !strings.HasPrefix(got[name], want) {
					t.Errorf("%s: %q, want %q", name, got[name], want)
				}
			}
			for _, secret := range []string{"GOODGOOD", "WRONGWRONG", "hf_good", "hf_bad", ":p@"} {
				if strings.Contains(out.String()+errs.String(), secret) {
					t.Errorf("%s was printed", secret)
				}
			}
		})
	}
}
