package drive_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"justright/internal/tools/drive"
)

// scene counts what a run does to its surroundings.
type scene struct {
	left  error
	swept int
}

func (s *scene) NothingLeft(context.Context) error { return s.left }
func (s *scene) Sweep()                            { s.swept++ }

func TestEach(t *testing.T) {
	good := drive.Case[*scene]{Name: "good", Run: func(context.Context, *scene) (string, error) { return "seen\nit", nil }}
	bad := drive.Case[*scene]{Name: "bad", Run: func(context.Context, *scene) (string, error) { return "", errors.New("no\nway") }}
	dirty := drive.Case[*scene]{Name: "dirty", Run: func(_ context.Context, s *scene) (string, error) {
		s.left = errors.New("left behind: x")
		return "fine", nil
	}}
	all := []drive.Case[*scene]{good, bad, dirty}
	for _, c := range []struct {
		only          string
		failed, swept int
		want          string
	}{
		{"", 2, 2, "tool good ok 0 seen it\ntool bad FAIL 0 no way\ntool dirty FAIL 0 left behind: x\n"},
		{"good", 0, 0, "tool good ok 0 seen it\n"},
		{"good,bad", 1, 1, "tool good ok 0 seen it\ntool bad FAIL 0 no way\n"},
		{"goood", 1, 0, "tool goood FAIL 0 there is no such case\n"},
	} {
		var out strings.Builder
		s := &scene{}
		failed := drive.Each(t.Context(), &out, "tool", s, all, drive.Names(c.only))
		got := regexp.MustCompile(`(ok|FAIL) \d+`).ReplaceAllString(out.String(), "$1 0")
		if failed != c.failed || s.swept != c.swept || got != c.want {
			t.Errorf("only %q: %d failed, %d swept, printed\n%s", c.only, failed, s.swept, got)
		}
	}
}

func TestWorld(t *testing.T) {
	t.Setenv("RUNPOD_API_KEY", "secret")
	t.Setenv("KUBECONFIG", "the owner's")
	got := drive.World("XDG_STATE_HOME=/x", "KUBECONFIG=ours")
	if slices.ContainsFunc(got, func(kv string) bool { return strings.Contains(kv, "secret") || strings.Contains(kv, "the owner's") }) {
		t.Errorf("the owner's settings are in the world: %q", got)
	}
	if !slices.Contains(got, "KUBECONFIG=ours") || !slices.Contains(got, "XDG_STATE_HOME=/x") {
		t.Errorf("what was given is not in the world: %q", got)
	}
}

// program is a shell script in the place of justright.
func program(t *testing.T, script string) drive.Program {
	t.Helper()
	path := filepath.Join(t.TempDir(), "justright")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	return drive.Program{Path: path, Env: []string{"PATH=" + os.Getenv("PATH")}}
}

func TestUp(t *testing.T) {
	p := program(t, `echo '{"event":"finding","cause":"first","evidence":["a","b"]}'
echo '{"event":"check","name":"chat","passed":true,"detail":"fine"}'
echo '{"event":"check","name":"tools","passed":true,"detail":"does not apply: none"}'
echo '{"event":"end","outcome":"'$OUTCOME'","base_url":"http://x/v1"}'
exit $STATUS
`)
	l, err := p.Up(t.Context(), []string{"OUTCOME=ready", "STATUS=0"})
	if err != nil {
		t.Fatal(err)
	}
	if e, err := l.Ready("chat"); err != nil || e.BaseURL != "http://x/v1" || l.Cause() != "first" {
		t.Errorf("ready %+v, %v, cause %q", e, err, l.Cause())
	}
	for _, check := range []string{"tools", "health"} { // one that did not apply, one that was not made
		if _, err := l.Ready(check); err == nil {
			t.Errorf("the proof includes %s", check)
		}
	}
	for _, env := range [][]string{{"OUTCOME=ready", "STATUS=6"}, {"OUTCOME=failed", "STATUS=0"}} {
		l, err := p.Up(t.Context(), env)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Ready(); err == nil || !strings.Contains(err.Error(), "first: a | b") {
			t.Errorf("%v: %v", env, err)
		}
	}
	if _, err := program(t, "echo no JSON").Up(t.Context(), nil); err == nil {
		t.Error("a line that is no event was taken")
	}
}

func TestProgram(t *testing.T) {
	ctx := t.Context()
	if err := program(t, "exit 3").Down(ctx, "x"); err == nil || !strings.Contains(err.Error(), "status 3") {
		t.Errorf("down: %v", err)
	}
	if err := program(t, `echo '{"launches":[{"name":"a"}]}'`).NoLaunch(ctx); err == nil {
		t.Error("a launch that ps shows was not told")
	}
	if err := program(t, `echo '{"launches":[]}'`).NoLaunch(ctx); err != nil {
		t.Error(err)
	}
	p := program(t, `echo "12:00 justright phase=env status=ok cached=1"`)
	if line, err := p.Logged(ctx, "x", "phase=env"); err != nil || line != "phase=env status=ok cached=1" {
		t.Errorf("%q, %v", line, err)
	}
	if _, err := p.Logged(ctx, "x", "phase=weights"); err == nil {
		t.Error("a line was found that is not there")
	}
	if _, err := (drive.Program{Path: "/no/such/program"}).Call(ctx, nil, "ps"); err == nil {
		t.Error("a program that is not there ran")
	}
}

func TestAsk(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("k\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	answer, status := `{"choices":[{"message":{"content":"Paris"}}]}`, http.StatusOK
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/chat/completions" || r.Header.Get("Authorization") != "Bearer k" {
			t.Errorf("%s with %q", r.URL.Path, r.Header.Get("Authorization"))
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(answer))
	}))
	defer s.Close()
	e := drive.Event{BaseURL: s.URL + "/v1", KeyFile: key}
	if said, err := drive.Ask(t.Context(), e, "?"); err != nil || said != "Paris" {
		t.Errorf("%q, %v", said, err)
	}
	for _, c := range []struct {
		answer string
		status int
		want   string
	}{{answer, http.StatusTeapot, "chat: HTTP 418 with 1 choices"}, {`{}`, http.StatusOK, "chat: HTTP 200 with 0 choices"}, {`<html>`, 502, "chat: HTTP 502, "}} {
		answer, status = c.answer, c.status
		if _, err := drive.Ask(t.Context(), e, "?"); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%v instead of %q", err, c.want)
		}
	}
}
