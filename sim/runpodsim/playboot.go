package runpodsim

import (
	"strings"

	"justright/sim/vllmsim"
)

// Boot is what a start script, or a bare command of the engine, will start.
type Boot struct {
	Model        string
	Install      string   // "wheels" or "image"
	Requirements []string // what is installed first, pinned
	Argv         []string // the engine's command line, program first
}

// readBoot reads what a start script of package boot will do.
func readBoot(script string) Boot {
	b := Boot{Model: headVar(script, "JR_MODEL_ID"), Install: headVar(script, "JR_INSTALL")}
	if _, rest, ok := strings.Cut(script, "\nJR_REQUIREMENTS='"); ok {
		list, _, _ := strings.Cut(rest, "'")
		b.Requirements = strings.Fields(list)
	}
	if _, rest, ok := strings.Cut(script, "\nexec_engine() {\nset -- "); ok {
		line, _, _ := strings.Cut(rest, "\n")
		line = strings.NewReplacer(`"$JR_MODEL"`, b.Model, `"$JR_PORT"`, headVar(script, "JR_PORT")).Replace(line)
		b.Argv = shellWords(line)
	}
	return b
}

// shellWords splits a line of plain and single-quoted words, as package boot quotes them.
func shellWords(line string) []string {
	var out []string
	var word strings.Builder
	quoted, begun := false, false
	for _, r := range line {
		switch {
		case r == '\'':
			quoted, begun = !quoted, true
		case r == '"' && !quoted: // around a single quote alone
		case r == ' ' && !quoted:
			if begun {
				out = append(out, word.String())
				word.Reset()
			}
			begun = false
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	if begun {
		out = append(out, word.String())
	}
	return out
}

// startEngine plays the log of a start, in order, and then calls ready or dead.
func (b *play) startEngine(s vllmsim.Start, ready, dead func()) {
	lines := s.Lines
	var next func()
	next = func() {
		for len(lines) > 0 {
			l := lines[0]
			if l.After > 0 {
				lines[0].After = 0
				b.after(l.After, next)
				return
			}
			lines = lines[1:]
			b.c.Log(l.Text)
		}
		if s.Exit < 0 {
			ready()
		} else {
			dead()
		}
	}
	b.after(0, next)
}

// died is the end of the start script's road when the engine is gone: the log is held, then the pod ends itself.
func (b *play) died(phase, cause string) {
	b.failed = true
	b.phase(phase, "fail", "cause="+cause)
	b.heldThenEnded()
}
