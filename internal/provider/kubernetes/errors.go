package kubernetes

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"justright/internal/httpclient"
	"justright/internal/provider"
	"justright/launch"
)

// fail turns whatever went wrong into a *provider.Error.
func fail(op string, err error) error {
	var p *provider.Error
	if errors.As(err, &p) {
		return p
	}
	out := &provider.Error{Op: op, Kind: launch.FailTemporary, Err: err}
	var e *httpclient.Error
	if !errors.As(err, &e) {
		if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
			out.Kind = launch.FailUnknown
		}
		return out
	}
	out.Status, out.URL, out.RequestID, out.Detail = e.Status, e.URL, e.RequestID, e.Detail()
	out.Kind = kindOf(op, e)
	return out
}

// kindOf classifies an answer of the API server. A refusal of admission is a 403 too: its text tells quota from right.
func kindOf(op string, e *httpclient.Error) launch.FailureKind {
	text := strings.ToLower(e.Detail())
	switch {
	case e.Status == 0 || e.Status < 400:
		return launch.FailTemporary
	case e.Status == http.StatusForbidden && strings.Contains(text, "exceeded quota"):
		return launch.FailQuota
	case e.Status == http.StatusForbidden && op == "create" && admission(text):
		return launch.FailRejected
	case e.Status == http.StatusUnauthorized, e.Status == http.StatusForbidden:
		return launch.FailAuth
	case e.Status == http.StatusNotFound:
		return launch.FailNotFound
	case e.Status == http.StatusConflict:
		return launch.FailConflict
	case e.Status == http.StatusTooManyRequests, e.Status >= 500:
		return launch.FailTemporary
	default:
		return launch.FailRejected
	}
}

// admission tells a policy's refusal of this object from a right that is missing: the authorizer's text names the user and the verb.
func admission(text string) bool {
	if strings.Contains(text, "cannot ") && strings.Contains(text, " resource ") {
		return false
	}
	for _, w := range []string{"violates podsecurity", "limitrange", "admission webhook", "minimum", "maximum", "must be", "not allowed", "denied the request"} {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}

func statusOf(err error) int {
	var e *provider.Error
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

// denied reports whether the API server itself says that an object is not there: a 404 with its own error document about that
// object. A proxy's 404, a missing API or a wrong address denies nothing.
func denied(err error, name string) bool {
	var e *httpclient.Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound && e.Problem.JSON && strings.Contains(e.Detail(), `"`+name+`" not found`)
}

// unproven makes another 404 "unknown".
func unproven(err error) error {
	var e *provider.Error
	if errors.As(err, &e) && e.Kind == launch.FailNotFound {
		e.Kind = launch.FailUnknown
		e.Detail = "404 without the API server's own word about the object: " + e.Detail
	}
	return err
}
