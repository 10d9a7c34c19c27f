package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"justright/catalog"
	"justright/launch"
)

// Answered notes which machine came of an intent.
func (s *Journal) Answered(ctx context.Context, attempt string, in launch.Instance, at time.Time) error {
	doc, err := json.Marshal(in)
	if err != nil {
		return err
	}
	_, err = s.exec(ctx, s.db, "INSERT INTO answers (attempt, pod, instance, at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
		attempt, in.ID, s.cleaned(doc), at.UnixNano())
	return err
}

// Answers lists the machines noted for an intent.
func (s *Journal) Answers(ctx context.Context, attempt string) ([]launch.Instance, error) {
	rows, err := s.rows(ctx, "SELECT instance FROM answers WHERE attempt = ? ORDER BY at, pod", attempt)
	return collect(rows, err, scanJSON[launch.Instance])
}

func scanJSON[T any](r scanner) (T, error) {
	var v T
	var doc string
	if err := r.Scan(&doc); err != nil {
		return v, err
	}
	return v, json.Unmarshal([]byte(doc), &v)
}

// AppendLog adds lines.
func (s *Journal) AppendLog(ctx context.Context, attempt string, lines []launch.LogLine) error {
	if len(lines) == 0 {
		return nil
	}
	return s.tx(ctx, "log "+attempt, func(tx *sql.Tx) error {
		st, err := tx.PrepareContext(ctx, s.dialect.bind("INSERT INTO logs (attempt, mark, at, source, line) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"))
		if err != nil {
			return err
		}
		defer func() { _ = st.Close() }()
		for _, l := range lines {
			if s.cleanLine != nil {
				l.Text = s.cleanLine(l.Text)
			}
			if _, err := st.ExecContext(ctx, attempt, l.ID, unixNano(l.At), l.Source, s.dialect.storable(l.Text)); err != nil {
				return err
			}
		}
		return nil
	})
}

func unixNano(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// LogMark is the mark of the last stored line.
func (s *Journal) LogMark(ctx context.Context, attempt string) (string, error) {
	var mark string
	err := s.row(ctx, s.db, "SELECT mark FROM logs WHERE attempt = ? AND mark <> '' ORDER BY n DESC LIMIT 1", attempt).Scan(&mark)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return mark, err
}

// Log returns lines.
func (s *Journal) Log(ctx context.Context, attempt string, after int64, limit int) ([]LogLine, error) {
	rows, err := s.rows(ctx, "SELECT n, mark, at, source, line FROM logs WHERE attempt = ? AND n > ? ORDER BY n LIMIT ?", attempt, after, limit)
	return collect(rows, err, func(r scanner) (LogLine, error) {
		var l LogLine
		var at int64
		err := r.Scan(&l.N, &l.ID, &at, &l.Source, &l.Text)
		if at != 0 {
			l.At = time.Unix(0, at).UTC()
		}
		return l, err
	})
}

// AppendEvent adds one event.
func (s *Journal) AppendEvent(ctx context.Context, task string, at time.Time, event []byte) error {
	return s.Note(ctx, task, Notes{Events: []EventLine{{At: at, JSON: event}}}) // serial, so that a reader who goes on after the last one misses none
}

// Events returns events.
func (s *Journal) Events(ctx context.Context, task string, after int64, limit int) ([]EventLine, error) {
	rows, err := s.rows(ctx, "SELECT n, at, event FROM events WHERE task = ? AND n > ? ORDER BY n LIMIT ?", task, after, limit)
	return collect(rows, err, func(r scanner) (EventLine, error) {
		var e EventLine
		var at int64
		var doc string
		err := r.Scan(&e.N, &at, &doc)
		e.At, e.JSON = time.Unix(0, at).UTC(), []byte(doc)
		return e, err
	})
}

// RecordCost records a cost.
func (s *Journal) RecordCost(ctx context.Context, c Cost) error {
	_, err := s.exec(ctx, s.db, `INSERT INTO costs (attempt, task, n, pod, seconds, cost, cause, estimate)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (attempt) DO UPDATE SET task = excluded.task, n = excluded.n, pod = excluded.pod,
		seconds = excluded.seconds, cost = excluded.cost, cause = excluded.cause, estimate = excluded.estimate`, c.Attempt, c.Task, c.N, c.PodID, c.Seconds, int64(c.Cost), c.Cause, c.Estimate)
	return err
}

// Costs lists the costs of a task.
func (s *Journal) Costs(ctx context.Context, task string) ([]Cost, error) {
	rows, err := s.rows(ctx, "SELECT attempt, task, n, pod, seconds, cost, cause, estimate FROM costs WHERE task = ? ORDER BY n, attempt", task)
	return collect(rows, err, func(r scanner) (Cost, error) {
		var c Cost
		return c, r.Scan(&c.Attempt, &c.Task, &c.N, &c.PodID, &c.Seconds, &c.Cost, &c.Cause, &c.Estimate)
	})
}

// SaveProof keeps a proof.
func (s *Journal) SaveProof(ctx context.Context, task string, at time.Time, doc []byte) error {
	_, err := s.exec(ctx, s.db, "INSERT INTO proofs (task, at, doc) VALUES (?, ?, ?) ON CONFLICT (task) DO UPDATE SET at = excluded.at, doc = excluded.doc", task, at.UnixNano(), s.cleaned(doc))
	return err
}

// Proof returns the proof of a task.
func (s *Journal) Proof(ctx context.Context, task string) ([]byte, error) {
	var doc string
	err := s.row(ctx, s.db, "SELECT doc FROM proofs WHERE task = ?", task).Scan(&doc)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	return []byte(doc), err
}

// Teach records a lesson.
func (s *Journal) Teach(ctx context.Context, l catalog.Lesson) error {
	doc, err := json.Marshal(l)
	if err != nil {
		return err
	}
	_, err = s.exec(ctx, s.db, `INSERT INTO lessons (id, n, expires, lesson) VALUES (?, (SELECT coalesce(max(n), 0) + 1 FROM lessons), ?, ?)
		ON CONFLICT (id) DO UPDATE SET expires = excluded.expires, lesson = excluded.lesson`, l.ID, l.Expires, s.cleaned(doc))
	return err
}

// Lessons lists the lessons that count now.
func (s *Journal) Lessons(ctx context.Context, now time.Time) ([]catalog.Lesson, error) {
	rows, err := s.rows(ctx, "SELECT lesson FROM lessons ORDER BY n")
	all, err := collect(rows, err, scanJSON[catalog.Lesson])
	return unexpired(all, now), err
}

// unexpired keeps the lessons whose end, a date or a time, is not past; a lesson without one never ends.
func unexpired(all []catalog.Lesson, now time.Time) []catalog.Lesson {
	var out []catalog.Lesson
	for _, l := range all {
		end, err := time.Parse(time.RFC3339, l.Expires)
		if err != nil {
			if end, err = time.Parse(time.DateOnly, l.Expires); err == nil {
				end = end.AddDate(0, 0, 1)
			}
		}
		if l.Expires == "" || err == nil && now.Before(end) {
			out = append(out, l)
		}
	}
	return out
}

// Forget removes a lesson.
func (s *Journal) Forget(ctx context.Context, id string) error {
	return oneRow(s.exec(ctx, s.db, "DELETE FROM lessons WHERE id = ?", id))
}

// Setting reads a remembered word.
func (s *Journal) Setting(ctx context.Context, key string) (string, error) {
	var v string
	err := s.row(ctx, s.db, "SELECT value FROM journal WHERE key = ?", key).Scan(&v)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return v, err
}

// SetSetting remembers a word.
func (s *Journal) SetSetting(ctx context.Context, key, value string) error {
	_, err := s.exec(ctx, s.db, "INSERT INTO journal (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", key, s.cleaned([]byte(value)))
	return err
}
