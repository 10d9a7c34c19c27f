package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite" // also the driver "sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

//go:embed migrations
var migrations embed.FS

// schemaVersion is the newest migration, of every dialect. A journal that is at it already is opened without asking goose.
const schemaVersion = 1

// sqliteDialect is a file for one machine and any number of processes, of which one writes at a time.
type sqliteDialect struct{ dir string }

// FileName is the journal's file in its directory.
const FileName = "journal.db"

// OpenSQLite opens the journal in dir, and makes both when they are not there. The owner id stands in a file of its
// own beside it, so that machines are still known as ours when the journal is lost.
func OpenSQLite(ctx context.Context, dir string) (*Journal, error) {
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
	s := &Journal{db: db, dialect: sqliteDialect{dir}}
	if err := migrateSQLite(ctx, db, dir); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("journal %s: %w", path, err)
	}
	return s, nil
}

func (sqliteDialect) full(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_FULL
}

func (sqliteDialect) bind(query string) string { return query }

// forUpdate: a transaction is immediate, so that nobody else writes beside it.
func (sqliteDialect) forUpdate() string { return "" }

func (sqliteDialect) serialize(context.Context, *sql.Tx, string) error { return nil }

func (sqliteDialect) storable(text string) string { return text }

// migrateSQLite makes the first connection, and brings the schema up to date. Two processes may open a new journal at once: the
// second waits here until the first is done, since the change to WAL that the first connection makes fails at once, whatever the
// busy timeout, while another one makes it.
func migrateSQLite(ctx context.Context, db *sql.DB, dir string) error {
	unlock, err := LockFile(filepath.Join(dir, "journal.lock"))
	if err != nil {
		return err
	}
	defer unlock()
	var v int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&v); err != nil {
		return err
	}
	switch {
	case v == schemaVersion:
		return nil
	case v > schemaVersion:
		return fmt.Errorf("it was written by a newer justright (schema %d, this one knows %d)", v, schemaVersion)
	}
	sub, err := fs.Sub(migrations, "migrations/sqlite")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, sub)
	if err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", schemaVersion))
	return err
}

// owner: the file wins over the journal, so that either may be lost.
func (d sqliteDialect) owner(ctx context.Context, s *Journal) (string, error) {
	path := filepath.Join(d.dir, "owner")
	if b, err := os.ReadFile(path); err == nil {
		if id := strings.TrimSpace(string(b)); isID(id) {
			return id, s.SetSetting(ctx, "owner", id)
		}
	}
	id, err := s.ownerInside(ctx)
	if err != nil {
		return "", err
	}
	return id, os.WriteFile(path, []byte(id+"\n"), 0o600)
}
