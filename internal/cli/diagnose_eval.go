package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"

	"justright/diagnose"
	"justright/problem"
)

// failureCase is a line of an evaluation file; labels may be missing.
type failureCase struct {
	ID         *string `json:"id"`
	Log        *string `json:"log"`
	Outcome    string  `json:"outcome"`
	Cause      string  `json:"cause"`
	Stage      string  `json:"stage"`
	RemedyKind string  `json:"remedy_kind"`
	LogForm    string  `json:"log_form"`
}

// badLine stands for a line of an evaluation file that is no case; Problem says why, as the other evaluations do.
type badLine struct {
	Line    int    `json:"line"`
	Problem string `json:"problem"`
}

func (w *World) evalDiagnose(name string, asJSON bool) error {
	in, err := w.openInput(name)
	if err != nil {
		return err
	}
	defer in.Close()
	score := newDiagnoseScore()
	lines := bufio.NewReaderSize(in, 1<<20)
	enc := json.NewEncoder(w.Stdout)
	enc.SetEscapeHTML(false)
	for n := 1; ; n++ {
		raw, err := lines.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return problem.New(problem.ExitUsage, "unreadable_file", "cannot read %s", name).Wrap(err)
		}
		if len(strings.TrimSpace(string(raw))) > 0 {
			if e := w.evalLine(raw, n, asJSON, enc, score); e != nil {
				return e
			}
		}
		if err != nil {
			break
		}
	}
	if asJSON {
		return nil
	}
	return score.print(w.Stdout)
}

// evalLine judges one line of an evaluation file.
func (w *World) evalLine(raw []byte, n int, asJSON bool, enc *json.Encoder, score *diagnoseScore) error {
	var c failureCase
	why := ""
	if err := json.Unmarshal(raw, &c); err != nil {
		why = "it is not a JSON object: " + err.Error()
	} else if c.Log == nil {
		why = `it has no "log"`
	}
	if why != "" {
		if asJSON {
			return enc.Encode(badLine{n, why})
		}
		score.bad++
		return nil
	}
	r := diagnose.NewReader(diagnose.Options{})
	if _, err := io.WriteString(r, *c.Log); err != nil {
		return err
	}
	res := r.Result()
	id := ""
	if c.ID != nil {
		id = *c.ID
	}
	if asJSON {
		if id == "" {
			return enc.Encode(struct {
				Line int `json:"line"`
				diagnosis
			}{n, asDiagnosis("", res)})
		}
		return enc.Encode(asDiagnosis(id, res))
	}
	score.add(id, n, c, res)
	return nil
}

// diagnoseScore counts right, wrong and unknown answers. An answer is right when the cause is the label's; it is
// wrong when it names another cause, and unknown when it names none.
type diagnoseScore struct {
	cases, labelled, right, wrong, unknown, bad int
	raw, rawRight, rawWrong                     int // without messages quoted in prose
	healthy, alarms                             int
	outcomes, stages, stagesRight, remedies     int
	perCause                                    map[string]*causeScore
	confusions                                  []string
}

type causeScore struct{ labelled, given, right int }

func newDiagnoseScore() *diagnoseScore { return &diagnoseScore{perCause: map[string]*causeScore{}} }

func (s *diagnoseScore) of(cause string) *causeScore {
	if s.perCause[cause] == nil {
		s.perCause[cause] = &causeScore{}
	}
	return s.perCause[cause]
}

func (s *diagnoseScore) add(id string, line int, c failureCase, r diagnose.Result) {
	s.cases++
	if c.Cause == "" {
		return
	}
	s.labelled++
	got := string(r.Cause)
	right := got == c.Cause
	isRaw := c.LogForm != "message quoted in prose"
	s.of(c.Cause).labelled++
	if got != string(diagnose.CauseUnknown) {
		s.of(got).given++
	}
	if isRaw {
		s.raw++
	}
	if string(r.Outcome) == c.Outcome {
		s.outcomes++
	}
	if c.Outcome == string(diagnose.InProgress) || c.Outcome == string(diagnose.Ready) {
		s.healthy++
		if r.Outcome == diagnose.Failure {
			s.alarms++
		}
	}
	switch {
	case right:
		s.right++
		s.of(c.Cause).right++
		if isRaw {
			s.rawRight++
		}
		if c.Outcome == string(diagnose.Failure) {
			s.stages++
			if string(r.Stage) == c.Stage {
				s.stagesRight++
			}
			if r.Remedy != nil && string(r.Remedy.Kind) == c.RemedyKind {
				s.remedies++
			}
		}
	case got == string(diagnose.CauseUnknown):
		s.unknown++
	default:
		s.wrong++
		if isRaw {
			s.rawWrong++
		}
	}
	if !right {
		if id == "" {
			id = fmt.Sprintf("line %d", line)
		}
		s.confusions = append(s.confusions, fmt.Sprintf("%-30s %-30s %s", c.Cause, got, id))
	}
}

func percent(n, of int) string {
	if of == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(of))
}

func (s *diagnoseScore) print(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "cases      %d", s.cases)
	if s.bad > 0 {
		fmt.Fprintf(&b, ", and %d lines that are none", s.bad)
	}
	b.WriteByte('\n')
	if s.labelled > 0 {
		fmt.Fprintf(&b, "right      %d (%s)   wrong %d (%s)   unknown %d (%s)\n", s.right, percent(s.right, s.labelled),
			s.wrong, percent(s.wrong, s.labelled), s.unknown, percent(s.unknown, s.labelled))
		fmt.Fprintf(&b, "raw logs   %d: right %s, wrong %s\n", s.raw, percent(s.rawRight, s.raw), percent(s.rawWrong, s.raw))
		fmt.Fprintf(&b, "outcome    %s right; healthy or starting %d, false alarms %d\n", percent(s.outcomes, s.labelled), s.healthy, s.alarms)
		fmt.Fprintf(&b, "of the failures named right: stage %s, remedy kind %s\n\n", percent(s.stagesRight, s.stages), percent(s.remedies, s.stages))
		names := make([]string, 0, len(s.perCause))
		for c := range s.perCause {
			names = append(names, c)
		}
		sort.Strings(names)
		fmt.Fprintf(&b, "%-32s %5s %9s %9s\n", "cause", "cases", "precision", "recall")
		for _, c := range names {
			k := s.perCause[c]
			fmt.Fprintf(&b, "%-32s %5d %9s %9s\n", c, k.labelled, percent(k.right, k.given), percent(k.right, k.labelled))
		}
		if len(s.confusions) > 0 {
			sort.Strings(s.confusions)
			fmt.Fprintf(&b, "\n%-30s %-30s %s\n", "label", "answer", "case")
			for _, c := range s.confusions {
				b.WriteString(c + "\n")
			}
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}
