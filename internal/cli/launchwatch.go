package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"justright/catalog"
	"justright/diagnose"
	"justright/internal/httpclient"
	"justright/internal/probe"
	"justright/internal/provider"
	"justright/internal/runner"
	"justright/internal/watch"
	"justright/launch"
	"justright/model"
	"justright/problem"
	"justright/report"
	"justright/solve"
)

// watcher makes watches for the attempts of one task.
type watcher struct {
	model   model.Profile
	oneHost bool // every plan meets the same machine
}

// Watch starts to watch an attempt.
func (w watcher) Watch(a launch.Attempt, now time.Time) runner.Watch {
	o := watch.Options{Started: a.Created, Model: w.model.ID, Source: a.PodName}
	if o.Started.IsZero() {
		o.Started = now
	}
	if a.Stack != nil {
		o.Engine, o.Image, o.GPU = a.Stack.Engine.Name+"=="+a.Stack.Engine.Version, a.Stack.Image, a.Stack.GPU.ID
	}
	return signs{watch.New(o), a, w.oneHost}
}

// signs makes a watch.Watch speak the runner's words.
type signs struct {
	w       *watch.Watch
	attempt launch.Attempt
	oneHost bool
}

func (s signs) all(es []watch.Event) []runner.Sign {
	var out []runner.Sign
	for _, e := range es {
		ev, rep := watch.Signs(e, s.attempt.ID)
		if f, ok := ev.(launch.Failed); ok {
			if d, ok := e.(watch.Failed); ok {
				f.Lesson = launch.LessonOf(s.attempt, d.Result)
				// What another host would cure, nothing cures where there is one, and what this one lacks is no lesson about others.
				if s.oneHost && (d.Result.Next == diagnose.NextHost || d.Result.Next == diagnose.RetrySame || launch.SameHere(f.Cause)) {
					f.Fatal, f.Lesson = true, nil
				}
			}
			if f.Lesson != nil {
				f.Lesson = dateLesson(*f.Lesson, f.At)
			}
			if d, ok := e.(watch.Failed); ok && rep != nil && rep.Finding != nil {
				rep.Finding.Next = launch.NextWords(d.Result.Next, f.Fatal, f.Lesson)
			}
			ev = f
		}
		if rep != nil && rep.Phase != nil && !watch.OwnPhase(rep.Phase.Name) {
			// The engine's phases inside ours. Ours say download and install better.
			if rep.Phase.Name == "download" || rep.Phase.Name == "install" {
				rep = nil
			} else {
				rep.Phase.Detail = ""
			}
		}
		if ev != nil || rep != nil {
			out = append(out, runner.Sign{Event: ev, Report: rep})
		}
	}
	return out
}

// dateLesson gives a lesson its name, which is the same for the same lesson, and its end: what is about one host passes
// soon, what is about software and sizes lasts until releases have moved on.
func dateLesson(l catalog.Lesson, at launch.At) *catalog.Lesson {
	now := time.Time(at).UTC()
	about := l
	about.ID, about.Source, about.Evidence, about.Created, about.Expires = "", "", nil, "", ""
	doc, err := json.Marshal(about)
	if err != nil {
		doc = []byte(l.Cause)
	}
	sum := sha256.Sum256(doc)
	l.ID, l.Created = hex.EncodeToString(sum[:4]), now.Format(time.RFC3339)
	days := 60
	if l.ExcludeHost != "" {
		days = 1
	}
	l.Expires = now.AddDate(0, 0, days).Format(time.RFC3339)
	return &l
}

func (s signs) Line(l launch.LogLine) []runner.Sign { return s.all(s.w.Observe(l)) }

func (s signs) Seen(in launch.Instance, now time.Time) []runner.Sign {
	return s.all(s.w.Instance(in, now))
}

func (s signs) Tick(now time.Time) []runner.Sign { return s.all(s.w.Tick(now)) }

// prover proves the endpoint of one task.
type prover struct {
	w       *World
	journal runner.Journal
	model   model.Profile
	name    string // served
	key     string
}

// Prove asks the endpoint through the address its user will use.
func (p prover) Prove(ctx context.Context, a launch.Attempt, base string, tell func(report.Event)) (runner.Proof, error) {
	if base == "" {
		return runner.Proof{}, errors.New("the machine has no address yet")
	}
	x := probe.Expected{Model: p.name, Architecture: p.model.Architecture}
	// Without it the check of the architecture does not apply, which fails nothing.
	x.SeenArchitecture, _ = resolvedArchitecture(ctx, p.journal, a.ID)
	if a.Stack != nil {
		f := solve.ParseFlags(a.Stack.Argv)
		x.Tools = f.Has("tool-call-parser")
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
	price := a.Price
	if price > 0 {
		doc.Measured.HourlyPrice = &price
	}
	out := runner.Proof{Passed: doc.Passed && err == nil, Detail: proofDetail(doc, err)}
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

// providerProblem is a provider's refusal as a person reads it.
func providerProblem(err error, what string) error {
	var pr *problem.Problem
	if errors.As(err, &pr) {
		return err
	}
	switch provider.KindOf(err) {
	case launch.FailAuth:
		return problem.New(problem.ExitCredentials, "key_refused", "the key is refused: %s", what).Wrap(err).
			Try("look at what is set", "justright doctor --on runpod")
	case launch.FailQuota:
		return problem.New(problem.ExitCapacity, "balance", "no balance or quota: %s", what).Wrap(err)
	default:
		return problem.New(problem.ExitCapacity, "unreachable", "no answer: %s", what).Wrap(err).
			Try("look at what is in the way", "justright doctor")
	}
}
