package kubesim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Runner plays containers. Start returns what stops one.
type Runner interface {
	Start(c *Container) (stop func())
}

// Container is one that was started.
type Container struct {
	Pod, Image    string
	Command, Args []string
	Env           map[string]string

	c   *Cluster
	uid string
	key string
}

// Log prints a line.
func (k *Container) Log(line string) {
	k.c.mu.Lock()
	l := k.c.logs[k.uid]
	k.c.mu.Unlock()
	l.add(line, k.c.o.Now())
}

// Exit ends the container by itself.
func (k *Container) Exit(code int, reason string) { k.ExitSaying(code, reason, "") }

// ExitSaying is Exit with the runtime's own words.
func (k *Container) ExitSaying(code int, reason, message string) {
	k.c.mu.Lock()
	defer k.c.mu.Unlock()
	o := k.c.objects[k.key]
	if o == nil {
		return
	}
	p := typed[corev1.Pod](o)
	p.Status.Phase = corev1.PodSucceeded
	if code != 0 {
		p.Status.Phase = corev1.PodFailed
	}
	if reason == "" {
		reason = map[bool]string{true: "Completed", false: "Error"}[code == 0]
	}
	now := metav1.NewTime(k.c.o.Now())
	if len(p.Status.ContainerStatuses) > 0 {
		p.Status.ContainerStatuses[0].State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: int32(code), Reason: reason, Message: message, FinishedAt: now}} //nolint:gosec // an exit code
	}
	k.c.logs[k.uid].end()
	o["status"] = generic(p.Status)
	k.c.put("pods", o)
	delete(k.c.running, k.uid)
}

// Disrupt ends a pod as a drained node does: it failed, and not by its own fault.
func (c *Cluster) Disrupt(namespace, name string) {
	c.mu.Lock()
	o := c.objects[key("pods", namespace, name)]
	if o == nil {
		c.mu.Unlock()
		return
	}
	p := typed[corev1.Pod](o)
	p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "EvictionByEvictionAPI"})
	o["status"] = generic(p.Status)
	stop := c.running[string(p.UID)]
	c.mu.Unlock()
	if stop != nil {
		stop()
	}
	(&Container{c: c, uid: string(p.UID), key: key("pods", namespace, name)}).Exit(143, "")
}

// start runs a pod's container, when its image can be had and its secrets are there. The lock is held.
func (c *Cluster) start(o map[string]any, p corev1.Pod) {
	k := p.Spec.Containers[0]
	if c.o.Images != nil && !slices.Contains(c.o.Images, k.Image) {
		c.event(o, "Warning", "Failed", fmt.Sprintf(`Failed to pull image %q: rpc error: code = NotFound desc = failed to pull and unpack image %q: failed to resolve reference %q: %s: not found`, k.Image, k.Image, k.Image, k.Image))
		c.wait(o, p, "ImagePullBackOff", fmt.Sprintf("Back-off pulling image %q", k.Image))
		return
	}
	env := map[string]string{}
	for _, from := range k.EnvFrom {
		if from.SecretRef == nil {
			continue
		}
		s := c.objects[key("secrets", p.Namespace, from.SecretRef.Name)]
		if s == nil {
			c.event(o, "Warning", "Failed", fmt.Sprintf("Error: secret %q not found", from.SecretRef.Name))
			c.wait(o, p, "CreateContainerConfigError", fmt.Sprintf("secret %q not found", from.SecretRef.Name))
			return
		}
		for name, v := range typed[corev1.Secret](s).Data {
			env[name] = string(v)
		}
	}
	for _, e := range k.Env {
		env[e.Name] = e.Value
	}
	uid := string(p.UID)
	c.logs[uid] = newLogFile()
	p.Status.Phase, p.Status.HostIP, p.Status.PodIP = corev1.PodRunning, "127.0.0.1", "127.0.0.1"
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: k.Name, Image: k.Image, Ready: true,
		State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(c.o.Now())}}}}
	p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue}) // probes are not played
	o["status"] = generic(p.Status)
	c.put("pods", o)
	c.event(o, "Normal", "Pulled", fmt.Sprintf("Successfully pulled image %q", k.Image))
	c.event(o, "Normal", "Started", "Started container "+k.Name)
	c.running[uid] = func() {}
	if c.o.Runner != nil {
		run := &Container{Pod: p.Name, Image: k.Image, Command: k.Command, Args: k.Args, Env: env, c: c, uid: uid, key: key("pods", p.Namespace, p.Name)}
		c.mu.Unlock()
		stop := c.o.Runner.Start(run)
		c.mu.Lock()
		if _, still := c.running[uid]; still {
			c.running[uid] = stop
		}
	}
}

func (c *Cluster) wait(o map[string]any, p corev1.Pod, reason, message string) {
	if len(p.Status.ContainerStatuses) > 0 && p.Status.ContainerStatuses[0].State.Waiting != nil {
		return
	}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: p.Spec.Containers[0].Name,
		State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}}
	o["status"] = generic(p.Status)
	c.put("pods", o)
}

// logFile is what a container has printed.
type logFile struct {
	mu      sync.Mutex
	lines   []entry
	over    bool
	changed chan struct{}
}

type entry struct {
	at   time.Time
	text string
}

func newLogFile() *logFile { return &logFile{changed: make(chan struct{})} }

func (l *logFile) add(line string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, entry{at.UTC(), line})
	l.signal()
}

func (l *logFile) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	l.signal()
}

func (l *logFile) signal() { close(l.changed); l.changed = make(chan struct{}) }

// after waits for lines from index n on; over when there will be no more.
func (l *logFile) after(ctx context.Context, n int, follow bool) (more []entry, over bool) {
	for {
		l.mu.Lock()
		more, over, changed := slices.Clone(l.lines[min(n, len(l.lines)):]), l.over, l.changed
		l.mu.Unlock()
		if len(more) > 0 || over || !follow {
			return more, over || !follow
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, true
		}
	}
}

// log answers GET pods/NAME/log. Lines are resumed at a whole second.
func (c *Cluster) log(w http.ResponseWriter, r *http.Request, t target) {
	c.mu.Lock()
	o := c.objects[key("pods", t.namespace, t.name)]
	var l *logFile
	if o != nil {
		l = c.logs[text(meta(o)["uid"])]
	}
	c.streams++
	limit := c.o.CutLogs * c.streams
	c.mu.Unlock()
	switch {
	case o == nil:
		status(w, http.StatusNotFound, "NotFound", "pods %q not found", t.name)
		return
	case l == nil:
		status(w, http.StatusBadRequest, "BadRequest", "container %q in pod %q is waiting to start: ContainerCreating", r.URL.Query().Get("container"), t.name)
		return
	}
	var since time.Time
	if s := r.URL.Query().Get("sinceTime"); s != "" {
		at, err := time.Parse(time.RFC3339, s)
		if err != nil {
			status(w, http.StatusBadRequest, "BadRequest", "sinceTime: %v", err)
			return
		}
		since = at.Truncate(time.Second)
	}
	w.Header().Set("Content-Type", "text/plain")
	sent, n := 0, 0
	for {
		more, over := l.after(r.Context(), n, r.URL.Query().Get("follow") == "true")
		for _, e := range more {
			n++
			if e.at.Before(since) {
				continue
			}
			line := e.text + "\n"
			if r.URL.Query().Get("timestamps") == "true" {
				line = e.at.Format("2006-01-02T15:04:05.000000000Z07:00") + " " + line
			}
			if limit > 0 && sent+len(line) > limit {
				_, _ = w.Write([]byte(line[:len(line)/2]))
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			}
			sent += len(line)
			if _, err := w.Write([]byte(line)); err != nil {
				return
			}
		}
		if err := http.NewResponseController(w).Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return
		}
		if over {
			return
		}
	}
}
