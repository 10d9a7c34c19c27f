//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cluster is a running one.
type cluster struct {
	dir      string
	server   string
	http     *http.Client
	programs []*exec.Cmd // in the order of their start
	cleanup  *exec.Cmd   // takes away what services have put into the kernel
	token    string
}

// Addresses of the cluster, from the range that Kubernetes itself uses for pods. They are on bridges of this machine and lead nowhere else.
const (
	nodeName   = "node-1"
	nodeAddr   = "10.244.78.1" // the node's, on a bridge without ports: a kubelet refuses loopback
	podNet     = "10.244.77.0/24"
	podGateway = "10.244.77.1"
	nodeBridge = "jrnode0"
	podBridge  = "jrcni0"
	services   = "10.96.0.0/16"
)

func (c *cluster) kubeconfig() string { return filepath.Join(c.dir, "kubeconfig") }

func (c *cluster) file(name string) string { return filepath.Join(c.dir, name) }

// start brings a cluster up. Every listener is on loopback or on the node's own bridge.
func start(ctx context.Context, dir string, p parts) (*cluster, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if _, err := net.InterfaceByName(nodeBridge); err == nil {
		return nil, fmt.Errorf("the bridge %s is there: another run has its cluster up, or died; ip link del %s", nodeBridge, nodeBridge)
	}
	c := &cluster{dir: dir, token: fmt.Sprintf("%x", random(16))}
	ok := false
	defer func() {
		if !ok {
			c.stop()
		}
	}()
	ports, err := freePorts(ctx, 9)
	if err != nil {
		return nil, err
	}
	c.server = "https://127.0.0.1:" + ports[2]
	if err := c.files(ports); err != nil {
		return nil, err
	}
	for _, args := range [][]string{{"link", "add", nodeBridge, "type", "bridge"}, {"addr", "add", nodeAddr + "/32", "dev", nodeBridge}, {"link", "set", nodeBridge, "up"}} {
		if err := loud(exec.CommandContext(ctx, "ip", args...)); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o600); err != nil {
		return nil, err
	}
	client, peer := "http://127.0.0.1:"+ports[0], "http://127.0.0.1:"+ports[1]
	if err := c.run("etcd", "etcd", "--data-dir", c.file("etcd"), "--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer,
		"--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer); err != nil {
		return nil, err
	}
	bin := func(name string) string { return filepath.Join(p.bin, name) }
	if err := c.run("apiserver", bin("kube-apiserver"), "--etcd-servers", client, "--token-auth-file", c.file("tokens.csv"), "--authorization-mode", "Node,RBAC",
		"--service-account-issuer", "https://kubernetes.default.svc", "--service-account-key-file", c.file("sa.pub"), "--service-account-signing-key-file", c.file("sa.key"),
		"--secure-port", ports[2], "--bind-address", "127.0.0.1", "--cert-dir", c.file("certs"), "--service-cluster-ip-range", services, "--endpoint-reconciler-type", "none",
		"--kubelet-preferred-address-types", "InternalIP"); err != nil {
		return nil, err
	}
	if err := c.run("containerd", "containerd", "-c", c.file("containerd.toml")); err != nil {
		return nil, err
	}
	if err := c.ready(ctx); err != nil {
		return nil, err
	}
	if err := c.run("scheduler", bin("kube-scheduler"), "--kubeconfig", c.kubeconfig(), "--leader-elect=false", "--secure-port", ports[3], "--bind-address", "127.0.0.1", "--cert-dir", c.file("certs")); err != nil {
		return nil, err
	}
	if err := c.run("controllers", bin("kube-controller-manager"), "--kubeconfig", c.kubeconfig(), "--leader-elect=false", "--secure-port", ports[4], "--bind-address", "127.0.0.1",
		"--node-monitor-grace-period", "2h", // nodes of our own making have no kubelet that reports
		"--cert-dir", c.file("certs"), "--service-account-private-key-file", c.file("sa.key"), "--root-ca-file", c.file("certs/apiserver.crt")); err != nil {
		return nil, err
	}
	// What pods find each other by.
	if err := c.run("dns", bin("coredns"), "-conf", c.file("Corefile")); err != nil {
		return nil, err
	}
	for _, img := range p.images {
		if err := c.importImage(ctx, img); err != nil {
			return nil, err
		}
	}
	if err := c.run("kubelet", bin("kubelet"), "--kubeconfig", c.kubeconfig(), "--config", c.file("kubelet.yaml"), "--root-dir", c.file("kubelet"),
		"--hostname-override", nodeName, "--node-ip", nodeAddr, "--cert-dir", c.file("pki")); err != nil {
		return nil, err
	}
	if err := c.nodeReady(ctx); err != nil {
		return nil, err
	}
	// What services are reached by. It ends itself when its node's address changes, which it does when the node comes.
	if err := c.run("proxy", bin("kube-proxy"), "--kubeconfig", c.kubeconfig(), "--proxy-mode", "iptables", "--cluster-cidr", podNet, "--hostname-override", nodeName,
		"--healthz-bind-address", "127.0.0.1:"+ports[7], "--metrics-bind-address", "127.0.0.1:"+ports[8], "--conntrack-max-per-core", "0"); err != nil {
		return nil, err
	}
	c.cleanup = exec.CommandContext(context.Background(), bin("kube-proxy"), "--cleanup")
	ok = true
	return c, nil
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails, by its contract
	return b
}

func freePorts(ctx context.Context, n int) (out []string, err error) {
	for range n {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }()
		out = append(out, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	}
	return out, nil
}

// files writes what the programs read.
func (c *cluster) files(ports []string) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return err
	}
	for name, text := range map[string]string{
		"sa.key":     string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})),
		"sa.pub":     string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})),
		"tokens.csv": c.token + `,admin,admin,"system:masters"` + "\n",
		"kubeconfig": fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: real, cluster: {server: %q, certificate-authority: %q}}]
users: [{name: admin, user: {token: %q}}]
contexts: [{name: real, context: {cluster: real, user: admin, namespace: models}}]
current-context: real
`, c.server, c.file("certs/apiserver.crt"), c.token),
		"kubelet.yaml": fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
failSwapOn: false
cgroupDriver: cgroupfs
containerRuntimeEndpoint: unix://%s
address: %s
port: %s
readOnlyPort: 0
healthzPort: %s
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
evictionHard: {memory.available: "100Mi", nodefs.available: "1%%", imagefs.available: "1%%"}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
resolvConf: /etc/resolv.conf
nodeStatusUpdateFrequency: 5s
podLogsDir: %s
clusterDNS: [%s]
clusterDomain: cluster.local
`, c.file("containerd.sock"), nodeAddr, ports[5], ports[6], c.file("podlogs"), nodeAddr),
		"Corefile": fmt.Sprintf(".:53 {\n bind %s\n errors\n kubernetes cluster.local {\n kubeconfig %s\n }\n forward . /etc/resolv.conf\n}\n", nodeAddr, c.kubeconfig()),
		"containerd.toml": fmt.Sprintf(`version = 2
root = %q
state = %q
[grpc]
  address = %q
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %q
  stream_server_address = "127.0.0.1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = %q
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
`, c.file("containerd"), c.file("state"), c.file("containerd.sock"), pauseRef, c.file("cni")),
		"cni/10-bridge.conflist": fmt.Sprintf(`{"cniVersion":"1.0.0","name":"justright","plugins":[{"type":"bridge","bridge":%q,"isGateway":true,"ipMasq":true,
"ipam":{"type":"host-local","dataDir":%q,"ranges":[[{"subnet":%q}]],"routes":[{"dst":"0.0.0.0/0"}]}}]}`, podBridge, c.file("ipam"), podNet),
	} {
		if err := os.MkdirAll(filepath.Dir(c.file(name)), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(c.file(name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// run starts a program with a log of its own.
func (c *cluster) run(name, program string, args ...string) error {
	log, err := os.Create(c.file(name + ".log"))
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(context.Background(), program, args...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, c.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	c.programs = append(c.programs, cmd)
	return nil
}

// stop ends what runs, the last first, and takes its network away.
func (c *cluster) stop() {
	for i := len(c.programs) - 1; i >= 0; i-- {
		cmd := c.programs[i]
		_ = cmd.Process.Signal(syscall.SIGTERM)
		done := make(chan struct{})
		go func() { _ = cmd.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(15 * time.Second):
			_ = cmd.Process.Kill()
			<-done
		}
	}
	if c.cleanup != nil {
		_ = c.cleanup.Run()
	}
	for _, b := range []string{nodeBridge, podBridge} {
		_ = exec.CommandContext(context.Background(), "ip", "link", "del", b).Run() // it may never have been made
	}
	for _, m := range mountsBelow(c.dir) {
		_ = syscall.Unmount(m, syscall.MNT_DETACH)
	}
}

// mountsBelow lists what is mounted below a directory, the deepest first.
func mountsBelow(dir string) []string {
	raw, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil
	}
	var out []string
	for line := range strings.Lines(string(raw)) {
		if f := strings.Fields(line); len(f) > 1 && strings.HasPrefix(f[1], dir+"/") {
			out = append([]string{f[1]}, out...)
		}
	}
	return out
}

// ready waits for the API server and makes the client and the namespace.
func (c *cluster) ready(ctx context.Context) error {
	for range 240 {
		if ca, err := os.ReadFile(c.file("certs/apiserver.crt")); err == nil {
			pool := x509.NewCertPool()
			if pool.AppendCertsFromPEM(ca) {
				c.http = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}, Timeout: time.Minute}
				if _, err := c.call(ctx, http.MethodGet, "/readyz", nil); err == nil {
					_, err = c.call(ctx, http.MethodPost, "/api/v1/namespaces", map[string]any{"metadata": map[string]any{"name": "models"}})
					return err
				}
			}
		}
		if err := pauseFor(ctx, 500*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("the API server is not ready: %s", c.lastWords("apiserver"))
}

func (c *cluster) nodeReady(ctx context.Context) error {
	for range 240 {
		raw, err := c.call(ctx, http.MethodGet, "/api/v1/nodes/"+nodeName, nil)
		if err == nil && bytes.Contains(raw, []byte(`"reason":"KubeletReady"`)) {
			return nil
		}
		if err := pauseFor(ctx, 500*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("the node is not ready: %s", c.lastWords("kubelet"))
}

func (c *cluster) lastWords(name string) string {
	raw, err := os.ReadFile(c.file(name + ".log"))
	if err != nil {
		return err.Error()
	}
	return string(raw[max(0, len(raw)-800):])
}

func pauseFor(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// call asks the API server as its administrator.
func (c *cluster) call(ctx context.Context, method, path string, in any) ([]byte, error) {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(raw)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.server+path, body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	r.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		r.Header.Set("Content-Type", "application/merge-patch+json")
	}
	res, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if res.StatusCode >= 400 {
		return raw, fmt.Errorf("%s %s: %d %.400s", method, path, res.StatusCode, raw)
	}
	return raw, err
}

func (c *cluster) importImage(ctx context.Context, file string) error {
	for range 60 { // containerd may still be starting
		if _, err := os.Stat(c.file("containerd.sock")); err == nil {
			break
		}
		if err := pauseFor(ctx, 500*time.Millisecond); err != nil {
			return err
		}
	}
	return loud(exec.CommandContext(ctx, "ctr", "-a", c.file("containerd.sock"), "-n", "k8s.io", "images", "import", file))
}
