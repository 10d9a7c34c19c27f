package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"sort"
)

// MaxConfigBytes bounds a config.json. ModelOpt's ignore lists reach 200 KB.
const MaxConfigBytes = 8 << 20

// maxDepth bounds its nesting; real ones stay under ten.
const maxDepth = 64

type object = map[string]any

// reader takes typed statements out of a decoded config and keeps the first that cannot be believed.
type reader struct {
	top, text object
	unknowns  []string
	err       error
}

// decodeObject decodes one JSON object, bounded in size and depth.
func decodeObject(b []byte) (object, error) {
	if len(b) > MaxConfigBytes {
		return nil, &ConfigError{Why: fmt.Sprintf("it has %d bytes; more than %d are not read", len(b), MaxConfigBytes)}
	}
	if d := depth(b); d > maxDepth {
		return nil, &ConfigError{Why: fmt.Sprintf("it nests deeper than %d levels", maxDepth)}
	}
	d := json.NewDecoder(bytes.NewReader(withoutInfinities(b)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, &ConfigError{Why: "it is not JSON: " + err.Error()}
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, &ConfigError{Why: "something follows the JSON object"}
	}
	o, ok := v.(object)
	if !ok {
		return nil, &ConfigError{Why: "it is not a JSON object"}
	}
	return o, nil
}

// withoutInfinities writes null for the words NaN, Infinity and -Infinity outside strings: Python's json writes them,
// and configs of recurrent models hold one (time_step_limit), but JSON has no such words.
func withoutInfinities(b []byte) []byte {
	if !bytes.Contains(b, []byte("Infinity")) && !bytes.Contains(b, []byte("NaN")) {
		return b
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '"' { // over the string
			start := i
			for i++; i < len(b) && b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
			out = append(out, b[start:min(i+1, len(b))]...)
			continue
		}
		word := 0
		for _, w := range []string{"-Infinity", "Infinity", "NaN"} {
			if bytes.HasPrefix(b[i:], []byte(w)) {
				word = len(w)
				break
			}
		}
		if word == 0 {
			out = append(out, b[i])
			continue
		}
		out = append(out, "null"...)
		i += word - 1
	}
	return out
}

// depth is the deepest nesting of brackets outside strings.
func depth(b []byte) int {
	deepest, at, quoted := 0, 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			at++
			deepest = max(deepest, at)
		case c == '}' || c == ']':
			at--
		}
	}
	return deepest
}

// dim reads the first of the keys that the language model states as a whole number from 0 to limit.
func (r *reader) dim(limit int, keys ...string) int {
	for _, k := range keys {
		if n := r.in(r.text, k, limit, k); n > 0 {
			return n
		}
	}
	return 0
}

// in reads one number of o. Null and absent are 0; lists and objects are left to who understands them.
func (r *reader) in(o object, name string, limit int, key string) int {
	switch v := o[key].(type) {
	case nil, []any, object, bool:
		return 0
	case json.Number:
		f, err := v.Float64()
		switch {
		case err != nil || math.IsNaN(f) || math.IsInf(f, 0) || f != math.Trunc(f):
			r.fail(name, "is "+shorten(v.String())+", not a whole number")
		case f == -1:
			return 0 // "none" in some families
		case f < 0:
			r.fail(name, "is "+shorten(v.String())+", below zero")
		case f > float64(limit):
			r.fail(name, fmt.Sprintf("is %s; more than %d is not believed", shorten(v.String()), limit))
		default:
			return int(f)
		}
	case string:
		r.fail(name, fmt.Sprintf("is the string %q, not a number", shorten(v)))
	}
	return 0
}

func (r *reader) fail(field, why string) {
	if r.err == nil {
		r.err = &ConfigError{Field: field, Why: why}
	}
}

// str reads the first of the keys that holds a string.
func (r *reader) str(o object, keys ...string) string {
	for _, k := range keys {
		if s, ok := o[k].(string); ok && s != "" {
			return shorten(s)
		}
	}
	return ""
}

func (r *reader) flag(o object, key string) bool {
	b, _ := o[key].(bool)
	return b
}

// strings reads a list of strings, at most a few of them.
func (r *reader) strings(o object, key string) []string {
	l := stringsOf(o[key])
	return l[:min(len(l), 16)]
}

// stringsOf takes the strings out of a string or a list.
func stringsOf(v any) []string {
	switch t := v.(type) {
	case string:
		return []string{t}
	case []any:
		var out []string
		for _, e := range t {
			if s, ok := e.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

func number(v any) (float64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	f, err := n.Float64()
	return f, err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
}

// shorten keeps quoted input readable; NemotronH's layer pattern, the longest string that matters, has 118.
func shorten(s string) string {
	if len(s) > 4096 {
		return s[:4096] + "…"
	}
	return s
}

func sortedKeys(o object) []string {
	keys := make([]string, 0, len(o))
	for k := range o {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func contains(l []string, s string) bool {
	for _, e := range l {
		if e == s {
			return true
		}
	}
	return false
}

func sortedShares(m map[string]float64) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func listOf(v any) []any {
	l, _ := v.([]any)
	return l[:min(len(l), maxLayers)]
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
