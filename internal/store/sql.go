package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"syscall"
	"time"

	"justright/launch"
)

// Journal is the journal in a database that speaks SQL: one file for the processes of one machine (OpenSQLite), or PostgreSQL for
// controllers on several (OpenPostgres). The statements are the same; what is not stands in dialect.
type Journal struct {
	db      *sql.DB
	dialect dialect

	clean, cleanLine func(string) string // nil: stored as it is
}

// dialect is where two databases differ.
type dialect interface {
	// bind spells the parameters of a statement, which are written as ?.
	bind(query string) string
	// forUpdate ends a query whose row must not change before the transaction ends.
	forUpdate() string
	// serialize makes transactions about one subject come one after the other.
	serialize(ctx context.Context, tx *sql.Tx, subject string) error
	// storable takes out of a text what the database cannot hold.
	storable(text string) string
	// owner reads the owner id, or makes it.
	owner(ctx context.Context, j *Journal) (string, error)
	// full reports whether an error is that there is no room left.
	full(err error) bool
}

// Close closes the database.
func (s *Journal) Close() error { return s.db.Close() }

// Full reports whether an error is that the journal has no room.
func Full(err error) bool {
	return sqliteDialect{}.full(err) || postgresDialect{}.full(err) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// Owner reads the owner id, or makes it.
func (s *Journal) Owner(ctx context.Context) (string, error) { return s.dialect.owner(ctx, s) }

// ownerInside is the owner id as the database has it; one is made where there is none.
func (s *Journal) ownerInside(ctx context.Context) (string, error) {
	var id string
	err := s.tx(ctx, "owner", func(tx *sql.Tx) error {
		err := s.row(ctx, tx, "SELECT value FROM journal WHERE key = 'owner'").Scan(&id)
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		id = newID()
		_, err = s.exec(ctx, tx, "INSERT INTO journal (key, value) VALUES ('owner', ?)", id)
		return err
	})
	return id, err
}

func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func isID(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 16
}

// tx runs f in a transaction that is serial with the others about its subject.
func (s *Journal) tx(ctx context.Context, subject string, f func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err = s.dialect.serialize(ctx, tx, subject); err == nil {
		err = f(tx)
	}
	if err != nil {
		_ = tx.Rollback()
		return err
	}
	return tx.Commit()
}

// runs is a database, or a transaction of one.
type runs interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func (s *Journal) exec(ctx context.Context, on runs, query string, args ...any) (sql.Result, error) {
	return on.ExecContext(ctx, s.dialect.bind(query), args...)
}

func (s *Journal) rows(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return s.db.QueryContext(ctx, s.dialect.bind(query), args...)
}

func (s *Journal) row(ctx context.Context, on runs, query string, args ...any) *sql.Row {
	return on.QueryRowContext(ctx, s.dialect.bind(query), args...)
}

func overInt(s launch.State) int {
	if s.Over() {
		return 1
	}
	return 0
}

// Begin records a new task.
func (s *Journal) Begin(ctx context.Context, st launch.State) error {
	return s.begin(ctx, st, func(*sql.Tx) error { return nil })
}

// BeginAlone records a new task of a model that does not run on its target.
func (s *Journal) BeginAlone(ctx context.Context, st launch.State) error {
	return s.begin(ctx, st, func(tx *sql.Tx) error {
		var id string
		err := s.row(ctx, tx, `SELECT id FROM tasks WHERE is_over = 0 AND wanted <> 'gone' AND state ->> 'model' = ?
			AND state ->> 'target' = ? ORDER BY created_at, id LIMIT 1`, st.Model, st.Target).Scan(&id)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return nil
		case err != nil:
			return err
		}
		return &RunningError{id}
	})
}

func (s *Journal) begin(ctx context.Context, st launch.State, may func(*sql.Tx) error) error {
	doc, err := json.Marshal(st)
	if err != nil {
		return err
	}
	return s.tx(ctx, "begin", func(tx *sql.Tx) error {
		if err := may(tx); err != nil {
			return err
		}
		var n int
		if err := s.row(ctx, tx, "SELECT count(*) FROM tasks WHERE name = ? AND is_over = 0", st.Name).Scan(&n); err != nil {
			return err
		}
		if n > 0 {
			return ErrExists
		}
		_, err := s.exec(ctx, tx, `INSERT INTO tasks (id, name, state, version, wanted, wanted_why, is_over, created_at, updated_at)
			VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?)`, st.ID, st.Name, s.cleaned(doc), string(st.Wanted), st.WantedWhy, overInt(st),
			st.Started.UnixNano(), st.Started.UnixNano())
		return err
	})
}

const taskColumns = "state, version, wanted, wanted_why, updated_at"

type scanner interface{ Scan(...any) error }

func scanTask(r scanner) (Task, error) {
	var t Task
	var doc string
	var updated int64
	if err := r.Scan(&doc, &t.Version, &t.Wanted, &t.WantedWhy, &updated); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			err = ErrNotFound
		}
		return t, err
	}
	t.Updated = time.Unix(0, updated).UTC()
	if err := json.Unmarshal([]byte(doc), &t.State); err != nil {
		return t, fmt.Errorf("task in the journal: %w", err)
	}
	return t, nil
}

// Task returns one task.
func (s *Journal) Task(ctx context.Context, id string) (Task, error) {
	return scanTask(s.row(ctx, s.db, "SELECT "+taskColumns+" FROM tasks WHERE id = ?", id))
}

// Tasks lists all tasks.
func (s *Journal) Tasks(ctx context.Context) ([]Task, error) {
	rows, err := s.rows(ctx, "SELECT "+taskColumns+" FROM tasks ORDER BY created_at, id")
	return collect(rows, err, scanTask)
}

func collect[T any](rows *sql.Rows, err error, scan func(scanner) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// Commit stores a step.
func (s *Journal) Commit(ctx context.Context, st Step) ([]int64, error) {
	doc, err := json.Marshal(st.State)
	if err != nil {
		return nil, err
	}
	var ids []int64
	err = s.tx(ctx, "task "+st.State.ID, func(tx *sql.Tx) error {
		ids = ids[:0]
		if err := s.holds(ctx, tx, st.Lease); err != nil {
			return err
		}
		var version int64
		var wanted, why string
		err := s.row(ctx, tx, "SELECT version, wanted, wanted_why FROM tasks WHERE id = ?"+s.dialect.forUpdate(), st.State.ID).Scan(&version, &wanted, &why)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return ErrNotFound
		case err != nil:
			return err
		case version != st.Version:
			return ErrMoved
		case wanted == string(launch.WantGone) && st.creates():
			return ErrGone
		}
		if st.State.Wanted == launch.WantGone && wanted != string(launch.WantGone) {
			wanted, why = string(launch.WantGone), st.State.WantedWhy
		}
		if _, err := s.exec(ctx, tx, `UPDATE tasks SET state = ?, version = version + 1, wanted = ?, wanted_why = ?, is_over = ?,
			updated_at = ? WHERE id = ?`, s.cleaned(doc), wanted, why, overInt(st.State), st.At.UnixNano(), st.State.ID); err != nil {
			return err
		}
		for _, e := range st.Effects {
			var id int64
			if err := s.row(ctx, tx, "INSERT INTO effects (task, attempt, kind, at) VALUES (?, ?, ?, ?) RETURNING id",
				st.State.ID, e.Subject(), e.Kind(), st.At.UnixNano()).Scan(&id); err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return s.note(ctx, tx, st.State.ID, st.Notes)
	})
	return ids, err
}

// Note stores notes.
func (s *Journal) Note(ctx context.Context, task string, n Notes) error {
	if n.Empty() {
		return nil
	}
	return s.tx(ctx, "task "+task, func(tx *sql.Tx) error { return s.note(ctx, tx, task, n) })
}

func (s *Journal) note(ctx context.Context, tx *sql.Tx, task string, n Notes) error {
	for _, e := range n.Events {
		if _, err := s.exec(ctx, tx, "INSERT INTO events (task, at, event) VALUES (?, ?, ?)", task, e.At.UnixNano(), s.cleaned(e.JSON)); err != nil {
			return err
		}
	}
	for _, d := range n.Done {
		if _, err := s.exec(ctx, tx, doneQuery, d.At.UnixNano(), s.cleaned([]byte(d.Outcome)), d.Effect); err != nil {
			return err
		}
	}
	return nil
}

const doneQuery = "UPDATE effects SET done_at = ?, outcome = ? WHERE id = ?"

func (s *Journal) holds(ctx context.Context, tx *sql.Tx, l Lease) error {
	var token, until int64
	err := s.row(ctx, tx, "SELECT token, until FROM leases WHERE task = ?"+s.dialect.forUpdate(), l.Task).Scan(&token, &until)
	if errors.Is(err, sql.ErrNoRows) || err == nil && (token != l.Token || until == 0) {
		return ErrLost
	}
	return err
}

// Done records the end of an effect.
func (s *Journal) Done(ctx context.Context, effect int64, outcome string, at time.Time) error {
	_, err := s.exec(ctx, s.db, doneQuery, at.UnixNano(), s.cleaned([]byte(outcome)), effect)
	return err
}

// Effects lists the effects of a task.
func (s *Journal) Effects(ctx context.Context, task string) ([]Effect, error) {
	rows, err := s.rows(ctx, "SELECT id, task, attempt, kind, at, done_at, outcome FROM effects WHERE task = ? ORDER BY id", task)
	return collect(rows, err, func(r scanner) (Effect, error) {
		var e Effect
		var at, done int64
		err := r.Scan(&e.ID, &e.Task, &e.Attempt, &e.Kind, &at, &done, &e.Outcome)
		e.At = time.Unix(0, at).UTC()
		if done != 0 {
			e.DoneAt = time.Unix(0, done).UTC()
		}
		return e, err
	})
}

// WantGone commits the wish.
func (s *Journal) WantGone(ctx context.Context, task, why string) error {
	r, err := s.exec(ctx, s.db, `UPDATE tasks SET wanted = 'gone', wanted_why = CASE wanted WHEN 'gone' THEN wanted_why ELSE ? END
		WHERE id = ?`, why, task)
	return oneRow(r, err)
}

func oneRow(r sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, ErrNotFound)
	}
	return nil
}
