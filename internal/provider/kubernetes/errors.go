package kubernetes

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"justright/internal/httpclient"
	"justright/internal/provider"
	"justright/launch"
)

// fail turns whatever went wrong into a *provider.Error.
func fail(op string, err error) error { return provider.OverHTTP(op, err, kindOf) }

// kindOf classifies an answer of the API server. A refusal of admission is a 403 too, and what a LimitRange's defaults make of a pod a
// 422: the text tells quota and policy from right.
func kindOf(op string, e *httpclient.Error) launch.FailureKind {
	text := strings.ToLower(e.Detail())
	switch {
	case e.Status == 0 || e.Status < 400:
		return launch.FailTemporary
	case op == "create" && e.Status == http.StatusNotFound && strings.HasPrefix(text, "namespaces ") && strings.HasSuffix(text, " not found"):
		return launch.FailNoNamespace
	case op == "create" && (e.Status == http.StatusForbidden || e.Status == http.StatusUnprocessableEntity):
		if k := admission(text); k != "" {
			return k
		}
	}
	switch {
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

// admission tells a refusal of this object from a right that is missing, of which the authorizer's text names the user and the verb:
// what the namespace may hold, or what may run there. Empty: neither. The texts are those of the API server's own plugins
// (plugin/pkg/admission/resourcequota, plugin/pkg/admission/limitranger, k8s.io/pod-security-admission) and of webhooks.
func admission(text string) launch.FailureKind {
	if strings.Contains(text, "cannot ") && strings.Contains(text, " resource ") {
		return ""
	}
	for _, c := range []struct {
		kind  launch.FailureKind
		words []string
	}{
		{launch.FailRoom, []string{"exceeded quota", "failed quota", "insufficient quota", " usage per container is ", " usage per pod is ", "limit to request ratio per", " limit of "}},
		{launch.FailPolicy, []string{"violates podsecurity"}},
		// Another plan's image or size may pass a policy of somebody's own; the saga stops at the same words again.
		{launch.FailRejected, []string{"admission webhook", "validatingadmissionpolicy", "denied the request", "denied request", "not allowed", "must be"}},
	} {
		if slices.ContainsFunc(c.words, func(w string) bool { return strings.Contains(text, w) }) {
			return c.kind
		}
	}
	return ""
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
