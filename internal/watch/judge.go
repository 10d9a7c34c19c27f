package watch

import (
	"time"

	"justright/boot"
	"justright/catalog"
	"justright/diagnose"
	"justright/launch"
)

// Instance takes the provider's word about the machine: an uptime that goes back is a restart the log may not show.
func (w *Watch) Instance(in launch.Instance, now time.Time) []Event {
	if w.failed {
		return nil
	}
	var out []Event
	if in.Status == launch.Running && (in.Uptime > 0 || !in.Started.IsZero()) {
		w.container = true
	}
	if in.Uptime > 0 {
		if w.uptime > 0 && in.Uptime+2*time.Second < w.uptime+now.Sub(w.uptimeAt)/2 && in.Uptime < w.uptime {
			w.restarts++
			out = append(out, Restarted{now, w.restarts})
		}
		w.uptime, w.uptimeAt = in.Uptime, now
	}
	return append(out, w.judge(now)...)
}

// judge decides whether the launch has failed. An error is believed when the engine is dead and a moment has passed in
// which the cause may still be printed, when nothing has moved since, or when the same start fails again.
func (w *Watch) judge(now time.Time) []Event {
	if w.named != "" && now.Sub(w.suspect) >= w.o.Settle {
		return w.named1(now)
	}
	n := w.reader.Findings()
	if n == 0 && w.restarts <= w.o.MaxRestart {
		return nil
	}
	if n == w.findings && w.suspect.IsZero() && w.restarts <= w.o.MaxRestart {
		return nil
	}
	res := w.reader.Result()
	if n != w.findings {
		w.findings = n
		if w.suspect.IsZero() || res.Outcome != diagnose.Failure {
			w.suspect = now
		}
	}
	if w.restarts > w.o.MaxRestart || res.Restarts >= w.o.MaxRestart {
		if res.Outcome == diagnose.Failure {
			return w.failWith(now, res)
		}
		if w.restarts > w.o.MaxRestart && !w.ready {
			return w.fail(now, diagnose.CrashLoop, "the container was started again and again")
		}
	}
	if res.Outcome != diagnose.Failure {
		w.suspect, w.died = time.Time{}, time.Time{}
		return nil
	}
	// The moment counts from the death: what looked like a failure long before may have been a warning, and the line
	// behind this one may name the cause.
	since := w.suspect
	if !w.reader.Dead() {
		w.died = time.Time{} // or started again
	} else {
		if w.died.IsZero() {
			w.died = now
		}
		if w.died.After(since) {
			since = w.died
		}
	}
	if now.Sub(since) < w.settle(res) {
		return nil
	}
	return w.failWith(now, res)
}

// settle is how long a failure must stand before it is believed.
func (w *Watch) settle(res diagnose.Result) time.Duration {
	switch {
	case res.Cause == diagnose.GenericWrapperOnly || res.Cause == diagnose.CauseUnknown:
		return max(5*w.o.Settle, 10*time.Second) // the cause may be in another stream that is late
	case w.reader.Dead():
		return w.o.Settle
	case res.Stage == diagnose.StageImagePull:
		return 45 * time.Second // the host tries again by itself
	case res.Stage == diagnose.StageContainer:
		return max(w.o.Settle, 5*time.Second)
	default:
		return max(5*w.o.Settle, 15*time.Second)
	}
}

// named1 is a failure our own script named. What the log says is better where it names a cause and the script only
// repeats that the engine died.
func (w *Watch) named1(now time.Time) []Event {
	res := w.reader.Result()
	_, known := diagnose.Of(w.named)
	logKnows := res.Outcome == diagnose.Failure && res.Cause != diagnose.CauseUnknown && res.Cause != diagnose.GenericWrapperOnly
	if !known || logKnows && w.named != res.Cause && (w.named == diagnose.GenericWrapperOnly || w.own == boot.PhaseEngine) {
		if res.Outcome == diagnose.Failure {
			return w.failWith(now, res)
		}
		return w.fail(now, diagnose.CauseUnknown, w.detail)
	}
	if logKnows && res.Cause == w.named {
		return w.failWith(now, res)
	}
	return w.fail(now, w.named, w.detail)
}

// fail is a failure that is no text of a log.
func (w *Watch) fail(now time.Time, c diagnose.Code, detail string) []Event {
	res := w.reader.Result()
	info, _ := diagnose.Of(c)
	res.Outcome, res.Cause, res.Stage, res.Lesson = diagnose.Failure, c, info.Stage, nil
	res.Next = diagnose.NextStep(c)
	if c == diagnose.CrashLoop && w.own != "" {
		res.Next = diagnose.NextHost // our start script never ends by itself: the machine ends it
	}
	res.Remedy = &diagnose.Remedy{Kind: info.Remedy, Text: info.Text}
	if detail != "" {
		res.Evidence = append([]diagnose.Evidence{{Line: res.Lines, Text: detail}}, res.Evidence...)
		if len(res.Evidence) > 3 {
			res.Evidence = res.Evidence[:3]
		}
	}
	return w.failWith(now, res)
}

func (w *Watch) failWith(now time.Time, res diagnose.Result) []Event {
	w.failed = true
	return []Event{Failed{now, res, res.Next == diagnose.StopLaunch}}
}

// Result is what the log says so far.
func (w *Watch) Result() diagnose.Result { return w.reader.Result() }

// Lesson is what the log teaches so far, nil when nothing.
func (w *Watch) Lesson() *catalog.Lesson { return w.reader.Result().Lesson }
