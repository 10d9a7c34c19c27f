package gateway

import (
	"bytes"
	"encoding/json"
)

// usage is how many tokens an answer says it took.
type usage struct{ prompt, completion int64 }

// tailSize is how much of an answer's end is kept. vLLM writes the usage after the text, in the last few hundred bytes of an answer
// or in a stream's last event.
const tailSize = 4 << 10

// tail keeps the end of what passes.
type tail struct{ b []byte }

func (t *tail) add(p []byte) {
	if len(p) >= tailSize {
		t.b = append(t.b[:0], p[len(p)-tailSize:]...)
		return
	}
	if drop := len(t.b) + len(p) - tailSize; drop > 0 {
		t.b = t.b[:copy(t.b, t.b[drop:])]
	}
	t.b = append(t.b, p...)
}

func (t *tail) bytes() []byte { return t.b }

// between reports whether a stream of events stands between two of them.
func (t *tail) between() bool {
	return len(t.b) == 0 || bytes.HasSuffix(t.b, []byte("\n\n")) || bytes.HasSuffix(t.b, []byte("\r\n\r\n"))
}

// usageOf reads the last usage in an answer's end; zero when there is none. OpenAI's two APIs have two sets of words.
func usageOf(end []byte) usage {
	for limit := len(end); ; {
		i := bytes.LastIndex(end[:limit], []byte(`"usage":`))
		if i < 0 {
			return usage{}
		}
		var u struct {
			Prompt     int64 `json:"prompt_tokens"`
			Completion int64 `json:"completion_tokens"`
			Input      int64 `json:"input_tokens"`
			Output     int64 `json:"output_tokens"`
		}
		err := json.NewDecoder(bytes.NewReader(end[i+len(`"usage":`):])).Decode(&u)
		if got := (usage{u.Prompt + u.Input, u.Completion + u.Output}); err == nil && got != (usage{}) {
			return got
		}
		limit = i
	}
}
