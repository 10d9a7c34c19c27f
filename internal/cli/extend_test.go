package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"justright/internal/httpclient"
	"justright/problem"
)

func TestExtend(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.answers(0, "up", tryModel, "--yes", "--name", "endless")
	if out := p.answers(problem.ExitLimit, "extend", "endless", "--ttl", "1h"); !strings.Contains(out, "no lifetime") {
		t.Errorf("a launch without --ttl:\n%s", out)
	}
	p.answers(0, "down", "endless")
	p.answers(0, "up", tryModel, "--yes", "--ttl", "1h", "--budget", "20", "--name", "short")
	if out := p.answers(problem.ExitLimit, "extend", "short", "--ttl", "1000h"); !strings.Contains(out, "dollar cap") {
		t.Errorf("beyond the cap:\n%s", out)
	}
	p.answers(problem.ExitUsage, "extend", "short")
	p.answers(problem.ExitUsage, "extend", "nobody", "--ttl", "1h")
	before := p.answers(0, "show", "short")
	var doc extendDocument
	if err := json.Unmarshal([]byte(p.answers(0, "extend", "short", "--ttl", "2h", "--json")), &doc); err != nil {
		t.Fatal(err)
	}
	if d := time.Until(doc.EndBy); d < 119*time.Minute || d > 121*time.Minute {
		t.Errorf("two hours from now is in %s", d)
	}
	after := p.answers(0, "show", "short")
	if end := doc.EndBy.Format(time.RFC3339); ends(after) != end || ends(before) == end {
		t.Errorf("show says %q, said %q, want %q", ends(after), ends(before), end)
	}
	var ps psDocument
	if err := json.Unmarshal([]byte(p.answers(0, "ps", "--json")), &ps); err != nil || len(ps.Launches) != 1 || ps.Launches[0].EndsBy == nil || !ps.Launches[0].EndsBy.Equal(doc.EndBy) {
		t.Errorf("ps: %v, %+v", err, ps.Launches)
	}
	p.answers(0, "down", "--all")
}

func ends(show string) string {
	_, rest, _ := strings.Cut(show, "ends by")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}

func TestExtendReachesTheGuardThroughTheDoor(t *testing.T) {
	t.Parallel()
	end := time.Unix(1_800_000_000, 0)
	var got string
	door := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = r.Method + " " + r.URL.Path + " " + r.Header.Get("Authorization") + " " + string(body)
		_, _ = rw.Write(body)
	}))
	defer door.Close()
	w := realWorld(nil, new(bytes.Buffer), new(bytes.Buffer), nil)
	if err := w.extendGuard(t.Context(), door.URL, httpclient.NewSecret("k"), end); err != nil {
		t.Error(err)
	}
	if want := "POST /justright/extend Bearer k 1800000000"; got != want {
		t.Errorf("the door heard %q, want %q", got, want)
	}
	silent := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte("ok")) }))
	defer silent.Close()
	if err := w.extendGuard(t.Context(), silent.URL, httpclient.NewSecret("k"), end); problem.From(err).Code != "guard_unmoved" {
		t.Errorf("an answer that does not repeat the end was believed: %v", err)
	}
}
