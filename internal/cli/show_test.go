package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// An attempt that has not ended has no cause, and the effects stand in columns.
func TestShowForms(t *testing.T) {
	doc, err := json.Marshal(showAttempt{})
	if err != nil || !bytes.Contains(doc, []byte(`"cause":null,"detail":null`)) {
		t.Errorf("%s, %v", doc, err)
	}
	var out bytes.Buffer
	w := &World{Stdout: &out}
	at := time.Unix(1_800_000_000, 0)
	w.printShow(showDocument{Effects: []showEffect{{at, "tell", "64836a27aaaa", true, "ok"}, {at, "find-plan", "", true, "plan"}, {at, "save-logs-long", "b", true, "end"}}})
	columns := map[int]bool{}
	for l := range strings.Lines(out.String()) {
		for _, outcome := range []string{"  ok\n", "  plan\n", "  end\n"} {
			if strings.HasPrefix(l, "effect") && strings.HasSuffix(l, outcome) {
				columns[len(l)-len(strings.TrimLeft(outcome, " "))] = true
			}
		}
	}
	if len(columns) != 1 {
		t.Errorf("the outcomes begin in columns %v:\n%s", columns, out.String())
	}
}
