package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/spf13/cobra"

	"justright/catalog"
	"justright/diagnose"
	"justright/problem"
)

// diagnosis is the justright/diagnosis/1 document.
type diagnosis struct {
	Schema string `json:"schema"`
	ID     string `json:"id,omitempty"`
	diagnose.Result
	Evidence []diagnose.Evidence `json:"evidence"`
	Lesson   *catalog.Lesson     `json:"lesson"`
}

func asDiagnosis(id string, r diagnose.Result) diagnosis {
	d := diagnosis{Schema: "justright/diagnosis/1", ID: id, Result: r, Evidence: r.Evidence, Lesson: r.Lesson}
	if d.Evidence == nil {
		d.Evidence = []diagnose.Evidence{}
	}
	return d
}

func newDiagnoseCommand(w *World) *cobra.Command {
	var evalFile string
	var causes bool
	c := &cobra.Command{
		Use:   "diagnose [FILE|-]",
		Short: "Read a launch log and name the cause, the evidence and the remedy",
		Long: `diagnose reads any launch log, of vLLM, SGLang, pip, Docker, RunPod or a shell, from a file or from standard
input, and says whether the launch failed, is still starting, is ready or was stopped on purpose. Of a failure it names
the cause beneath the wrappers, up to three lines of evidence, the remedy, and what the resolver would do next. Where
the log does not decide it says unknown: a wrong cause costs more than none.

--eval reads labelled cases, one JSON object a line with the log in "log", and prints the score and the confusions;
labels may be missing.

Exit status: 0 the log was read, whatever it says; 2 usage or an unreadable file.`,
		Example: `  justright diagnose pod.log
  kubectl logs my-pod | justright diagnose -
  justright diagnose --causes
  justright diagnose --eval failures.jsonl`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return problem.New(problem.ExitUsage, "usage", "one log at a time: %d were given", len(args)).
					Try("join them", "cat "+strings.Join(args, " ")+" | justright diagnose -")
			}
			asJSON, _ := c.Flags().GetBool("json")
			if causes {
				return w.printCauses(asJSON)
			}
			if evalFile != "" {
				if len(args) > 0 {
					return problem.New(problem.ExitUsage, "usage", "--eval takes its own file and no other")
				}
				return w.evalDiagnose(evalFile, asJSON)
			}
			name := "-"
			if len(args) == 1 {
				name = args[0]
			}
			return w.diagnoseFile(name, asJSON)
		},
	}
	c.Flags().BoolVar(&causes, "causes", false, "list every cause that can be named, with its remedy")
	c.Flags().StringVar(&evalFile, "eval", "", "score against labelled cases in `FILE` (JSON lines)")
	return c
}

// printCauses lists what can be diagnosed.
func (w *World) printCauses(asJSON bool) error {
	all := diagnose.Causes()
	if asJSON {
		type cause struct {
			Cause  diagnose.Code       `json:"cause"`
			Stage  diagnose.Stage      `json:"stage"`
			Remedy diagnose.RemedyKind `json:"remedy"`
			Next   diagnose.Step       `json:"next"`
			Text   string              `json:"text"`
		}
		doc := struct {
			Schema string  `json:"schema"`
			Causes []cause `json:"causes"`
		}{Schema: "justright/causes/1"}
		for _, i := range all {
			doc.Causes = append(doc.Causes, cause{i.Code, i.Stage, i.Remedy, i.Next, i.Text})
		}
		return w.printJSON(doc)
	}
	stage := diagnose.Stage("")
	for _, i := range all {
		if i.Stage != stage {
			stage = i.Stage
			fmt.Fprintf(w.Stdout, "%s\n", stage)
		}
		fmt.Fprintf(w.Stdout, "  %-30s %s\n", i.Code, i.Text)
	}
	return nil
}

// openInput opens a file the user named, or standard input for "-".
func (w *World) openInput(name string) (io.ReadCloser, error) {
	if name == "-" {
		if w.StdinTTY {
			return nil, problem.New(problem.ExitUsage, "usage", "no log was given").
				Try("name a file, or pipe a log into it", "justright diagnose pod.log")
		}
		return io.NopCloser(w.Stdin), nil
	}
	if !filepath.IsAbs(name) && w.Dir != "" {
		name = filepath.Join(w.Dir, name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, problem.New(problem.ExitUsage, "unreadable_file", "cannot read %s", name).Wrap(err)
	}
	return f, nil
}

func (w *World) diagnoseFile(name string, asJSON bool) error {
	in, err := w.openInput(name)
	if err != nil {
		return err
	}
	defer in.Close()
	r := diagnose.NewReader(diagnose.Options{})
	if _, err := io.Copy(r, in); err != nil {
		return problem.New(problem.ExitUsage, "unreadable_file", "cannot read %s", name).Wrap(err)
	}
	res := r.Result()
	if asJSON {
		return w.printJSON(asDiagnosis("", res))
	}
	return printDiagnosis(w.Stdout, res)
}

// printDiagnosis writes the answer for a person.
func printDiagnosis(out io.Writer, r diagnose.Result) error {
	var b strings.Builder
	switch r.Outcome {
	case diagnose.Failure:
		fmt.Fprintf(&b, "failure    %s (%s)\n", r.Cause, orDash(string(r.Stage)))
	case diagnose.Ready:
		b.WriteString("ready      the server answers requests\n")
	case diagnose.InProgress:
		fmt.Fprintf(&b, "starting   %s\n", orDash(string(r.Stage)))
	case diagnose.Stopped:
		b.WriteString("stopped    from outside; nothing is broken\n")
	default:
		b.WriteString("unknown    this log does not say; more of it may\n")
	}
	for i, e := range r.Evidence {
		label := "evidence"
		if i > 0 {
			label = ""
		}
		fmt.Fprintf(&b, "%-10s line %d: %s\n", label, e.Line, e.Text)
	}
	if r.Remedy != nil && r.Outcome == diagnose.Failure {
		fmt.Fprintf(&b, "remedy     %s (%s)\n", r.Remedy.Text, r.Remedy.Kind)
	}
	if s := nextInWords(r); s != "" {
		fmt.Fprintf(&b, "next       %s\n", s)
	}
	if r.Restarts > 0 {
		fmt.Fprintf(&b, "restarts   the engine was started %d times in this log\n", r.Restarts+1)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// nextInWords says what the resolver would do.
func nextInWords(r diagnose.Result) string {
	switch r.Next {
	case diagnose.RetrySame:
		return "the same plan once more"
	case diagnose.NextHost:
		return "the same plan on another host"
	case diagnose.NextPlan:
		if r.Lesson != nil {
			return "another plan, with this as a lesson"
		}
		return "another plan"
	case diagnose.StopLaunch:
		return "stop: no plan can help until this is put right"
	case diagnose.WaitLonger:
		return "read on"
	default:
		return ""
	}
}

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

// badLine stands for a line of an evaluation file that is no case.
type badLine struct {
	Line    int              `json:"line"`
	Problem *problem.Problem `json:"problem"`
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
		why = err.Error()
	} else if c.Log == nil {
		why = `it has no "log"`
	}
	if why != "" {
		p := problem.New(problem.ExitUsage, "bad_case", "line %d is no case: %s", n, why)
		if asJSON {
			return enc.Encode(badLine{n, p})
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
