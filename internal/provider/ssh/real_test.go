package ssh_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"justright/internal/provider/providertest"
	"justright/internal/provider/ssh"
)

// TestRealConformance is the suite through the real client and a real server: `make ssh` starts one and sets the two variables.
func TestRealConformance(t *testing.T) {
	on := os.Getenv("JUSTRIGHT_TEST_SSH")
	if on == "" {
		t.Skip("JUSTRIGHT_TEST_SSH names no machine; make ssh starts a server and runs this")
	}
	target, err := ssh.Parse(on)
	if err != nil {
		t.Fatal(err)
	}
	providertest.Run(t, func(t *testing.T) providertest.Subject {
		own := target
		own.Dir = t.TempDir() // the server runs here
		run, err := os.MkdirTemp("", "jr")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(run) })
		p, err := ssh.New(ssh.Config{Target: own, Client: strings.Fields(os.Getenv("JUSTRIGHT_SSH")), StateDir: t.TempDir(), RunDir: run,
			Environ: os.Environ(), Now: time.Now, Grace: 2 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		return providertest.Subject{Provider: p,
			Spec:  spec("trap 'exit 0' TERM; echo one; echo 'two  words'; echo three; while :; do sleep 0.05; done", nil),
			Lines: []string{"one", "two  words", "three"}}
	})
}
