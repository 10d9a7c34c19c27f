package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

// postgresDialect is a server for controllers on any number of machines.
type postgresDialect struct{}

// OpenPostgres opens the journal that an address like postgres://user@host/database leads to, and makes its tables when they are not
// there. A search_path in the address keeps several journals in one database apart. Errors never show the password.
func OpenPostgres(ctx context.Context, address string) (*Journal, error) {
	c, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 10 * time.Second
	}
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "justright"
	}
	// A controller that dies or loses its line in a transaction must not hold the others up.
	if c.RuntimeParams["idle_in_transaction_session_timeout"] == "" {
		c.RuntimeParams["idle_in_transaction_session_timeout"] = "30000"
	}
	db := stdlib.OpenDB(*c)
	db.SetMaxOpenConns(8)
	db.SetMaxIdleConns(4)
	db.SetConnMaxIdleTime(5 * time.Minute)
	s := &Journal{db: db, dialect: postgresDialect{}}
	if err := migratePostgres(ctx, db); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("journal in PostgreSQL: %w", err)
	}
	return s, nil
}

// migration is the number of the advisory lock under which tables are made.
const migration = 0x6a757374 // "just"

func migratePostgres(ctx context.Context, db *sql.DB) error {
	var v int64
	err := db.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied").Scan(&v)
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &pg) && pg.Code == "42P01": // no such table
	case err != nil:
		return err
	case v == schemaVersion:
		return nil
	case v > schemaVersion:
		return fmt.Errorf("it was written by a newer justright (schema %d, this one knows %d)", v, schemaVersion)
	}
	sub, err := fs.Sub(migrations, "migrations/postgres")
	if err != nil {
		return err
	}
	// Two controllers may open a new journal at once: the second waits here until the first is done. The lock is the connection's.
	c, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if _, err := c.ExecContext(ctx, "SELECT pg_advisory_lock($1)", migration); err != nil {
		return err
	}
	defer func() { _, _ = c.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", migration) }()
	p, err := goose.NewProvider(goose.DialectPostgres, db, sub)
	if err != nil {
		return err
	}
	_, err = p.Up(ctx)
	return err
}

func (postgresDialect) bind(query string) string {
	var b strings.Builder
	n := 0
	for part := range strings.SplitSeq(query, "?") {
		if n > 0 {
			b.WriteString("$" + strconv.Itoa(n))
		}
		b.WriteString(part)
		n++
	}
	return b.String()
}

func (postgresDialect) forUpdate() string { return " FOR UPDATE" }

func (postgresDialect) serialize(ctx context.Context, tx *sql.Tx, subject string) error {
	// In the schema's own name, since the numbers of such locks are the whole database's.
	_, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || ' justright ' || $1, 0))", subject)
	return err
}

// storable: PostgreSQL holds no NUL and nothing that is not UTF-8.
func (postgresDialect) storable(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

func (postgresDialect) full(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "53100"
}

// owner: all controllers of one journal are one owner.
func (postgresDialect) owner(ctx context.Context, j *Journal) (string, error) {
	return j.ownerInside(ctx)
}
