// Package web is the dashboard of `serve`: one page with what runs, what it costs and what it says, live. It is rendered here, works
// without scripts, and shows what a Source tells; what it is asked to do it asks of the Source. Whoever has the gateway's key may
// see it.
package web

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strings"
	"sync"
	"time"

	"justright/problem"
)

// Source is what the dashboard shows and asks. All methods may be called at once.
type Source interface {
	// Page is how things stand.
	Page(ctx context.Context) (Page, error)
	// Down commits that a launch is to be gone.
	Down(ctx context.Context, launch string) error
	// Extend moves the end of a launch's lifetime to so long from now.
	Extend(ctx context.Context, launch string, ttl time.Duration) error
	// Forgive lets a model be woken again that is not woken any more.
	Forgive(ctx context.Context, model string) error
}

// Options are what a dashboard needs.
type Options struct {
	Source Source
	Opens  func(key string) bool // whether a key is the gateway's
	Secret []byte                // signs sessions; another one ends them all
	Now    func() time.Time
	Every  time.Duration // between two looks at the Source; 0: 2 s
	Secure bool          // the cookie travels over TLS alone
}

//go:embed pages static
var files embed.FS

// Dashboard is an http.Handler for "/" and what is below "/ui/".
type Dashboard struct {
	o       Options
	mux     *http.ServeMux
	pages   *template.Template
	closing chan struct{}
	closed  sync.Once
}

// New makes a dashboard.
func New(o Options) (*Dashboard, error) {
	if o.Every == 0 {
		o.Every = 2 * time.Second
	}
	d := &Dashboard{o: o, mux: http.NewServeMux(), closing: make(chan struct{})}
	var err error
	if d.pages, err = template.New("").Funcs(words).ParseFS(files, "pages/*.html"); err != nil {
		return nil, err
	}
	static, err := fs.Sub(files, "static")
	if err != nil {
		return nil, err
	}
	served := http.FileServerFS(static)
	// The login page needs its style; neither file says anything about what runs.
	for _, name := range []string{"dash.css", "dash.js", "icon.svg"} {
		d.mux.Handle("GET /ui/"+name, http.StripPrefix("/ui/", cached(served)))
	}
	d.mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/ui/icon.svg", http.StatusMovedPermanently)
	})
	d.mux.HandleFunc("GET /{$}", d.home)
	d.mux.HandleFunc("POST /ui/login", d.login)
	d.mux.HandleFunc("POST /ui/logout", d.logout)
	d.mux.HandleFunc("GET /ui/events", d.guarded(d.events))
	d.mux.HandleFunc("POST /ui/down", d.guarded(d.down))
	d.mux.HandleFunc("POST /ui/extend", d.guarded(d.extend))
	d.mux.HandleFunc("POST /ui/forgive", d.guarded(d.forgive))
	return d, nil
}

// Close ends the live streams.
func (d *Dashboard) Close() { d.closed.Do(func() { close(d.closing) }) }

func cached(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=300")
		h.ServeHTTP(w, r)
	})
}

// policy lets the page load what comes from here and nothing else: neither inline script nor style runs, nobody frames it, and its
// forms go nowhere else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; " +
	"base-uri 'none'; frame-ancestors 'none'"

// ServeHTTP sets what holds for every answer, and refuses what another site asks for.
func (d *Dashboard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if err := new(http.CrossOriginProtection).Check(r); err != nil {
		http.Error(w, "this was asked for by another site", http.StatusForbidden)
		return
	}
	d.mux.ServeHTTP(w, r)
}

// guarded wants a session.
func (d *Dashboard) guarded(f http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !d.session(r) {
			http.Error(w, "log in first", http.StatusUnauthorized)
			return
		}
		f(w, r)
	}
}

// home is the page, or the login for whoever has no session.
func (d *Dashboard) home(w http.ResponseWriter, r *http.Request) {
	if !d.session(r) {
		d.render(w, http.StatusOK, "login.html", r.URL.Query().Get("wrong") != "")
		return
	}
	p, err := d.o.Source.Page(r.Context())
	if err != nil {
		http.Error(w, "the journal cannot be read", http.StatusInternalServerError)
		return
	}
	p.Said = said(r.URL.Query().Get("said"))
	d.render(w, http.StatusOK, "page.html", p)
}

func (d *Dashboard) render(w http.ResponseWriter, status int, name string, data any) {
	var b bytes.Buffer
	if err := d.pages.ExecuteTemplate(&b, name, data); err != nil {
		http.Error(w, "the page cannot be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// events sends the page's body whenever it has changed.
func (d *Dashboard) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.Header().Set("X-Accel-Buffering", "no")
	rc := http.NewResponseController(w)
	t := time.NewTicker(d.o.Every)
	defer t.Stop()
	var last []byte
	for quiet := 0; ; quiet++ {
		p, err := d.o.Source.Page(r.Context())
		var b bytes.Buffer
		if err == nil {
			err = d.pages.ExecuteTemplate(&b, "body", p)
		}
		switch {
		case err != nil && r.Context().Err() == nil:
			return // the page says that it has lost the thread, and comes again
		case !bytes.Equal(b.Bytes(), last):
			last, quiet = b.Bytes(), 0
			_, _ = fmt.Fprintf(w, "event: page\ndata: %s\n\n", bytes.ReplaceAll(last, []byte("\n"), []byte("\ndata: ")))
		case quiet%7 == 6:
			_, _ = fmt.Fprint(w, ": here\n\n")
		}
		if rc.Flush() != nil {
			return
		}
		select {
		case <-t.C:
			if !d.session(r) { // it ran out meanwhile
				return
			}
		case <-r.Context().Done():
			return
		case <-d.closing:
			return
		}
	}
}

// told are the sentences that a page shows after something was asked for: a link cannot make it say others.
var told = map[string]string{
	"down":     "It is being taken down; the receipt stands below once the provider has denied it twice.",
	"extended": "Its end was moved.",
	"forgiven": "It may be woken again.",
	"bad-time": "That is no length of time: write 90m or 2h.",
	"no-such":  "There is no such launch any more.",
	"failed":   "That could not be done; the gateway's log says why.",
	"no-ttl":   "It was started without --ttl: it ends when idle, or at its budget, and neither is moved from here.",
	"budget":   "That would be beyond its dollar cap, which never moves.",
	"driven":   "A program drives it right now; try again when it is ready.",
}

func said(code string) string { return told[code] }

// back answers a form: to the page again, with a sentence.
func back(w http.ResponseWriter, r *http.Request, code string, err error) {
	if err != nil {
		code = "failed"
		var p *problem.Problem
		if errors.As(err, &p) {
			switch p.Code {
			case "unknown_launch":
				code = "no-such"
			case "no_ttl":
				code = "no-ttl"
			case "budget", "driven":
				code = string(p.Code)
			}
		}
	}
	http.Redirect(w, r, "/?said="+code, http.StatusSeeOther)
}

// maxForm bounds a form.
const maxForm = 4 << 10

func (d *Dashboard) form(w http.ResponseWriter, r *http.Request, field string) (string, bool) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "that is no form", http.StatusBadRequest)
		return "", false
	}
	return strings.TrimSpace(r.PostForm.Get(field)), true
}

func (d *Dashboard) down(w http.ResponseWriter, r *http.Request) {
	if name, ok := d.form(w, r, "launch"); ok {
		back(w, r, "down", d.o.Source.Down(r.Context(), name))
	}
}

func (d *Dashboard) extend(w http.ResponseWriter, r *http.Request) {
	name, ok := d.form(w, r, "launch")
	if !ok {
		return
	}
	ttl, err := time.ParseDuration(r.PostForm.Get("ttl"))
	if err != nil || ttl <= 0 {
		back(w, r, "bad-time", nil)
		return
	}
	back(w, r, "extended", d.o.Source.Extend(r.Context(), name, ttl))
}

func (d *Dashboard) forgive(w http.ResponseWriter, r *http.Request) {
	if model, ok := d.form(w, r, "model"); ok {
		back(w, r, "forgiven", d.o.Source.Forgive(r.Context(), model))
	}
}
