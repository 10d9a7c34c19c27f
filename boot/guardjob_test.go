package boot_test

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// container is a shell that is process 1 of a world of its own, as in a container; it skips where this system lets nobody make one.
func container(t *testing.T) []string {
	t.Helper()
	inside := []string{"unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc", "sh"}
	if out, err := exec.CommandContext(t.Context(), inside[0], append(slices.Clone(inside[1:]), "-c", "test $$ = 1")...).CombinedOutput(); err != nil {
		t.Skipf("no process namespaces here: %v %s", err, out)
	}
	return inside
}

// TestGuardOfAJob: the container of a job ends when its guard says so, and counts as failed when it never served.
func TestGuardOfAJob(t *testing.T) {
	for reason, c := range map[string]struct {
		env  map[string]string
		code int
	}{
		"cap":  {map[string]string{"JUSTRIGHT_CAP_BY": at(-time.Second)}, 0},
		"idle": {map[string]string{"JUSTRIGHT_IDLE": "2"}, 0},
		"hold": {map[string]string{"STANDIN_CUDA": "11.0"}, 1},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			env := world(outside(t, 200))
			env["JUSTRIGHT_GUARD"] = "job"
			for k, v := range c.env {
				env[k] = v
			}
			m := start(t, container(t), render(t, gpuSpec(t)), env)
			m.await("justright guard status=armed by=job")
			m.await("justright guard status=ending reason=" + reason)
			select {
			case <-m.done:
			case <-time.After(patience):
				t.Fatal("the container goes on")
			}
			if code := m.cmd.ProcessState.ExitCode(); code != c.code {
				t.Errorf("exit status %d, want %d", code, c.code)
			}
		})
	}
}

// TestJobTakenAway: the end that the kubelet brings, with its node, is no success: another pod is to be made. The engine ends in order all the same.
func TestJobTakenAway(t *testing.T) {
	t.Parallel()
	env := world(outside(t, 200))
	env["JUSTRIGHT_GUARD"] = "job"
	m := start(t, container(t), render(t, gpuSpec(t)), env)
	m.await("justright phase=ready status=ok")
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", m.cmd.Process.Pid))
	first, cerr := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil || cerr != nil {
		t.Fatal(err, cerr)
	}
	if err := syscall.Kill(first, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-m.done:
	case <-time.After(patience):
		t.Fatal("the container goes on")
	}
	if code := m.cmd.ProcessState.ExitCode(); code != 143 || !strings.Contains(m.said(), "stopped=1") {
		t.Errorf("exit status %d, want 143: %s", code, m.said())
	}
}

// A shell that is not the container's first process does not end it, so its guard claims nothing.
func TestGuardOfAJobThatIsNotFirst(t *testing.T) {
	t.Parallel()
	env := world(outside(t, 200))
	env["JUSTRIGHT_GUARD"] = "job"
	m := start(t, []string{"sh"}, render(t, gpuSpec(t)), env)
	m.await("justright guard status=unguarded reason=not_first_process")
	if strings.Contains(m.said(), "status=armed") {
		t.Error("armed all the same")
	}
}
