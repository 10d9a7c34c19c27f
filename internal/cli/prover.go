package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"justright/catalog"
	"justright/diagnose"
	"justright/internal/httpclient"
	"justright/internal/probe"
	"justright/internal/runner"
	"justright/internal/store"
	"justright/launch"
	"justright/model"
	"justright/report"
	"justright/solve"
	"justright/version"
)

// prover proves the endpoint of one task.
type prover struct {
	w       *World
	journal store.Store
	model   model.Profile
	name    string // served
	key     string
	asked   bool // the user asks for a tool parser
	t       target
	spread  spread
}

func (p *planner) prover(journal store.Store) prover {
	return prover{p.w, journal, p.wish.Model, servedName(p.wish), p.key, solve.ParseFlags(p.wish.Pins.Flags).Has("tool-call-parser"), p.t, p.wish.Spread}
}

// Prove asks the endpoint through the address its user will use.
func (p prover) Prove(ctx context.Context, a launch.Attempt, base string, tell func(report.Event)) (runner.Proof, error) {
	if base == "" {
		return runner.Proof{}, errors.New("the machine has no address yet")
	}
	missing, copies, err := copiesReady(ctx, p.t, p.spread, a.PodID)
	if err != nil {
		return runner.Proof{}, err
	}
	if missing != "" {
		return runner.Proof{}, errors.New(missing)
	}
	x := promised(p.model, p.name, a)
	if log, err := engineSaid(ctx, p.journal, a.ID); err == nil { // without it a check does not apply, which fails nothing
		log.into(&x)
	}
	doc, err := probe.Prove(ctx, probe.Endpoint{
		BaseURL: base, Key: httpclient.NewSecret(p.key), Model: p.name, Now: p.w.Now,
		HTTP: httpclient.New(httpclient.Options{Transport: p.w.Transport, Now: p.w.Now}),
	}, probe.Options{Expected: x, Each: func(c probe.Check) {
		tell(report.Event{Check: &report.Check{Name: c.Name, Passed: c.Passed, Detail: c.Detail, Applies: c.Applies}})
	}})
	if err != nil && !errors.Is(err, probe.ErrKeyRefused) {
		return runner.Proof{}, err
	}
	if copies != "" { // once the address has answered
		tell(report.Event{Check: &report.Check{Name: "copies", Passed: true, Detail: copies, Applies: true}})
	}
	price := a.Price
	if price > 0 {
		doc.Measured.HourlyPrice = &price
	}
	out := runner.Proof{Passed: doc.Passed && err == nil, Detail: proofDetail(doc, err)}
	switch {
	case out.Passed || a.Stack == nil:
	case doc.Stranger != "":
		if l := strangerLesson(a, doc.Stranger); l != nil {
			p.blame(&out, *l, "Something else has the engine's port: start on another image.", tell)
		}
	case doc.ToolFault != nil && onlyToolsFailed(doc):
		p.blameParser(ctx, a, x, doc, &out, tell)
	}
	out.Document, err = json.Marshal(doc)
	return out, err
}

func proofDetail(doc probe.Proof, err error) string {
	if err != nil {
		return err.Error()
	}
	failed := 0
	first := ""
	for _, c := range doc.Checks {
		if c.Required && !c.Passed {
			failed++
			if first == "" {
				first = c.Name + ": " + c.Detail
			}
		}
	}
	if failed > 0 {
		return fmt.Sprintf("%d of %d checks failed, first %s", failed, len(doc.Checks), first)
	}
	return fmt.Sprintf("%d checks in %.1f s", len(doc.Checks), doc.Seconds)
}

// onlyToolsFailed: where other checks fail too, it is not the parser that is wrong.
func onlyToolsFailed(doc probe.Proof) bool {
	return !slices.ContainsFunc(doc.Checks, func(c probe.Check) bool { return c.Required && !c.Passed && c.Name != "tool-call" })
}

// strangerLesson: what wheels are installed into has a server of its own on the engine's port. An engine's own image that
// answers for another model teaches nothing.
func strangerLesson(a launch.Attempt, who string) *catalog.Lesson {
	if a.Stack.Install != "wheels" || a.Stack.Image == "" {
		return nil
	}
	return &catalog.Lesson{Cause: launch.CauseStranger, Remedy: string(diagnose.OtherImage), Source: a.PodName, Image: a.Stack.Image, Forbid: true,
		Evidence: []string{"under the machine's address answers " + who}}
}

// blameParser makes a proof that failed by its tool call alone a cause with a lesson.
func (p prover) blameParser(ctx context.Context, a launch.Attempt, x probe.Expected, doc probe.Proof, out *runner.Proof, tell func(report.Event)) {
	known, err := p.journal.Lessons(ctx, p.w.Now())
	if err != nil {
		return
	}
	facts, err := p.w.facts()
	if err != nil {
		return
	}
	l := parserLesson(facts, p.model, a, x.ToolParser, p.asked, *doc.ToolFault, known)
	l.Evidence = []string{doc.ToolFault.Saw}
	out.Detail = strings.TrimPrefix(out.Detail, fmt.Sprintf("1 of %d checks failed, first ", len(doc.Checks)))
	p.blame(out, l, parserRemedy(l), tell)
}

// blame gives a proof that failed its cause and its lesson, and says so.
func (p prover) blame(out *runner.Proof, l catalog.Lesson, remedy string, tell func(report.Event)) {
	out.Cause, out.Lesson = l.Cause, launch.Dated(l, launch.At(p.w.Now()))
	tell(report.Event{Finding: &report.Finding{Cause: l.Cause, Stage: string(diagnose.StageServe), Evidence: l.Evidence, Remedy: remedy,
		Next: launch.NextWords(diagnose.NextPlan, false, out.Lesson)}})
}

func parserRemedy(l catalog.Lesson) string {
	switch {
	case len(l.AddFlags) > 1:
		return "Start with --tool-call-parser " + l.AddFlags[1] + "."
	case l.Forbid:
		return "Take another release of the engine: this one's parser reads whole answers and not streams, or not the arguments."
	case len(l.DropFlags) > 1:
		return "Start without a tool parser: no release has one that reads this model, as far as is known."
	default:
		return "Start with the tool parser of the model's family."
	}
}

// parserLesson says what follows from a tool parser that was wrong: the parser of the model's family, else one that reads
// the form in which the call was written, else, where the user asked for one, the same on another release, else none. known
// are the lessons so far.
func parserLesson(facts *catalog.Snapshot, m model.Profile, a launch.Attempt, wrong string, asked bool, fault probe.ToolFault, known []catalog.Lesson) catalog.Lesson {
	l := catalog.Lesson{Cause: launch.CauseToolParser, Remedy: string(diagnose.ChangeFlag), Source: a.PodName, Model: m.ID, Engine: a.Stack.Engine.Name,
		DropFlags: []string{"--tool-call-parser=" + wrong}}
	tried := map[string]bool{wrong: true}
	forbidden := false
	for _, k := range known {
		if k.Cause != launch.CauseToolParser || !strings.EqualFold(k.Model, m.ID) {
			continue
		}
		forbidden = forbidden || k.Forbid
		for _, f := range k.DropFlags {
			if _, v, one := strings.Cut(f, "="); one {
				tried[v] = true
			}
		}
	}
	family := ""
	if s, ok := facts.Serving(m.ID, m.Architecture); ok {
		family = s.ToolParser
	}
	release, err := version.ParsePEP440(a.Stack.Engine.Version)
	for _, right := range append([]string{family}, fault.Parsers...) {
		if right == "" || tried[right] || err == nil && facts.NameIn(catalog.ToolParsers, right, release) == catalog.Absent {
			continue
		}
		if right != family { // the family's comes by itself, once the wrong one is gone
			l.AddFlags = []string{"--tool-call-parser", right}
		}
		return l
	}
	if asked && fault.Kind != probe.FaultText && !forbidden {
		l.Engine, l.DropFlags, l.Forbid = a.Stack.Engine.Name+"=="+a.Stack.Engine.Version, nil, true
		return l
	}
	l.DropFlags = []string{"--tool-call-parser", "--enable-auto-tool-choice"}
	return l
}

// withTools narrows a lesson that would start the next plan without any tool parser, because a release does not have the
// one that was asked for: where the model's family has another, only the wrong one goes.
func withTools(facts *catalog.Snapshot, m model.Profile, a launch.Attempt, l *catalog.Lesson) *catalog.Lesson {
	if l == nil || a.Stack == nil || !slices.Contains(l.DropFlags, "--tool-call-parser") {
		return l
	}
	wrong, _ := solve.ParseFlags(a.Stack.Argv).Get("tool-call-parser")
	s, ok := facts.Serving(m.ID, m.Architecture)
	if !ok || s.ToolParser == "" || s.ToolParser == wrong || wrong == "" {
		return l
	}
	narrow := *l
	narrow.DropFlags = []string{"--tool-call-parser=" + wrong}
	return &narrow
}
