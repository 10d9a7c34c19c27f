package httpclient

import (
	"log/slog"
	"net/url"
	"strings"
)

// redacted stands where a secret would.
const redacted = "[redacted]"

// Secret is a key or token. Every way of printing it says [redacted], also inside another struct's unexported
// field: the text is behind a pointer, which fmt does not follow there.
type Secret struct{ text *string }

// NewSecret keeps s. The empty string is no secret.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{&s}
}

// Set reports whether there is one.
func (s Secret) Set() bool { return s.text != nil }

// Reveal returns the secret itself; call it only where it is sent.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

func (s Secret) String() string {
	if s.text == nil {
		return ""
	}
	return redacted
}

// GoString keeps %#v quiet.
func (s Secret) GoString() string { return "httpclient.Secret(" + s.String() + ")" }

// MarshalText keeps JSON, YAML and TOML encoders quiet.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON keeps JSON quiet.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }

// LogValue keeps slog quiet.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Scrub replaces the secret wherever it stands in t: remote text may quote what it was sent.
func (s Secret) Scrub(t string) string {
	if s.text == nil || len(*s.text) < 6 {
		return t
	}
	return strings.ReplaceAll(t, *s.text, redacted)
}

// RedactURL drops the user part of an address, and the value of every query parameter whose name speaks of a
// secret or whose value is long enough to be one.
func RedactURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return redacted
	}
	if u.User != nil {
		u.User = url.User(redacted)
	}
	if u.RawQuery != "" {
		parts := strings.Split(u.RawQuery, "&")
		for i, p := range parts {
			k, v, _ := strings.Cut(p, "=")
			if v != "" && (len(v) > 64 || secretName(k)) {
				parts[i] = k + "=" + redacted
			}
		}
		u.RawQuery = strings.Join(parts, "&")
	}
	u.Fragment = ""
	s := u.String()
	return strings.ReplaceAll(s, url.QueryEscape(redacted), redacted)
}

func secretName(k string) bool {
	k = strings.ToLower(k)
	for _, w := range []string{"key", "token", "secret", "passw", "sign", "sig", "auth", "cred"} {
		if strings.Contains(k, w) {
			return true
		}
	}
	return false
}
