package local

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"justright/internal/provider/onhost"
	"justright/launch"
)

// Logs follows the instance's log file.
func (p *Provider) Logs(ctx context.Context, id, after string, f func(launch.LogLine) error) error {
	if err := ctx.Err(); err != nil {
		return fail("logs", launch.FailTemporary, err)
	}
	lines, err := onhost.NewLines(after, p.c.Now)
	if err != nil {
		return fail("logs", launch.FailRejected, err)
	}
	file, err := os.Open(filepath.Join(p.dir(id), "log"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fail("logs", launch.FailUnknown, err)
	}
	defer file.Close()
	for {
		// Asked before the read: what was written before the end is then surely read after it.
		ended := p.status(id) == launch.Gone
		n, err := drain(file, lines, ended, f)
		if err != nil {
			return err
		}
		if ended && n == 0 {
			return nil
		}
		if n > 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return fail("logs", launch.FailTemporary, ctx.Err())
		case <-time.After(150 * time.Millisecond):
		}
	}
}

// drain hands on the whole lines that are there now, and at the end the last one without its newline too. It returns how many bytes
// it took.
func drain(file *os.File, lines *onhost.Lines, ended bool, f func(launch.LogLine) error) (int, error) {
	taken := 0
	chunk := make([]byte, 64<<10)
	for {
		n, err := file.ReadAt(chunk, lines.Next())
		if err != nil && !errors.Is(err, io.EOF) {
			return taken, fail("logs", launch.FailUnknown, err)
		}
		taken += n
		if err := lines.Add(chunk[:n], ended && n == 0, f); err != nil {
			return taken, err
		}
		if n == 0 {
			return taken, nil
		}
	}
}
