package ssh_test

import (
	"testing"

	"justright/internal/provider/ssh"
	"justright/problem"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"ssh://gpu":                   "ssh://gpu",
		"ssh://me@gpu.example:2222/":  "ssh://me@gpu.example:2222",
		"ssh://me@10.0.0.7/data/jr":   "ssh://me@10.0.0.7/data/jr",
		"ssh://me@[2001:db8::7]:2222": "ssh://me@[2001:db8::7]:2222",
		"ssh://DOM+me@gpu_1":          "ssh://DOM+me@gpu_1",
	} {
		got, err := ssh.Parse(text)
		if err != nil || got.String() != want {
			t.Errorf("Parse(%q) is %v, %v; want %s", text, got, err, want)
		}
		if again, err := ssh.Parse(got.String()); err != nil || again != got {
			t.Errorf("%q read again is %v, %v", got, again, err)
		}
	}
	for _, text := range []string{
		"ssh://", "ssh:gpu", "ssh://me@", "ssh://-oProxyCommand=x", "ssh://-l@gpu", "ssh://me@-F", "ssh://gpu:0", "ssh://gpu:99999", "ssh://gpu:x",
		"ssh://me@gpu/../x", "ssh://me@gpu/a b", "ssh://me@gpu/$HOME", "ssh://me@gpu?x=1", "ssh://me:secret@gpu", "ssh://$(id)@gpu", "ssh://me@gpu;id",
		"ssh://me@%67pu%20", "ssh://`id`", "http://gpu", "gpu",
	} {
		got, err := ssh.Parse(text)
		if err == nil || problem.From(err).Exit != problem.ExitUsage {
			t.Errorf("Parse(%q) is %+v, %v; want a problem of usage", text, got, err)
		}
	}
}

// FuzzParse holds that nothing is taken that ssh or a shell would read as more than a name, and that a spelling is stable.
func FuzzParse(f *testing.F) {
	f.Add("ssh://me@gpu.example:2222/data")
	f.Add("ssh://-oProxyCommand=id")
	f.Add("ssh://[::1%25lo]:22")
	f.Add("ssh://0::")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ssh.Parse(text)
		if err != nil {
			return
		}
		for _, word := range []string{got.User, got.Host, got.Dir} {
			if word != "" && word[0] == '-' {
				t.Errorf("%q gives the word %q, which is an option", text, word)
			}
			for _, r := range word {
				if r <= ' ' || r >= 0x7f || (r != '$' && containsRune("'\"`\\;&|<>(){}*?!#,", r)) {
					t.Errorf("%q gives the word %q", text, word)
				}
			}
		}
		again, err := ssh.Parse(got.String())
		if err != nil || again != got {
			t.Errorf("%q is %+v, spelled %q, which is %+v, %v", text, got, got, again, err)
		}
	})
}

func containsRune(set string, r rune) bool {
	for _, s := range set {
		if s == r {
			return true
		}
	}
	return false
}
