package runpod

import (
	"strings"
	"testing"
	"time"

	"justright/launch"
)

// ours is a pod of a list, with something else in place of one field.
func ours(field, value string) string {
	pod := `{"id":"ours","status":"RUNNING","env":{"JUSTRIGHT_ATTEMPT":"a1","JUSTRIGHT_OWNER":"o1"},"cost":0.27,"runtime":{"uptime":7,"gpus":[]}}`
	if field == "" {
		return pod
	}
	return strings.TrimSuffix(pod, "}") + `,"` + field + `":` + value + `}`
}

// One field of another type, of our pod or of a stranger's, hides no pod of the list.
func TestOddFieldsHideNoPod(t *testing.T) {
	for _, field := range []string{"name", "status", "ports", "gpu", "dataCenterId", "cudaVersion", "cost", "runtime", "createdAt", "startedAt", "mounts", "new"} {
		for _, value := range []string{`null`, `7`, `"x"`, `[]`, `[1,"a"]`, `{}`, `{"id":3}`, `true`} {
			p, _ := against(t, answer{status: 200, body: `{"pods":[{"id":"strange","` + field + `":` + value + `},` + ours(field, value) + `,null]}`})
			ins, err := p.List(t.Context())
			if err != nil || len(ins) != 2 || ins[1].ID != "ours" || ins[1].AttemptID != "a1" || ins[1].OwnerID != "o1" {
				t.Errorf("%s %s: %+v, %v", field, value, ins, err)
			}
		}
	}
}

func TestOddUptimeAndPrice(t *testing.T) {
	p, _ := against(t, answer{status: 200, body: `{"pods":[` + ours("runtime", `{"uptime":"12","gpus":[{}]}`) + `,` + ours("cost", `"0.44"`) + `]}`})
	ins, err := p.List(t.Context())
	if err != nil || ins[0].Uptime != 12*time.Second || ins[0].Status != launch.Running || ins[1].PricePerHour.String() != "0.44" {
		t.Errorf("%+v, %v", ins, err)
	}
}

// Whose a pod is stands in its environment: the older APIs' form is read, and one that cannot be read proves no absence.
func TestOddEnvironments(t *testing.T) {
	p, _ := against(t, answer{status: 200, body: `{"pods":[{"id":"a","env":["JUSTRIGHT_ATTEMPT=a1","JUSTRIGHT_OWNER=o1","X"]},{"id":"b","env":{"JUSTRIGHT_ATTEMPT":"a2","N":1}}]}`})
	ins, err := p.List(t.Context())
	if err != nil || ins[0].AttemptID != "a1" || ins[0].OwnerID != "o1" || ins[1].AttemptID != "a2" {
		t.Errorf("%+v, %v", ins, err)
	}
	for _, body := range []string{`{"pods":[{"id":"a","env":7}]}`, `{"pods":[{"id":7}]}`, `{"pods":null}`, `{}`, `{"pods":[],"hasMore":true}`, `{"pods":[],"nextCursor":"c"}`} {
		p, _ := against(t, answer{status: 200, body: body})
		if ins, err := p.List(t.Context()); err == nil {
			t.Errorf("%s was read as %+v", body, ins)
		}
	}
	p, _ = against(t, answer{status: 200, body: `{"pods":[],"hasMore":false,"nextCursor":null}`})
	if _, err := p.List(t.Context()); err != nil {
		t.Error(err)
	}
}
