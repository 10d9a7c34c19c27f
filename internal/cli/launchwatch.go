package cli

import (
	"context"
	"errors"
	"strings"
	"time"

	"justright/catalog"
	"justright/diagnose"
	"justright/internal/pace"
	"justright/internal/provider"
	"justright/internal/runner"
	"justright/internal/watch"
	"justright/launch"
	"justright/model"
	"justright/problem"
)

// watcher makes watches for the attempts of one task.
type watcher struct {
	model   model.Profile
	oneHost bool              // every plan meets the same machine
	facts   *catalog.Snapshot // nil: lessons stay as the log teaches them
	p       *planner          // nil: nothing was measured
}

// Watch starts to watch an attempt.
func (w watcher) Watch(a launch.Attempt, now time.Time) runner.Watch {
	o := watch.Options{Started: a.Created, Model: w.model.ID, Source: a.PodName, Deadline: a.BootBy}
	if o.Started.IsZero() {
		o.Started = now
	}
	if a.Stack != nil {
		o.Engine, o.Image, o.GPU = a.Stack.Engine.Name+"=="+a.Stack.Engine.Version, a.Stack.Image, a.Stack.GPU.ID
		o.Ready = [2]time.Duration{time.Duration(a.Stack.Ready.Seconds[0]) * time.Second, time.Duration(a.Stack.Ready.Seconds[1]) * time.Second}
		if w.p != nil {
			o.Typical = pace.Typical(w.p.runs(context.Background()), w.p.paceOf(*a.Stack))
		}
	}
	return signs{watch.New(o), a, w}
}

// signs makes a watch.Watch speak the runner's words.
type signs struct {
	w       *watch.Watch
	attempt launch.Attempt
	of      watcher
}

func (s signs) all(es []watch.Event) []runner.Sign {
	var out []runner.Sign
	for _, e := range es {
		ev, rep := watch.Signs(e, s.attempt.ID)
		if f, ok := ev.(launch.Failed); ok {
			if d, ok := e.(watch.Failed); ok {
				f.Lesson = launch.LessonOf(s.attempt, d.Result)
				if s.of.facts != nil {
					f.Lesson = withTools(s.of.facts, s.of.model, s.attempt, f.Lesson)
				}
				// What another host would cure, nothing cures where there is one, and what this one lacks is no lesson about others.
				if s.of.oneHost && (d.Result.Next == diagnose.NextHost || d.Result.Next == diagnose.RetrySame || launch.SameHere(f.Cause)) {
					f.Fatal, f.Lesson = true, nil
				}
			}
			if f.Lesson != nil {
				f.Lesson = launch.Dated(*f.Lesson, f.At)
			}
			if d, ok := e.(watch.Failed); ok && rep != nil && rep.Finding != nil {
				rep.Finding.Next = launch.NextWords(d.Result.Next, f.Fatal, f.Lesson)
				if d.Result.Cause == diagnose.ProviderNoCapacity && !f.Fatal && f.Lesson == nil {
					rep.Finding.Next = "a plan for other hardware: this is not asked for again"
				}
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

func (s signs) Line(l launch.LogLine) []runner.Sign { return s.all(s.w.Observe(l)) }

func (s signs) Seen(in launch.Instance, now time.Time) []runner.Sign {
	return s.all(s.w.Instance(in, now))
}

func (s signs) Tick(now time.Time) []runner.Sign { return s.all(s.w.Tick(now)) }

// providerProblem is a provider's refusal as a person reads it.
func providerProblem(err error, what string) error {
	var pr *problem.Problem
	if errors.As(err, &pr) {
		return err
	}
	on := onRunPod
	if strings.Contains(what, onKubernetes) {
		on = onKubernetes
	}
	switch provider.KindOf(err) {
	case launch.FailAuth:
		return problem.New(problem.ExitCredentials, "key_refused", "the key is refused: %s", what).Wrap(err).
			Try("look at what is set", "justright doctor --on "+on)
	case launch.FailQuota:
		return problem.New(problem.ExitCapacity, "balance", "no balance or quota: %s", what).Wrap(err)
	default:
		return problem.New(problem.ExitCapacity, "unreachable", "no answer: %s", what).Wrap(err).
			Try("look at what is in the way", "justright doctor")
	}
}
