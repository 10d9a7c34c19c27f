package solve

import (
	"testing"

	"justright/catalog"
)

// A flag that was mistyped is refused with the one that was meant.
func TestMistypedFlagHint(t *testing.T) {
	t.Parallel()
	s, err := catalog.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	for typed, want := range map[string]string{"--max-model-lne": "did you mean --max-model-len", "--tensor-parallel-sizes": "did you mean --tensor-parallel-size", "--wholly-unheard-of": ""} {
		v := Judge(s, Case{Architecture: "LlamaForCausalLM", Pins: Pins{Flags: []string{typed, "2"}}})
		hint := ""
		if len(v.Hints) > 0 {
			hint = v.Hints[0].Text
		}
		if v.Code != CodeFlagUnknown || hint != want {
			t.Errorf("%s: %s, hint %q, want %q", typed, v.Code, hint, want)
		}
	}
}
