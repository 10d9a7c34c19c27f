package ociregistry

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"justright/internal/httpclient"
)

// login follows the challenge of a 401: a token server, or the basic scheme.
func (s *session) login(ctx context.Context) error {
	challenge, err := s.challenge(ctx)
	if err != nil {
		return err
	}
	user, password := s.c.o.Credentials(s.ref.Host)
	basic := ""
	if user != "" {
		basic = "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	if challenge.scheme == "basic" {
		if basic == "" {
			return ErrDenied
		}
		s.basic = basic
		return nil
	}
	return s.fetchToken(ctx, challenge, basic, httpclient.NewSecret(password))
}

// fetchToken asks the token server for the right to pull this one repository.
func (s *session) fetchToken(ctx context.Context, ch challenge, basic string, password httpclient.Secret) error {
	u, err := url.Parse(ch.params["realm"])
	if err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && strings.HasPrefix(s.base(), "http://")) {
		return fmt.Errorf("the registry sends to the token server %.100q", ch.params["realm"])
	}
	q := u.Query()
	if service := ch.params["service"]; service != "" {
		q.Set("service", service)
	}
	q.Set("scope", "repository:"+s.ref.Repository+":pull")
	u.RawQuery = q.Encode()
	h := http.Header{}
	if basic != "" {
		h.Set("Authorization", basic)
	}
	res, err := s.c.http.Do(ctx, httpclient.Request{URL: u.String(), Header: h, MaxBody: maxToken, Hide: []httpclient.Secret{password}})
	var he *httpclient.Error
	if errors.As(err, &he) && (he.Status == 401 || he.Status == 403) {
		return ErrDenied
	}
	if err != nil {
		return fmt.Errorf("token: %w", err)
	}
	var t struct {
		Token  string `json:"token"`
		Access string `json:"access_token"`
	}
	if err := json.Unmarshal(res.Body, &t); err != nil || t.Token == "" && t.Access == "" {
		return errors.New("the token server answers without a token")
	}
	if t.Token == "" {
		t.Token = t.Access
	}
	s.token = httpclient.NewSecret(t.Token)
	return nil
}
