package runner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"justright/internal/store"
	"justright/launch"
	"justright/report"
)

// abandonFor is how long a run that cannot go on waits for the answer of a create that is on its way.
const abandonFor = 60 * time.Second

// unwritable reports whether the run broke off because the journal took no more steps, such as on a full disk: nobody else
// has the task then, and nobody is told what is left of it.
func (d *driver) unwritable() bool {
	return d.err != nil && d.ctx.Err() == nil && !errors.Is(d.err, errKilled) && !errors.Is(d.err, store.ErrLost) && !errors.Is(d.err, store.ErrMoved)
}

// abandon deletes the machines that would bill with nobody awake, since no guard in them has reported. It is the same that Ctrl-C
// does before a guard is armed, without the proof: the journal still has the intent, so that down and gc ask on. One that is armed
// ends itself.
func (d *driver) abandon() {
	if _, planned := d.unsaved.(launch.Planned); d.unsaved != nil && !planned { // an intent that was not written is none
		d.state, _ = launch.Next(d.state, d.unsaved)
	}
	wait := time.NewTimer(abandonFor)
	defer wait.Stop()
	for d.creating() {
		select {
		case a := <-d.events:
			switch e := a.event.(type) {
			case launch.Created, launch.CreateFailed:
				d.state, _ = launch.Next(d.state, e)
			}
		case <-wait.C:
			return
		}
	}
	for _, a := range d.state.Attempts {
		if !a.Phase.Billing() || a.PodID == "" || a.PodID == d.cfg.Self || a.Armed || a.Hourly() == 0 {
			continue
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(d.ctx), callFor)
		text := fmt.Sprintf("machine %s was deleted: the journal takes no more steps, and its guard had not reported", a.PodID)
		if err := d.cfg.Provider.Delete(ctx, a.PodID); err != nil {
			text = fmt.Sprintf("machine %s could not be deleted, and its guard had not reported: %s", a.PodID, err)
		}
		cancel()
		if d.cfg.Sink != nil {
			_ = d.cfg.Sink.Emit(report.Event{At: d.cfg.Now(), Note: &report.Note{Level: "warning", Text: text}})
		}
	}
}

// creating reports whether a create is on its way.
func (d *driver) creating() bool {
	for _, a := range d.state.Attempts {
		if a.Phase == launch.Intended && a.Busy == "create" {
			return true
		}
	}
	return false
}
