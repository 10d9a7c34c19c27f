package runpod

import (
	"errors"
	"net/http"
	"strings"

	"justright/internal/httpclient"
	"justright/internal/provider"
	"justright/launch"
)

// fail turns whatever went wrong into a *provider.Error.
func fail(op string, err error) *provider.Error { return provider.OverHTTP(op, err, kindOf) }

// kindOf classifies an HTTP answer. Capacity has no code of its own in this API: the same status 400 says "rule
// broken" and "nothing left", so its text is read, here and nowhere else.
func kindOf(op string, e *httpclient.Error) launch.FailureKind {
	text := strings.ToLower(e.Detail())
	switch {
	case e.Status == 0 || e.Status < 400: // no answer, or one that broke off
		return launch.FailTemporary
	case e.Status == http.StatusForbidden && strings.Contains(text, "error code: 10"):
		return launch.FailRejected // the edge in front of the API refused the program, not the key
	case e.Status == http.StatusForbidden && op == "create" && hasAny(text, "pool", "gpu", "cloud", "data center", "datacenter"):
		return launch.FailNoCapacity // this account may not use that kind of machine: the next candidate may do
	case e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden:
		return launch.FailAuth
	case e.Status == http.StatusPaymentRequired:
		return launch.FailQuota
	case e.Status == http.StatusNotFound:
		return launch.FailNotFound
	case e.Status == http.StatusConflict:
		return launch.FailConflict
	case e.Status == http.StatusTooManyRequests || e.Status >= 500:
		return launch.FailTemporary
	case e.Status == http.StatusBadRequest && op == "create":
		return createRefusal(text)
	default:
		return launch.FailRejected
	}
}

// createRefusal reads the text of a 400 to a create. RunPod's own advice for a text nobody knows is to try the
// next candidate: a 400 creates nothing, and when all say so the last text is shown.
func createRefusal(text string) launch.FailureKind {
	switch {
	case hasAny(text, "insufficient balance", "insufficient funds", "not enough balance", "not enough credit", "spend limit", "spending limit"):
		return launch.FailQuota
	case hasAny(text, "no longer any instances", "no instances currently available", "no instances available",
		"could not find any pods", "does not have the resources", "not enough free gpus", "insufficient resources", "out of stock"):
		return launch.FailNoCapacity
	case hasAny(text, "mutually exclusive", "exactly one of", "must be", "must not", "is required", "not supported", "not allowed",
		"invalid", "does not support", "malformed", "only one of"):
		return launch.FailRejected
	default:
		return launch.FailNoCapacity
	}
}

func hasAny(text string, words ...string) bool {
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}

// lacksExecForm reports whether a 422 says that this API knows no entrypoint or cmd. When a field is missing the
// validator also calls good fields unknown, so a text that lists a missing one proves nothing.
func lacksExecForm(err error) bool {
	var e *httpclient.Error
	if !errors.As(err, &e) || e.Status != http.StatusUnprocessableEntity {
		return false
	}
	named := false
	for _, line := range append([]string{e.Problem.Detail}, e.Problem.Errors...) {
		l := strings.ToLower(line)
		if strings.Contains(l, "missing propert") {
			return false
		}
		if strings.Contains(l, "not allowed") && (strings.Contains(l, "'entrypoint'") || strings.Contains(l, "'cmd'")) {
			named = true
		}
	}
	return named
}

// denied reports whether err is a 404 that RunPod's API itself gave, as opposed to a proxy's or a wrong address:
// only an error document counts.
func denied(err error) bool {
	var e *httpclient.Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound && e.Problem.JSON &&
		(e.Problem.Status == http.StatusNotFound || strings.Contains(strings.ToLower(e.Problem.Detail), "not found"))
}

// notA is an answer without the list it promises: never taken for an empty list.
func notA(op, what string) error {
	return &provider.Error{Op: op, Kind: launch.FailUnknown, Detail: "the answer is no " + what}
}
