package ociregistry

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// challenge is a WWW-Authenticate header taken apart.
type challenge struct {
	scheme string // "bearer" or "basic"
	params map[string]string
}

var challengeParam = regexp.MustCompile(`(\w+)="([^"]*)"`)

// parseChallenge reads the first scheme it knows.
func parseChallenge(headers []string) (challenge, error) {
	for _, h := range headers {
		scheme, rest, _ := strings.Cut(strings.TrimSpace(h), " ")
		c := challenge{scheme: strings.ToLower(scheme), params: map[string]string{}}
		if c.scheme != "bearer" && c.scheme != "basic" {
			continue
		}
		for _, m := range challengeParam.FindAllStringSubmatch(rest, -1) {
			c.params[strings.ToLower(m[1])] = m[2]
		}
		if c.scheme == "basic" || c.params["realm"] != "" {
			return c, nil
		}
	}
	return challenge{}, fmt.Errorf("the registry asks for credentials in a way that is not known: %.100q", headers)
}

// challenge asks once more without repeating, for the header that a failed request does not carry in its error.
func (s *session) challenge(ctx context.Context) (challenge, error) {
	root := strings.TrimSuffix(s.base(), s.ref.Repository)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, root, nil)
	if err != nil {
		return challenge{}, err
	}
	res, err := s.c.o.Transport.RoundTrip(req)
	if err != nil {
		return challenge{}, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized {
		return challenge{}, ErrDenied // the repository wants more than the registry itself
	}
	return parseChallenge(res.Header.Values("WWW-Authenticate"))
}
