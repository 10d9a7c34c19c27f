package cli

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"justright/internal/store"
	"justright/problem"
)

// sharedJournal is the address of a journal that controllers on several machines share; empty when it is this machine's own file.
func (w *World) sharedJournal() string { return strings.TrimSpace(w.Env("JUSTRIGHT_JOURNAL")) }

// here tells this machine from another that shares the journal: what runs on one of them can be denied there alone.
func (w *World) here() string {
	if w.sharedJournal() == "" {
		return ""
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return "@" + host
}

// openShared opens the journal in PostgreSQL. The keys of launches stay with the machine that made them.
func (w *World) openShared(ctx context.Context, address string) (*store.Journal, error) {
	if !strings.HasPrefix(address, "postgres://") && !strings.HasPrefix(address, "postgresql://") {
		return nil, problem.New(problem.ExitUsage, "journal", "JUSTRIGHT_JOURNAL is no address of a journal").
			Because("it begins with postgres://").Try("for example", "export JUSTRIGHT_JOURNAL=postgres://user@host/database")
	}
	s, err := store.OpenPostgres(ctx, address)
	if err != nil {
		return nil, journalProblem(err)
	}
	if w.screen != nil {
		s.Clean(w.screen.text, w.screen.said)
	}
	return s, nil
}

// journalProblem words why the journal in PostgreSQL cannot be had.
func journalProblem(err error) error {
	why := strings.Join(strings.Fields(err.Error()), " ")
	var pg *pgconn.PgError
	var parse *pgconn.ParseConfigError
	switch {
	case errors.As(err, &parse):
		return problem.New(problem.ExitUsage, "journal", "JUSTRIGHT_JOURNAL cannot be read").Because("%s", why).
			Try("for example", "export JUSTRIGHT_JOURNAL=postgres://user@host/database")
	case errors.As(err, &pg) && (strings.HasPrefix(pg.Code, "28") || pg.Code == "42501"): // who it is; what it may
		return problem.New(problem.ExitCredentials, "journal", "PostgreSQL refuses the user of JUSTRIGHT_JOURNAL").Because("%s", why).
			Try("a password may stand in ~/.pgpass or PGPASSWORD instead of the address", "")
	case errors.As(err, &pg) && pg.Code == "3D000":
		return problem.New(problem.ExitUsage, "journal", "the database of JUSTRIGHT_JOURNAL is not there").Because("%s", why).Try("make it", "createdb NAME")
	}
	return problem.New(problem.ExitCapacity, "journal", "the journal in PostgreSQL cannot be opened").Because("%s", why).
		Try("see whether the server answers", "pg_isready -h HOST -p PORT")
}
