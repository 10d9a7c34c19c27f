package cli

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
)

// A shared journal that cannot be had is said with its status, and its password nowhere.
func TestSharedJournalRefusals(t *testing.T) {
	for _, c := range []struct {
		address string
		exit    int
	}{
		{"mysql://me:hunter2secret@h/x", 2},
		{"postgres://me:hunter2secret@h:port/x", 2},
		{"postgres://me:hunter2secret@127.0.0.1:1/x?connect_timeout=2", 5},
	} {
		env := map[string]string{"JUSTRIGHT_STATE_DIR": t.TempDir(), "JUSTRIGHT_JOURNAL": c.address}
		for _, line := range [][]string{{"ps", "--json"}, {"down", "x", "--json"}, {"config", "--json"}} {
			code, stdout, stderr := runMain(t, env, line...)
			if strings.Contains(stdout+stderr, "hunter2secret") {
				t.Errorf("%v with %s shows the password: %s%s", line, c.address, stdout, stderr)
			}
			var doc struct{ Code string }
			if line[0] == "config" {
				continue
			}
			if err := json.Unmarshal([]byte(stdout), &doc); err != nil || code != c.exit || doc.Code != "journal" {
				t.Errorf("%v with %s: exit %d, %v: %s%s", line, c.address, code, err, stdout, stderr)
			}
		}
	}
}

// What one controller begins, another with a directory of its own sees, and its lessons too.
func TestSharedJournal(t *testing.T) {
	address := os.Getenv("JUSTRIGHT_TEST_POSTGRES")
	if address == "" {
		t.Skip("JUSTRIGHT_TEST_POSTGRES names no server; make postgres starts one and runs this")
	}
	controller := func() World {
		env := map[string]string{"JUSTRIGHT_STATE_DIR": t.TempDir(), "JUSTRIGHT_JOURNAL": address}
		return World{Env: func(k string) string { return env[k] }, Environ: func() []string { return nil }, Now: time.Now}
	}
	a, b := controller(), controller()
	var owners [2]string
	for i, w := range []World{a, b} {
		j, err := w.openJournal(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if owners[i], err = j.Owner(t.Context()); err != nil {
			t.Fatal(err)
		}
		_ = j.Close()
	}
	if owners[0] != owners[1] {
		t.Errorf("owners %q", owners)
	}
	if l, err := a.localTarget(); err != nil || l.account == "local" {
		t.Errorf("this machine may be denied by another: account %q, %v", l.account, err)
	}
}
