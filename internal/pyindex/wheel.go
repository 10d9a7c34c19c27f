package pyindex

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"compress/flate"

	"justright/internal/httpclient"
)

// The bounds on reading inside a wheel.
const (
	tailBytes      = 64<<10 + 22 // end record with the longest comment
	maxDirectory   = 64 << 20    // vLLM 0.33.0: 0.7 MB for 5802 files
	maxFetched     = 96 << 20    // of one wheel in all
	maxWholeWheel  = 32 << 20    // taken whole from a server without ranges
	headerFetch    = 16 << 10    // a local header, and often the whole small file behind it
	maxMemberBytes = 16 << 20    // of one file unpacked, unless asked for less
)

// Wheel is an opened wheel: its list of files is known, their contents are fetched when asked for. It is not safe for
// concurrent use.
type Wheel struct {
	file    File
	r       *remote
	members map[string]*zip.File
	names   []string
}

// OpenWheel reads the list of files of a wheel: one request for small wheels, two for large ones.
func (c *Client) OpenWheel(ctx context.Context, f File) (*Wheel, error) {
	r, err := c.openRemote(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("wheel %s: %w", f.Name, err)
	}
	return openArchive(&Wheel{file: f, r: r})
}

// openArchive reads the list of files of a wheel whose end is there.
func openArchive(w *Wheel) (*Wheel, error) {
	r := w.r
	w.members = map[string]*zip.File{}
	fail := func(err error) (*Wheel, error) { return nil, fmt.Errorf("wheel %s: %w", w.file.Name, err) }
	off, size, err := findDirectory(r.tail(), r.size)
	if err != nil {
		return fail(err)
	}
	if size > maxDirectory {
		return fail(fmt.Errorf("its list of files claims %d bytes", size))
	}
	if err := r.want(off, size); err != nil {
		return fail(err)
	}
	z, err := zip.NewReader(r, r.size)
	if err != nil {
		return fail(err)
	}
	for _, m := range z.File {
		if _, twice := w.members[m.Name]; twice {
			return fail(fmt.Errorf("it has two files %.80q", m.Name))
		}
		w.members[m.Name] = m
		w.names = append(w.names, m.Name)
	}
	return w, nil
}

// findDirectory finds where the central directory is, from the end of the archive.
func findDirectory(tail []byte, total int64) (off, size int64, err error) {
	for i := len(tail) - 22; i >= 0; i-- {
		if string(tail[i:i+4]) != "PK\x05\x06" {
			continue
		}
		size, off = int64(le32(tail[i+12:])), int64(le32(tail[i+16:]))
		if off == 0xffffffff || size == 0xffffffff {
			return 0, 0, errors.New("a 64-bit archive, which no wheel needs")
		}
		if off+size > total {
			return 0, 0, fmt.Errorf("its list of files ends at byte %d of %d", off+size, total)
		}
		return off, size, nil
	}
	return 0, 0, errors.New("not a zip archive, or cut off")
}

func le32(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

// Names lists the files in the order of the archive.
func (w *Wheel) Names() []string { return w.names }

// Has reports whether the wheel holds a file.
func (w *Wheel) Has(name string) bool { return w.members[name] != nil }

// File is the index's description of the wheel.
func (w *Wheel) File() File { return w.file }

// Read fetches one file and checks it. limit bounds its unpacked size; 0 means 16 MiB.
func (w *Wheel) Read(ctx context.Context, name string, limit int64) ([]byte, error) {
	m := w.members[name]
	if m == nil {
		return nil, fmt.Errorf("wheel %s has no %s", w.file.Name, name)
	}
	if limit <= 0 || limit > maxMemberBytes {
		limit = maxMemberBytes
	}
	fail := func(err error) ([]byte, error) { return nil, fmt.Errorf("%s in %s: %w", name, w.file.Name, err) }
	if m.UncompressedSize64 > uint64(limit) || m.CompressedSize64 > uint64(limit) {
		return fail(fmt.Errorf("it claims %d bytes, more than %d", max(m.UncompressedSize64, m.CompressedSize64), limit))
	}
	w.r.ctx = ctx
	off, err := m.DataOffset()
	if err != nil {
		return fail(err)
	}
	packed := make([]byte, m.CompressedSize64)
	if n, err := w.r.ReadAt(packed, off); n < len(packed) {
		return fail(err)
	}
	var plain []byte
	switch m.Method {
	case zip.Store:
		plain = packed
	case zip.Deflate:
		fr := flate.NewReader(strings.NewReader(string(packed)))
		defer fr.Close()
		if plain, err = io.ReadAll(io.LimitReader(fr, int64(m.UncompressedSize64)+1)); err != nil {
			return fail(err)
		}
	default:
		return fail(fmt.Errorf("compression method %d", m.Method))
	}
	if uint64(len(plain)) != m.UncompressedSize64 {
		return fail(fmt.Errorf("it unpacks to other than the %d bytes it claims", m.UncompressedSize64))
	}
	if crc32.ChecksumIEEE(plain) != m.CRC32 {
		return fail(errors.New("its checksum is wrong"))
	}
	return plain, nil
}

// DistInfo finds a file of the wheel's .dist-info directory ("METADATA", "WHEEL"), "" when there is none.
func (w *Wheel) DistInfo(name string) string {
	for _, n := range w.names {
		dir, base, ok := strings.Cut(n, "/")
		if ok && base == name && strings.HasSuffix(dir, ".dist-info") {
			return n
		}
	}
	return ""
}

// Metadata reads the METADATA inside the wheel.
func (w *Wheel) Metadata(ctx context.Context) (Metadata, error) {
	name := w.DistInfo("METADATA")
	if name == "" {
		return Metadata{}, fmt.Errorf("wheel %s has no METADATA", w.file.Name)
	}
	b, err := w.Read(ctx, name, maxMetadata)
	if err != nil {
		return Metadata{}, err
	}
	m, err := ParseMetadata(b)
	if err != nil {
		return Metadata{}, fmt.Errorf("wheel %s: %w", w.file.Name, err)
	}
	return m, nil
}

// Fetched is how many bytes were read of the wheel so far.
func (w *Wheel) Fetched() int64 { return w.r.fetched }

// remote is a file on a server, read by ranges and kept as far as it was read.
type remote struct {
	ctx     context.Context
	c       *Client
	file    File
	size    int64
	spans   []fetchedSpan
	fetched int64
}

type fetchedSpan struct {
	off int64
	b   []byte
}

var contentRange = regexp.MustCompile(`^bytes (\d+)-(\d+)/(\d+)$`)

// openRemote asks for the end of a file, which also tells its size.
func (c *Client) openRemote(ctx context.Context, f File) (*remote, error) {
	r := &remote{ctx: ctx, c: c, file: f}
	res, err := c.http.Stream(ctx, httpclient.Request{URL: f.URL,
		Header: http.Header{"Range": {"bytes=-" + strconv.Itoa(tailBytes)}, "Accept-Encoding": {"identity"}}})
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusPartialContent {
		return r, r.takeWhole(res)
	}
	start, end, total, err := parseContentRange(res.Header.Get("Content-Range"))
	if err != nil {
		return nil, err
	}
	r.size = total
	if f.Size > 0 && f.Size != total {
		return nil, fmt.Errorf("the index says %d bytes, the server %d", f.Size, total)
	}
	if end != total-1 || end-start+1 > tailBytes {
		return nil, fmt.Errorf("asked for the end, the server sent bytes %d to %d of %d", start, end, total)
	}
	return r, r.take(res.Body, start, end-start+1)
}

// takeWhole accepts a server without ranges as long as the file is small.
func (r *remote) takeWhole(res *http.Response) error {
	b, err := io.ReadAll(io.LimitReader(res.Body, maxWholeWheel+1))
	if err != nil {
		return err
	}
	if len(b) > maxWholeWheel {
		return errors.New("the server sends no ranges, and the file is too large to take whole")
	}
	if r.size = int64(len(b)); r.file.Size > 0 && r.file.Size != r.size {
		return fmt.Errorf("the index says %d bytes, the server sent %d", r.file.Size, r.size)
	}
	r.spans, r.fetched = []fetchedSpan{{0, b}}, r.size
	return nil
}

func parseContentRange(s string) (start, end, total int64, err error) {
	m := contentRange.FindStringSubmatch(s)
	if m == nil {
		return 0, 0, 0, fmt.Errorf("the server answers a range with Content-Range %.60q", s)
	}
	for i, into := range []*int64{&start, &end, &total} {
		if *into, err = strconv.ParseInt(m[i+1], 10, 64); err != nil {
			return 0, 0, 0, fmt.Errorf("the server answers a range with Content-Range %.60q", s)
		}
	}
	if start > end || end >= total {
		return 0, 0, 0, fmt.Errorf("the server answers a range with Content-Range %.60q", s)
	}
	return start, end, total, nil
}

// take keeps n bytes of body as the file's bytes from off on.
func (r *remote) take(body io.Reader, off, n int64) error {
	b, err := io.ReadAll(io.LimitReader(body, n))
	if err != nil {
		return err
	}
	if int64(len(b)) != n {
		return fmt.Errorf("the server cut off a range: %d of %d bytes", len(b), n)
	}
	r.spans = append(r.spans, fetchedSpan{off, b})
	r.fetched += n
	return nil
}

func (r *remote) tail() []byte { return r.spans[0].b[max(0, len(r.spans[0].b)-tailBytes):] }

// want fetches what of a range is not there yet.
func (r *remote) want(off, n int64) error {
	if off < 0 || n < 0 || off+n > r.size {
		return io.ErrUnexpectedEOF
	}
	if n == 0 || r.find(off, n) != nil {
		return nil
	}
	if tail := r.spans[0]; off < tail.off && off+n > tail.off {
		n = tail.off - off // the rest came with the tail
	}
	if r.fetched+n > maxFetched {
		return fmt.Errorf("reading it would take more than %d bytes", int64(maxFetched))
	}
	res, err := r.c.http.Stream(r.ctx, httpclient.Request{URL: r.file.URL, Header: http.Header{
		"Range": {fmt.Sprintf("bytes=%d-%d", off, off+n-1)}, "Accept-Encoding": {"identity"}}})
	if err != nil {
		return err
	}
	defer res.Body.Close()
	start, end, total, err := parseContentRange(res.Header.Get("Content-Range"))
	if err != nil {
		return err
	}
	if start != off || end != off+n-1 || total != r.size {
		return fmt.Errorf("asked for bytes %d to %d, the server sent %d to %d of %d", off, off+n-1, start, end, total)
	}
	return r.take(res.Body, off, n)
}

func (r *remote) find(off, n int64) []byte {
	for _, s := range r.spans {
		if off >= s.off && off+n <= s.off+int64(len(s.b)) {
			return s.b[off-s.off : off-s.off+n]
		}
	}
	return nil
}

// ReadAt serves archive/zip. A read that is not there yet fetches a little more than asked, since a file's header is
// followed by the file.
func (r *remote) ReadAt(p []byte, off int64) (int, error) {
	n := int64(len(p))
	if off < 0 || off >= r.size {
		return 0, io.EOF
	}
	short := off+n > r.size
	n = min(n, r.size-off)
	for done := int64(0); done < n; {
		b := r.longest(off+done, n-done)
		if len(b) == 0 {
			if err := r.want(off+done, min(max(n-done, headerFetch), r.size-off-done)); err != nil {
				return int(done), err
			}
			continue
		}
		done += int64(copy(p[done:n], b))
	}
	if short {
		return int(n), io.EOF
	}
	return int(n), nil
}

// longest is what is there from off on, at most n bytes.
func (r *remote) longest(off, n int64) []byte {
	for _, s := range r.spans {
		if off >= s.off && off < s.off+int64(len(s.b)) {
			b := s.b[off-s.off:]
			return b[:min(n, int64(len(b)))]
		}
	}
	return nil
}
