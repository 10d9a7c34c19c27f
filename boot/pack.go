package boot

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
	"sync"
)

// piece is a part of the script that is the same in every script, as text and as whole deflate blocks, so that it is
// compressed once for as many scripts as a process writes.
type piece struct {
	text   string
	blocks []byte
}

// pieces are the fixed parts of a script.
type pieces struct {
	door, start, pod piece // assignments
	shell            piece // the functions
	main             piece
}

// fixed reads and compresses the embedded files when the first script is rendered.
var fixed = sync.OnceValues(func() (pieces, error) {
	var p pieces
	door, err := source("door.py")
	if err != nil {
		return p, err
	}
	start, err := source("start.py")
	if err != nil {
		return p, err
	}
	pod, err := source("pod.py")
	if err != nil {
		return p, err
	}
	var shell strings.Builder
	for _, name := range parts() {
		if err := writePart(&shell, name); err != nil {
			return p, err
		}
	}
	var main strings.Builder
	if err := writePart(&main, "main.sh"); err != nil {
		return p, err
	}
	for _, x := range []struct {
		into *piece
		text string
	}{
		{&p.door, "JR_MIDDLEWARE=" + Quote(door) + "\n"}, {&p.start, "JR_STARTER=" + Quote(start) + "\n"}, {&p.pod, "JR_POD=" + Quote(pod) + "\n"}, {&p.shell, shell.String()}, {&p.main, main.String()},
	} {
		blocks, err := deflated(x.text)
		if err != nil {
			return p, err
		}
		*x.into = piece{x.text, blocks}
	}
	return p, nil
})

// deflateLevel takes a third of the time of the best compression and two bytes in a hundred more.
const deflateLevel = 4

// deflated is text as deflate blocks that end on a byte and refer to nothing before them.
func deflated(text string) ([]byte, error) {
	var z bytes.Buffer
	w, err := flate.NewWriter(&z, deflateLevel)
	if err != nil {
		return nil, fmt.Errorf("pack the script: %w", err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		return nil, fmt.Errorf("pack the script: %w", err)
	}
	if err := w.Flush(); err != nil {
		return nil, fmt.Errorf("pack the script: %w", err)
	}
	return z.Bytes(), nil
}

// storedBelow is up to what size a part of its own is stored as it is: making a compressor costs more than it saves.
const storedBelow = 8 << 10

// writer gathers a script as text and, at the same time, as the inside of a gzip member (RFC 1952, RFC 1951).
type writer struct {
	text strings.Builder
	gzip bytes.Buffer
	own  int // where the text begins that is not yet in gzip
}

func newWriter() *writer {
	w := &writer{}
	w.gzip.Write([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff}) // deflate, no time, of no system
	return w
}

// fixed adds a part that is the same in every script.
func (w *writer) fixed(p piece) error {
	if err := w.flush(); err != nil {
		return err
	}
	w.text.WriteString(p.text)
	w.gzip.Write(p.blocks)
	w.own = w.text.Len()
	return nil
}

// flush packs what was written to text since the last fixed part.
func (w *writer) flush() error {
	text := w.text.String()[w.own:]
	w.own = w.text.Len()
	if len(text) == 0 {
		return nil
	}
	if len(text) < storedBelow {
		n := uint16(len(text)) //nolint:gosec // below storedBelow
		w.gzip.WriteByte(0)    // a stored block that is not the last
		_ = binary.Write(&w.gzip, binary.LittleEndian, [2]uint16{n, ^n})
		w.gzip.WriteString(text)
		return nil
	}
	blocks, err := deflated(text)
	w.gzip.Write(blocks)
	return err
}

// packed is the script as one line of ASCII that unpacks and runs itself without a file, by whatever the image has.
func (w *writer) packed() (string, error) {
	if err := w.flush(); err != nil {
		return "", err
	}
	text := w.text.String()
	z := append(w.gzip.Bytes(), 1, 0, 0, 0xff, 0xff) // the last block: stored, empty
	z = binary.LittleEndian.AppendUint32(z, crc32.ChecksumIEEE([]byte(text)))
	z = binary.LittleEndian.AppendUint32(z, uint32(len(text))) //nolint:gosec // far below 4 GiB
	out := make([]byte, 0, 2+base64.StdEncoding.EncodedLen(len(z))+len(unpack))
	out = append(out, "B="...)
	out = base64.StdEncoding.AppendEncode(out, z)
	return string(append(out, unpack...)), nil
}
