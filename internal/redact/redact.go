// Package redact takes secrets out of text on its way to people, files and the journal: those that are known, in every
// form in which a program may quote them, and what tells by its form that it is one.
package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Mark stands where a secret was.
const Mark = "[redacted]"

// shortest is the length below which a known secret is left alone: three letters stand in every text.
const shortest = 6

// Redactor takes secrets out of text. The zero value knows the forms alone. It is safe for concurrent use.
type Redactor struct {
	known *strings.Replacer // nil: none
	forms []string
}

// New knows secrets beside what tells by its form. Those under six characters are left alone.
func New(secrets ...string) Redactor {
	var forms []string
	for _, s := range secrets {
		if s = strings.TrimSpace(s); len(s) >= shortest {
			forms = append(forms, formsOf(s)...)
		}
	}
	// The longest first: a replacer takes the first of its pairs that fits, and half of an escape must not stay.
	slices.SortFunc(forms, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	forms = slices.Compact(forms)
	if len(forms) == 0 {
		return Redactor{}
	}
	pairs := make([]string, 0, 2*len(forms))
	for _, f := range forms {
		pairs = append(pairs, f, Mark)
	}
	return Redactor{strings.NewReplacer(pairs...), forms}
}

// formsOf are the ways in which programs quote s: as it is, escaped for JSON once and twice, for a shell, for an address, in
// base64, and as the first lines of it that are long enough to be told.
func formsOf(s string) []string {
	once, web := inJSON(s, false), inJSON(s, true)
	out := []string{s, once, inJSON(once, false), web, inJSON(web, false), inJSON(web, true), strings.ReplaceAll(s, "'", `'\''`), strings.ReplaceAll(s, "'", `'"'"'`), url.QueryEscape(s), url.PathEscape(s),
		url.UserPassword("", s).String()[1:]}
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		out = append(out, e.EncodeToString([]byte(s)), e.EncodeToString([]byte(s+"\n")))
	}
	if strings.Contains(s, "\n") {
		for line := range strings.Lines(s) {
			if line = strings.TrimSpace(line); len(line) >= 2*shortest {
				out = append(out, line, inJSON(line, false), inJSON(line, true))
			}
		}
	}
	return out
}

// inJSON is the inside of s as a JSON string; web escapes <, > and &, too.
func inJSON(s string, web bool) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(web)
	_ = e.Encode(s) // a string always has a form
	t := strings.TrimSuffix(b.String(), "\n")
	return t[1 : len(t)-1]
}

// shapes are tokens that tell by their form what they are: RunPod, Hugging Face, OpenAI and its like, GitHub, GitLab, AWS, Slack,
// Google, NVIDIA, PyPI, Docker Hub and JSON web tokens. Before one may be an escape, whose letter is no part of a word.
var shapes = regexp.MustCompile(`(\\[nrtbf]|\b)(?:rpa_[A-Za-z0-9]{12,}|hf_[A-Za-z0-9]{16,}|sk-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|` +
	`glpat-[A-Za-z0-9_-]{16,}|A[KS]IA[A-Z0-9]{16}|xox[abeprs]-[A-Za-z0-9-]{10,}|AIza[A-Za-z0-9_-]{30,}|nvapi-[A-Za-z0-9_-]{20,}|` +
	`pypi-[A-Za-z0-9_-]{32,}|dckr_pat_[A-Za-z0-9_-]{16,}|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,})`)

// shapeMarks are what stands in every one of the shapes; where none does, the slow search is spared.
var shapeMarks = []string{"rpa_", "hf_", "sk-", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "AKIA", "ASIA", "xox", "AIza", "nvapi-", "pypi-", "dckr_pat_", "eyJ"}

// userinfo is who and whose password in an address. A name alone may be a token there, but for ssh and databases, where it
// is an account.
var userinfo = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://)[^\s/?#"'<>@\\]*(?::[^\s/"'<>@\\]*)?@`)

var accounts = map[string]bool{"ssh": true, "postgres": true, "postgresql": true}

// query is a parameter of an address whose name speaks of a secret.
var query = regexp.MustCompile(`(?i)((?:[?&;]|\\u0026)(?:[a-z0-9_.-]*(?:api[_-]?key|token|secret|passw(?:or)?d|signature|credential)|sig|key|auth)=)([^\s&"'<>\\#]+)`)

// bearer is what follows a scheme of authorisation.
var bearer = regexp.MustCompile(`(?i)((?:\\[nrt]|\b)(?:bearer|(?:authorization(?:\\?["'])?\s*[:=]\s*(?:\\?["'])?)?basic)\s+)([A-Za-z0-9._~+/=-]{12,})`)

// Text takes out known secrets, what has a secret's form, who stands before the host of an address, and secret parameters of it.
func (r Redactor) Text(s string) string {
	// Looking for each form is many times faster than replacing by all of them, and hardly any text has one.
	if slices.ContainsFunc(r.forms, func(f string) bool { return strings.Contains(s, f) }) {
		s = r.known.Replace(s)
	}
	if len(s) < 4096 {
		return shaped(s)
	}
	var b strings.Builder
	b.Grow(len(s))
	for line := range strings.Lines(s) { // few lines have a mark; only they are searched slowly
		b.WriteString(shaped(line))
	}
	return b.String()
}

// shaped takes out what tells by its form that it is a secret.
func shaped(s string) string {
	if slices.ContainsFunc(shapeMarks, func(m string) bool { return strings.Contains(s, m) }) {
		s = shapes.ReplaceAllString(s, "${1}"+Mark)
	}
	if strings.Contains(s, "://") {
		if strings.Contains(s, "@") {
			s = userinfo.ReplaceAllStringFunc(s, func(m string) string {
				scheme, who, _ := strings.Cut(m, "://")
				if accounts[strings.ToLower(scheme)] && !strings.Contains(who, ":") {
					return m
				}
				return scheme + "://" + Mark + "@"
			})
		}
		if strings.Contains(s, "=") {
			s = query.ReplaceAllString(s, "${1}"+Mark)
		}
	}
	if hasFold(s, "bearer ") || hasFold(s, "basic ") {
		s = bearer.ReplaceAllStringFunc(s, func(m string) string {
			p := bearer.FindStringSubmatch(m)
			if strings.ContainsAny(p[2], "0123456789=") || strings.ToLower(p[2][1:]) != p[2][1:] { // not "basic functionality"
				return p[1] + Mark
			}
			return m
		})
	}
	return s
}

func hasFold(s, lower string) bool {
	return strings.Contains(s, lower) || strings.Contains(s, strings.ToUpper(lower[:1])+lower[1:]) || strings.Contains(s, strings.ToUpper(lower))
}

// assignment is a name that speaks of a secret with a value, as programs print their settings: api_key='…', "token": "…",
// --hf-token=…, 'api_key': ['…'].
var assignment = regexp.MustCompile(`(?i)((?:api[_-]?key|access[_-]?key(?:[_-]?id)?|secret[_-]?key|hf[_-]token|auth[_-]?token|token|secret|password|passwd|"auth)(?:\\?["'])?(?:\s*[=:]\s*|\s+)(?:\[\s*)?(?:\\?["'])?)([^\s"'\\,;&{}\[\]<>()]{8,})`)

// Said is Text for what a machine says: it also takes out values whose name speaks of a secret, when they look like one, with
// a digit in them and letters.
func (r Redactor) Said(s string) string {
	s = r.Text(s)
	if !secretWord.MatchString(s) {
		return s
	}
	return assignment.ReplaceAllStringFunc(s, func(m string) string {
		p := assignment.FindStringSubmatch(m)
		if !looksRandom(p[2]) {
			return m
		}
		return p[1] + Mark
	})
}

var secretWord = regexp.MustCompile(`(?i)key|token|secret|passw|"auth`)

func looksRandom(v string) bool {
	var digit, letter bool
	for _, c := range v {
		digit = digit || c >= '0' && c <= '9'
		letter = letter || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
	}
	return digit && letter && !strings.ContainsAny(v, "()") && !strings.HasPrefix(v, "/") && !strings.HasPrefix(v, "[")
}

// Address is raw without who stands before its host, and without its secret parameters: an address that still works for whoever
// brings a key of his own.
func Address(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return Redactor{}.Text(raw)
	}
	u.User = nil
	if u.RawQuery != "" {
		parts := slices.DeleteFunc(strings.Split(u.RawQuery, "&"), func(p string) bool { return query.MatchString("?" + p) })
		u.RawQuery = strings.Join(parts, "&")
	}
	return u.String()
}

// InAddress lists the secrets in an address: its password, or its user where there is none, and its secret parameters, decoded.
func InAddress(raw string) []string {
	u, err := url.Parse(strings.TrimSpace(raw))
	if err != nil {
		return nil
	}
	var out []string
	if u.User != nil {
		pw, ok := u.User.Password()
		if !ok || pw == "" || pw == "x-oauth-basic" {
			pw = u.User.Username()
		}
		out = append(out, pw, u.User.String())
		if name := u.User.Username(); pw != name {
			out = append(out, name+":"+pw)
		}
	}
	for _, p := range strings.Split(u.RawQuery, "&") {
		if m := query.FindStringSubmatch("?" + p); m != nil {
			out = append(out, m[2])
			if v, err := url.QueryUnescape(m[2]); err == nil {
				out = append(out, v)
			}
		}
	}
	return out
}
