package hub

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"justright/problem"
	"justright/sim/hubsim"
)

const tinyConfig = `{"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":64,"intermediate_size":128,"num_hidden_layers":2,
"num_attention_heads":4,"num_key_value_heads":2,"vocab_size":1000,"max_position_embeddings":2048,"torch_dtype":"float16"}`

// shard writes a safetensors file of zeros.
func shard(t *testing.T, path string, tensors map[string][]int64) int64 {
	t.Helper()
	header, at := map[string]any{"__metadata__": map[string]string{"format": "pt"}}, int64(0)
	for name, shape := range tensors {
		n := int64(2)
		for _, s := range shape {
			n *= s
		}
		header[name] = map[string]any{"dtype": "F16", "shape": shape, "data_offsets": []int64{at, at + n}}
		at += n
	}
	b, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	file := binary.LittleEndian.AppendUint64(nil, uint64(len(b)))
	file = append(append(file, b...), make([]byte, at)...)
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return at
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// tiny is a checkpoint in two shards, with a second copy that no engine loads.
func tiny(t *testing.T) (dir string, bytes int64) {
	dir = t.TempDir()
	write(t, dir, "config.json", tinyConfig)
	one := map[string][]int64{"model.embed_tokens.weight": {1000, 64}, "lm_head.weight": {1000, 64}}
	two := map[string][]int64{"model.layers.0.self_attn.q_proj.weight": {64, 64}, "model.layers.1.mlp.up_proj.weight": {128, 64}}
	bytes = shard(t, filepath.Join(dir, "model-00001-of-00002.safetensors"), one) + shard(t, filepath.Join(dir, "model-00002-of-00002.safetensors"), two)
	shard(t, filepath.Join(dir, "consolidated.safetensors"), one)
	index := map[string]any{"metadata": map[string]any{"total_size": 1}, "weight_map": map[string]string{"lm_head.weight": "model-00001-of-00002.safetensors", "x": "model-00002-of-00002.safetensors"}}
	b, err := json.Marshal(index)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, indexName, string(b))
	return dir, bytes
}

func serveHub(t *testing.T, repos map[string]hubsim.Repo, h *hubsim.Hub) string {
	t.Helper()
	for id, r := range repos {
		if err := h.Add(id, r); err != nil {
			t.Fatal(err)
		}
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func wantProblem(t *testing.T, err error, exit problem.Exit, code string) {
	t.Helper()
	var p *problem.Problem
	if !errors.As(err, &p) || p.Exit != exit || string(p.Code) != code {
		t.Errorf("got %v, want exit %d %s", err, exit, code)
	}
}

// The same checkpoint read from a directory and through a hub gives the same sizes.
func TestDirectoryAndHubAgree(t *testing.T) {
	dir, bytes := tiny(t)
	local, err := New(Options{}).Resolve(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if !local.Local || local.WeightsBytes != bytes || local.TieEmbeddings || len(local.Files) != 2 {
		t.Errorf("local: %d bytes in %d files, tied %v; want %d", local.WeightsBytes, len(local.Files), local.TieEmbeddings, bytes)
	}
	for _, redirect := range []bool{false, true} {
		base := serveHub(t, map[string]hubsim.Repo{"acme/tiny": {Dir: dir, License: "mit", Pulls: 2}}, &hubsim.Hub{Redirect: redirect})
		for _, ref := range []string{"acme/tiny", "acme/tiny@main", "acme/tiny@refs/pr/2"} {
			p, err := New(Options{Endpoint: base}).Resolve(t.Context(), ref)
			if err != nil {
				t.Fatal(err)
			}
			if p.WeightsBytes != bytes || len(p.Revision) != 40 || p.License != "mit" || p.Gated || len(p.Tensors) != len(local.Tensors) || len(p.Sources) != 2 {
				t.Errorf("%s: %+v", ref, p)
			}
		}
	}
}

// Of a large file only the header travels.
func TestHeadersCostLittle(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "config.json", tinyConfig)
	tensors := map[string][]int64{}
	for i := range 40 {
		tensors["model.layers.0.mlp.experts."+strings.Repeat("x", i)+".weight"] = []int64{1024, 512}
	}
	shard(t, filepath.Join(dir, "model.safetensors"), tensors)
	h := &hubsim.Hub{}
	base := serveHub(t, map[string]hubsim.Repo{"acme/big": {Dir: dir}}, h)
	p, err := New(Options{Endpoint: base}).Resolve(t.Context(), "acme/big")
	if err != nil {
		t.Fatal(err)
	}
	if p.WeightsBytes != 40<<20 || h.BytesSent() > p.WeightsBytes/1000 {
		t.Errorf("%d bytes sent for %d of weights", h.BytesSent(), p.WeightsBytes)
	}
}

func TestHubRefusals(t *testing.T) {
	dir, _ := tiny(t)
	bare := t.TempDir()
	write(t, bare, "README.md", "nothing to load")
	base := serveHub(t, map[string]hubsim.Repo{"acme/tiny": {Dir: dir}, "acme/gated": {Dir: dir, Gated: "auto", Access: []string{"hf_good"}}, "acme/bare": {Dir: bare}},
		&hubsim.Hub{Tokens: []string{"hf_good", "hf_poor"}})
	tests := []struct {
		ref, token string
		exit       problem.Exit
		code       string
	}{
		{"acme/gated", "", problem.ExitCredentials, "gated_model"},
		{"acme/gated", "hf_poor", problem.ExitCredentials, "gated_model"},
		{"acme/tiny", "hf_forged", problem.ExitCredentials, "bad_token"},
		{"acme/none", "", problem.ExitUsage, "unknown_model"},
		{"acme/none", "hf_good", problem.ExitUsage, "unknown_model"},
		{"acme/tiny@v9", "", problem.ExitUsage, "unknown_revision"},
		{"acme/bare", "", problem.ExitUsage, "no_checkpoint"},
		{"acme/../tiny", "", problem.ExitUsage, "unknown_model"},
		{"a/b/c", "", problem.ExitUsage, "unknown_model"},
		{"", "", problem.ExitUsage, "usage"},
	}
	for _, tt := range tests {
		_, err := New(Options{Endpoint: base, Token: tt.token, Dir: t.TempDir()}).Resolve(t.Context(), tt.ref)
		t.Log(tt.ref)
		wantProblem(t, err, tt.exit, tt.code)
		if err != nil && tt.token != "" && strings.Contains(err.Error(), tt.token) {
			t.Errorf("%s: the error quotes the token", tt.ref)
		}
	}
	p, err := New(Options{Endpoint: base, Token: "hf_good"}).Resolve(t.Context(), "acme/gated")
	if err != nil || !p.Gated {
		t.Errorf("with access: %v, gated %v", err, p.Gated)
	}
}

func TestUnreachableHubIsBounded(t *testing.T) {
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) { <-q.Context().Done() }))
	defer silent.Close()
	for _, base := range []string{"http://127.0.0.1:1", silent.URL} {
		start := time.Now()
		_, err := New(Options{Endpoint: base, Patience: 200 * time.Millisecond}).Resolve(t.Context(), "acme/tiny")
		wantProblem(t, err, problem.ExitCapacity, "hub_unreachable")
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%s: waited %s", base, d)
		}
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>welcome</html>")) }))
	defer web.Close()
	_, err := New(Options{Endpoint: web.URL}).Resolve(t.Context(), "acme/tiny")
	wantProblem(t, err, problem.ExitCapacity, "hub_unreachable")
}

// The catalog answers without a network, by id, by short name and in any case; a hub that is named goes first.
func TestEmbeddedFirstWithoutNetwork(t *testing.T) {
	forbidden := roundTrip(func(q *http.Request) (*http.Response, error) {
		t.Errorf("asked %s", q.URL)
		return nil, errors.New("no network")
	})
	for _, ref := range []string{"openai/gpt-oss-20b", "gpt-oss-20b", "OpenAI/GPT-OSS-20B"} {
		p, err := New(Options{Transport: forbidden, Dir: t.TempDir()}).Resolve(t.Context(), ref)
		if err != nil || p.ID != "openai/gpt-oss-20b" || p.Layers != 24 {
			t.Errorf("%s: %v %s", ref, err, p.ID)
		}
	}
	_, err := New(Options{Transport: forbidden, Dir: t.TempDir()}).Resolve(t.Context(), "no-such-name")
	wantProblem(t, err, problem.ExitUsage, "unknown_model")
	_, err = New(Options{Transport: forbidden, Offline: true, Dir: t.TempDir()}).Resolve(t.Context(), "acme/unheard")
	wantProblem(t, err, problem.ExitUsage, "unknown_model")
	dir, bytes := tiny(t)
	base := serveHub(t, map[string]hubsim.Repo{"openai/gpt-oss-20b": {Dir: dir}}, &hubsim.Hub{})
	p, err := New(Options{Endpoint: base, Dir: t.TempDir()}).Resolve(t.Context(), "gpt-oss-20b")
	if err != nil || p.WeightsBytes != bytes {
		t.Errorf("named hub: %v, %d bytes", err, p.WeightsBytes)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(q *http.Request) (*http.Response, error) { return f(q) }

func TestBadDirectories(t *testing.T) {
	header := func(n uint64, rest string) string { return string(binary.LittleEndian.AppendUint64(nil, n)) + rest }
	tests := []struct {
		name  string
		files map[string]string
		code  string
		says  string
	}{
		{"empty", map[string]string{"README.md": ""}, "no_checkpoint", "no config.json"},
		{"cut config", map[string]string{"config.json": `{"model_type": "lla`}, "bad_config", "not JSON"},
		{"list", map[string]string{"config.json": `[]`}, "bad_config", "not a JSON object"},
		{"million layers", map[string]string{"config.json": `{"num_hidden_layers":1000000}`}, "bad_config", "num_hidden_layers"},
		{"negative", map[string]string{"config.json": `{"hidden_size":-5}`}, "bad_config", "below zero"},
		{"10 GB header", map[string]string{"config.json": tinyConfig, "model.safetensors": header(10<<30, "{}")}, "bad_checkpoint", "10737418240"},
		{"cut header", map[string]string{"config.json": tinyConfig, "model.safetensors": header(500, `{"a":`)}, "bad_checkpoint", "declares 500"},
		{"tiny file", map[string]string{"config.json": tinyConfig, "model.safetensors": "abc"}, "bad_checkpoint", "3 bytes"},
		{"a pointer of Git LFS", map[string]string{"config.json": tinyConfig, "model.safetensors": "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 269060552\n"}, "bad_checkpoint", "Git LFS"},
		{"missing shard", map[string]string{"config.json": tinyConfig, indexName: `{"weight_map":{"a":"model-00001-of-00001.safetensors"}}`}, "bad_checkpoint", "lacks"},
		{"index outside", map[string]string{"config.json": tinyConfig, indexName: `{"weight_map":{"a":"../../etc/shadow.safetensors"}}`}, "bad_checkpoint", "no safetensors file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range tt.files {
				write(t, dir, name, text)
			}
			_, err := New(Options{}).Resolve(context.Background(), dir)
			wantProblem(t, err, problem.ExitUsage, tt.code)
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v does not say %q", err, tt.says)
			}
		})
	}
}

// What stands in a file's place and is none is not waited for.
func TestConfigIsAFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink(os.DevNull, filepath.Join(dir, "config.json")); err != nil {
		t.Skipf("this system lets nobody but its administrator make symbolic links: %v", err)
	}
	_, err := New(Options{}).Resolve(t.Context(), dir)
	if err == nil || !strings.Contains(err.Error(), "it is no file") {
		t.Errorf("%v", err)
	}
}

func TestDecisionsAreVisible(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "config.json", strings.Replace(tinyConfig, "{", `{"auto_map":{"AutoConfig":"configuration_x.X","AutoModel":"other/repo--modeling.Y"},`, 1))
	write(t, dir, "pytorch_model.bin", "pickle")
	p, err := New(Options{}).Resolve(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if !p.PickleOnly || !p.RemoteCode || len(p.RemoteFiles) != 2 || p.WeightsBytes != 6 {
		t.Errorf("pickle %v, remote code %v %v, %d bytes", p.PickleOnly, p.RemoteCode, p.RemoteFiles, p.WeightsBytes)
	}
}

// Without an index an engine takes all safetensors but Mistral's second copy; pickles only when there is nothing else.
func TestChooseWeights(t *testing.T) {
	tests := []struct {
		files string
		want  string
	}{
		{"a.safetensors b.safetensors consolidated.safetensors original/a.safetensors pytorch_model.bin", "a.safetensors b.safetensors"},
		{"consolidated-00001.safetensors params.json", "consolidated-00001.safetensors"},
		{"pytorch_model-1.bin training_args.bin optimizer.pt", "pytorch_model-1.bin"},
		{"adapter_model.safetensors README.md", ""},
	}
	for _, tt := range tests {
		sizes := map[string]int64{}
		for _, f := range strings.Fields(tt.files) {
			sizes[f] = 1
		}
		w, err := chooseWeights(sizes, nil)
		if err != nil || strings.Join(w.names, " ") != tt.want {
			t.Errorf("%s: %v %v, want %s", tt.files, w.names, err, tt.want)
		}
	}
}

func TestAlmostAName(t *testing.T) {
	for ref, want := range map[string]string{"gpt-oss-20": "openai/gpt-oss-20b", "Qwen3-8b-AWK": "Qwen/Qwen3-8B-AWQ"} {
		_, err := New(Options{Offline: true, Dir: t.TempDir()}).Resolve(t.Context(), ref)
		var p *problem.Problem
		if !errors.As(err, &p) || len(p.Hints) == 0 || !strings.Contains(p.Hints[0].Text+p.Hints[0].Command, want) {
			t.Errorf("%s: %v %+v", ref, err, p)
		}
	}
	// The hub that cannot be reached, or does not know the name, is no reason to hide what is known here.
	unknown := httptest.NewServer(http.NotFoundHandler())
	defer unknown.Close()
	for _, endpoint := range []string{"http://127.0.0.1:1", unknown.URL} {
		_, err := New(Options{Endpoint: endpoint, Dir: t.TempDir()}).Resolve(t.Context(), "openai/gpt-oss-20@main")
		var p *problem.Problem
		if !errors.As(err, &p) || len(p.Hints) == 0 || p.Hints[0].Command != "justright plan openai/gpt-oss-20b" {
			t.Errorf("%s: %v %+v", endpoint, err, p)
		}
	}
}
