package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Acquire takes a lease that is free, has run out, or belongs to a dead process.
func (s *Journal) Acquire(ctx context.Context, task string, h Holder, until, now time.Time, dead func(Holder) bool) (Lease, error) {
	return s.take(ctx, task, h, until, func(cur Holder, curUntil time.Time) error {
		if cur == h || !now.Before(curUntil) || dead != nil && dead(cur) {
			return nil
		}
		return &HeldError{cur, curUntil}
	})
}

// Steal takes a lease whoever holds it.
func (s *Journal) Steal(ctx context.Context, task string, h Holder, until time.Time) (Lease, error) {
	return s.take(ctx, task, h, until, func(Holder, time.Time) error { return nil })
}

func (s *Journal) take(ctx context.Context, task string, h Holder, until time.Time, may func(Holder, time.Time) error) (Lease, error) {
	l := Lease{Task: task, Token: 1}
	err := s.tx(ctx, "task "+task, func(tx *sql.Tx) error {
		cur, curUntil, token, err := leaseRow(s.row(ctx, tx, leaseQuery, task))
		switch {
		case errors.Is(err, ErrNotFound):
		case err != nil:
			return err
		default:
			if !curUntil.IsZero() {
				if err := may(cur, curUntil); err != nil {
					return err
				}
			}
			l.Token = token + 1
		}
		_, err = s.exec(ctx, tx, `INSERT INTO leases (task, token, host, pid, start, until) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (task) DO UPDATE SET token = excluded.token, host = excluded.host, pid = excluded.pid,
			start = excluded.start, until = excluded.until`, task, l.Token, h.Host, h.PID, h.Start, until.UnixNano())
		return err
	})
	return l, err
}

const leaseQuery = "SELECT host, pid, start, until, token FROM leases WHERE task = ?"

func leaseRow(r scanner) (h Holder, until time.Time, token int64, err error) {
	var ns int64
	err = r.Scan(&h.Host, &h.PID, &h.Start, &ns, &token)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	if ns != 0 {
		until = time.Unix(0, ns).UTC()
	}
	return h, until, token, err
}

// Renew moves the end of a lease.
func (s *Journal) Renew(ctx context.Context, l Lease, until time.Time) error {
	r, err := s.exec(ctx, s.db, "UPDATE leases SET until = ? WHERE task = ? AND token = ? AND until <> 0", until.UnixNano(), l.Task, l.Token)
	if err := oneRow(r, err); errors.Is(err, ErrNotFound) {
		return ErrLost
	} else if err != nil {
		return err
	}
	return nil
}

// Release gives a lease back.
func (s *Journal) Release(ctx context.Context, l Lease) error {
	_, err := s.exec(ctx, s.db, "UPDATE leases SET until = 0 WHERE task = ? AND token = ?", l.Task, l.Token)
	return err
}

// Leaseholder tells who holds a task.
func (s *Journal) Leaseholder(ctx context.Context, task string) (Holder, time.Time, error) {
	h, until, _, err := leaseRow(s.row(ctx, s.db, leaseQuery, task))
	if err == nil && until.IsZero() {
		return Holder{}, until, ErrNotFound
	}
	return h, until, err
}
