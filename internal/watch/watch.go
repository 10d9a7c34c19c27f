// Package watch turns what a machine says into phases, progress and an expected end, and notices what it does not
// say: stalls, crash loops, a container that never comes. It asks nobody and waits for nothing: lines, instances and
// the time are given to it.
package watch

import (
	"strings"
	"time"

	"justright/boot"
	"justright/diagnose"
	"justright/launch"
)

// Event is something a watch noticed. It is a sealed sum of the types of this file.
type Event interface{ event() }

// The events.
type (
	// Heard: the container spoke for the first time.
	Heard struct{ At time.Time }

	// Phase: a phase began, ended well or failed. Name is one of our boot script's, or the engine's own ("load",
	// "compile", "capture", … of package diagnose) within the script's phase "engine".
	Phase struct {
		At      time.Time
		Name    string
		Status  string // start, ok, fail
		Detail  string
		Seconds float64 // the phase took, when it ended
		Cached  bool    // what it makes was there already
	}

	// Progress: how far a phase has come. Left is negative when it cannot be told.
	Progress struct {
		At    time.Time
		Phase string
		Done  int64
		Total int64 // 0 when not known
		Unit  string
		Rate  float64 // units a second, smoothed; 0 when not known
		Left  time.Duration
	}

	// Expect: when the engine should be ready, by what is known now.
	Expect struct {
		At    time.Time
		Ready time.Time
	}

	// Guard: the guard's own line.
	Guard struct {
		At             time.Time
		Status, Reason string
	}

	// Ready: the engine answers, by the log.
	Ready struct{ At time.Time }

	// Silent: nothing has moved for longer than the phase expects. It is a warning, said once a silence.
	Silent struct {
		At    time.Time
		Phase string
		For   time.Duration
		Limit time.Duration
	}

	// Restarted: the container or the engine was started again.
	Restarted struct {
		At    time.Time
		Times int
	}

	// Failed: the launch failed. It is said once.
	Failed struct {
		At     time.Time
		Result diagnose.Result
		Fatal  bool // no plan can cure it
	}
)

func (Heard) event()     {}
func (Phase) event()     {}
func (Progress) event()  {}
func (Expect) event()    {}
func (Guard) event()     {}
func (Ready) event()     {}
func (Silent) event()    {}
func (Restarted) event() {}
func (Failed) event()    {}

// Options say what is watched and how patient to be. The zero value of each limit is its default.
type Options struct {
	Started time.Time // of the attempt
	Model   string
	Engine  string // "vllm==0.10.1"
	Image   string
	GPU     string // empty: the engine is expected to run on the processor
	Source  string // the attempt, for lessons

	Deadline   time.Time                        // when the attempt is ended if it is not ready; zero: never
	Limits     map[diagnose.Phase]time.Duration // silence that is still normal, by phase
	Hopeless   float64                          // so many times the limit is a failure; default 3
	Settle     time.Duration                    // after a death, until the cause is said; default 3 s
	NoneAfter  time.Duration                    // without container and without a line about it; default 10 min
	MaxRestart int                              // restarts until it is a loop; default 2
	Typical    map[diagnose.Phase]time.Duration // how long phases took before, for the expected end
	Ready      [2]time.Duration                 // what the plan predicts from the start to the proof; zero: nothing
}

// limits are the default silences. Pulls: a host without a word for three minutes rarely recovers. Compilation is long
// and quiet (up to 37 minutes were reported for one range, vllm-project/vllm#34399), weights come at the disk's pace.
var limits = map[diagnose.Phase]time.Duration{
	diagnose.PhaseNone: 3 * time.Minute, diagnose.PhaseProvision: 5 * time.Minute, diagnose.PhasePull: 3 * time.Minute,
	diagnose.PhaseContainer: 90 * time.Second, diagnose.PhaseInstall: 2 * time.Minute, diagnose.PhaseImport: 2 * time.Minute,
	diagnose.PhaseResolve: 2 * time.Minute, diagnose.PhaseDownload: 2 * time.Minute, diagnose.PhaseLoad: 5 * time.Minute,
	diagnose.PhaseCompile: 10 * time.Minute, diagnose.PhaseCache: 3 * time.Minute, diagnose.PhaseCapture: 5 * time.Minute,
	diagnose.PhaseServe: 2 * time.Minute,
}

// Watch follows one attempt. It is used by one goroutine.
type Watch struct {
	o      Options
	reader *diagnose.Reader

	lastLine time.Time // of anything at all
	lastMove time.Time // of the phase, or of its progress
	phase    diagnose.Phase
	since    time.Time       // of the phase
	bars     map[string]*bar // by phase: downloads and installs run side by side
	told     int             // line whose progress was told
	silent   bool
	expected time.Time

	heard, ready, failed bool
	container            bool // a container has started
	restarts             int
	findings             int
	suspect              time.Time // since when the log reads like a failure
	died                 time.Time // since when it says that the engine has ended
	uptime               time.Duration
	uptimeAt             time.Time
	named                diagnose.Code // the cause our own script named
	detail               string
	own                  string               // our own script's phase
	began                map[string]time.Time // its phases that run, downloads and installs side by side
	ended                map[string]bool
	starts               int // "start container" lines without a word from the container
}

// bar is one measured progress.
type bar struct {
	done, total int64
	rate        float64 // a second, smoothed
	// Where the rate was measured last.
	from int64
	at   time.Time
}

// rateSpan is the shortest span that a rate is measured over: the lines of a log come in bursts, microseconds apart.
const rateSpan = time.Second

// left is how long it will still take at its rate; negative when that cannot be told.
func (b *bar) left() time.Duration {
	if b == nil || b.rate <= 0 || b.total <= b.done {
		return -1
	}
	return time.Duration(float64(b.total-b.done) / b.rate * float64(time.Second))
}

// open reports whether a bar is still being filled: then only its growth is movement, since programs draw a stuck bar
// again and again.
func (w *Watch) open() bool {
	for _, b := range w.bars {
		if b.total > b.done {
			return true
		}
	}
	return false
}

// New starts a watch.
func New(o Options) *Watch {
	if o.Hopeless == 0 {
		o.Hopeless = 3
	}
	if o.Settle == 0 {
		o.Settle = 3 * time.Second
	}
	if o.NoneAfter == 0 {
		o.NoneAfter = 10 * time.Minute
	}
	if o.MaxRestart == 0 {
		o.MaxRestart = 2
	}
	return &Watch{
		o: o, bars: map[string]*bar{}, began: map[string]time.Time{}, ended: map[string]bool{}, lastLine: o.Started, lastMove: o.Started, since: o.Started,
		reader: diagnose.NewReader(diagnose.Options{Model: o.Model, Engine: o.Engine, Image: o.Image, GPU: o.GPU, Source: o.Source}),
	}
}

// Observe takes the next line of either source.
func (w *Watch) Observe(l launch.LogLine) []Event {
	if w.failed {
		return nil
	}
	var out []Event
	at := l.At
	if at.Before(w.lastLine) {
		at = w.lastLine // sources are not in step; time does not go back
	}
	w.lastLine = at
	if !w.open() {
		w.lastMove, w.silent = at, false
	}
	if l.Source != "system" && !w.heard {
		w.heard, w.container = true, true
		out = append(out, Heard{at})
	}
	if l.Source == "system" {
		out = append(out, w.system(l.Text, at)...)
	}
	w.reader.Feed(l.Text)
	if line, ok := boot.ParseLine(l.Text); ok && l.Source != "system" {
		out = append(out, w.ours(line, at)...)
	}
	if w.o.GPU != "" && strings.Contains(l.Text, "Automatically detected platform cpu") {
		w.named, w.detail = diagnose.NoGPUVisible, l.Text // a rented GPU stands idle while the processor works
		w.suspect = at.Add(-w.o.Settle)
	}
	out = append(out, w.progress(at)...)
	return append(out, w.judge(at)...)
}

// system reads the platform's story.
func (w *Watch) system(text string, at time.Time) []Event {
	if !strings.Contains(strings.ToLower(text), "start container") {
		return nil
	}
	w.container = true
	w.starts++
	if w.starts > 1 {
		w.restarts++
		return []Event{Restarted{at, w.restarts}}
	}
	return nil
}

// ours reads a line of our own boot script.
func (w *Watch) ours(l boot.Line, at time.Time) []Event {
	switch l.Kind {
	case boot.KindGuard:
		return []Event{Guard{at, l.Status, l.Reason}}
	case boot.KindProgress:
		return w.measured(l.Phase, l.Done, l.Total, l.Unit, at)
	case boot.KindPhase:
		if l.Status == boot.StatusStart {
			if l.Phase == boot.PhasePreflight && w.own != "" && w.own != boot.PhasePreflight {
				w.restarts++
			}
			w.own, w.began[l.Phase], w.ended[l.Phase] = l.Phase, at, false
			w.lastMove = at
			return []Event{Phase{At: at, Name: l.Phase, Status: l.Status}}
		}
		e := Phase{At: at, Name: l.Phase, Status: l.Status, Detail: l.Text, Cached: l.Fields["cached"] == "1" || l.Fields["source"] == "image"}
		if since, ok := w.began[l.Phase]; ok {
			e.Seconds = at.Sub(since).Seconds()
		}
		out := []Event{e}
		w.lastMove, w.ended[l.Phase] = at, true
		delete(w.bars, l.Phase)
		switch {
		case l.Status == boot.StatusFail:
			w.named, w.detail = causeOf(l.Cause), l.Text
			w.suspect = at.Add(-w.o.Settle) // the script has waited already
		case l.Phase == boot.PhaseReady && !w.ready:
			w.ready = true
			out = append(out, Ready{at})
		default:
			out = append(out, w.expect(at)...)
		}
		return out
	case boot.KindNote: // for people
	}
	return nil
}

// causeOf is the cause that our script's word for a failure means.
func causeOf(word string) diagnose.Code {
	switch word {
	case "index_unreachable":
		return diagnose.PipDownloadTimeout
	case "download_stalled":
		return diagnose.HFUnreachable
	case "missing_weights":
		return diagnose.WeightsMissing
	default:
		return diagnose.Code(word)
	}
}

// progress tells a new phase of the engine and the bars it draws.
func (w *Watch) progress(at time.Time) []Event {
	var out []Event
	p := w.reader.Progress()
	if p.Line == w.told && (p.Phase != diagnose.PhaseReady || w.ready) {
		return nil
	}
	w.told = p.Line
	if p.Phase != w.phase {
		if w.phase != diagnose.PhaseNone {
			out = append(out, Phase{At: at, Name: w.phase.String(), Status: boot.StatusOK, Seconds: at.Sub(w.since).Seconds()})
		}
		delete(w.bars, w.phase.String())
		w.phase, w.since, w.lastMove = p.Phase, at, at
		if p.Phase == diagnose.PhaseReady {
			if !w.ready {
				w.ready = true
				out = append(out, Ready{at})
			}
			return out
		}
		out = append(out, Phase{At: at, Name: p.Phase.String(), Status: boot.StatusStart, Detail: p.Text})
		out = append(out, w.expect(at)...)
	}
	if p.Total > 0 && !strings.HasPrefix(strings.TrimSpace(p.Text), "justright ") {
		out = append(out, w.measured(p.Phase.String(), p.Done, p.Total, p.Unit, at)...)
	}
	return out
}

// measured tells progress and smooths its rate.
func (w *Watch) measured(phase string, done, total int64, unit string, at time.Time) []Event {
	b := w.bars[phase]
	switch {
	case b == nil || done < b.done: // a new bar
		b = &bar{done: done, from: done, at: at}
		w.bars[phase] = b
		w.lastMove, w.silent = at, false
	case done > b.done:
		b.done = done
		if dt := at.Sub(b.at); dt >= rateSpan {
			r := float64(done-b.from) / dt.Seconds()
			switch {
			case b.from == 0: // how long it stood at nothing is no rate
			case b.rate == 0:
				b.rate = r
			default:
				b.rate += (r - b.rate) * 0.3
			}
			b.from, b.at = done, at
		}
		w.lastMove, w.silent = at, false
	}
	b.total = total
	out := []Event{Progress{at, phase, done, total, unit, b.rate, b.left()}}
	return append(out, w.expect(at)...)
}

// Tick says that time has passed.
func (w *Watch) Tick(now time.Time) []Event {
	if w.failed || now.Before(w.lastLine) {
		return nil
	}
	if out := w.judge(now); len(out) > 0 {
		return out
	}
	if w.ready {
		return nil // an idle server says nothing
	}
	out := w.late(now)
	if !w.container && w.phase == diagnose.PhaseNone && now.Sub(w.lastLine) >= w.o.NoneAfter {
		return w.fail(now, diagnose.NoContainer, "no container and no word about one for "+now.Sub(w.lastLine).Truncate(time.Second).String())
	}
	if !w.container && w.phase == diagnose.PhaseNone {
		return out
	}
	limit := w.limit()
	quiet := now.Sub(w.lastMove)
	if w.phase == diagnose.PhaseCompile || w.own == boot.PhaseHold {
		quiet = now.Sub(w.lastLine) // vLLM says every minute that it compiles: that is a sign of life
	}
	hopeless := quiet >= time.Duration(float64(limit)*w.o.Hopeless)
	if !w.o.Deadline.IsZero() && 2*quiet >= limit && !now.Before(w.o.Deadline.Add(-lastWord)) {
		hopeless = true // the time allowed is over, and what it was spent on is known
	}
	if hopeless && w.own != boot.PhaseHold {
		return w.fail(now, diagnose.Stalled, w.phaseName()+" has not moved for "+quiet.Truncate(time.Second).String())
	}
	if quiet >= limit && !w.silent {
		w.silent = true
		return append(out, Silent{now, w.phaseName(), quiet, limit})
	}
	return out
}

// lastWord is by how much a silence is judged before the deadline, so that it has its cause.
const lastWord = 30 * time.Second

// limit is the silence that is still normal in this phase: ten times what the whole phase took before, where that is known and
// less than what it may be anywhere.
func (w *Watch) limit() time.Duration {
	l, ok := w.o.Limits[w.phase]
	if !ok {
		if l, ok = limits[w.phase]; !ok {
			l = 5 * time.Minute
		}
	}
	if t, ok := w.o.Typical[w.phase]; ok {
		l = min(l, max(10*t, leastSilence))
	}
	return l
}

// leastSilence is never a stall: clouds have hiccups.
const leastSilence = 90 * time.Second

func (w *Watch) phaseName() string {
	if b := w.bars[boot.PhaseWeights]; b != nil && b.total > b.done {
		return boot.PhaseWeights // downloads run beside the install, and outlast it
	}
	if w.phase == diagnose.PhaseNone {
		return "start"
	}
	return w.phase.String()
}
