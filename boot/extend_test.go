package boot_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A lifetime is moved through the engine's door while it lasts; the dollar cap is not.
func TestALifetimeMovesAndTheCapDoesNot(t *testing.T) {
	later := func(t *testing.T, env map[string]string, text string) {
		t.Helper()
		env["JUSTRIGHT_RUN"] = t.TempDir()
		door := filepath.Join(env["JUSTRIGHT_RUN"], "door")
		if err := os.MkdirAll(door, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(door, "justright_door.py.until"), []byte(text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("moved", func(t *testing.T) {
		t.Parallel()
		_, env := runpod(t, prudent)
		later(t, env, at(time.Hour))
		env["JUSTRIGHT_END_BY"] = at(2 * time.Second)
		m := start(t, []string{"sh"}, render(t, gpuSpec(t)), env)
		m.await("justright phase=ready status=ok")
		time.Sleep(4 * time.Second)
		if strings.Contains(m.said(), "status=ending") {
			t.Error("ended at the old time")
		}
	})
	for name, c := range map[string]struct{ text, reason string }{
		"the new end comes too": {"1", "ttl"},
		"what is no time":       {"soon", "ttl"},
		"the cap stays":         {"99999999999", "cap"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, env := runpod(t, prudent)
			later(t, env, c.text)
			env["JUSTRIGHT_END_BY"] = at(-time.Second)
			if c.reason == "cap" {
				env["JUSTRIGHT_CAP_BY"] = at(-time.Second)
			}
			start(t, []string{"sh"}, render(t, gpuSpec(t)), env).await("justright guard status=ending reason=" + c.reason)
		})
	}
}
