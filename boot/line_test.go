package boot

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseLine(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Line
	}{
		{"justright phase=preflight status=start t=0.02", Line{Kind: KindPhase, Phase: "preflight", Status: "start", Seconds: 0.02}},
		{"  justright phase=env status=ok t=18.70 cached=0 key=1a27\r\n", Line{Kind: KindPhase, Phase: "env", Status: "ok", Seconds: 18.7}},
		{`justright phase=preflight status=fail t=0.1 cause=driver_too_old detail="driver 535, \"12.4\""`,
			Line{Kind: KindPhase, Phase: "preflight", Status: "fail", Seconds: .1, Cause: "driver_too_old", Text: `driver 535, "12.4"`}},
		{"justright progress phase=weights done=10 total=200 unit=bytes", Line{Kind: KindProgress, Phase: "weights", Done: 10, Total: 200, Unit: "bytes"}},
		{"justright guard status=unguarded reason=key_refused", Line{Kind: KindGuard, Status: "unguarded", Reason: "key_refused"}},
		{`justright note text="a b"`, Line{Kind: KindNote, Text: "a b"}},
	} {
		got, ok := ParseLine(c.in)
		got.Fields = nil
		if !ok || !reflect.DeepEqual(got, c.want) {
			t.Errorf("ParseLine(%q) = %+v, %v; want %+v", c.in, got, ok, c.want)
		}
	}
}

func TestParseLineRefuses(t *testing.T) {
	for _, in := range []string{
		"", "justright", "justright ", "Justright phase=env status=ok t=1", "x justright phase=env status=ok t=1",
		"justright phase=env status=ok", "justright phase=env status=done t=1", "justright phase=lunch status=ok t=1",
		"justright phase=env status=ok t=soon", "justright phase=env status=ok t=-1", "justright phase=env phase=env status=ok t=1",
		`justright phase=env status=ok t=1 detail="open`, `justright phase=env status=ok t=1 detail="a"b`, `justright phase=e"nv status=ok t=1`,
		"justright guard status=asleep", "justright progress phase=env done=-1 total=2 unit=bytes", "justright progress phase=env done=1 unit=bytes",
		"justright phase", "justright phase= status=ok t=1", "justright plan says phase=env status=ok t=1",
	} {
		if l, ok := ParseLine(in); ok {
			t.Errorf("ParseLine(%q) = %+v", in, l)
		}
	}
}

func FuzzParseLine(f *testing.F) {
	f.Add(`justright phase=env status=fail t=1.5 cause=disk_full detail="a \"b\" c"`)
	f.Add("justright progress phase=weights done=1 total=2 unit=bytes")
	f.Add("justright guard status=armed by=local")
	f.Fuzz(func(t *testing.T, s string) {
		l, ok := ParseLine(s)
		if !ok {
			return
		}
		if !strings.HasPrefix(strings.TrimSpace(s), "justright ") {
			t.Errorf("took %q", s)
		}
		if l.Seconds < 0 || l.Done < 0 || l.Total < 0 || l.Kind == "" {
			t.Errorf("%q gave %+v", s, l)
		}
		if again, ok := ParseLine("\t" + s + "\r"); !ok || !reflect.DeepEqual(again, l) {
			t.Errorf("%q: blanks around it matter", s)
		}
	})
}
