package inpod

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"justright/catalog"
)

// bootMark is a line that tells the helper of justright's own start script from any other program.
const bootMark = `"engine": engine}[sys.argv[1]]`

// boot plays the helper's words: the engine in an environment without our secrets, the weights, what may be reused.
func (c *Call) boot(ctx context.Context, word string, args []string) (exit int, done bool) {
	switch word {
	case "engine":
		return c.startEngine(args), true
	case "weights":
		if len(args) == 5 {
			return c.fetchWeights(ctx, args[0], args[1], args[2], args[3], args[4]), true
		}
	case "reuse", "split":
		return 1, true
	case "compiled":
		return 0, true
	}
	return 0, false
}

// startEngine runs the engine as a child, passes the end on to it, and ends with its status.
func (c *Call) startEngine(argv []string) int {
	if len(argv) == 0 {
		return 2
	}
	var env []string
	for _, kv := range c.Environ {
		k, _, _ := strings.Cut(kv, "=")
		switch {
		case k == "HF_TOKEN", k == "HUGGING_FACE_HUB_TOKEN", k == "RUNPOD_API_KEY", strings.HasPrefix(k, "JUSTRIGHT_"), k == "JR_T0":
		default:
			env = append(env, kv)
		}
	}
	program := c.find(argv[0], c.Env("PATH"))
	if program == "" {
		c.say("%s: No such file or directory", argv[0])
		return 127
	}
	cmd := exec.CommandContext(context.Background(), program, argv[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, c.Stdout, c.Stdout
	sigs := make(chan os.Signal, 2)
	signal.Notify(sigs, syscall.SIGTERM, os.Interrupt)
	if err := cmd.Start(); err != nil {
		c.say("%s: %v", argv[0], err)
		return 126
	}
	go func() {
		for s := range sigs {
			_ = cmd.Process.Signal(s)
		}
	}()
	err := cmd.Wait()
	var e *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e) && e.ExitCode() >= 0:
		return e.ExitCode()
	default:
		return 137
	}
}

// find looks a program up on a PATH.
func (c *Call) find(name, path string) string {
	if strings.Contains(name, "/") {
		return name
	}
	for _, d := range filepath.SplitList(path) {
		p := filepath.Join(d, name)
		if st, err := os.Stat(p); err == nil && !st.IsDir() && st.Mode()&0o111 != 0 {
			return p
		}
	}
	return ""
}

// near tells whether an address is on this machine. What is not is played, never called.
func near(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// curl makes the requests that stay on this machine and answers those to the world as the world would: the package
// index is there, the hub has the models of the catalog. It understands a configuration on standard input; anything
// else it leaves to this machine's curl.
func (c *Call) curl(ctx context.Context) int {
	if strings.Join(c.Args, " ") != "-q -K -" {
		if real := c.real("curl"); real != "" {
			return c.become(real, c.Args)
		}
		return 127
	}
	r := ReadCurl(c.Stdin)
	if !near(r.URL) {
		return c.playWorld(r.URL, r.Include)
	}
	return r.Do(ctx, c.Stdout)
}

// playWorld answers for hosts that are not on this machine.
func (c *Call) playWorld(address string, include bool) int {
	status, extra := "200 OK", ""
	u, err := url.Parse(address)
	if err == nil && strings.Contains(u.Path, "/resolve/") {
		id, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/resolve/")
		if len(catalog.FindModels(id)) != 1 {
			status, extra = "404 Not Found", "X-Error-Code: RepoNotFound\r\n"
		}
	}
	if include {
		_, _ = fmt.Fprintf(c.Stdout, "HTTP/1.1 %s\r\nDate: %s\r\n%s\r\n", status, time.Now().UTC().Format(http.TimeFormat), extra)
	}
	return 0
}

// fetchWeights fetches from a hub on this machine; from the world's hub it plays the download of the true size, and
// leaves the true config behind.
func (c *Call) fetchWeights(ctx context.Context, hub, model, revision, into, mark string) int {
	if err := os.MkdirAll(into, 0o755); err != nil {
		return 35
	}
	if near(hub) {
		if code := c.download(ctx, hub, model, revision, into); code != 0 {
			return code
		}
		return c.mark(into, mark, revision)
	}
	m := catalog.FindModels(model)
	if len(m) != 1 {
		return 24
	}
	total := m[0].CheckpointBytes
	if total == 0 {
		total = m[0].Parameters * 2
	}
	for i := range int64(8) {
		time.Sleep(60 * time.Millisecond)
		c.say("justright progress phase=weights done=%d total=%d unit=bytes", total*(i+1)/8, total)
	}
	if os.WriteFile(filepath.Join(into, "config.json"), m[0].Config, 0o644) != nil {
		return 35
	}
	return c.mark(into, mark, revision)
}

func (c *Call) mark(into, mark, revision string) int {
	if os.WriteFile(filepath.Join(into, mark), []byte(revision+"\n"), 0o644) != nil {
		return 35
	}
	return 0
}

// download takes every top-level file of a revision.
func (c *Call) download(ctx context.Context, hub, model, revision, into string) int {
	get := func(path string) (*http.Response, error) {
		req, err := http.NewRequestWithContext(ctx, "GET", strings.TrimSuffix(hub, "/")+path, nil)
		if err != nil {
			return nil, err
		}
		if t := c.Env("HF_TOKEN"); t != "" {
			req.Header.Set("Authorization", "Bearer "+t)
		}
		return http.DefaultClient.Do(req)
	}
	resp, err := get("/api/models/" + model + "/revision/" + url.PathEscape(revision))
	if err != nil {
		return 21
	}
	var info struct {
		SHA      string `json:"sha"`
		Siblings []struct {
			Name string `json:"rfilename"`
		} `json:"siblings"`
	}
	err = json.NewDecoder(io.LimitReader(resp.Body, 8<<20)).Decode(&info)
	_ = resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden:
		return 22
	case http.StatusNotFound:
		return 24
	case http.StatusTooManyRequests:
		return 26
	default:
		return 21
	}
	if err != nil {
		return 21
	}
	sum := int64(0)
	for _, f := range info.Siblings {
		if strings.Contains(f.Name, "/") || strings.HasPrefix(f.Name, ".") {
			continue
		}
		resp, err := get("/" + model + "/resolve/" + info.SHA + "/" + url.PathEscape(f.Name))
		if err != nil {
			return 21
		}
		n, err := save(filepath.Join(into, f.Name), resp)
		if err != nil {
			return 21
		}
		sum += n
		c.say("justright progress phase=weights done=%d total=0 unit=bytes", sum)
	}
	return 0
}

func save(path string, resp *http.Response) (int64, error) {
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s: %s", path, resp.Status)
	}
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(f, resp.Body)
	return n, errors.Join(err, f.Close())
}
