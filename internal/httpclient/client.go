// Package httpclient is how every edge of justright speaks HTTP: one User-Agent, bounded bodies, errors without
// secrets, Retry-After and RateLimit read in one place, and a retry rule that can never rent a second machine.
package httpclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// DefaultUserAgent names the program. RunPod's edge answers 403 "error code: 1010" to some default agents
// (https://github.com/lumpenspace/raft/pull/14), so one is always sent.
const DefaultUserAgent = "justright/1"

// Options of a Client. The zero value is useful.
type Options struct {
	Transport http.RoundTripper // nil: NewTransport(), which honours HTTP_PROXY, HTTPS_PROXY and NO_PROXY
	UserAgent string            // empty: DefaultUserAgent
	Timeout   time.Duration     // of one attempt from dial to last byte; 0: 30 s. Streams have none
	MaxBody   int64             // most bytes of one answer; 0: 32 MiB
	Attempts  int               // most tries of one call; 0: 4; 1: never repeat
	FirstWait time.Duration     // before the second try; 0: 300 ms, then twice as long each time, with jitter
	MaxWait   time.Duration     // longest single wait, Retry-After included; 0: 30 s. A longer wish ends the call
	// Sleep waits, and returns ctx.Err() when the context ends first; nil: a timer. Tests pass their own.
	Sleep func(ctx context.Context, d time.Duration) error
	Now   func() time.Time // nil: time.Now
}

// Client sends requests. It is safe for concurrent use.
type Client struct {
	o  Options
	hc *http.Client

	mu    sync.Mutex
	pause map[string]time.Time // host -> not before, from a RateLimit window with nothing left
}

// New makes a client.
func New(o Options) *Client {
	if o.Transport == nil {
		o.Transport = NewTransport()
	}
	if o.UserAgent == "" {
		o.UserAgent = DefaultUserAgent
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.MaxBody == 0 {
		o.MaxBody = 32 << 20
	}
	if o.Attempts == 0 {
		o.Attempts = 4
	}
	if o.FirstWait == 0 {
		o.FirstWait = 300 * time.Millisecond
	}
	if o.MaxWait == 0 {
		o.MaxWait = 30 * time.Second
	}
	if o.Sleep == nil {
		o.Sleep = Sleep
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Client{o: o, hc: &http.Client{Transport: o.Transport, CheckRedirect: redirect}, pause: map[string]time.Time{}}
}

// redirect follows reads as net/http does, but never out of TLS: the key would go in the clear. What changes something stays
// with whom it was sent to: a redirect may turn it into a read, which proves nothing, or hand its body to somebody else.
func redirect(next *http.Request, via []*http.Request) error {
	first, last := via[0], via[len(via)-1]
	switch {
	case len(via) >= 10:
		return errors.New("stopped after 10 redirects")
	case last.URL.Scheme == "https" && next.URL.Scheme != "https",
		first.Method != http.MethodGet && first.Method != http.MethodHead && (next.Method != first.Method || next.URL.Host != first.URL.Host):
		return http.ErrUseLastResponse
	}
	return nil
}

// errUnfollowed is the cause when an answer was a redirect that is not followed.
var errUnfollowed = errors.New("redirected to an address that is not followed")

// NewTransport is the standard transport with proxies from the environment and bounded waits for the first
// byte of an answer left to the caller's context.
func NewTransport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          64,
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       60 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
}

// Request is one call.
type Request struct {
	Method  string // empty: GET
	URL     string
	Header  http.Header // sent as it is; Authorization comes from Bearer
	Bearer  Secret      // empty: none
	Body    []byte      // sent again on each try
	Type    string      // Content-Type of Body; empty: application/json when there is a body
	MaxBody int64       // overrides Options.MaxBody when > 0
	Timeout time.Duration
	Once    bool     // never repeat, whatever happens: the call may cost money
	Hide    []Secret // besides Bearer: what an error must not quote, such as values in Body
}

// Response is an answer with status below 400, read to its end.
type Response struct {
	Status    int
	Header    http.Header
	Body      []byte
	RequestID string // x-request-id
	Limits    []Window
	Date      time.Time // the server's Date header; zero when it has none
	URL       string    // the final address, redacted
}

// Do sends r and reads the answer. Any status of 400 and above is an *Error, as is every failure to get an
// answer. It repeats 429 for every method, and 5xx or a broken connection only for idempotent methods; never
// when r.Once is set.
func (c *Client) Do(ctx context.Context, r Request) (*Response, error) {
	var res *Response
	err := c.repeat(ctx, r, func() error {
		timeout := r.Timeout
		if timeout == 0 {
			timeout = c.o.Timeout
		}
		tctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		hr, err := c.send(tctx, r)
		if err != nil {
			return timeoutCause(ctx, tctx, timeout, err)
		}
		defer hr.Body.Close()
		limit := c.o.MaxBody
		if r.MaxBody > 0 {
			limit = r.MaxBody
		}
		body, err := readBounded(hr.Body, limit)
		if err != nil {
			return timeoutCause(ctx, tctx, timeout, c.failure(r, hr, err))
		}
		res = &Response{
			Status: hr.StatusCode, Header: hr.Header, Body: body, RequestID: hr.Header.Get("X-Request-Id"),
			Limits: ParseRateLimit(hr.Header.Values("RateLimit")), Date: parseDate(hr.Header), URL: RedactURL(finalURL(hr, r)),
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}

// Stream sends r and returns the open answer once its status is known to be below 400; the caller closes the
// body. Opening is repeated like Do's; reading is the caller's affair, and only ctx bounds it.
func (c *Client) Stream(ctx context.Context, r Request) (*http.Response, error) {
	var res *http.Response
	err := c.repeat(ctx, r, func() error {
		hr, err := c.send(ctx, r) //nolint:bodyclose // the caller closes it, as Stream says
		if err != nil {
			return err
		}
		res = hr
		return nil
	})
	return res, err
}

// send makes one try. A status of 400 and above is an *Error, with the answer's first bytes parsed.
func (c *Client) send(ctx context.Context, r Request) (*http.Response, error) {
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	var body io.Reader
	if r.Body != nil {
		body = bytes.NewReader(r.Body)
	}
	q, err := http.NewRequestWithContext(ctx, method, r.URL, body)
	if err != nil {
		return nil, &Error{Method: method, URL: RedactURL(r.URL), Err: withoutURL(err)}
	}
	for k, v := range r.Header {
		q.Header[k] = append([]string(nil), v...)
	}
	q.Header.Set("User-Agent", c.o.UserAgent)
	if r.Bearer.Set() {
		q.Header.Set("Authorization", "Bearer "+r.Bearer.Reveal())
	}
	if r.Body != nil && q.Header.Get("Content-Type") == "" {
		ct := r.Type
		if ct == "" {
			ct = "application/json"
		}
		q.Header.Set("Content-Type", ct)
	}
	if err := c.waitForWindow(ctx, q.URL.Host); err != nil {
		return nil, &Error{Method: method, URL: RedactURL(r.URL), Err: err}
	}
	if ctx.Err() != nil { // nothing was sent: no transport may decide otherwise
		return nil, &Error{Method: method, URL: RedactURL(r.URL), Err: ctx.Err()}
	}
	hr, err := c.hc.Do(q)
	if err != nil {
		return nil, &Error{Method: method, URL: RedactURL(r.URL), Err: withoutURL(err)}
	}
	c.noteWindows(q.URL.Host, hr.Header)
	redirected := hr.StatusCode >= 300 && hr.Header.Get("Location") != ""
	if hr.StatusCode < 400 && !redirected {
		return hr, nil
	}
	defer hr.Body.Close()
	if redirected && hr.StatusCode < 400 {
		return nil, c.failure(r, hr, errUnfollowed)
	}
	head, _ := io.ReadAll(io.LimitReader(hr.Body, 64<<10)) // a cut error text is still an error
	e := c.failure(r, hr, nil)
	e.fill(head, hr.Header.Get("Content-Type"))
	e.scrub(append([]Secret{r.Bearer}, r.Hide...))
	return nil, e
}

// repeat runs try until it succeeds, may not be repeated, or the tries are used up.
func (c *Client) repeat(ctx context.Context, r Request, try func() error) error {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval, wait.Multiplier = c.o.FirstWait, c.o.MaxWait, 2
	for n := 1; ; n++ {
		err := try()
		if err == nil {
			return nil
		}
		var e *Error
		if !errors.As(err, &e) {
			e = &Error{Method: r.Method, URL: RedactURL(r.URL), Err: err}
		}
		e.Tries = n
		if r.Once || n >= c.o.Attempts || ctx.Err() != nil || !e.repeatable(r.Method) {
			return e
		}
		d := wait.NextBackOff()
		if e.RetryAfter > d {
			d = e.RetryAfter
		}
		if d > c.o.MaxWait {
			if e.RetryAfter > c.o.MaxWait {
				return e // the server wants more patience than this call has
			}
			d = c.o.MaxWait
		}
		if c.o.Sleep(ctx, d) != nil {
			return e
		}
	}
}

// failure starts an *Error from an answer.
func (c *Client) failure(r Request, hr *http.Response, err error) *Error {
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	return &Error{
		Method: method, URL: RedactURL(finalURL(hr, r)), Status: hr.StatusCode, RequestID: hr.Header.Get("X-Request-Id"),
		RetryAfter: ParseRetryAfter(hr.Header.Get("Retry-After"), c.o.Now()), Date: parseDate(hr.Header), Err: err,
	}
}

func finalURL(hr *http.Response, r Request) string {
	if hr.Request != nil && hr.Request.URL != nil {
		return hr.Request.URL.String()
	}
	return r.URL
}

// ErrTooLarge is the cause when an answer is longer than the limit.
var ErrTooLarge = errors.New("answer is larger than allowed")

func readBounded(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)
	}
	return b, nil
}

// withoutURL takes the operation's own words out of a *url.Error, whose text repeats the whole address.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// timeoutCause puts a plain word for our own deadline in place of "context deadline exceeded".
func timeoutCause(outer, inner context.Context, d time.Duration, err error) error {
	if outer.Err() != nil || !errors.Is(inner.Err(), context.DeadlineExceeded) {
		return err
	}
	var e *Error
	if errors.As(err, &e) {
		e.Err = &timeoutError{after: d, cause: e.Err}
		e.Status = 0
		return e
	}
	return err
}

type timeoutError struct {
	after time.Duration
	cause error
}

func (t *timeoutError) Error() string { return fmt.Sprintf("no complete answer within %s", t.after) }
func (t *timeoutError) Unwrap() error { return t.cause }
func (t *timeoutError) Timeout() bool { return true }

// Sleep waits for d, or until ctx ends, whose error it returns then.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func parseDate(h http.Header) time.Time {
	t, err := http.ParseTime(strings.TrimSpace(h.Get("Date")))
	if err != nil {
		return time.Time{}
	}
	return t
}
