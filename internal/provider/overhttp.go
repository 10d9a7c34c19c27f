package provider

import (
	"context"
	"errors"

	"justright/internal/httpclient"
	"justright/launch"
)

// OverHTTP turns whatever went wrong in a call over HTTP into an Error, with what the answer said; kindOf classifies an answer, or
// one that broke off. A call that ended with its context is temporary, and what was no call at all is of no known kind. An Error
// stays what it is.
func OverHTTP(op string, err error, kindOf func(op string, e *httpclient.Error) launch.FailureKind) *Error {
	var p *Error
	if errors.As(err, &p) {
		return p
	}
	out := &Error{Op: op, Kind: launch.FailTemporary, Err: err}
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
