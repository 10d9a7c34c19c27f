package diagnose

import "bytes"

// fileMagic are the first bytes of files that people take for logs.
var fileMagic = []struct{ head, what string }{
	{"\x1f\x8b", "a gzip file: unpack it first (zcat)"},
	{"\x28\xb5\x2f\xfd", "a zstd file: unpack it first (zstdcat)"},
	{"\xfd7zXZ", "an xz file: unpack it first (xzcat)"},
	{"BZh", "a bzip2 file: unpack it first (bzcat)"},
	{"PK\x03\x04", "a zip archive: unpack it first"},
	{"\x7fELF", "a program, or the image of a crashed one"},
	{"\x89PNG", "a picture: copy the text instead"},
	{"\xff\xd8\xff", "a picture: copy the text instead"},
	{"GGUF", "a model's weights"},
	{"%PDF-", "a PDF: copy its text instead"},
}

// sniff says what the beginning of a file is when it is no text, else nothing. Zeros are no sign: they fill a log that
// was cut while it was written, and stand between the letters of UTF-16.
func sniff(p []byte) string {
	for _, m := range fileMagic {
		if bytes.HasPrefix(p, []byte(m.head)) {
			return m.what
		}
	}
	p = p[:min(len(p), 4<<10)]
	controls := 0
	for _, c := range p {
		if c < ' ' && c != 0 && c != 0x1b && (c < '\b' || c > '\r') {
			controls++
		}
	}
	if len(p) >= 64 && controls*25 > len(p) {
		return "no text"
	}
	return ""
}

// nothing explains an input that holds no log: an empty one, blank lines, a binary file.
func (r *Reader) nothing() (text string, ok bool) {
	switch {
	case r.binary != "":
		return "This is " + r.binary + ".", true
	case !r.said:
		return "The log is empty: the container has not started, or it ended before it wrote a line, or the log was taken from another place. Look at the container's state and its exit code.", true
	}
	return "", false
}
