package ssh

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"justright/internal/provider/onhost"
	"justright/launch"
)

// answer is what the host said to one question.
type answer struct {
	host  string    // the id of its directory of instances; empty when there is none
	clock time.Time // the host's
	lines []string  // the rest
}

func (a *answer) take(line string) {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "host":
		if rest != "none" {
			a.host = rest
		}
	case "clock":
		if n, err := strconv.ParseInt(rest, 10, 64); err == nil {
			a.clock = time.Unix(n, 0).UTC()
		}
	default:
		a.lines = append(a.lines, line)
	}
}

// told is one instance as the host describes it.
type told struct {
	onhost.Record
	status launch.Status
	expose string
}

// instances reads the descriptions. One without its end is no answer.
func (a *answer) instances() ([]told, error) {
	var out []told
	var cur *told
	for _, l := range a.lines {
		word, rest, _ := strings.Cut(l, " ")
		switch {
		case word == "instance":
			cur = &told{Record: onhost.Record{ID: rest}, status: launch.StatusUnknown}
		case cur == nil:
		case word == "done":
			if cur.AttemptID == "" || cur.Port == 0 {
				return nil, fmt.Errorf("the host describes %s by half", cur.ID)
			}
			out, cur = append(out, *cur), nil
		default:
			cur.set(word, rest)
		}
	}
	if cur != nil {
		return nil, fmt.Errorf("the host's description of %s breaks off", cur.ID)
	}
	return out, nil
}

func (t *told) set(word, rest string) {
	switch word {
	case "status":
		t.status = launch.Status(rest)
	case "name":
		t.Name = rest
	case "attempt":
		t.AttemptID = rest
	case "owner":
		t.OwnerID = rest
	case "gpu":
		t.GPU = rest
	case "gpus":
		t.GPUCount, _ = strconv.Atoi(rest)
	case "port":
		t.Port, _ = strconv.Atoi(rest)
	case "expose":
		t.expose = rest
	case "created":
		if n, err := strconv.ParseInt(rest, 10, 64); err == nil {
			t.Created = time.Unix(n, 0).UTC()
		}
	}
}
