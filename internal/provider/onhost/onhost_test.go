package onhost_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"justright/internal/provider/onhost"
	"justright/launch"
)

func now() time.Time { return time.Unix(1, 0) }

// FuzzLines holds that lines do not depend on how the bytes arrived, and that each mark resumes exactly behind its line.
func FuzzLines(f *testing.F) {
	f.Add("one\ntwo\r\n\nü\nlast", uint8(3))
	f.Add("\n\n", uint8(1))
	f.Add("no end", uint8(200))
	f.Fuzz(func(t *testing.T, text string, size uint8) {
		read := func(from string, step int) (texts, marks []string) {
			l, err := onhost.NewLines(from, now)
			if err != nil {
				t.Fatal(err)
			}
			take := func(x launch.LogLine) error {
				texts, marks = append(texts, x.Text), append(marks, x.ID)
				return nil
			}
			for l.Next() < int64(len(text)) {
				end := min(int64(len(text)), l.Next()+int64(step))
				if err := l.Add([]byte(text[l.Next():end]), false, take); err != nil {
					t.Fatal(err)
				}
			}
			if err := l.Add(nil, true, take); err != nil {
				t.Fatal(err)
			}
			return texts, marks
		}
		texts, marks := read("", len(text)+1)
		if again, _ := read("", int(size)+1); strings.Join(again, "\n") != strings.Join(texts, "\n") {
			t.Errorf("in pieces of %d: %q, in one: %q", size, again, texts)
		}
		for i, m := range marks {
			if rest, _ := read(m, int(size)+1); strings.Join(rest, "|") != strings.Join(texts[i+1:], "|") {
				t.Errorf("after %s: %q, want %q", m, rest, texts[i+1:])
			}
		}
	})
}

func TestLongLinesComeInPieces(t *testing.T) {
	const long = 3<<20 + 5
	l, err := onhost.NewLines("", now)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := l.Add([]byte(strings.Repeat("x", long)+"\nend\n"), false, func(x launch.LogLine) error {
		got = append(got, strconv.Itoa(len(x.Text)))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if want := "1048576 1048576 1048576 5 3"; strings.Join(got, " ") != want {
		t.Errorf("lengths %v, want %s", got, want)
	}
	for _, mark := range []string{"x", "-1", "1.5"} {
		if _, err := onhost.NewLines(mark, now); err == nil {
			t.Errorf("mark %q was taken", mark)
		}
	}
}

func TestVars(t *testing.T) {
	got := onhost.Vars(launch.Spec{Name: "n", AttemptID: "a", OwnerID: "o", Env: map[string]string{"K": "v", "JUSTRIGHT_GUARD": "none", "JUSTRIGHT_OWNER": "x"}}, 2*time.Second)
	for k, want := range map[string]string{"K": "v", "JUSTRIGHT_GUARD": "local", "JUSTRIGHT_OWNER": "o", "JUSTRIGHT_ATTEMPT": "a", "JUSTRIGHT_NAME": "n", "JUSTRIGHT_HOLD": "2"} {
		if got[k] != want {
			t.Errorf("%s is %q, want %q", k, got[k], want)
		}
	}
	for name, want := range map[string]bool{"PATH": true, "HF_TOKEN": false, "my_api_key": false, "RUNPOD_POD_ID": false, "JUSTRIGHT_ROOT": false, "PYTHONDONTWRITEBYTECODE": false, "PYENV_ROOT": true} {
		if onhost.MayPass(name) != want {
			t.Errorf("%s passes: %v, want %v", name, !want, want)
		}
	}
}
