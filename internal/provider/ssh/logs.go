package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"justright/internal/provider"
	"justright/internal/provider/onhost"
	"justright/launch"
)

// Logs follows the instance's log file. A connection that is lost is made anew, and reading goes on at the byte it broke off at.
func (p *Provider) Logs(ctx context.Context, id, after string, f func(launch.LogLine) error) error {
	if err := ctx.Err(); err != nil {
		return fail("logs", launch.FailTemporary, err)
	}
	lines, err := onhost.NewLines(after, p.c.Now)
	if err != nil {
		return fail("logs", launch.FailRejected, err)
	}
	if !isID(id) {
		return nil
	}
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = time.Second, 20*time.Second
	var own ownError
	for {
		at := lines.Next()
		gone, err := p.follow(ctx, id, lines, f)
		switch {
		case gone:
			return lines.Add(nil, true, f)
		case ctx.Err() != nil:
			return fail("logs", launch.FailTemporary, ctx.Err())
		case errors.As(err, &own):
			return own.error
		case !isLost(err):
			return err
		case lines.Next() > at:
			wait.Reset()
		}
		select {
		case <-ctx.Done():
			return fail("logs", launch.FailTemporary, ctx.Err())
		case <-time.After(wait.NextBackOff()):
		}
	}
}

// isLost reports whether an error is a connection's: it may be better the next time.
func isLost(err error) bool { return provider.KindOf(err) == launch.FailTemporary }

// follow reads over one connection.
func (p *Provider) follow(ctx context.Context, id string, lines *onhost.Lines, f func(launch.LogLine) error) (gone bool, err error) {
	s, err := p.begin(ctx, "logs", "follow", map[string]string{"ID": id, "AT": strconv.FormatInt(lines.Next(), 10)}, "")
	if err != nil {
		return false, err
	}
	var a answer
	buf := make([]byte, 64<<10)
	for {
		l, err := s.line()
		if errors.Is(err, io.EOF) {
			s.close()
			return false, fail("logs", launch.FailTemporary, errors.New("the host stopped telling"))
		}
		if err != nil {
			return false, err
		}
		word, rest, _ := strings.Cut(l, " ")
		switch word {
		case "piece":
			n, err := strconv.Atoi(rest)
			if err != nil || n < 1 || n > len(buf) {
				s.close()
				return false, fail("logs", launch.FailTemporary, fmt.Errorf("a piece of %q bytes", rest))
			}
			n, cut := io.ReadFull(s.out, buf[:n])
			if err := lines.Add(buf[:n], false, f); err != nil {
				s.close()
				return false, ownError{err}
			}
			if cut != nil { // what came of it counts: a poor line must get on too
				return false, s.broken(cut)
			}
		case "gone":
			s.close()
			if !knows(a.host, id) {
				return false, fail("logs", launch.FailAuth, errElsewhere)
			}
			return true, nil
		case "tick":
		default:
			a.take(l)
		}
	}
}

// ownError is the error of who reads, which is no connection's whatever its kind.
type ownError struct{ error }
