package runner

import (
	"context"
	"time"

	"justright/launch"
	"justright/report"
)

// follower follows one machine's logs: it stores the lines first and then reads them.
type follower struct {
	cancel context.CancelFunc
	ended  chan struct{}
	drain  chan chan struct{} // asks for an answer once the stream has been quiet
	seen   chan launch.Instance
}

func (f *follower) wait() {
	f.cancel()
	<-f.ended
}

// follow starts following. The machine's words so far are read again by the watch, so that a process that takes the
// task up knows what the first one knew.
func (d *driver) follow(id int64, e launch.Follow) {
	if old := d.follows[e.Attempt]; old != nil {
		old.cancel()
	}
	ctx, cancel := context.WithCancel(d.ctx)
	f := &follower{cancel: cancel, ended: make(chan struct{}), drain: make(chan chan struct{}, 1),
		seen: make(chan launch.Instance, 1)}
	d.follows[e.Attempt] = f
	watch := d.cfg.Watcher.Watch(d.attempt(e.Attempt), d.cfg.Now())
	lines := make(chan launch.LogLine, 256)
	go func() {
		defer close(lines)
		mark, err := d.cfg.Journal.LogMark(ctx, e.Attempt)
		if err != nil {
			return
		}
		_ = d.cfg.Provider.Logs(ctx, e.PodID, mark, func(l launch.LogLine) error {
			l.Text = d.clean(l.Text)
			select {
			case lines <- l:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	go func() {
		defer close(f.ended)
		d.reread(ctx, e.Attempt, watch)
		d.read(ctx, e.Attempt, watch, lines, f)
		d.send(ctx, done{effect: id, outcome: "ended", event: launch.Unfollowed{At: d.now(), Attempt: e.Attempt}})
	}()
}

// clean takes secrets out of what a machine says.
func (d *driver) clean(line string) string {
	if d.cfg.Clean == nil {
		return line
	}
	return d.cfg.Clean(line)
}

func (d *driver) send(ctx context.Context, a done) {
	select {
	case d.events <- a:
	case <-ctx.Done():
	}
}

// reread shows stored lines to a new watch, silently.
func (d *driver) reread(ctx context.Context, attempt string, w Watch) {
	for after := int64(0); ; {
		ls, err := d.cfg.Journal.Log(ctx, attempt, after, 1000)
		if err != nil || len(ls) == 0 {
			return
		}
		for _, l := range ls {
			d.signs(ctx, w.Line(l.LogLine), false)
			after = l.N
		}
	}
}

// read is the life of a follower.
func (d *driver) read(ctx context.Context, attempt string, w Watch, lines <-chan launch.LogLine, f *follower) {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	heard := false
	quiet := time.NewTimer(time.Hour)
	defer quiet.Stop()
	var waiting chan struct{}
	for {
		select {
		case l, ok := <-lines:
			if !ok {
				if waiting != nil {
					close(waiting)
				}
				return
			}
			batch, more := []launch.LogLine{l}, true
			for more && len(batch) < 256 {
				select {
				case l, ok := <-lines:
					if more = ok; ok {
						batch = append(batch, l)
					}
				default:
					more = false
				}
			}
			if err := d.cfg.Journal.AppendLog(ctx, attempt, batch); err != nil {
				return
			}
			for _, l := range batch {
				if l.Source == "container" && !heard {
					heard = true
					d.send(ctx, done{event: launch.Heard{At: d.now(), Attempt: attempt}})
				}
				d.send(ctx, done{report: &report.Event{At: l.At, Log: &report.Log{Source: l.Source, Line: l.Text}}})
				d.signs(ctx, w.Line(l), true)
			}
			if waiting != nil {
				quiet.Reset(quietFor)
			}
		case waiting = <-f.drain:
			quiet.Reset(quietFor)
		case <-quiet.C:
			if waiting != nil {
				close(waiting)
				waiting = nil
			}
		case in := <-f.seen:
			d.signs(ctx, w.Seen(in, d.cfg.Now()), true)
		case <-tick.C:
			d.signs(ctx, w.Tick(d.cfg.Now()), true)
		case <-ctx.Done():
			return
		}
	}
}

// signs passes on what a line means.
func (d *driver) signs(ctx context.Context, ss []Sign, aloud bool) {
	for _, s := range ss {
		if s.Event != nil {
			d.send(ctx, done{event: launch.Noticed(s.Event, d.now())})
		}
		if s.Report != nil && aloud {
			d.send(ctx, done{report: s.Report})
		}
	}
}

// saveLogs waits, not for long, until what the machine said is stored.
func (d *driver) saveLogs(id int64, e launch.SaveLogs) {
	f := d.follows[e.Attempt]
	d.call(id, e, func() (launch.Event, string) {
		ctx, cancel := context.WithTimeout(d.ctx, drainFor)
		defer cancel()
		outcome := "drained"
		if f != nil {
			ok := make(chan struct{})
			select {
			case f.drain <- ok:
				select {
				case <-ok:
				case <-f.ended:
				case <-ctx.Done():
					outcome = "out of time"
				}
			case <-f.ended:
			case <-ctx.Done():
				outcome = "out of time"
			}
			f.cancel()
		} else {
			outcome = d.fetchLogs(ctx, e)
		}
		return launch.LogsSaved{At: d.now(), Attempt: e.Attempt}, outcome
	})
}

// fetchLogs reads what there is of a machine that nobody follows. The stream stays open at its end, so silence ends it.
func (d *driver) fetchLogs(ctx context.Context, e launch.SaveLogs) string {
	mark, err := d.cfg.Journal.LogMark(ctx, e.Attempt)
	if err != nil {
		return err.Error()
	}
	quiet, cancel := context.WithCancel(ctx)
	defer cancel()
	idle := time.AfterFunc(2*quietFor, cancel)
	defer idle.Stop()
	var batch []launch.LogLine
	err = d.cfg.Provider.Logs(quiet, e.PodID, mark, func(l launch.LogLine) error {
		idle.Reset(quietFor)
		l.Text = d.clean(l.Text)
		if batch = append(batch, l); len(batch) < 256 {
			return nil
		}
		err := d.cfg.Journal.AppendLog(ctx, e.Attempt, batch)
		batch = nil
		return err
	})
	if serr := d.cfg.Journal.AppendLog(context.WithoutCancel(ctx), e.Attempt, batch); serr != nil {
		return serr.Error()
	}
	if err != nil && quiet.Err() == nil {
		return err.Error()
	}
	return "fetched"
}
