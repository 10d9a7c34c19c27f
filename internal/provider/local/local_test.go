package local_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"justright/internal/provider"
	"justright/internal/provider/local"
	"justright/launch"
	"justright/solve"
)

func newProvider(t *testing.T, change func(*local.Config)) *local.Provider {
	t.Helper()
	c := local.Config{StateDir: t.TempDir(), CacheDir: t.TempDir(), Environ: os.Environ(), Now: time.Now, Grace: 2 * time.Second}
	if change != nil {
		change(&c)
	}
	p, err := local.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		all, _ := p.List(context.Background())
		for _, in := range all {
			_ = p.Delete(context.Background(), in.ID)
		}
	})
	return p
}

func create(t *testing.T, p *local.Provider, script string, env map[string]string) launch.Instance {
	t.Helper()
	in, err := p.Create(t.Context(), launch.Spec{Name: "n", AttemptID: "a1", OwnerID: "o1", Env: env,
		Start: solve.Start{Entrypoint: []string{"/bin/sh", "-c"}, Cmd: []string{script}}})
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func lines(t *testing.T, p *local.Provider, id, after string) (text, marks []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := p.Logs(ctx, id, after, func(l launch.LogLine) error {
		text, marks = append(text, l.Text), append(marks, l.ID)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return text, marks
}

func TestLifeOfAnInstance(t *testing.T) {
	p := newProvider(t, nil)
	in := create(t, p, "trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done", nil)
	if in.Status != launch.Running || in.AttemptID != "a1" || in.OwnerID != "o1" || !strings.HasPrefix(in.BaseURL, "http://127.0.0.1:") || in.PricePerHour == nil || *in.PricePerHour != 0 {
		t.Errorf("created %+v", in)
	}
	got, err := p.Get(t.Context(), in.ID)
	if err != nil || got.Status != launch.Running || got.BaseURL != in.BaseURL {
		t.Errorf("Get: %+v, %v", got, err)
	}
	if all, err := p.List(t.Context()); err != nil || len(all) != 1 || all[0].ID != in.ID {
		t.Errorf("List: %+v, %v", all, err)
	}
	// Another process of the program sees the same: the description is in the directory.
	for range 2 {
		if err := p.Delete(t.Context(), in.ID); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := p.Get(t.Context(), in.ID); err != nil || got.Status != launch.Gone {
		t.Errorf("after Delete: %+v, %v", got, err)
	}
	if all, err := p.List(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("after Delete: List %+v, %v", all, err)
	}
}

func TestTheProgramsEndIsNotTheInstances(t *testing.T) {
	dir := t.TempDir()
	a := newProvider(t, func(c *local.Config) { c.StateDir = dir })
	in := create(t, a, "sleep 30", nil)
	b := newProvider(t, func(c *local.Config) { c.StateDir = dir })
	if got, err := b.Get(t.Context(), in.ID); err != nil || got.Status != launch.Running {
		t.Fatalf("a second provider sees %+v, %v", got, err)
	}
	if err := b.Delete(t.Context(), in.ID); err != nil {
		t.Fatal(err)
	}
}

// An engine puts its workers into sessions of their own and may ignore TERM: Delete ends them all the same.
func TestDeleteEndsWhatIgnoresIt(t *testing.T) {
	if _, err := exec.LookPath("setsid"); err != nil {
		t.Skip("setsid is not here")
	}
	p := newProvider(t, func(c *local.Config) { c.Grace = 300 * time.Millisecond })
	in := create(t, p, "trap '' TERM; setsid sh -c 'trap \"\" TERM; echo $$ >worker; exec sleep 60' & echo $$ >first; while :; do sleep 1; done", nil)
	text := ""
	for end := time.Now().Add(time.Minute); text == ""; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no worker")
		}
		raw, _ := os.ReadFile(filepath.Join(local.DirOf(p, in.ID), "worker"))
		text = strings.TrimSpace(string(raw))
	}
	if err := p.Delete(t.Context(), in.ID); err != nil {
		t.Fatal(err)
	}
	if raw, err := os.ReadFile("/proc/" + text + "/cmdline"); err == nil && len(raw) > 0 {
		t.Errorf("worker %s still runs %q", text, raw)
	}
}

func TestEnvironment(t *testing.T) {
	p := newProvider(t, func(c *local.Config) {
		c.Environ = append(os.Environ(), "HF_TOKEN=hf_mine", "RUNPOD_API_KEY=rpa_mine", "PYTHONDONTWRITEBYTECODE=1", "MY_DB_PASSWORD=p", "JUSTRIGHT_NAME=old", "PLAIN=1")
	})
	in := create(t, p, "env", map[string]string{"VLLM_API_KEY": "sk-1", "JUSTRIGHT_ROOT": "/elsewhere"})
	text, _ := lines(t, p, in.ID, "")
	have := map[string]string{}
	for _, l := range text {
		k, v, _ := strings.Cut(l, "=")
		have[k] = v
	}
	for _, k := range []string{"HF_TOKEN", "RUNPOD_API_KEY", "PYTHONDONTWRITEBYTECODE", "MY_DB_PASSWORD"} {
		if v, ok := have[k]; ok {
			t.Errorf("%s=%s was passed on", k, v)
		}
	}
	for k, want := range map[string]string{"PLAIN": "1", "VLLM_API_KEY": "sk-1", "JUSTRIGHT_GUARD": "local", "JUSTRIGHT_NAME": "n", "JUSTRIGHT_ATTEMPT": "a1", "JUSTRIGHT_OWNER": "o1"} {
		if have[k] != want {
			t.Errorf("%s=%q, want %q", k, have[k], want)
		}
	}
	if have["JUSTRIGHT_PORT"] == "" || have["JUSTRIGHT_ROOT"] == "/elsewhere" {
		t.Errorf("port %q, root %q", have["JUSTRIGHT_PORT"], have["JUSTRIGHT_ROOT"])
	}
	raw, err := os.ReadFile(filepath.Join(local.DirOf(p, in.ID), "instance.json"))
	if err != nil || strings.Contains(string(raw), "sk-1") {
		t.Errorf("the description holds a secret, or %v", err)
	}
}

func TestLogsResumeWithoutGapOrRepeat(t *testing.T) {
	p := newProvider(t, nil)
	in := create(t, p, `printf 'one\ntwo\r\n\nü\nlast'`, nil)
	text, marks := lines(t, p, in.ID, "")
	want := []string{"one", "two", "", "ü", "last"}
	if strings.Join(text, "|") != strings.Join(want, "|") {
		t.Fatalf("lines %q, want %q", text, want)
	}
	for i, m := range marks {
		if rest, _ := lines(t, p, in.ID, m); strings.Join(rest, "|") != strings.Join(want[i+1:], "|") {
			t.Errorf("after %s: %q, want %q", m, rest, want[i+1:])
		}
	}
	if err := p.Logs(t.Context(), in.ID, "x", nil); provider.KindOf(err) != launch.FailRejected {
		t.Errorf("a strange mark: %v", err)
	}
	if err := p.Logs(t.Context(), "lnothere", "", nil); err != nil {
		t.Errorf("logs of nothing: %v", err)
	}
}

func TestCreateRefuses(t *testing.T) {
	p := newProvider(t, nil)
	if _, err := p.Create(t.Context(), launch.Spec{}); provider.KindOf(err) != launch.FailRejected {
		t.Errorf("no command: %v", err)
	}
	for _, id := range []string{"", "..", "../x", "a/b", "."} {
		if got, err := p.Get(t.Context(), id); err != nil || got.Status != launch.Gone {
			t.Errorf("Get(%q): %+v, %v", id, got, err)
		}
	}
}

func TestDescribeReadsNvidiaSMI(t *testing.T) {
	bin := t.TempDir()
	const smi = `#!/bin/sh
case "$1" in --query*) echo "NVIDIA RTX A5000, 24564, 570.86.10, 8.6"; echo "NVIDIA RTX A5000, 24564, 570.86.10, 8.6";; *) echo "| NVIDIA-SMI 570.86.10  CUDA Version: 12.8 |";; esac
`
	if err := os.WriteFile(filepath.Join(bin, "nvidia-smi"), []byte(smi), 0o755); err != nil {
		t.Fatal(err)
	}
	p := newProvider(t, func(c *local.Config) {
		c.Environ = []string{"PATH=" + bin + ":/usr/bin:/bin"}
		c.LookupGPU = func(s string) string { return "found " + s }
	})
	m := p.Describe(t.Context())
	if len(m.GPUs) != 2 || m.GPUs[0].MemoryBytes != 24564<<20 || m.Driver.String() != "570.86.10" || m.CUDA.String() != "12.8" || m.Capability.String() != "8.6" {
		t.Errorf("%+v", m)
	}
	offers, err := p.Offers(t.Context())
	if err != nil || len(offers) != 1 || offers[0].GPU != "found NVIDIA RTX A5000" || offers[0].MaxCount != 2 || offers[0].HostCUDA[0].String() != "12.8" {
		t.Errorf("%+v, %v", offers, err)
	}
}

func TestOffersWithoutGPU(t *testing.T) {
	p := newProvider(t, func(c *local.Config) { c.Environ = []string{"PATH=/nowhere"} })
	offers, err := p.Offers(t.Context())
	if err != nil || len(offers) != 1 || offers[0].GPU != "" || *offers[0].PricePerHour != 0 {
		t.Errorf("%+v, %v", offers, err)
	}
	if m := p.Describe(t.Context()); m.CPUs < 1 || m.MemoryBytes < 1<<20 || m.DiskBytes < 1 {
		t.Errorf("%+v", m)
	}
}
