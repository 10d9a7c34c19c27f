package cli

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"justright/catalog"
	"justright/internal/export"
	"justright/internal/pyindex"
	"justright/model"
	"justright/sim/runpodsim"
	"justright/solve"
	"justright/version"
)

// planted is one secret and how it comes to us: as a variable, inside a variable's address, in a line that the machine says
// (%s), or as engine flags.
type planted struct {
	secret  string
	env     string   // NAME
	address string   // NAME=FORM with %s where it stands, escaped as an address wants it
	line    string   // FORM
	flags   []string // FORMs
}

// plants are the shapes of secrets that people have. None of them is one.
func plants() []planted {
	long := strings.Repeat("Lk8s", 1000) + "End"
	pem := "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n-----END PRIVATE KEY-----"
	return []planted{
		{secret: "rpa_PLANTED0KEY0OF0THE0ACCOUNT0123456789AB", env: "RUNPOD_API_KEY"},
		{secret: "hf_PLANTEDtokenOfTheHubAbCdEfGhIjKl", env: "HF_TOKEN"},
		{secret: "old-hub-token-without-a-shape", env: "HUGGING_FACE_HUB_TOKEN"},
		{secret: "sk-proj-PLANTED_openai-0123456789abcdefABCDEF", env: "OPENAI_API_KEY"},
		{secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYPLANTEDKEY", env: "AWS_SECRET_ACCESS_KEY"},
		{secret: "AKIAPLANTED012345678", env: "AWS_ACCESS_KEY_ID"},
		{secret: "FwoGZXIvYXdzEPLANTED//////////wEaDK/session+token==", env: "AWS_SESSION_TOKEN"},
		{secret: "ghp_PLANTEDgithub0123456789abcdefghijKL", env: "GITHUB_TOKEN"},
		{secret: `{"auths":{"ghcr.io":{"auth":"dXNlcjpQTEFOVEVEUEFTUw=="}}}`, env: "DOCKER_AUTH_CONFIG"},
		{secret: `sh$(id)'"; rm -rf ~ #PLANTED`, env: "MY_SERVICE_PASSWORD"},
		{secret: "percent%2Fplus+and&amp=PLANTED?", env: "SOME_SECRET"},
		{secret: "läßt-sich-nicht-PLANTED-umlaut", env: "OTHER_API_KEY"},
		{secret: "back\\slash\\and\ttab-PLANTED", env: "BACKSLASH_TOKEN"},
		{secret: pem, env: "TLS_PRIVATE_KEY"},
		{secret: long, env: "LONG_TOKEN"},
		{secret: "q7Zx9!", env: "VLLM_API_KEY"},
		{secret: "plantedWandb40hexabcdef0123456789abcdef01", env: "WANDB_API_KEY"},
		{secret: "PlAnTeD-registry-pass-1", env: "REGISTRY_PASSWORD"},

		{secret: "planted-pip-pass-9", address: "PIP_EXTRA_INDEX_URL=https://me:%s@pip.example.com/simple https://other.example.com/simple"},
		{secret: "planted/pip:p@ss#1", address: "PIP_INDEX_URL=http://me:%s@127.0.0.1:1/simple"},
		{secret: "plantedUserAlone77", address: "UV_INDEX_URL=http://%s@127.0.0.1:1/simple"},
		{secret: "planted-query-token-5", address: "UV_DEFAULT_INDEX=http://127.0.0.1:1/simple?token=%s"},
		{secret: "planted-query-key-6", address: "UV_EXTRA_INDEX_URL=http://127.0.0.1:1/simple?x=1&api_key=%s"},
		{secret: "planted-proxy-pass-3", address: "HTTPS_PROXY=http://corp:%s@127.0.0.1:1"},

		{secret: "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJQTEFOVEVEIn0.c2lnbmF0dXJlUExBTlRFRA", line: "engine got %s"},
		{secret: "PLANTED-opaque-bearer-0123456789", line: "GET /v1/models Authorization: Bearer %s"},
		{secret: "dXNlcjpQTEFOVEVEYmFzaWMx", line: `{"headers":{"authorization":"Basic %s"}}`},
		{secret: "PLANTEDvllmkey0123456789", line: "INFO non-default args: {'model': 'x', 'api_key': ['%s'], 'port': 8000}"},
		{secret: "PLANTEDnamespace00112233", line: "args: Namespace(host=None, hf_token='%s', trust_remote_code=False)"},
		{secret: "PLANTEDdashdash44556677", line: "+ vllm serve x --api-key %s --port 8000"},
		{secret: "PLANTEDurlpass8899", line: "ERROR Could not fetch URL https://svc:%s@pypi.corp.example.com/simple/torch/: 403"},
		{secret: "PLANTEDsigned0123abc", line: "GET https://cdn.example.com/model.safetensors?Expires=1&Signature=%s&Key-Pair-Id=K"},
		{secret: "glpat-PLANTEDgitlab0123456", line: "remote: HTTP Basic: Access denied %s"},
		{secret: "github_pat_PLANTED0123456789_abcdefghijk", line: "git clone https://x-access-token:%s@github.com/a/b"},
		{secret: "xoxb-PLANTED-0123456789-abcdef", line: "webhook %s refused"},
		{secret: "nvapi-PLANTED_0123456789abcdefghij", line: "NGC key %s"},
		{secret: "AIzaPLANTED0123456789abcdefghijklmnopqrs", line: `{"apiKey": "%s"}`},
		{secret: "pypi-AgEIcHlwaS5vcmcPLANTED0123456789abcdef", line: "twine %s"},
		{secret: "dckr_pat_PLANTED-0123456789abcd", line: "docker login -p %s"},
		{secret: "hf_PLANTEDstrangerAbCdEfGhIjKlMnOpQr", line: "OSError: 401 for hf token %s of someone else"},

		{secret: "PLANTEDflag00000001", flags: []string{"--api-key", "%s"}},
		{secret: "PLANTEDflag00000002", flags: []string{"--api_key=%s"}},
		{secret: "PLANTEDflag00000003", flags: []string{"--hf-token", "%s"}},
		{secret: "PLANTEDflag00000004", flags: []string{"--hf-tok=%s"}},
		{secret: "PLANTEDflag00000005", flags: []string{"--model-loader-extra-config", `{"aws_secret_key": "%s"}`}},
		{secret: "sk-PLANTEDflag0000000006", flags: []string{"--middleware", "%s"}},
		{secret: "PLANTEDflag7", flags: []string{"--chat-template", "https://u:%s@templates.example.com/x"}},
	}
}

// quoted are the forms in which a secret may come to light.
func quoted(s string) []string {
	j := fmt.Sprintf("%q", s)
	out := []string{s, j[1 : len(j)-1], url.QueryEscape(s), url.PathEscape(s), base64.StdEncoding.EncodeToString([]byte(s))}
	if len(s) > 400 {
		out = append(out, s[:200]) // a part of a long one is enough
	}
	return out
}

// vault keeps everything that was said and written.
type vault struct {
	t  *testing.T
	mu sync.Mutex
	by map[string][]byte
}

func (v *vault) keep(name string, what []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.by[name] = append(v.by[name], what...)
}

// search looks for every secret in every form in all that was kept and in the files below dir, but those of the keys.
func (v *vault) search(dir string, all []planted) {
	v.t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Base(filepath.Dir(path)) == "keys" {
			return err
		}
		raw, err := os.ReadFile(path)
		v.keep(path, raw)
		return err
	})
	if err != nil {
		v.t.Fatal(err)
	}
	for name, raw := range v.by {
		for _, p := range all {
			for _, form := range quoted(p.secret) {
				if i := bytes.Index(raw, []byte(form)); i >= 0 {
					v.t.Errorf("%s holds %.40q: …%.120q", name, form, raw[max(0, i-60):])
					break
				}
			}
		}
	}
}

// elsewhere is the internet: whoever is not on this machine refuses, and repeats what it was sent.
type elsewhere struct{ echo string }

func (e elsewhere) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Hostname() == "127.0.0.1" {
		return http.DefaultTransport.RoundTrip(r)
	}
	said := fmt.Sprintf("403: %s %v %s", r.URL, r.Header, e.echo)
	return &http.Response{StatusCode: http.StatusForbidden, Header: http.Header{"Content-Type": {"text/plain"}}, Body: io.NopCloser(strings.NewReader(said)), Request: r}, nil
}

// gatedLock writes a lock of a gated model, for which the hub's token goes along.
func (v *vault) gatedLock(path string) {
	v.t.Helper()
	var doc struct {
		Plans []solve.Stack `json:"plans"`
	}
	if err := json.Unmarshal(v.by["plan "+tryModel+" --json (stdout)"], &doc); err != nil || len(doc.Plans) == 0 {
		v.t.Fatalf("no plan: %v", err)
	}
	m, err := model.FromRecord(catalog.FindModels(tryModel)[0])
	if err != nil {
		v.t.Fatal(err)
	}
	m.Gated = true
	m.ID = "someone/gated-20b"
	raw, err := json.Marshal(lockDocument{Schema: lockSchema, Target: onRunPod, Model: lockedModel{m.ID, optional(m.Revision)}, Plan: doc.Plans[0], Profile: m,
		Image: lockedImage{optional(doc.Plans[0].Image), optional(doc.Plans[0].ImageDigest)}})
	if err == nil {
		err = os.WriteFile(path, raw, 0o600)
	}
	if err != nil {
		v.t.Fatal(err)
	}
}

// unpacked is a command with what its first line unpacks.
func unpacked(argv []string) []byte {
	out := []byte(strings.Join(argv, "\n"))
	for _, a := range argv {
		packed, _, _ := strings.Cut(strings.TrimPrefix(a, "B="), ";")
		raw, err := base64.StdEncoding.DecodeString(packed)
		if err != nil {
			continue
		}
		if z, err := gzip.NewReader(bytes.NewReader(raw)); err == nil {
			script, _ := io.ReadAll(z)
			out = append(out, script...)
		}
	}
	return out
}

// TestNoSecretComesToLight plants secrets wherever people have them, drives every command that prints or writes, and looks for them
// in every byte of that, in every form.
func TestNoSecretComesToLight(t *testing.T) {
	t.Parallel()
	all := plants()
	v := &vault{t: t, by: map[string][]byte{}}
	play := runpodsim.Play{Preflight: time.Millisecond, Env: 50 * time.Millisecond, Weights: 50 * time.Millisecond, Engine: 200 * time.Millisecond, Tick: time.Second}.Model()
	scripts, tokens := 0, 0
	model := func(c *runpodsim.Container) {
		script := unpacked(c.Argv)
		if bytes.Contains(script, []byte("JR_PORT")) {
			scripts++
			if c.Env["HF_TOKEN"] == all[1].secret {
				tokens++
			}
		}
		v.keep("argv and script", append(script, fmt.Sprint(c.Image, c.Name)...))
		for _, p := range all {
			if p.line != "" {
				c.Log(strings.ReplaceAll(p.line, "%s", p.secret))
			}
			if p.env != "" && !strings.Contains(p.secret, "\n") {
				c.Log("the machine was told " + p.secret + " and " + base64.StdEncoding.EncodeToString([]byte(p.secret)))
			}
		}
		c.Log("key of the endpoint: " + c.Env["VLLM_API_KEY"])
		play(c)
	}
	sim := runpodsim.New(runpodsim.Options{Runner: runpodsim.Model(model), DelayScale: runpodsim.NoDelay, RateLimit: &runpodsim.Unlimited, Seed: 5})
	srv := httptest.NewServer(sim)
	sim.SetBaseURL(srv.URL)
	t.Cleanup(func() { sim.Close(); srv.CloseClientConnections(); srv.Close() })

	dir := t.TempDir()
	env := map[string]string{"RUNPOD_API_BASE_URL": srv.URL, "JUSTRIGHT_STATE_DIR": filepath.Join(dir, "state"), "HOME": dir}
	echo := "" // what a server repeats in its refusal
	for _, p := range all {
		if name, form, ok := strings.Cut(p.address, "="); ok {
			env[name] = strings.ReplaceAll(form, "%s", url.QueryEscape(p.secret))
		}
		if p.env != "" {
			env[p.env] = p.secret
		}
		if p.env == "RUNPOD_API_KEY" || p.env == "HF_TOKEN" || p.env == "VLLM_API_KEY" {
			echo += " Authorization: Bearer " + p.secret
		}
	}
	run := func(env map[string]string, args ...string) int {
		var out, errs bytes.Buffer
		w := realWorld(args, &out, &errs, env)
		w.Dir = dir
		w.Environ = func() (kv []string) {
			for k, v := range env {
				kv = append(kv, k+"="+v)
			}
			return kv
		}
		w.Transport = elsewhere{echo}
		code := Main(t.Context(), w)
		name := strings.Join(args, " ")
		v.keep(name+" (stdout)", out.Bytes())
		v.keep(name+" (stderr)", errs.Bytes())
		return code
	}
	must := func(want int, args ...string) {
		t.Helper()
		if code := run(env, args...); code != want {
			t.Errorf("%v exits %d, want %d\n%s%s", args, code, want, v.by[strings.Join(args, " ")+" (stdout)"], v.by[strings.Join(args, " ")+" (stderr)"])
		}
	}
	with := func(k, val string) map[string]string {
		out := map[string]string{k: val}
		for name, v := range env {
			if name != k {
				out[name] = v
			}
		}
		return out
	}

	// One function refuses for all commands: each form of a secret at one of them, and each command several.
	cmds := [][]string{{"up", tryModel, "--yes"}, {"plan", tryModel, "--json"}, {"up", tryModel, "--yes", "--json"}, {"plan", tryModel}, {"export", tryModel, "--as", "compose"}}
	tried := 0
	for _, p := range all {
		if p.flags == nil {
			continue
		}
		flags := []string{"--"}
		for _, f := range p.flags {
			flags = append(flags, strings.ReplaceAll(f, "%s", p.secret))
		}
		must(2, append(slices.Clone(cmds[tried%len(cmds)]), flags...)...)
		if tried++; tried%4 == 0 {
			run(env, append([]string{"check", tryModel, "--json"}, flags...)...)
		}
	}
	if tried < len(cmds) {
		t.Errorf("%d forms for %d commands", tried, len(cmds))
	}
	if n := sim.Counts()["createPod"]; n != 0 {
		t.Fatalf("%d machines for flags that are refused", n)
	}
	must(0, "plan", tryModel, "--json")
	run(env, "plan", tryModel, "--lock", "x.lock")
	for _, f := range export.Formats() {
		must(0, "export", tryModel, "--as", f[0])
	}
	run(env, "doctor")
	run(env, "doctor", "--json")

	sim.AddFault(runpodsim.Fault{Kind: runpodsim.ErrorBefore, Op: "createPod", Status: 400, Count: 1, Detail: "bad request, you sent" + echo})
	run(env, "up", tryModel, "--yes", "--json", "--attempts", "1", "--name", "first")
	must(0, "up", tryModel, "--yes", "-v", "--name", "second")
	v.gatedLock(filepath.Join(dir, "gated.lock"))
	must(0, "up", "gated.lock", "--yes", "--json", "--name", "gated")
	for _, args := range [][]string{{"ps"}, {"ps", "--json"}, {"show", "second"}, {"show", "second", "--json", "--effects"}, {"logs", "second"}, {"logs", "gated", "--json"},
		{"events", "second", "--json"}, {"verify", "second"}, {"verify", "second", "--json"}, {"bundle", "second", "-o", "b.json"}, {"bundle", "gated", "-o", "-"},
		{"replay", "b.json"}, {"replay", "b.json", "--json"}, {"gc"}, {"gc", "--json"}, {"down", "second", "--json"}, {"down", "--all"}, {"gc", "--json"}, {"ps", "--json"}} {
		must(0, args...)
	}
	sim.AddFault(runpodsim.Fault{Kind: runpodsim.ErrorBefore, Status: 403, Detail: "forbidden:" + echo})
	for _, args := range [][]string{{"up", tryModel, "--yes"}, {"up", tryModel, "--yes", "--json"}, {"ps", "--json"}, {"gc", "--json"}, {"doctor", "--json"}} {
		run(env, args...)
	}
	hub := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		http.Error(rw, `{"error":"Invalid token in `+strings.ReplaceAll(r.Header.Get("Authorization")+echo, `"`, "'")+`"}`, http.StatusUnauthorized)
	}))
	defer hub.Close()
	for _, args := range [][]string{{"plan", "someone/else-7b", "--online"}, {"plan", "someone/else-7b", "--online", "--json"}, {"up", "someone/else-7b", "--yes"}} {
		if code := run(with("HF_ENDPOINT", hub.URL), args...); code == 0 {
			t.Errorf("%v succeeds at a hub that refuses", args)
		}
	}
	base := planted{secret: "planted-base-pass-2"}
	where := strings.Replace(srv.URL, "http://", "http://me:"+base.secret+"@", 1)
	for _, name := range []string{"RUNPOD_API_BASE_URL", "JUSTRIGHT_RUNPOD_PROXY", "HF_ENDPOINT"} {
		tries := [][]string{{"up", tryModel, "--yes", "--online"}, {"doctor", "--json"}, {"verify", where + "/v1"}, {"bench", where + "/v1", "--json"}, {"plan", where}}
		if name != "RUNPOD_API_BASE_URL" {
			tries = tries[:2] // the others do not read it
		}
		for _, args := range tries {
			at := where
			if name == "JUSTRIGHT_RUNPOD_PROXY" {
				at += "/{pod}/{port}"
			}
			run(with(name, at), args...)
		}
	}
	if scripts != 3 || tokens != 1 || len(all) < 40 {
		t.Errorf("%d machines were started, %d of them with the hub's token, and %d secrets planted", scripts, tokens, len(all))
	}
	v.search(dir, append(all, base))
	for name, raw := range v.by {
		if strings.HasPrefix(name, "logs second") && strings.HasSuffix(name, "(stdout)") && (!bytes.Contains(raw, []byte("[redacted]")) || !bytes.Contains(raw, []byte("status=armed"))) {
			t.Errorf("the log was not redacted, or is not there:\n%s", raw)
		}
	}
}

// A lock is given away: the address of a wheel must not carry who fetched it.
func TestALockHasNoCredentials(t *testing.T) {
	t.Parallel()
	index := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if _, pw, _ := r.BasicAuth(); pw != "planted-pass" {
			rw.WriteHeader(http.StatusUnauthorized)
			return
		}
		rw.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(rw, `<a href="/files/demo-1.0-py3-none-any.whl?token=planted-token&v=2#sha256=%s">demo-1.0-py3-none-any.whl</a>`, strings.Repeat("ab", 32))
	}))
	defer index.Close()
	c, err := pyindex.New(pyindex.Options{Indexes: []string{strings.Replace(index.URL, "http://", "http://me:planted-pass@", 1) + "/simple"}})
	if err != nil {
		t.Fatal(err)
	}
	want, err := version.ParsePEP440("1.0")
	if err != nil {
		t.Fatal(err)
	}
	w, err := lockWheel(t.Context(), c, "demo", want, 12)
	if err != nil {
		t.Fatal(err)
	}
	if w.URL != index.URL+"/files/demo-1.0-py3-none-any.whl?v=2" {
		t.Errorf("the lock has %s", w.URL)
	}
}
