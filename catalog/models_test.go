package catalog

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// A model asked for by its id is read alone; what is read is what reading all gives.
func TestModelByLineIsTheModel(t *testing.T) {
	for _, want := range Models() {
		got, ok := modelByLine(want.ID)
		if !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v %+v", want.ID, ok, got)
		}
		if other := FindModels(strings.ToUpper(want.ID)); len(other) != 1 || other[0].ID != want.ID {
			t.Errorf("%s in capitals: %v", want.ID, other)
		}
	}
	for _, ref := range []string{"", "openai", `openai/gpt-oss-20b","config":{`, "openai/gpt-oss-2", "\n", "<&>"} {
		if m, ok := modelByLine(ref); ok {
			t.Errorf("%q is %s", ref, m.ID)
		}
	}
}

// A record whose class no engine and no transformers names was restated wrongly by its source.
func TestModelClasses(t *testing.T) {
	t.Parallel()
	s, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range Models() {
		var c struct{ Architectures []string }
		if err := json.Unmarshal(m.Config, &c); err != nil {
			t.Fatalf("%s: %v", m.ID, err)
		}
		for _, a := range c.Architectures {
			_, vllm := s.Architecture(a)
			if _, _, sglang := s.SGLangArchitecture(a); !vllm && !sglang {
				t.Errorf("%s: no engine registers %s", m.ID, a)
			}
		}
	}
}
