package web_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"justright/internal/web"
	"justright/money"
	"justright/problem"
)

const key = "jr-THE0KEY0OF0THE0GATEWAY"

// nasty is a text that must come out as text.
const nasty = `</pre><script>alert(1)</script>"'<img src=x onerror=alert(1)>` + "\x1b[31mred\x1b[0m\u2028"

// source is a Source that shows one of everything and notes what it is asked.
type source struct {
	mu    sync.Mutex
	asked []string
	spent money.USD
}

func (s *source) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, fmt.Sprintf(format, args...))
}

func (s *source) Page(context.Context) (web.Page, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return web.Page{
		BaseURL: "http://127.0.0.1:8484/v1", KeyFile: "/state/keys/serve", PerHour: money.Dollar / 4, Today: s.spent,
		Models: []web.Model{{ID: `a/"><script>alert(2)</script>`, Aliases: []string{nasty}, State: "stopped", Stopped: "three failed: " + nasty, Daily: money.Dollar, Idle: 20 * time.Minute}, {ID: "b/two", State: "waking", Doing: nasty}},
		Launches: []web.Launch{{Name: "one", Model: "a/one", State: "ready", Phase: nasty, Percent: 40, HasTTL: true, Cap: 2 * money.Dollar, Spent: s.spent, Seconds: 3725,
			EndsBy: time.Unix(1795640319, 0), Log: []string{nasty, "second line"}, Receipt: []web.Attempt{{Machine: "p1", Cause: nasty}, {Machine: "p2"}}}},
		Past:    []web.Launch{{Name: "old", Outcome: "taken down", Estimate: true, Receipt: []web.Attempt{{Machine: "p0", Detail: nasty}}}},
		Lessons: []web.Lesson{{Text: nasty, Cause: "oom", Expires: "2027-01-01"}},
	}, nil
}

func (s *source) Down(_ context.Context, name string) error {
	s.note("down %s", name)
	if name == "none" {
		return problem.New(problem.ExitUsage, "unknown_launch", "no")
	}
	return nil
}

func (s *source) Extend(_ context.Context, name string, ttl time.Duration) error {
	s.note("extend %s %s", name, ttl)
	return nil
}

func (s *source) Forgive(_ context.Context, model string) error {
	s.note("forgive %s", model)
	return nil
}

type place struct {
	t   *testing.T
	src *source
	url string
	c   *http.Client
	d   *web.Dashboard
	now time.Time
	mu  sync.Mutex
}

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{t: t, src: &source{}, now: time.Now()}
	d, err := web.New(web.Options{Source: p.src, Opens: func(k string) bool { return k == key }, Secret: []byte(key), Every: 20 * time.Millisecond, Now: func() time.Time {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.now
	}})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(d)
	jar, _ := cookiejar.New(nil)
	p.d, p.url = d, srv.URL
	p.c = &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(func() { d.Close(); srv.CloseClientConnections(); srv.Close() })
	return p
}

// answer is a response that was read and closed.
type answer struct {
	StatusCode int
	Header     http.Header
	cookies    []*http.Cookie
}

func (a answer) Cookies() []*http.Cookie { return a.cookies }

func (p *place) do(method, path string, form url.Values, header ...string) (answer, string) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := p.c.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, _ := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, resp.Cookies()}, string(b)
}

func (p *place) login() {
	p.t.Helper()
	if resp, _ := p.do(http.MethodPost, "/ui/login", url.Values{"key": {key}}); resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/" {
		p.t.Fatalf("login: %d %v", resp.StatusCode, resp.Header)
	}
}

// Without a session there is a login and nothing else.
func TestNothingIsShownWithoutTheKey(t *testing.T) {
	p := newPlace(t)
	if resp, body := p.do(http.MethodGet, "/", nil); resp.StatusCode != http.StatusOK || !strings.Contains(body, `type="password"`) || strings.Contains(body, "a/one") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	check := func(why string) {
		t.Helper()
		for _, c := range [][2]string{{http.MethodGet, "/ui/events"}, {http.MethodPost, "/ui/down"}, {http.MethodPost, "/ui/extend"}, {http.MethodPost, "/ui/forgive"}} {
			if resp, body := p.do(c[0], c[1], url.Values{"launch": {"one"}, "model": {"b/two"}, "ttl": {"1h"}}); resp.StatusCode != http.StatusUnauthorized || strings.Contains(body, "a/one") {
				t.Errorf("%s, %s %s: %d %s", why, c[0], c[1], resp.StatusCode, body)
			}
		}
	}
	check("no session")
	for _, wrong := range []string{"", "x", key[:len(key)-1], key + " x"} {
		if resp, _ := p.do(http.MethodPost, "/ui/login", url.Values{"key": {wrong}}); resp.Header.Get("Location") != "/?wrong=1" || len(resp.Cookies()) != 0 {
			t.Errorf("the key %q opens: %v", wrong, resp.Header)
		}
	}
	u, _ := url.Parse(p.url)
	later := p.now.Add(time.Hour).Unix()
	for _, forged := range []string{"", ".", fmt.Sprint(later), fmt.Sprintf("%d.", later), fmt.Sprintf("%d.%s", later, strings.Repeat("0", 64)), key} {
		p.c.Jar.SetCookies(u, []*http.Cookie{{Name: "justright", Value: forged}})
		check("the cookie " + forged)
	}
	p.login()
	p.mu.Lock()
	p.now = p.now.Add(8 * 24 * time.Hour)
	p.mu.Unlock()
	check("a session of last week")
	if len(p.src.asked) != 0 {
		t.Errorf("the source was asked: %q", p.src.asked)
	}
}

// What machines say stays text, no script or style stands in the page, and the key is nowhere.
func TestThePageIsSafe(t *testing.T) {
	p := newPlace(t)
	p.login()
	resp, body := p.do(http.MethodGet, "/?said=%3Cscript%3Ealert(1)%3C/script%3E", nil)
	for _, bad := range []string{"<script>alert", "<img src=x", "onerror=alert(1)>", "\x1b", key, " style=", " onclick="} {
		if strings.Contains(body, bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
	if n := len(regexp.MustCompile(`<script[^>]*>[^<]`).FindAllString(body, -1)); n != 0 {
		t.Errorf("%d inline scripts", n)
	}
	if !strings.Contains(body, "red") || !strings.Contains(body, "&lt;script&gt;") || !strings.Contains(body, "1:02:05") {
		t.Errorf("the page lacks what it should show:\n%s", body)
	}
	for k, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
	} {
		if !strings.Contains(resp.Header.Get(k), want) {
			t.Errorf("%s: %q", k, resp.Header.Get(k))
		}
	}
	if strings.Contains(resp.Header.Get("Content-Security-Policy"), "unsafe") {
		t.Error("the policy allows what is inline")
	}
	if _, body := p.do(http.MethodGet, "/?said=down", nil); !strings.Contains(body, "It is being taken down") {
		t.Error("what was done is not said")
	}
	for _, path := range []string{"/ui/dash.css", "/ui/dash.js", "/ui/icon.svg"} {
		if resp, body := p.do(http.MethodGet, path, nil); resp.StatusCode != http.StatusOK || strings.Contains(body, "://cdn") {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}

// The session cookie is one that scripts do not see and other sites do not send; forms of other sites are refused.
func TestSessionAndOtherSites(t *testing.T) {
	p := newPlace(t)
	resp, _ := p.do(http.MethodPost, "/ui/login", url.Values{"key": {key}})
	if len(resp.Cookies()) != 1 {
		t.Fatalf("cookies %v", resp.Cookies())
	}
	c := resp.Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || strings.Contains(c.Value, key) {
		t.Errorf("cookie %+v", c)
	}
	for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"}} {
		for _, path := range []string{"/ui/down", "/ui/extend", "/ui/forgive", "/ui/login", "/ui/logout"} {
			if resp, _ := p.do(http.MethodPost, path, url.Values{"launch": {"one"}, "model": {"m"}, "ttl": {"1h"}}, header...); resp.StatusCode != http.StatusForbidden {
				t.Errorf("%s with %v: %d", path, header, resp.StatusCode)
			}
		}
	}
	for _, method := range []string{http.MethodGet, http.MethodPut} {
		if resp, _ := p.do(method, "/ui/down?launch=one", nil); resp.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s /ui/down: %d", method, resp.StatusCode)
		}
	}
	if len(p.src.asked) != 0 {
		t.Errorf("the source was asked: %q", p.src.asked)
	}
	for _, c := range []struct{ path, field, value, ttl, said, asked string }{
		{"/ui/down", "launch", "one", "", "down", "down one"}, {"/ui/down", "launch", "none", "", "no-such", "down none"},
		{"/ui/extend", "launch", "one", "90m", "extended", "extend one 1h30m0s"}, {"/ui/extend", "launch", "one", "soon", "bad-time", ""},
		{"/ui/extend", "launch", "one", "-1h", "bad-time", ""}, {"/ui/forgive", "model", "b/two", "", "forgiven", "forgive b/two"},
	} {
		p.src.asked = nil
		resp, _ := p.do(http.MethodPost, c.path, url.Values{c.field: {c.value}, "ttl": {c.ttl}}, "Origin", p.url, "Sec-Fetch-Site", "same-origin")
		if got := strings.Join(p.src.asked, ";"); resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/?said="+c.said || got != c.asked {
			t.Errorf("%s %s: %d to %s, asked %q", c.path, c.value, resp.StatusCode, resp.Header.Get("Location"), got)
		}
	}
	if resp, _ := p.do(http.MethodPost, "/ui/logout", url.Values{}); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("logout: %d", resp.StatusCode)
	}
	if _, body := p.do(http.MethodGet, "/", nil); !strings.Contains(body, `type="password"`) {
		t.Error("logged out, and still in")
	}
}

// The live stream sends the page when it changes, one event a change, and ends with the gateway.
func TestTheLiveStream(t *testing.T) {
	p := newPlace(t)
	p.login()
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+"/ui/events", nil)
	resp, err := p.c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(resp.Body)
	event := func() string {
		var b strings.Builder
		for lines.Scan() && lines.Text() != "" {
			if l := lines.Text(); strings.HasPrefix(l, "data: ") {
				b.WriteString(strings.TrimPrefix(l, "data: ") + "\n")
			} else if l == ": here" {
				return "here"
			}
		}
		return b.String()
	}
	if first := event(); !strings.Contains(first, `id="launches"`) || strings.Contains(first, "<script>") || strings.Contains(first, "<html") {
		t.Fatalf("the first event:\n%s", first)
	}
	if got := event(); got != "here" {
		t.Errorf("an unchanged page was sent again:\n%s", got)
	}
	p.src.mu.Lock()
	p.src.spent = 7 * money.Dollar
	p.src.mu.Unlock()
	got := event()
	for got == "here" || got == "" {
		got = event()
	}
	if !strings.Contains(got, "$7.00") {
		t.Errorf("the change was not sent:\n%s", got)
	}
	p.d.Close()
	if got := event(); got != "" && got != "here" {
		t.Errorf("after the end: %q", got)
	}
}
