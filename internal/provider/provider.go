// Package provider is the one interface every target is reached through, its error type, and the conformance
// suite that each adapter passes (provider/providertest).
package provider

import (
	"context"
	"errors"
	"fmt"

	"justright/catalog"
	"justright/launch"
)

// Provider rents machines. All methods are safe for concurrent use; every error is an *Error.
type Provider interface {
	// Name is the word of --on: "runpod", "local", "rehearsal".
	Name() string
	// Offers lists what could be rented now. An empty answer is no error.
	Offers(ctx context.Context) ([]catalog.Offer, error)
	// Create asks once, never repeats by itself. On FailTemporary the machine may exist: the caller looks for the
	// attempt id with List before it asks again.
	Create(ctx context.Context, s launch.Spec) (launch.Instance, error)
	// Get describes one machine. A machine that is gone is Status Gone and no error, but only when the provider
	// denied it with an answer that proves it (404 or a terminated state from an authenticated call).
	Get(ctx context.Context, id string) (launch.Instance, error)
	// List describes all machines of the account, whoever made them.
	List(ctx context.Context) ([]launch.Instance, error)
	// Delete asks for removal. Deleting what is gone is no error. Success here is a promise, not a proof: ask Get.
	Delete(ctx context.Context, id string) error
	// Logs calls f for each line after the mark (empty: from the beginning) until ctx ends, f fails, or the machine
	// is gone (nil). It resumes cut streams by itself, without gap or repeat.
	Logs(ctx context.Context, id, after string, f func(launch.LogLine) error) error
}

// Error is a provider's refusal.
type Error struct {
	Op        string // "create", "get", ...
	Kind      launch.FailureKind
	Status    int    // HTTP status; 0 when there was no answer
	URL       string // redacted
	RequestID string
	Detail    string // the provider's own words, shortened
	Err       error
}

func (e *Error) Error() string {
	s := e.Op
	if e.Status != 0 {
		s += fmt.Sprintf(": HTTP %d", e.Status)
	}
	if e.Detail != "" {
		s += ": " + e.Detail
	} else if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the failure kind of err, FailUnknown when it is no *Error.
func KindOf(err error) launch.FailureKind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return launch.FailUnknown
}
