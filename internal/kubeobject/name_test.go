package kubeobject

import (
	"regexp"
	"strings"
	"testing"
)

func TestName(t *testing.T) {
	for _, c := range []struct{ words, id, want string }{
		{"gpt-oss-20b", "", "jr-gpt-oss-20b"},
		{"Org/Model_v1.5 (FP8)", "", "jr-org-model-v1-5-fp8"},
		{"jr-mine", "", "jr-mine"},
		{"--Ärger--über--", "", "jr-rger-ber"},
		{"", "", "jr"},
		{"x", "attempt-1", "jr-x-3dafcfaa6218"},
		{strings.Repeat("ab-", 40), "attempt-1", "jr-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-a-3dafcfaa6218"},
	} {
		if got := Name(c.words, c.id); got != c.want {
			t.Errorf("Name(%q, %q) = %q, want %q", c.words, c.id, got, c.want)
		}
	}
}

// FuzzName holds what a cluster asks of a name (RFC 1123, with room for what a controller adds), and that ids are told apart.
func FuzzName(f *testing.F) {
	f.Add("openai/gpt-oss-20b", "a", "b")
	f.Add("ÄÖ--", "", "x")
	label := regexp.MustCompile(`^[a-z]([-a-z0-9]*[a-z0-9])?$`)
	f.Fuzz(func(t *testing.T, words, one, other string) {
		a, b := Name(words, one), Name(words, other)
		if !label.MatchString(a) || len(a) > 50 {
			t.Errorf("Name(%q, %q) = %q is no label of at most 50", words, one, a)
		}
		if (a == b) != (one == other) {
			t.Errorf("ids %q and %q of %q: %q and %q", one, other, words, a, b)
		}
	})
}
