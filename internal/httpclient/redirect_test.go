package httpclient_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"justright/internal/httpclient"
)

// What changes something, and its body with what is secret in it, reaches nobody but the address it was sent to; a read goes on.
func TestRedirects(t *testing.T) {
	tests := []struct {
		method  string
		status  int
		other   bool // to another host
		follows bool
	}{
		{"GET", 302, false, true},
		{"GET", 307, true, true},
		{"POST", 301, false, false}, // would become a GET, whose answer creates nothing
		{"POST", 307, false, true},
		{"POST", 308, true, false},
		{"DELETE", 302, false, false},
		{"DELETE", 307, false, true},
		{"DELETE", 307, true, false},
	}
	for _, tt := range tests {
		var got []string
		note := func(where string) http.HandlerFunc {
			return func(_ http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				got = append(got, where+" "+r.Method+" "+string(b))
			}
		}
		other := httptest.NewServer(note("other"))
		mux := http.NewServeMux()
		mux.Handle("/new", note("same"))
		mux.HandleFunc("/old", func(w http.ResponseWriter, _ *http.Request) {
			to := "/new"
			if tt.other {
				to = strings.Replace(other.URL, "127.0.0.1", "localhost", 1) + "/"
			}
			w.Header().Set("Location", to)
			w.WriteHeader(tt.status)
		})
		s := httptest.NewServer(mux)
		body := []byte("secret")
		if tt.method == "GET" {
			body = nil
		}
		_, err := httpclient.New(httpclient.Options{Sleep: (&waits{}).sleep}).Do(t.Context(),
			httpclient.Request{Method: tt.method, URL: s.URL + "/old", Body: body, Bearer: httpclient.NewSecret("key")})
		other.Close()
		s.Close()
		var e *httpclient.Error
		switch {
		case tt.follows && (err != nil || len(got) != 1):
			t.Errorf("%+v: reached %v, %v", tt, got, err)
		case !tt.follows && (!errors.As(err, &e) || e.Status != tt.status || e.Tries != 1 || len(got) != 0):
			t.Errorf("%+v: reached %v, %v", tt, got, err)
		case tt.follows && tt.method != "GET" && !slices.Equal(got, []string{"same " + tt.method + " secret"}):
			t.Errorf("%+v: reached %v", tt, got)
		}
	}
}

func TestRedirectOutOfTLS(t *testing.T) {
	reached := false
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer plain.Close()
	s := httptest.NewTLSServer(http.RedirectHandler(plain.URL, http.StatusFound))
	defer s.Close()
	_, err := httpclient.New(httpclient.Options{Transport: s.Client().Transport}).Do(t.Context(),
		httpclient.Request{URL: s.URL, Bearer: httpclient.NewSecret("key")})
	if err == nil || reached {
		t.Errorf("a read left TLS: reached %v, %v", reached, err)
	}
}
