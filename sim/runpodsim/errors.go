package runpodsim

import (
	"encoding/json"
	"net/http"
	"strings"
)

// apiError is a refusal of REST v2 (RFC 9457), on its way to the answer.
type apiError struct {
	status int
	detail string
	errors []string
	retry  int    // Retry-After in seconds, for 429
	allow  string // for 405
}

func (e *apiError) Error() string { return e.detail }

func refuse(status int, detail string, errors ...string) *apiError {
	return &apiError{status: status, detail: detail, errors: errors}
}

// The texts of RunPod's own document and of reports; see docs/simulator.md for where each comes from.
const (
	noCapacity   = "There are no longer any instances available with the requested specifications. Please refresh and try again."
	noCardToWake = "There are not enough free GPUs on the host machine to start this pod."
	invalidBody  = "Request validation failed."
)

func notFound(what string) *apiError { return refuse(http.StatusNotFound, what+" not found") }

func invalid(errors ...string) *apiError {
	return refuse(http.StatusUnprocessableEntity, invalidBody, errors...)
}

func badRequest(detail string) *apiError { return refuse(http.StatusBadRequest, detail) }

// write answers with the problem document.
func (e *apiError) write(w http.ResponseWriter) {
	body := map[string]any{"title": http.StatusText(e.status), "status": e.status, "detail": e.detail}
	if len(e.errors) > 0 {
		body["errors"] = e.errors
	}
	if e.allow != "" {
		w.Header().Set("Allow", e.allow)
	}
	if e.retry > 0 {
		w.Header().Set("Retry-After", itoa(e.retry))
	}
	b, _ := json.Marshal(body)
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(e.status)
	_, _ = w.Write(append(b, '\n'))
}

// quoteList is 'a', 'b' as the validator prints names.
func quoteList(names []string) string { return "'" + strings.Join(names, "', '") + "'" }
