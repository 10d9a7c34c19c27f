package inpod

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// CurlRequest is what a start script asks of curl, as a configuration on its standard input (`curl -q -K -`).
type CurlRequest struct {
	Method, URL string
	Header      http.Header
	Body        string
	Include     bool          // the answer's head is printed, too
	Limit       time.Duration // for the whole request
	Unknown     string        // the first option that is not understood; empty: none
}

// ReadCurl reads a configuration.
func ReadCurl(config io.Reader) CurlRequest {
	r := CurlRequest{Method: http.MethodGet, Header: http.Header{}, Limit: 10 * time.Second}
	in := bufio.NewScanner(config)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		key, value, _ := strings.Cut(in.Text(), " = ")
		if q, ok := strings.CutPrefix(value, `"`); ok {
			value = strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(strings.TrimSuffix(q, `"`))
		}
		switch key {
		case "header":
			k, v, _ := strings.Cut(value, ": ")
			r.Header.Set(k, v)
		case "user-agent":
			r.Header.Set("User-Agent", value)
		case "data":
			r.Body = value
		case "request":
			r.Method = value
		case "head":
			r.Method, r.Include = http.MethodHead, true
		case "include":
			r.Include = true
		case "url":
			r.URL = value
		case "max-time":
			if s, err := strconv.ParseFloat(value, 64); err == nil {
				r.Limit = time.Duration(s * float64(time.Second))
			}
		case "silent":
		default:
			if r.Unknown == "" {
				r.Unknown = key
			}
		}
	}
	return r
}

// Do makes the request and prints the answer as curl would; the result is curl's exit status.
func (r CurlRequest) Do(ctx context.Context, stdout io.Writer) int {
	ctx, cancel := context.WithTimeout(ctx, r.Limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL, strings.NewReader(r.Body))
	if err != nil {
		return 3
	}
	req.Header = r.Header
	stay := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := stay.Do(req)
	if err != nil {
		return 7
	}
	defer res.Body.Close()
	if r.Include {
		_, _ = fmt.Fprintf(stdout, "HTTP/1.1 %s\r\n", res.Status)
		_ = res.Header.Write(stdout)
		_, _ = io.WriteString(stdout, "\r\n")
	}
	if _, err := io.Copy(stdout, res.Body); err != nil {
		return 18
	}
	return 0
}
