package httpclient

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Error is a call that got no good answer: a status of 400 and above, or no answer at all (Status 0). Nothing in
// it is secret.
type Error struct {
	Method     string
	URL        string // redacted
	Status     int    // 0 when there was no answer
	RequestID  string
	RetryAfter time.Duration // 0 when the server did not say
	Date       time.Time     // the server's clock; zero when it did not say
	Tries      int
	Problem    Problem // the body, when it was an error document
	Body       string  // the first bytes of a body that was none
	Err        error
}

// Problem is an error document: application/problem+json (RFC 9457), or one of the plainer JSON forms that
// are about ({"error": "…"}, {"error": {"message": "…"}}, {"message": "…"}, {"detail": "…"}).
type Problem struct {
	JSON   bool // the body was a JSON object
	Title  string
	Status int // as the body states it; 0 when it does not
	Detail string
	Errors []string // single validation failures
}

func (e *Error) Error() string {
	s := e.Method + " " + e.URL
	if e.Status != 0 {
		s += fmt.Sprintf(": HTTP %d", e.Status)
	}
	if d := e.Detail(); d != "" {
		s += ": " + d
	} else if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Detail is the server's own words, in one line of at most 400 characters.
func (e *Error) Detail() string {
	d := e.Problem.Detail
	if d == "" {
		d = e.Problem.Title
	}
	if len(e.Problem.Errors) > 0 {
		d = strings.TrimSpace(d + " " + strings.Join(e.Problem.Errors, "; "))
	}
	if d == "" {
		d = e.Body
	}
	return OneLine(d, 400)
}

// repeatable says whether sending the same again can do no harm: 429 was not carried out; 5xx and broken
// connections may have been, so only idempotent methods are repeated.
func (e *Error) repeatable(method string) bool {
	if e.Status == http.StatusTooManyRequests {
		return true
	}
	if e.Status >= 400 && e.Status < 500 || e.Status == http.StatusNotImplemented || errors.Is(e.Err, ErrTooLarge) || errors.Is(e.Err, errUnfollowed) {
		return false
	}
	return idempotent(method) // also a good status whose body broke off
}

func idempotent(method string) bool {
	switch method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}

// fill parses the body of an error answer.
func (e *Error) fill(body []byte, contentType string) {
	var doc struct {
		Title   string          `json:"title"`
		Status  json.RawMessage `json:"status"` // a word in Kubernetes' error document
		Detail  json.RawMessage `json:"detail"`
		Message string          `json:"message"`
		Error   json.RawMessage `json:"error"`
		Errors  json.RawMessage `json:"errors"`
	}
	if json.Unmarshal(body, &doc) != nil {
		if !strings.Contains(contentType, "html") {
			e.Body = OneLine(string(body), 400)
		}
		return
	}
	e.Problem.JSON = true
	e.Problem.Title = doc.Title
	if n, err := strconv.Atoi(strings.Trim(string(doc.Status), `"`)); err == nil {
		e.Problem.Status = n
	}
	e.Problem.Detail = firstText(textOf(doc.Detail), textOf(doc.Error), doc.Message)
	var list []json.RawMessage
	if json.Unmarshal(doc.Errors, &list) == nil {
		for _, m := range list {
			if s := textOf(m); s != "" {
				e.Problem.Errors = append(e.Problem.Errors, s)
			}
		}
	}
	if e.Problem.Detail == "" && e.Problem.Title == "" && len(e.Problem.Errors) == 0 {
		e.Body = OneLine(string(body), 400)
	}
}

// scrub takes secrets out of the server's words: validators like to quote what they were sent.
func (e *Error) scrub(secrets []Secret) {
	for _, s := range secrets {
		e.Body, e.Problem.Title, e.Problem.Detail = s.Scrub(e.Body), s.Scrub(e.Problem.Title), s.Scrub(e.Problem.Detail)
		for i, line := range e.Problem.Errors {
			e.Problem.Errors[i] = s.Scrub(line)
		}
	}
}

// textOf reads a JSON string, or the "message" of an object, or the object itself.
func textOf(raw json.RawMessage) string {
	var s string
	if len(raw) == 0 || string(raw) == "null" || json.Unmarshal(raw, &s) == nil {
		return s
	}
	var m struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(raw, &m) == nil && m.Message != "" {
		return m.Message
	}
	return string(raw)
}

func firstText(s ...string) string {
	for _, t := range s {
		if t != "" {
			return t
		}
	}
	return ""
}

// OneLine makes remote text fit to print: control characters become blanks, runs of blanks one, and what is
// longer than limit bytes is cut at a character.
func OneLine(s string, limit int) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) }), " ")
	s = strings.ToValidUTF8(s, "�")
	if len(s) <= limit {
		return s
	}
	cut := limit
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
