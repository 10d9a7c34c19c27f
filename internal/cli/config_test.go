package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Whatever the program reads from its environment, config show lists.
func TestConfigListsEveryVariable(t *testing.T) {
	t.Parallel()
	read := regexp.MustCompile(`\b(?:[eE]nv|Getenv)\("([A-Z][A-Z0-9_]+)"\)`)
	listed := regexp.MustCompile(`"((?:UV|PIP)_[A-Z_]+)"`) // read in a loop over their names
	used := map[string]string{}
	err := filepath.WalkDir("..", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() && (d.Name() == "tools" || d.Name() == "testdata") {
			if err == nil {
				err = filepath.SkipDir
			}
			return err
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		raw, err := os.ReadFile(path)
		names := read.FindAllStringSubmatch(string(raw), -1)
		if filepath.Base(filepath.Dir(path)) == "pyindex" {
			names = append(names, listed.FindAllStringSubmatch(string(raw), -1)...)
		}
		for _, m := range names {
			used[m[1]] = path
		}
		return err
	})
	if err != nil || len(used) < 20 {
		t.Fatalf("%d variables, %v", len(used), err)
	}
	w := World{Env: func(string) string { return "" }, Dir: t.TempDir()}
	var shown []string
	for _, s := range w.settings() {
		shown = append(shown, s.Name)
	}
	for name, path := range used {
		if !slices.Contains(shown, name) {
			t.Errorf("%s reads %s, which config show does not list (settings in config.go)", path, name)
		}
	}
}

func TestConfigShowsNoSecret(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, ".cache", "huggingface"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, ".cache", "huggingface", "token"), []byte("hf_tokenofthefile0123"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"RUNPOD_API_KEY": "plainpassword", "VLLM_API_KEY": "x", "PIP_INDEX_URL": "https://me:pass5word@index.example/simple", "HTTPS_PROXY": "http://me:pass5word@proxy.example:1",
		"UV_INDEX": "a=https://me:pass5word@a.example b=https://b.example", "HOME": home, "RUNPOD_API_BASE_URL": "http://127.0.0.1:1"}
	code, out, errs := runMain(t, env, "config", "show", "--json")
	var d configDocument
	if err := json.Unmarshal([]byte(out), &d); code != 0 || err != nil {
		t.Fatalf("exit %d, %v: %s", code, err, errs)
	}
	for _, secret := range []string{"plainpassword", "pass5word", "tokenofthefile"} {
		if strings.Contains(out, secret) {
			t.Errorf("shows %s", secret)
		}
	}
	got := map[string]setting{}
	for _, s := range d.Settings {
		if _, twice := got[s.Name]; twice || s.Text == "" {
			t.Errorf("%s stands twice or says nothing", s.Name)
		}
		got[s.Name] = s
	}
	for name, want := range map[string][2]string{
		"RUNPOD_API_KEY": {"[set]", fromEnvironment}, "HF_TOKEN": {"[set]", fromFile}, "HF_ENDPOINT": {"https://huggingface.co", fromDefault}, "RUNPOD_API_BASE_URL": {"http://127.0.0.1:1", fromEnvironment},
		"JUSTRIGHT_STATE_DIR": {filepath.Join(home, ".local", "state", "justright"), fromDefault}, "HF_HUB_OFFLINE": {"", fromNowhere}, "up --budget": {"2.00", fromDefault},
	} {
		if s := got[name]; string(s.Value) != want[0] || s.Origin != want[1] {
			t.Errorf("%s is %q from %s, want %q from %s", name, s.Value, s.Origin, want[0], want[1])
		}
	}
	for _, width := range []int{0, 60} {
		w := World{Args: []string{"config"}, Dir: home, Width: width}
		code, out, _ := runIn(w, env)
		for l := range strings.Lines(out) {
			if width > 0 && strings.HasPrefix(l, "    ") && len([]rune(strings.TrimRight(l, "\n"))) > width {
				t.Errorf("wider than %d: %s", width, l)
			}
		}
		if code != 0 || !strings.Contains(out, "RUNPOD_API_KEY") {
			t.Errorf("exit %d:\n%s", code, out)
		}
	}
	if code, _, _ := runMain(t, env, "config", "sow"); code != 2 {
		t.Errorf("config sow: exit %d", code)
	}
}
