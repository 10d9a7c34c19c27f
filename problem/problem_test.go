package problem

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestDocument(t *testing.T) {
	p := New(ExitCredentials, "gated_model", "model %s is gated", "a/b").Because("the hub answered 401").Try("accept the licence", "open https://huggingface.co/a/b")
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"schema":"justright/problem/1","code":"gated_model","summary":"model a/b is gated","cause":"the hub answered 401","hints":[{"text":"accept the licence","command":"open https://huggingface.co/a/b"}]}`
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
	if b, _ := json.Marshal(New(ExitUsage, "usage", "x")); !strings.Contains(string(b), `"hints":[]`) {
		t.Errorf("no hints must be an empty list: %s", b)
	}
}

func TestFromFindsTheProblemInside(t *testing.T) {
	inner := New(ExitCapacity, "hub_unreachable", "x")
	if got := From(fmt.Errorf("resolve: %w", inner)); got != inner {
		t.Errorf("From lost the problem: %v", got)
	}
	if got := From(errors.New("boom")); got.Exit != ExitBug || !strings.Contains(got.Error(), "boom") {
		t.Errorf("an unknown error became %v, exit %d", got, got.Exit)
	}
}
