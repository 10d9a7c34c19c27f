// Package text shows a stream of report events to a person: finished steps as lines, the running ones as status
// lines that are redrawn in place on a terminal and printed now and then elsewhere. No meaning hangs on colour or
// symbol alone.
package text

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"justright/money"
	"justright/report"
)

// Options say what the person looks at.
type Options struct {
	TTY     bool             // the writer is a terminal: redraw status lines in place
	Color   bool             // colour is welcome (a terminal, and NO_COLOR is unset)
	Width   int              // columns that lines are broken at; 0 means that no terminal shows them: rows are made for 80
	Verbose bool             // the machine's own log lines too
	Now     func() time.Time // the clock for redrawing; nil stops the clock between events
}

// Where lines cannot be redrawn, steps are said when they end, and while nothing ends a line says now and then what runs:
// after heartAfter, and then each heartEvery.
const (
	heartAfter = 30 * time.Second
	heartEvery = 2 * time.Minute
)

// Sink is a report.Sink for people. Safe for concurrent use; Close ends the redrawing.
type Sink struct {
	o      Options
	narrow bool // lines are broken at the width
	mu     sync.Mutex
	w      io.Writer
	unsent bytes.Buffer
	err    error
	drew   int // status lines on the screen

	began   time.Time
	attempt time.Time
	cap     money.USD
	spent   money.USD
	price   *money.USD
	free    bool // this machine: nothing is billed, so no dollars are shown
	running []*step
	ready   time.Time // expected; zero when nothing is
	now     time.Time // of the event that is shown
	spoke   time.Time // the last plain line
	beats   int       // of the heart since then

	stop chan struct{}
	done sync.WaitGroup
}

// step is a phase that has started and not ended.
type step struct {
	name, detail string
	began        time.Time
}

// New starts a sink on w.
func New(w io.Writer, o Options) *Sink {
	s := &Sink{narrow: o.TTY || o.Width > 0, w: w, stop: make(chan struct{})}
	if o.Width <= 0 {
		o.Width = 80
	}
	s.o = o
	if o.Now != nil {
		s.done.Add(1)
		go s.redraw()
	}
	return s
}

// redraw keeps the clock of the status lines moving.
func (s *Sink) redraw() {
	defer s.done.Done()
	t := time.NewTicker(500 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-t.C:
			s.mu.Lock()
			s.erase()
			now := s.o.Now()
			s.heart(now)
			s.draw(now)
			s.flush()
			s.mu.Unlock()
		}
	}
}

// Close erases the status lines and returns the first write error.
func (s *Sink) Close() error {
	close(s.stop)
	s.done.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	s.flush()
	return s.err
}

// Emit shows one event.
func (s *Sink) Emit(e report.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := e.At
	if at.IsZero() && s.o.Now != nil {
		at = s.o.Now()
	}
	s.erase()
	s.now = at
	s.show(e, at)
	s.heart(at)
	s.draw(at)
	s.flush()
	return s.err
}

func (s *Sink) show(e report.Event, at time.Time) {
	switch {
	case e.Begin != nil:
		s.began, s.attempt, s.cap, s.free = at, at, e.Begin.Budget, e.Begin.Target == "local" || strings.HasPrefix(e.Begin.Target, "ssh://")
		line := fmt.Sprintf("%s   on %s", e.Begin.Model, e.Begin.Target)
		if e.Begin.Why != "" {
			line += "   " + e.Begin.Why
		}
		if e.Begin.Budget > 0 {
			line += "   this task may spend $" + e.Begin.Budget.Cents()
		}
		s.line("%s", s.bold(Clean(line)))
	case e.Plan != nil:
		s.attempt, s.running, s.price, s.ready = at, nil, e.Plan.PricePerHour, time.Time{}
		line := fmt.Sprintf("→ attempt %d   %s", e.Plan.Attempt, Clean(e.Plan.Summary))
		if e.Plan.PricePerHour != nil && *e.Plan.PricePerHour > 0 {
			line += "   $" + e.Plan.PricePerHour.Cents() + "/h with disk"
		}
		if e.Plan.ReadySeconds[1] > 0 {
			line += "   ready in " + ReadyIn(e.Plan.ReadySeconds, e.Plan.Measured)
		}
		s.line("%s", line)
		if !e.Plan.Guarded {
			s.line("  %s", s.yellow("no guard inside this machine: only this program watches its bill"))
		}
	case e.State != nil:
		s.money(e.State.Spent, e.State.Cap)
		detail := e.State.Detail
		if e.State.ID != "" && saysID(e.State.State) {
			detail = strings.TrimSpace(e.State.ID + "  " + detail)
		}
		s.step(mark(e.State.State), e.State.State, detail, s.since(at))
	case e.Phase != nil:
		s.phase(e.Phase, at)
	case e.Progress != nil:
		s.money(e.Progress.Spent, e.Progress.Cap)
		st := s.find(e.Progress.Phase)
		if st == nil {
			st = &step{name: e.Progress.Phase, began: at}
			s.running = append(s.running, st)
		}
		st.detail = progress(e.Progress, at.Sub(st.began))
	case e.Expect != nil:
		s.money(e.Expect.Spent, e.Expect.Cap)
		s.ready = e.Expect.Ready
	case e.Log != nil:
		if s.o.Verbose {
			s.whole("  %s", s.dim(Clean(e.Log.Source+" | "+e.Log.Line)))
		}
	case e.Finding != nil:
		s.running, s.ready = nil, time.Time{}
		s.line("%s %s", s.cross(), s.bold(Clean(e.Finding.Cause)+"  ("+Clean(e.Finding.Stage)+")"))
		for _, l := range e.Finding.Evidence {
			s.whole("    | %s", Clean(l))
		}
		if e.Finding.Remedy != "" {
			s.line("    remedy  %s", Clean(e.Finding.Remedy))
		}
		if e.Finding.Next != "" {
			s.line("    next    %s", Clean(e.Finding.Next))
		}
	case e.Attempt != nil:
		s.running = nil
		cause := ""
		if e.Attempt.Cause != "" {
			cause = "   " + Clean(e.Attempt.Cause)
		}
		s.line("  attempt %s   %s   $%s%s", Clean(e.Attempt.ID), clock(time.Duration(e.Attempt.Seconds*float64(time.Second))), e.Attempt.Cost.Cents(), cause)
	case e.Check != nil:
		m := s.green("✓")
		switch {
		case !e.Check.Passed:
			m = s.cross()
		case !e.Check.Applies:
			m = "-"
		}
		s.line("%s %-10s %-24s  %s", m, "proof", Clean(e.Check.Name), Clean(e.Check.Detail))
	case e.Note != nil:
		t := Clean(e.Note.Text)
		if e.Note.Level == "warning" {
			t = s.yellow("note: " + t)
		}
		s.line("%s", t)
	case e.Problem != nil:
		s.running = nil
		s.line("%s %s", s.cross(), Clean(e.Problem.Summary))
		if e.Problem.Cause != "" {
			s.line("    %s", Clean(e.Problem.Cause))
		}
	case e.End != nil:
		s.running = nil
		s.end(e.End, at)
	}
}

// saysID: the machine's id is said where it begins and where it ends; between, it is known.
func saysID(state string) bool {
	switch state {
	case "created", "duplicate", "open", "detaching", "gone":
		return true
	}
	return false
}

func (s *Sink) phase(p *report.Phase, at time.Time) {
	s.money(p.Spent, p.Cap)
	switch p.Status {
	case "start":
		if s.find(p.Name) == nil {
			s.running = append(s.running, &step{name: p.Name, detail: p.Detail, began: at})
		}
	default:
		detail := p.Detail
		if st := s.find(p.Name); st != nil && detail == "" {
			detail = st.detail
		}
		s.drop(p.Name)
		if p.Name == "ready" && p.Status == "ok" {
			return // the engine answers, which is not yet proven: the state of that name says when it is
		}
		m := s.green("✓")
		if p.Status != "ok" {
			m = s.cross()
		}
		s.step(m, p.Name, detail, s.since(at))
	}
}

func (s *Sink) end(e *report.End, at time.Time) {
	switch e.Outcome {
	case "ready":
		took := ""
		if e.PredictedSeconds[1] > 0 {
			took = fmt.Sprintf(" (%s from the create; %s was expected)", clock(time.Duration(e.ReadySeconds*float64(time.Second))), Interval(e.PredictedSeconds))
		}
		spent := ""
		if !s.free {
			spent = ", spent $" + e.Spent.Cents()
		}
		s.line("%s", s.green("✓ ready")+fmt.Sprintf("      in %s%s%s", clock(at.Sub(s.began)), took, spent))
		s.learned(e)
		s.line("")
		s.whole("  base URL   %s", e.BaseURL)
		s.line("  model      %s", e.Model)
		s.whole("  key        in %s", e.KeyFile)
		s.line("")
		s.whole("  curl %s/chat/completions -H \"Authorization: Bearer $(cat %s)\" \\", e.BaseURL, e.KeyFile)
		s.whole("    -H 'Content-Type: application/json' \\")
		s.whole("    -d '{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"What is the capital of France?\"}]}'", e.Model)
		s.line("")
		s.line("  stop it    justright down %s", e.Name)
	default:
		spent := ""
		if !s.free {
			spent = ", spent $" + e.Spent.Cents()
		}
		s.line("%s   %s after %s%s", s.bold(e.Outcome), Clean(e.Name), clock(at.Sub(s.began)), spent)
		s.learned(e)
	}
}

// learned says what the next launch will heed.
func (s *Sink) learned(e *report.End) {
	for _, l := range e.Learned {
		s.line("  learned    %s", Clean(l))
	}
}

// step prints a finished step: mark, name, detail, clock, dollars.
func (s *Sink) step(mark, name, detail string, d time.Duration) {
	s.line("%s", s.row(mark, name, detail, d))
}

// leastDetail is the room that the words of a row need beside what it costs.
const leastDetail = 16

func (s *Sink) row(mark, name, detail string, d time.Duration) string {
	name = fmt.Sprintf("%-10s", Clean(name))
	right := fmt.Sprintf("%6s", clock(d))
	// The last column stays free: some terminals wrap when it is written.
	room := s.o.Width - 1 - len("m ") - utf8.RuneCountInString(name) - len(" ") - len("   ")
	if !s.free {
		spent := "   $" + s.spent.Cents()
		if limit := " of $" + s.cap.Cents(); s.cap > 0 && room-len(right+spent+limit) >= leastDetail {
			spent += limit
		}
		if room-len(right+spent) >= leastDetail/2 { // where there is no room for both, what happens is worth more than its price
			right += spent
		}
	}
	return fmt.Sprintf("%s %s %s   %s", mark, name, fit(Clean(detail), max(leastDetail/2, room-len(right))), right)
}

// heart says what runs, in one line, where it cannot be redrawn and nothing has been said for a while.
func (s *Sink) heart(at time.Time) {
	if s.o.TTY || len(s.running) == 0 || s.attempt.IsZero() {
		return
	}
	if s.spoke.IsZero() {
		s.spoke = at
	}
	wait := heartAfter
	if s.beats > 0 {
		wait = heartEvery
	}
	if at.Sub(s.spoke) < wait {
		return
	}
	var names, details []string
	for _, st := range s.running {
		names = append(names, st.name)
		if st.detail != "" {
			details = append(details, st.detail)
		}
	}
	beats := s.beats + 1
	s.line("%s", s.row("●", strings.Join(names, ", "), strings.Join(append(details, s.expected(at)), "; "), s.since(at)))
	s.beats, s.spoke = beats, at
}

// expected words the expected end, by the clock that the rows show.
func (s *Sink) expected(at time.Time) string {
	switch {
	case s.ready.IsZero():
		return "no end is expected yet"
	case at.After(s.ready):
		return "expected ready at " + clock(s.since(s.ready)) + ", late by " + clock(at.Sub(s.ready))
	default:
		return "expected ready at " + clock(s.since(s.ready))
	}
}

// erase removes the status lines from the terminal.
func (s *Sink) erase() {
	if s.drew > 0 {
		s.write(strings.Repeat("\x1b[1A\x1b[2K", s.drew) + "\r")
		s.drew = 0
	}
}

// draw puts the running steps back below the finished ones.
func (s *Sink) draw(at time.Time) {
	if !s.o.TTY {
		return
	}
	if s.price != nil && len(s.running) > 0 && !s.attempt.IsZero() {
		// Between the runner's own figures the bill moves on at the known price.
		if est := s.price.For(at.Sub(s.attempt)); est > s.spent {
			s.spent = est
		}
	}
	for _, st := range s.running {
		s.write(cut(s.row("●", st.name, st.detail, s.since(at)), s.o.Width-1) + "\n") // a line that wraps is two to erase
		s.drew++
	}
	if len(s.running) > 0 && !s.ready.IsZero() {
		s.write(s.dim(cut("  "+s.expected(at), s.o.Width-1)) + "\n")
		s.drew++
	}
}

func (s *Sink) money(spent, limit money.USD) {
	if spent > s.spent {
		s.spent = spent
	}
	if limit > 0 {
		s.cap = limit
	}
}

func (s *Sink) since(at time.Time) time.Duration {
	if s.attempt.IsZero() {
		return 0
	}
	return at.Sub(s.attempt)
}

func (s *Sink) find(name string) *step {
	for _, st := range s.running {
		if st.name == name {
			return st
		}
	}
	return nil
}

func (s *Sink) drop(name string) {
	for i, st := range s.running {
		if st.name == name {
			s.running = append(s.running[:i:i], s.running[i+1:]...)
			return
		}
	}
}

// line prints one line; on a terminal that is too narrow for it, as several.
func (s *Sink) line(format string, args ...any) {
	t := fmt.Sprintf(format, args...)
	if s.narrow {
		t = Hang(t, s.o.Width)
	}
	s.whole("%s", t)
}

// whole prints a line as it is, to be pasted or since a program wrote it: a terminal's own wrapping copies as one line.
func (s *Sink) whole(format string, args ...any) {
	s.write(fmt.Sprintf(format, args...) + "\n")
	if !s.now.IsZero() {
		s.spoke, s.beats = s.now, 0
	}
}

func (s *Sink) write(t string) { s.unsent.WriteString(t) }

// flush sends what was written since the last one at once, so that no terminal shows the screen between erasing and drawing.
func (s *Sink) flush() {
	if s.unsent.Len() == 0 {
		return
	}
	if _, err := s.unsent.WriteTo(s.w); err != nil && s.err == nil {
		s.err = err
	}
	s.unsent.Reset()
}
