package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
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
	Stage    *diagnose.Stage     `json:"stage"` // null: the log does not tell
	Evidence []diagnose.Evidence `json:"evidence"`
	Lesson   *catalog.Lesson     `json:"lesson"`
}

func asDiagnosis(id string, r diagnose.Result) diagnosis {
	d := diagnosis{Schema: "justright/diagnosis/1", ID: id, Result: r, Stage: known(r.Stage), Evidence: r.Evidence, Lesson: r.Lesson}
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
input, packed by gzip or not, and says whether the launch failed, is still starting, is ready or was stopped on purpose. Of a failure it names
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
		fmt.Fprint(w.Stdout, w.fitted(fmt.Sprintf("  %-30s  %s\n", i.Code, i.Text)))
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
	if err := readLog(r, in); err != nil {
		return problem.New(problem.ExitUsage, "unreadable_file", "cannot read %s", name).Wrap(err)
	}
	res := r.Result()
	if asJSON {
		return w.printJSON(asDiagnosis("", res))
	}
	_, err = io.WriteString(w.Stdout, w.fitted(diagnosisText(res)))
	return err
}

// diagnosisText is the answer for a person.
func diagnosisText(r diagnose.Result) string {
	var b strings.Builder
	switch r.Outcome {
	case diagnose.Failure:
		fmt.Fprintf(&b, "failure     %s (%s)\n", r.Cause, orDash(string(r.Stage)))
	case diagnose.Ready:
		b.WriteString("ready       the server answers requests\n")
	case diagnose.InProgress:
		fmt.Fprintf(&b, "starting    %s\n", orDash(string(r.Stage)))
	case diagnose.Stopped:
		b.WriteString("stopped     from outside; nothing is broken\n")
	default:
		if len(r.Evidence) == 0 && r.Remedy != nil {
			b.WriteString("unknown     " + r.Remedy.Text + "\n")
		} else {
			b.WriteString("unknown     this log does not say; more of it may\n")
		}
	}
	for i, e := range r.Evidence {
		label := "evidence"
		if i > 0 {
			label = ""
		}
		fmt.Fprintf(&b, "%-10s  line %d: %s\n", label, e.Line, e.Text)
	}
	if r.Remedy != nil && r.Outcome == diagnose.Failure {
		fmt.Fprintf(&b, "remedy      %s (%s)\n", r.Remedy.Text, r.Remedy.Kind)
	}
	if s := nextInWords(r); s != "" {
		fmt.Fprintf(&b, "next        %s\n", s)
	}
	if r.Restarts > 0 {
		fmt.Fprintf(&b, "restarts    the engine was started %d times in this log\n", r.Restarts+1)
	}
	return b.String()
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
