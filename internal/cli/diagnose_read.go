package cli

import (
	"bufio"
	"compress/gzip"
	"errors"
	"io"

	"justright/diagnose"
)

// readLog feeds r with a log as it stands or as gzip has packed it, which log rotation does.
func readLog(r *diagnose.Reader, in io.Reader) error {
	plain := bufio.NewReader(in)
	head, err := plain.Peek(2)
	if err != nil || string(head) != "\x1f\x8b" {
		_, err = io.Copy(r, plain)
		return err
	}
	packed, err := gzip.NewReader(plain)
	if err != nil {
		return err
	}
	defer packed.Close()
	_, err = io.Copy(r, packed)
	if errors.Is(err, io.ErrUnexpectedEOF) && r.Result().Lines > 0 {
		return nil // cut off: what was there is read
	}
	return err
}
