package hubsim

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func checkpoint(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"config.json": `{"model_type":"llama"}`, "model.safetensors": strings.Repeat("w", 5000), "original/x.bin": "copy", ".git/HEAD": "hidden"} {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func serve(t *testing.T, h *Hub) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// answer is what is asserted of a response.
type answer struct {
	StatusCode int
	Header     http.Header
}

func ask(t *testing.T, method, url, token string, header ...string) (answer, string) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		q.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		q.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header}, string(b)
}

// What huggingface_hub 2.4.0 was seen to ask and to need.
func TestFilesAndHeaders(t *testing.T) {
	for _, redirect := range []bool{false, true} {
		h := &Hub{Redirect: redirect}
		if err := h.Add("acme/tiny", Repo{Dir: checkpoint(t), License: "mit", Pulls: 1}); err != nil {
			t.Fatal(err)
		}
		base := serve(t, h)
		_, body := ask(t, "GET", base+"/api/models/acme/tiny/revision/main?blobs=true", "")
		var info struct {
			SHA      string
			Gated    any
			Siblings []struct {
				Name string `json:"rfilename"`
				Size int64
			}
		}
		if err := json.Unmarshal([]byte(body), &info); err != nil || len(info.SHA) != 40 || info.Gated != false || len(info.Siblings) != 3 || info.Siblings[1].Size != 5000 {
			t.Fatalf("model info: %v %s", err, body)
		}
		res, _ := ask(t, "HEAD", base+"/acme/tiny/resolve/main/model.safetensors", "")
		if res.StatusCode != 200 || res.Header.Get("X-Repo-Commit") != info.SHA || res.Header.Get("X-Linked-Size") != "5000" || len(res.Header.Get("X-Linked-Etag")) != 66 {
			t.Errorf("HEAD: %d %v", res.StatusCode, res.Header)
		}
		res, body = ask(t, "GET", base+"/acme/tiny/resolve/"+info.SHA+"/model.safetensors", "", "Range", "bytes=10-19")
		if res.StatusCode != 206 || body != strings.Repeat("w", 10) {
			t.Errorf("range: %d, %d bytes", res.StatusCode, len(body))
		}
		if res, body = ask(t, "GET", base+"/acme/tiny/resolve/refs%2Fpr%2F1/original/x.bin", ""); res.StatusCode != 200 || body != "copy" {
			t.Errorf("pull request: %d %q", res.StatusCode, body)
		}
		if h.BytesSent() != 14 {
			t.Errorf("%d bytes of files sent, 14 asked for", h.BytesSent())
		}
		if _, body = ask(t, "GET", base+"/api/models/acme/tiny/tree/main?recursive=true", ""); !strings.Contains(body, "original/x.bin") || strings.Contains(body, "HEAD") {
			t.Errorf("tree: %s", body)
		}
		if got, body := ask(t, "GET", base+"/api/models/acme/tiny/tree/main/original", ""); got.StatusCode != http.StatusOK || !strings.Contains(body, "original/x.bin") {
			t.Errorf("tree of a folder: %d %s", got.StatusCode, body)
		}
		if got, _ := ask(t, "GET", base+"/api/models/acme/tiny/tree/main/nowhere", ""); got.StatusCode != http.StatusNotFound {
			t.Errorf("tree of a folder that is not there: %d", got.StatusCode)
		}
	}
}

func TestRefusals(t *testing.T) {
	h := &Hub{Tokens: []string{"hf_good", "hf_poor"}}
	dir := checkpoint(t)
	for id, r := range map[string]Repo{"acme/tiny": {Dir: dir}, "acme/gated": {Dir: dir, Gated: "manual", Access: []string{"hf_good"}}, "acme/private": {Dir: dir, Private: true, Access: []string{"hf_good"}}} {
		if err := h.Add(id, r); err != nil {
			t.Fatal(err)
		}
	}
	base := serve(t, h)
	tests := []struct {
		path, token string
		status      int
		code        string
	}{
		{"/acme/gated/resolve/main/config.json", "", 401, "GatedRepo"},
		{"/acme/gated/resolve/main/config.json", "hf_poor", 403, "GatedRepo"},
		{"/acme/gated/resolve/main/config.json", "hf_good", 200, ""},
		{"/api/models/acme/gated", "", 200, ""},
		{"/api/models/acme/private", "", 401, "RepoNotFound"},
		{"/api/models/acme/private", "hf_poor", 404, "RepoNotFound"},
		{"/api/models/acme/private", "hf_good", 200, ""},
		{"/api/models/acme/tiny", "hf_forged", 401, ""},
		{"/api/models/acme/none", "", 401, "RepoNotFound"},
		{"/acme/tiny/resolve/main/none.json", "", 404, "EntryNotFound"},
		{"/acme/tiny/resolve/v9/config.json", "", 404, "RevisionNotFound"},
		{"/acme/tiny/resolve/main/..%2f..%2fetc%2fpasswd", "", 404, "EntryNotFound"},
		{"/acme/tiny/resolve/main/.git/HEAD", "", 404, "EntryNotFound"},
	}
	for _, tt := range tests {
		res, _ := ask(t, "GET", base+tt.path, tt.token)
		if res.StatusCode != tt.status || res.Header.Get("X-Error-Code") != tt.code {
			t.Errorf("%s as %q: %d %q, want %d %q", tt.path, tt.token, res.StatusCode, res.Header.Get("X-Error-Code"), tt.status, tt.code)
		}
	}
}
