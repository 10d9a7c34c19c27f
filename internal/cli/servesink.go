package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"justright/internal/ui/text"
	"justright/money"
	"justright/report"
)

// outlook is what a wake is at.
type outlook struct {
	began  time.Time
	doing  string
	expect time.Duration
	spent  money.USD
	limit  money.USD
}

// sink shows what a launch does, and keeps what those who wait are told.
func (s *server) sink(model, task string) report.Sink { return serveSink{s, model, task} }

type serveSink struct {
	s           *server
	model, task string
}

// Emit takes one event of a launch.
func (k serveSink) Emit(e report.Event) error {
	s := k.s
	s.mu.Lock()
	if o, ok := s.outlooks[k.model]; ok {
		o.note(e)
		s.outlooks[k.model] = o
	}
	s.mu.Unlock()
	if e.State != nil {
		nudge(s.poke)
	}
	if s.asJSON {
		return s.jsonEvent(k.model, e)
	}
	if line := eventLine(e); line != "" {
		s.say("%s: %s", k.model, s.clean(line))
	}
	return nil
}

// note keeps what an event says about how a wake stands.
func (o *outlook) note(e report.Event) {
	switch {
	case e.Plan != nil:
		o.doing, o.expect = e.Plan.Summary, time.Duration(e.Plan.ReadySeconds[1])*time.Second
	case e.State != nil:
		o.doing, o.spent, o.limit = e.State.State, e.State.Spent, e.State.Cap
	case e.Phase != nil && e.Phase.Status == "start":
		o.doing = e.Phase.Name
	case e.Progress != nil && e.Progress.Total > 0:
		o.doing = fmt.Sprintf("%s %d%%", e.Progress.Phase, e.Progress.Done*100/e.Progress.Total)
	case e.Finding != nil:
		o.doing = "failed by " + e.Finding.Cause + ", " + e.Finding.Next
	}
}

// eventLine is an event in words; empty for what only clutters a gateway's log.
func eventLine(e report.Event) string {
	switch {
	case e.Plan != nil:
		price := "?"
		if e.Plan.PricePerHour != nil {
			price = e.Plan.PricePerHour.Cents()
		}
		return fmt.Sprintf("attempt %d: %s at $%s/h, ready in %s", e.Plan.Attempt, e.Plan.Summary, price, text.Interval(e.Plan.ReadySeconds))
	case e.State != nil:
		return strings.TrimSpace(fmt.Sprintf("%s %s %s ($%s)", e.State.State, e.State.ID, e.State.Detail, e.State.Spent.Cents()))
	case e.Phase != nil && e.Phase.Status != "start":
		return fmt.Sprintf("%s %s after %.0f s", e.Phase.Name, e.Phase.Status, e.Phase.Seconds)
	case e.Finding != nil:
		return fmt.Sprintf("failed by %s; %s", e.Finding.Cause, e.Finding.Next)
	case e.Attempt != nil:
		return fmt.Sprintf("machine %s: %s, %.0f s, $%s", e.Attempt.ID, e.Attempt.Cause, e.Attempt.Seconds, e.Attempt.Cost.Cents())
	case e.Note != nil && e.Note.Level == "warning":
		return e.Note.Text
	}
	return ""
}

// jsonEvent prints an event of a launch with its model beside it.
func (s *server) jsonEvent(model string, e report.Event) error {
	if e.Log != nil || e.Progress != nil {
		return nil
	}
	if e.At.IsZero() {
		e.At = s.w.Now()
	}
	doc, err := json.Marshal(e)
	if err != nil {
		return err
	}
	var flat map[string]json.RawMessage
	if err := json.Unmarshal(doc, &flat); err != nil {
		return err
	}
	if flat["model"], err = json.Marshal(model); err != nil {
		return err
	}
	return s.line(flat)
}
