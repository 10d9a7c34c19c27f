package cli

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"justright/sim/indexsim"
)

// catalogWorld runs a catalog command in a world of its own.
func catalogWorld(t *testing.T, index string) func(args ...string) (code int, stdout, stderr string) {
	t.Helper()
	home := t.TempDir()
	env := map[string]string{"HOME": home, "JUSTRIGHT_CACHE_DIR": filepath.Join(home, "cache"), "PIP_INDEX_URL": index, "PIP_CONFIG_FILE": "/dev/null"}
	return func(args ...string) (int, string, string) {
		var out, errs bytes.Buffer
		code := Main(t.Context(), World{Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs,
			Env: func(k string) string { return env[k] }, Environ: func() []string { return nil },
			Now: func() time.Time { return time.Date(2030, 1, 3, 0, 0, 0, 0, time.UTC) }, Dir: home})
		return code, out.String(), errs.String()
	}
}

// tinyIndex offers one new transformers release and the newest vLLM that the catalog has already.
func tinyIndex(t *testing.T) string {
	t.Helper()
	x := indexsim.New(indexsim.Faults{})
	x.Add("transformers", indexsim.File{Name: "transformers-99.0.0-py3-none-any.whl", Uploaded: time.Date(2030, 1, 2, 0, 0, 0, 0, time.UTC),
		RequiresPython: ">=3.12", Content: indexsim.Wheel(map[string]string{
			"transformers-99.0.0.dist-info/METADATA":         "Name: transformers\nVersion: 99.0.0\n\n",
			"transformers/models/auto/configuration_auto.py": "CONFIG_MAPPING_NAMES = OrderedDict[str, str](\n    [\n        (\"brand_new\", \"BrandNewConfig\"),\n    ]\n)\n",
		})})
	x.Add("vllm", indexsim.File{Name: "vllm-0.33.0-cp38-abi3-manylinux_2_28_x86_64.whl", Content: []byte("not read again"), Uploaded: time.Now()})
	srv := httptest.NewServer(x)
	t.Cleanup(srv.Close)
	return srv.URL + "/simple/"
}

func TestCatalogRefreshThenShow(t *testing.T) {
	run := catalogWorld(t, tinyIndex(t))
	if code, _, stderr := run("catalog", "show", "brand_new"); code != 2 || !strings.Contains(stderr, "no fact contains brand_new") {
		t.Fatalf("before: %d %s", code, stderr)
	}
	code, stdout, stderr := run("catalog", "refresh", "--json")
	var doc struct {
		Schema       string
		Added, Files []string
	}
	if err := json.Unmarshal([]byte(stdout), &doc); code != 0 || err != nil || len(doc.Added) != 1 || doc.Added[0] != "transformers 99.0.0" || len(doc.Files) != 1 {
		t.Fatalf("refresh: %d %s %s %v", code, stdout, stderr, err)
	}
	code, stdout, _ = run("catalog", "show", "BRAND_NEW", "--json")
	var shown catalogDocument
	if err := json.Unmarshal([]byte(stdout), &shown); code != 0 || err != nil || len(shown.Facts) != 1 ||
		!strings.Contains(shown.Facts[0].Statement, "since 99.0.0") || shown.Facts[0].Date != "2030-01-03" {
		t.Fatalf("show: %d %s %v", code, stdout, err)
	}
	if err := os.WriteFile(doc.Files[0], []byte(`{"read":"2031-01-01","releases":[["x"]]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := run("catalog", "show", "gpt_oss"); code != 0 || !strings.Contains(stderr, "not usable") {
		t.Errorf("a broken overlay: %d %s", code, stderr)
	}
}

func TestCatalogShowOverview(t *testing.T) {
	code, stdout, _ := catalogWorld(t, "")("catalog", "show")
	if code != 0 || !strings.Contains(stdout, "architectures") || !strings.Contains(stdout, "read 20") {
		t.Errorf("%d %s", code, stdout)
	}
	code, stdout, _ = catalogWorld(t, "")("catalog", "show", "vllm/0.20.0/")
	if code != 0 || !strings.Contains(stdout, "built for CUDA 13.0") || !strings.Contains(stdout, "derived") {
		t.Errorf("%d %s", code, stdout)
	}
}

func TestCatalogWithoutIndex(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	portal := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("<html>Welcome to the hotel</html>"))
	}))
	defer portal.Close()
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"files":[`))
	}))
	defer broken.Close()
	for _, c := range []struct {
		index string
		code  int
		text  string
	}{{closed.URL + "/simple/", 5, "index_unreachable"}, {portal.URL, 5, "index_unreachable"}, {broken.URL, 5, "index_unreachable"}, {"ftp://x/", 2, "bad_index"}} {
		code, stdout, _ := catalogWorld(t, c.index)("catalog", "check", "--json")
		if code != c.code || !strings.Contains(stdout, c.text) {
			t.Errorf("%s: %d %s", c.index, code, stdout)
		}
	}
}
