package local

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"justright/launch"
)

// maxLine bounds one log line; a longer one is handed on in pieces.
const maxLine = 1 << 20

// Logs follows the instance's log file. The mark of a line is the offset behind it, so resuming is exact. A line is
// dated when it is first seen: the file holds no times of its own.
func (p *Provider) Logs(ctx context.Context, id, after string, f func(launch.LogLine) error) error {
	if err := ctx.Err(); err != nil {
		return fail("logs", launch.FailTemporary, err)
	}
	at := int64(0)
	if after != "" {
		n, err := strconv.ParseInt(after, 10, 64)
		if err != nil || n < 0 {
			return fail("logs", launch.FailRejected, errors.New("mark "+strconv.Quote(after)+" is none of ours"))
		}
		at = n
	}
	file, err := os.Open(filepath.Join(p.dir(id), "log"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fail("logs", launch.FailUnknown, err)
	}
	defer file.Close()
	buf := make([]byte, 0, 64<<10)
	for {
		// Asked before the read: what was written before the end is then surely read after it.
		ended := p.status(id) == launch.Gone
		n, err := p.drain(file, &at, &buf, ended, f)
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

// drain hands on the whole lines that are there now, and at the end the last one without its newline too. It
// returns how many bytes it took.
func (p *Provider) drain(file *os.File, at *int64, buf *[]byte, ended bool, f func(launch.LogLine) error) (int, error) {
	taken := 0
	for {
		chunk := make([]byte, 64<<10)
		n, err := file.ReadAt(chunk, *at+int64(len(*buf)))
		if err != nil && !errors.Is(err, io.EOF) {
			return taken, fail("logs", launch.FailUnknown, err)
		}
		*buf = append(*buf, chunk[:n]...)
		taken += n
		for {
			i := bytes.IndexByte(*buf, '\n')
			skip := 1
			if i < 0 {
				if len(*buf) < maxLine && !(ended && n == 0 && len(*buf) > 0) {
					break
				}
				i, skip = len(*buf), 0
			}
			*at += int64(i + skip)
			line := launch.LogLine{ID: strconv.FormatInt(*at, 10), At: p.c.Now(), Source: "container",
				Text: string(bytes.TrimRight((*buf)[:i], "\r"))}
			*buf = append((*buf)[:0], (*buf)[i+skip:]...)
			if err := f(line); err != nil {
				return taken, err
			}
		}
		if n == 0 {
			return taken, nil
		}
	}
}
