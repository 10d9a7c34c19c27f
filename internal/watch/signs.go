package watch

import (
	"fmt"
	"time"

	"justright/boot"
	"justright/diagnose"
	"justright/launch"
	"justright/report"
)

// Signs says what an event means for the saga of an attempt and for the person who waits; either may be nil.
func Signs(e Event, attempt string) (launch.Event, *report.Event) {
	switch e := e.(type) {
	case Heard:
		return launch.Heard{At: launch.At(e.At), Attempt: attempt}, nil
	case Guard:
		return launch.GuardSaid{At: launch.At(e.At), Attempt: attempt, Status: e.Status, Reason: e.Reason}, nil
	case Ready:
		return launch.EngineReady{At: launch.At(e.At), Attempt: attempt}, nil
	case Failed:
		return failed(e, attempt), findingOf(e)
	case Phase:
		return nil, &report.Event{At: e.At, Phase: &report.Phase{Name: e.Name, Status: e.Status, Detail: e.Detail, Seconds: e.Seconds, Cached: e.Cached}}
	case Progress:
		return nil, &report.Event{At: e.At, Progress: &report.Progress{Phase: e.Phase, Done: e.Done, Total: e.Total, Unit: e.Unit, Rate: e.Rate}}
	case Expect:
		return nil, &report.Event{At: e.At, Expect: &report.Expect{Ready: e.Ready.UTC().Truncate(time.Second), Seconds: e.Ready.Sub(e.At).Round(time.Second).Seconds()}}
	case Silent:
		return nil, &report.Event{At: e.At, Note: &report.Note{Level: "warning",
			Text: fmt.Sprintf("%s: nothing has moved for %s; up to %s is usual", e.Phase, e.For.Truncate(time.Second), e.Limit)}}
	case Restarted:
		return nil, &report.Event{At: e.At, Note: &report.Note{Level: "warning", Text: fmt.Sprintf("the container was started again (%d times)", e.Times)}}
	default:
		return nil, nil
	}
}

func failed(e Failed, attempt string) launch.Event {
	detail := ""
	if best := cause(e.Result); best != nil {
		detail = best.Text
		if l, ok := boot.ParseLine(detail); ok && l.Text != "" {
			detail = l.Text // our own script's words, without their form
		}
	}
	return launch.Failed{
		At: launch.At(e.At), Attempt: attempt, Cause: string(e.Result.Cause), Detail: detail, Fatal: e.Fatal, Lesson: e.Result.Lesson,
	}
}

// cause is the line of evidence to show when there is room for one: the last, since what led to it stands above and
// wrappers are left out.
func cause(r diagnose.Result) *diagnose.Evidence {
	if len(r.Evidence) == 0 {
		return nil
	}
	for i := range r.Evidence {
		if says := diagnose.NewReader(diagnose.Options{}); says != nil {
			says.Feed(r.Evidence[i].Text)
			if says.Result().Cause == r.Cause {
				return &r.Evidence[i]
			}
		}
	}
	return &r.Evidence[0]
}

func findingOf(e Failed) *report.Event {
	f := &report.Finding{Cause: string(e.Result.Cause), Stage: string(e.Result.Stage), Next: launch.NextWords(e.Result.Next, e.Fatal, e.Result.Lesson)}
	for _, l := range e.Result.Evidence {
		f.Evidence = append(f.Evidence, l.Text)
	}
	if e.Result.Remedy != nil {
		f.Remedy = e.Result.Remedy.Text
	}
	return &report.Event{At: e.At, Finding: f}
}

// OwnPhase reports whether a phase is one of our boot script's, as opposed to the engine's own.
func OwnPhase(name string) bool {
	switch name {
	case boot.PhasePreflight, boot.PhaseEnv, boot.PhaseWeights, boot.PhaseEngine, boot.PhaseReady, boot.PhaseHold:
		return true
	}
	return false
}
