package pyindex

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A page for people, of a portal or a login, is no page of an index; the next index is asked, and none is said to lack it.
func TestAPageForPeopleIsNoIndex(t *testing.T) {
	portal := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<html><body>Welcome to the hotel</body></html>"))
	}))
	defer portal.Close()
	index := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(`<a href="x-1.0-py3-none-any.whl">x-1.0-py3-none-any.whl</a>`))
	}))
	defer index.Close()
	c, err := New(Options{Indexes: []string{portal.URL}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Project(t.Context(), "x"); err == nil || errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "is it a package index?") {
		t.Errorf("%v", err)
	}
	if c, err = New(Options{Indexes: []string{portal.URL, index.URL}}); err != nil {
		t.Fatal(err)
	}
	if p, err := c.Project(t.Context(), "x"); err != nil || len(p.Files) != 1 {
		t.Errorf("%+v %v", p, err)
	}
}
