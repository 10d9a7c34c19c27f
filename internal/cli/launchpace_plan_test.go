package cli

import (
	"encoding/json"
	"testing"

	"justright/problem"
)

// TestPlanKnowsPastLaunches: plan's interval comes from what launches on the target needed, once there are any.
func TestPlanKnowsPastLaunches(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	ready := func() (doc struct {
		Plans []struct {
			Ready struct {
				Seconds  [2]int `json:"seconds"`
				Measured int    `json:"measured"`
			} `json:"ready"`
		} `json:"plans"`
	}) {
		if err := json.Unmarshal([]byte(p.answers(problem.ExitOK, "plan", tryModel, "--json")), &doc); err != nil || len(doc.Plans) == 0 {
			t.Fatal(err, len(doc.Plans))
		}
		return doc
	}
	if r := ready().Plans[0].Ready; r.Measured != 0 || r.Seconds[0] < 60 {
		t.Errorf("before any launch: %+v", r)
	}
	p.answers(problem.ExitOK, "up", tryModel, "--yes")
	p.answers(problem.ExitOK, "down", "--all")
	if r := ready().Plans[0].Ready; r.Measured != 1 || r.Seconds[1] > 60 {
		t.Errorf("after one: %+v", r)
	}
}
