//go:build linux

package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// release is what is built. Its parts are published as modules of v0 with the same numbers behind.
const release = "v1.37.2"

// parts is what a cluster is made of.
type parts struct {
	bin    string // kube-apiserver, kube-controller-manager, kube-scheduler, kubelet, kube-proxy; coredns
	images []string
}

// debian are the packages of Debian's that are used: runtime, network, store, and what makes a root file system.
var debian = map[string]string{
	"containerd": "containerd", "runc": "runc", "/usr/lib/cni/bridge": "containernetworking-plugins", "iptables": "iptables", "etcd": "etcd-server",
	"mmdebstrap": "mmdebstrap", "ip": "iproute2",
}

func gather(ctx context.Context, cache string) (parts, error) {
	p := parts{bin: filepath.Join(cache, release, "bin")}
	if err := install(ctx); err != nil {
		return p, err
	}
	if err := build(ctx, filepath.Join(cache, release)); err != nil {
		return p, err
	}
	if err := buildDNS(ctx, filepath.Join(cache, release)); err != nil {
		return p, err
	}
	pause, base := filepath.Join(cache, "pause.tar"), filepath.Join(cache, "base.tar")
	if err := pauseImage(ctx, pause); err != nil {
		return p, err
	}
	if err := baseImage(ctx, base); err != nil {
		return p, err
	}
	p.images = []string{pause, base}
	return p, nil
}

// install has Debian's packages installed where they are missing. They start nothing here: there is no init.
func install(ctx context.Context) error {
	var missing []string
	for program, name := range debian {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if err := loud(exec.CommandContext(ctx, "apt-get", "update", "-qq")); err != nil {
		return err
	}
	return loud(exec.CommandContext(ctx, "apt-get", append([]string{"install", "-y", "-qq", "--no-install-recommends"}, missing...)...))
}

var staging = regexp.MustCompile(`(?m)^\s*(?:replace )?(k8s\.io/[a-z0-9-]+) => \./staging/`)

// build makes the control plane and the kubelet from the modules they are published as, in a module of their own: its replaces do
// not belong into ours.
func build(ctx context.Context, dir string) error {
	var programs []string
	for _, p := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"} {
		if _, err := os.Stat(filepath.Join(dir, "bin", p)); err != nil {
			programs = append(programs, p)
		}
	}
	if len(programs) == 0 {
		return nil
	}
	fmt.Fprintf(os.Stderr, "kubernetes: building %s, once; a quarter of an hour\n", release)
	out, err := exec.CommandContext(ctx, "go", "mod", "download", "-json", "k8s.io/kubernetes@"+release).Output()
	if err != nil {
		return fmt.Errorf("download k8s.io/kubernetes: %w", err)
	}
	var m struct{ GoMod string }
	if err := json.Unmarshal(out, &m); err != nil {
		return err
	}
	raw, err := os.ReadFile(m.GoMod)
	if err != nil {
		return err
	}
	var mod strings.Builder
	fmt.Fprintf(&mod, "module kubernetes\n\ngo 1.26.0\n\nrequire k8s.io/kubernetes %s\n\nreplace (\n", release)
	for _, s := range staging.FindAllStringSubmatch(string(raw), -1) {
		fmt.Fprintf(&mod, "\t%s => %s v0%s\n", s[1], s[1], strings.TrimPrefix(release, "v1"))
	}
	mod.WriteString(")\n")
	src := filepath.Join(dir, "module")
	if err := os.MkdirAll(src, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(src, "go.mod"), []byte(mod.String()), 0o600); err != nil {
		return err
	}
	f := strings.Split(strings.TrimPrefix(release, "v"), ".")
	const at = "-X k8s.io/component-base/version."
	args := []string{"build", "-mod=mod", "-trimpath", "-ldflags=-s -w " + at + "gitVersion=" + release + " " + at + "gitMajor=" + f[0] + " " + at + "gitMinor=" + f[1],
		"-o", filepath.Join(dir, "bin") + string(filepath.Separator)}
	for _, p := range programs {
		args = append(args, "k8s.io/kubernetes/cmd/"+p)
	}
	c := exec.CommandContext(ctx, "go", args...)
	c.Dir, c.Env = src, append(os.Environ(), "GOFLAGS=-buildvcs=false")
	return loud(c)
}

// dnsRelease is the name server that clusters have, with the few plugins that are used here: all of them bring every cloud's client.
const (
	dnsRelease = "v1.14.6"
	dnsProgram = `package main

import (
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/kubernetes"
)

func main() { coremain.Run() }
`
)

// buildDNS makes the cluster's name server.
func buildDNS(ctx context.Context, dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "bin", "coredns")); err == nil {
		return nil
	}
	src := filepath.Join(dir, "coredns")
	if err := os.MkdirAll(src, 0o755); err != nil {
		return err
	}
	for name, text := range map[string]string{"main.go": dnsProgram, "go.mod": "module dns\n\ngo 1.26.0\n\nrequire github.com/coredns/coredns " + dnsRelease + "\n"} {
		if err := os.WriteFile(filepath.Join(src, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	fmt.Fprintf(os.Stderr, "kubernetes: building CoreDNS %s, once\n", dnsRelease)
	c := exec.CommandContext(ctx, "go", "build", "-mod=mod", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(dir, "bin", "coredns"), ".")
	c.Dir, c.Env = src, append(os.Environ(), "GOFLAGS=-buildvcs=false")
	return loud(c)
}

// pauseProgram is the process that holds a pod's namespaces.
const pauseProgram = `package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGINT, syscall.SIGTERM)
	<-c
}
`

// The images that are in the cluster's store before it starts: no registry can be reached.
const (
	pauseRef = "localhost/pause:1"
	baseRef  = "localhost/justright-base:1"
)

func pauseImage(ctx context.Context, file string) error {
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	dir, err := os.MkdirTemp("", "pause-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(pauseProgram), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module pause\n\ngo 1.26\n"), 0o600); err != nil {
		return err
	}
	c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", "pause", ".")
	c.Dir, c.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	if err := loud(c); err != nil {
		return err
	}
	program, err := os.ReadFile(filepath.Join(dir, "pause"))
	if err != nil {
		return err
	}
	var layer bytes.Buffer
	t := tar.NewWriter(&layer)
	if err := put(t, "pause", 0o755, program); err != nil {
		return err
	}
	if err := t.Close(); err != nil {
		return err
	}
	return image(file, pauseRef, layer.Bytes(), nil, "/pause")
}

// baseImage is a Debian with a Python, as an image to install into has it, and the certificates of this machine, whose registries
// may stand behind a proxy.
func baseImage(ctx context.Context, file string) error {
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	root := file + ".root"
	defer os.Remove(root) //nolint:errcheck // a temporary file
	if err := loud(exec.CommandContext(ctx, "mmdebstrap", "--quiet", "--variant=minbase", "--include=python3,ca-certificates,curl,libnuma1,libgomp1",
		"--customize-hook=copy-in /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs", "bookworm", root+".tar")); err != nil {
		return err
	}
	defer os.Remove(root + ".tar") //nolint:errcheck // a temporary file
	layer, err := os.ReadFile(root + ".tar")
	if err != nil {
		return err
	}
	return image(file, baseRef, layer, []string{"SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"})
}

func put(t *tar.Writer, name string, mode int64, b []byte) error {
	if err := t.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(b))}); err != nil {
		return err
	}
	_, err := t.Write(b)
	return err
}

// image writes an archive of one layer, in the form of `docker save`.
func image(file, ref string, layer []byte, env []string, entrypoint ...string) error {
	sum := sha256.Sum256(layer)
	id := hex.EncodeToString(sum[:])
	config, err := json.Marshal(map[string]any{
		"architecture": "amd64", "os": "linux", "rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + id}},
		"config": map[string]any{"Entrypoint": entrypoint, "Env": append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, env...)},
	})
	if err != nil {
		return err
	}
	manifest, err := json.Marshal([]any{map[string]any{"Config": "config.json", "RepoTags": []string{ref}, "Layers": []string{id + "/layer.tar"}}})
	if err != nil {
		return err
	}
	var b bytes.Buffer
	t := tar.NewWriter(&b)
	for _, f := range []struct {
		name string
		body []byte
	}{{"config.json", config}, {id + "/layer.tar", layer}, {"manifest.json", manifest}} {
		if err := put(t, f.name, 0o644, f.body); err != nil {
			return err
		}
	}
	if err := t.Close(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file+".part", b.Bytes(), 0o600); err != nil {
		return err
	}
	return os.Rename(file+".part", file)
}
