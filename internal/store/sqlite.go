package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite" // also the driver "sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"justright/launch"
)

//go:embed migrations/*.sql
var migrations embed.FS

// schemaVersion is the newest migration. A journal that is at it already is opened without asking goose.
const schemaVersion = 1

// SQLite is the journal in one file, for one machine and any number of processes.
type SQLite struct {
	db  *sql.DB
	dir string

	clean, cleanLine func(string) string // nil: stored as it is
}

// FileName is the journal's file in its directory.
const FileName = "journal.db"

// OpenSQLite opens the journal in dir, and makes both when they are not there. The owner id stands in a file of its
// own beside it, so that machines are still known as ours when the journal is lost.
func OpenSQLite(ctx context.Context, dir string) (*SQLite, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("journal directory: %w", err)
	}
	path := filepath.Join(dir, FileName)
	// WAL needs a busy timeout and immediate transactions: with deferred ones the upgrade from reading to writing
	// fails at once when another process writes (measured: 350 of 400, dependencies.md).
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
	}}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	_ = f.Close()
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	s := &SQLite{db: db, dir: dir}
	if err := s.migrate(ctx); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("journal %s: %w", path, err)
	}
	return s, nil
}

// Full reports whether an error is that the journal's disk has no room.
func Full(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_FULL || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

func (s *SQLite) migrate(ctx context.Context) error {
	var v int
	if err := s.db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&v); err != nil {
		return err
	}
	switch {
	case v == schemaVersion:
		return nil
	case v > schemaVersion:
		return fmt.Errorf("it was written by a newer justright (schema %d, this one knows %d)", v, schemaVersion)
	}
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	// Two processes may open a new journal at once: the second waits here until the first is done.
	unlock, err := LockFile(filepath.Join(s.dir, "journal.lock"))
	if err != nil {
		return err
	}
	defer unlock()
	p, err := goose.NewProvider(goose.DialectSQLite3, s.db, sub)
	if err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		return err
	}
	_, err = s.db.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", schemaVersion))
	return err
}

// Close closes the file.
func (s *SQLite) Close() error { return s.db.Close() }

// Owner reads the owner id, or makes it. The file wins over the journal, so that either may be lost.
func (s *SQLite) Owner(ctx context.Context) (string, error) {
	path := filepath.Join(s.dir, "owner")
	if b, err := os.ReadFile(path); err == nil {
		if id := strings.TrimSpace(string(b)); isID(id) {
			return id, s.SetSetting(ctx, "owner", id)
		}
	}
	var id string
	err := s.tx(ctx, func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, "SELECT value FROM journal WHERE key = 'owner'").Scan(&id)
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		id = newID()
		_, err = tx.ExecContext(ctx, "INSERT INTO journal (key, value) VALUES ('owner', ?)", id)
		return err
	})
	if err != nil {
		return "", err
	}
	return id, os.WriteFile(path, []byte(id+"\n"), 0o600)
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

func (s *SQLite) tx(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		_ = tx.Rollback()
		return err
	}
	return tx.Commit()
}

func overInt(s launch.State) int {
	if s.Over() {
		return 1
	}
	return 0
}

// Begin records a new task.
func (s *SQLite) Begin(ctx context.Context, st launch.State) error {
	return s.begin(ctx, st, func(*sql.Tx) error { return nil })
}

// BeginAlone records a new task of a model that does not run on its target.
func (s *SQLite) BeginAlone(ctx context.Context, st launch.State) error {
	return s.begin(ctx, st, func(tx *sql.Tx) error {
		var id string
		err := tx.QueryRowContext(ctx, `SELECT id FROM tasks WHERE is_over = 0 AND wanted <> 'gone' AND json_extract(state, '$.model') = ?
			AND json_extract(state, '$.target') = ? ORDER BY created_at, id LIMIT 1`, st.Model, st.Target).Scan(&id)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return nil
		case err != nil:
			return err
		}
		return &RunningError{id}
	})
}

func (s *SQLite) begin(ctx context.Context, st launch.State, may func(*sql.Tx) error) error {
	doc, err := json.Marshal(st)
	if err != nil {
		return err
	}
	return s.tx(ctx, func(tx *sql.Tx) error {
		if err := may(tx); err != nil {
			return err
		}
		var n int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM tasks WHERE name = ? AND is_over = 0", st.Name).Scan(&n); err != nil {
			return err
		}
		if n > 0 {
			return ErrExists
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO tasks (id, name, state, version, wanted, wanted_why, is_over, created_at, updated_at)
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
func (s *SQLite) Task(ctx context.Context, id string) (Task, error) {
	return scanTask(s.db.QueryRowContext(ctx, "SELECT "+taskColumns+" FROM tasks WHERE id = ?", id))
}

// Tasks lists all tasks.
func (s *SQLite) Tasks(ctx context.Context) ([]Task, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT "+taskColumns+" FROM tasks ORDER BY created_at, id")
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
func (s *SQLite) Commit(ctx context.Context, st Step) ([]int64, error) {
	doc, err := json.Marshal(st.State)
	if err != nil {
		return nil, err
	}
	var ids []int64
	err = s.tx(ctx, func(tx *sql.Tx) error {
		ids = ids[:0]
		if err := holds(ctx, tx, st.Lease); err != nil {
			return err
		}
		var version int64
		var wanted, why string
		err := tx.QueryRowContext(ctx, "SELECT version, wanted, wanted_why FROM tasks WHERE id = ?", st.State.ID).Scan(&version, &wanted, &why)
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
		if _, err := tx.ExecContext(ctx, `UPDATE tasks SET state = ?, version = version + 1, wanted = ?, wanted_why = ?, is_over = ?,
			updated_at = ? WHERE id = ?`, s.cleaned(doc), wanted, why, overInt(st.State), st.At.UnixNano(), st.State.ID); err != nil {
			return err
		}
		for _, e := range st.Effects {
			r, err := tx.ExecContext(ctx, "INSERT INTO effects (task, attempt, kind, at) VALUES (?, ?, ?, ?)",
				st.State.ID, e.Subject(), e.Kind(), st.At.UnixNano())
			if err != nil {
				return err
			}
			id, err := r.LastInsertId()
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return nil
	})
	return ids, err
}

func holds(ctx context.Context, tx *sql.Tx, l Lease) error {
	var token, until int64
	err := tx.QueryRowContext(ctx, "SELECT token, until FROM leases WHERE task = ?", l.Task).Scan(&token, &until)
	if errors.Is(err, sql.ErrNoRows) || err == nil && (token != l.Token || until == 0) {
		return ErrLost
	}
	return err
}

// Done records the end of an effect.
func (s *SQLite) Done(ctx context.Context, effect int64, outcome string, at time.Time) error {
	_, err := s.db.ExecContext(ctx, "UPDATE effects SET done_at = ?, outcome = ? WHERE id = ?", at.UnixNano(), s.cleaned([]byte(outcome)), effect)
	return err
}

// Effects lists the effects of a task.
func (s *SQLite) Effects(ctx context.Context, task string) ([]Effect, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT id, task, attempt, kind, at, done_at, outcome FROM effects WHERE task = ? ORDER BY id", task)
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
func (s *SQLite) WantGone(ctx context.Context, task, why string) error {
	r, err := s.db.ExecContext(ctx, `UPDATE tasks SET wanted = 'gone', wanted_why = CASE wanted WHEN 'gone' THEN wanted_why ELSE ? END
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
