package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"strconv"
)

// asked is what the gateway reads of a request's body; everything else in it is the engine's business.
type asked struct {
	Model  string
	Named  bool // there was a name at all
	Stream bool
	After  string                               // the id of an earlier response that this one goes on from; its engine alone may have it
	rename func(string) ([]byte, string, error) // the body under another name, and its content type
}

// errNotObject is a body that cannot hold a model's name.
var errNotObject = errors.New("the body is no JSON object")

// peek finds the model's name in a body. Clients write it wherever they like (OpenAI's write it after the messages), so the
// whole body is looked through, but nothing of it is decoded or kept.
func peek(body []byte, contentType string) (asked, error) {
	if kind, params, err := mime.ParseMediaType(contentType); err == nil && kind == "multipart/form-data" {
		return peekForm(body, contentType, params["boundary"])
	}
	f, err := scanObject(body)
	if err != nil {
		return asked{}, err
	}
	a := asked{Stream: string(bytes.TrimSpace(body[f.stream[0]:f.stream[1]])) == "true"}
	raw := body[f.model[0]:f.model[1]]
	if len(raw) > 0 && raw[0] == '"' {
		if err := json.Unmarshal(raw, &a.Model); err != nil {
			return asked{}, err
		}
		a.Named = true
	}
	if after := body[f.after[0]:f.after[1]]; len(after) > 0 && after[0] == '"' {
		_ = json.Unmarshal(after, &a.After) // what is no text is the engine's to refuse
	}
	a.rename = func(name string) ([]byte, string, error) {
		if !a.Named || name == a.Model {
			return body, contentType, nil
		}
		v, err := json.Marshal(name)
		if err != nil {
			return nil, "", err
		}
		out := make([]byte, 0, len(body)+len(v)-len(raw))
		out = append(out, body[:f.model[0]]...)
		out = append(out, v...)
		return append(out, body[f.model[1]:]...), contentType, nil
	}
	return a, nil
}

// fields are where the values of three top-level fields stand; the last of a name counts, as for Python's json.
type fields struct{ model, stream, after [2]int }

// scanObject walks over the top level of a JSON object. It is strict enough that what it finds is what a JSON parser finds in
// a valid body; whether a body is valid is for the engine to say.
func scanObject(b []byte) (fields, error) {
	var f fields
	i := blank(b, 0)
	if i >= len(b) || b[i] != '{' {
		return f, errNotObject
	}
	for i = blank(b, i+1); i < len(b) && b[i] != '}'; {
		if b[i] != '"' {
			return f, errors.New("a name was expected at byte " + strconv.Itoa(i))
		}
		end, ok := skipString(b, i)
		if !ok {
			return f, io.ErrUnexpectedEOF
		}
		key := b[i:end]
		i = blank(b, end)
		if i >= len(b) || b[i] != ':' {
			return f, errors.New("a colon was expected at byte " + strconv.Itoa(i))
		}
		i = blank(b, i+1)
		if end, ok = skipValue(b, i); !ok {
			return f, io.ErrUnexpectedEOF
		}
		switch keyOf(key) {
		case "model":
			f.model = [2]int{i, end}
		case "stream":
			f.stream = [2]int{i, end}
		case "previous_response_id":
			f.after = [2]int{i, end}
		}
		if i = blank(b, end); i < len(b) && b[i] == ',' {
			i = blank(b, i+1)
		} else if i < len(b) && b[i] != '}' {
			return f, errors.New("a comma was expected at byte " + strconv.Itoa(i))
		}
	}
	if i >= len(b) {
		return f, io.ErrUnexpectedEOF
	}
	return f, nil
}

// keyOf is a name without its quotes; one that is written with escapes is decoded.
func keyOf(quoted []byte) string {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1])
	}
	var s string
	if json.Unmarshal(quoted, &s) != nil {
		return ""
	}
	return s
}

func blank(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// skipString returns the index after the string that begins at i.
func skipString(b []byte, i int) (int, bool) {
	for i++; i < len(b); {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return 0, false
		}
		end := i + n
		slashes := 0
		for end-slashes > i && b[end-slashes-1] == '\\' {
			slashes++
		}
		if i = end + 1; slashes%2 == 0 {
			return i, true
		}
	}
	return 0, false
}

// skipValue returns the index after the value that begins at i.
func skipValue(b []byte, i int) (int, bool) {
	depth, began := 0, i
	for i < len(b) {
		switch b[i] {
		case '"':
			end, ok := skipString(b, i)
			if !ok {
				return 0, false
			}
			if i = end; depth == 0 {
				return i, true
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i, i > began
			}
			if depth--; depth == 0 {
				return i + 1, true
			}
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i, i > began
			}
		}
		i++
	}
	return 0, false
}

// maxField bounds a form's field that is read whole.
const maxField = 4 << 10

// peekForm finds the name in a form, as the audio routes take it.
func peekForm(body []byte, contentType, boundary string) (asked, error) {
	var a asked
	for r := multipart.NewReader(bytes.NewReader(body), boundary); ; {
		p, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return asked{}, err
		}
		name := p.FormName()
		if name != "model" && name != "stream" {
			continue
		}
		v, err := io.ReadAll(io.LimitReader(p, maxField))
		if err != nil {
			return asked{}, err
		}
		if name == "model" {
			a.Model, a.Named = string(v), true
		} else {
			a.Stream = string(v) == "true" || string(v) == "True" || string(v) == "1"
		}
	}
	a.rename = func(name string) ([]byte, string, error) {
		if !a.Named || name == a.Model {
			return body, contentType, nil
		}
		return renameForm(body, contentType, boundary, name)
	}
	return a, nil
}

// renameForm writes the form anew with another name in it.
func renameForm(body []byte, contentType, boundary, name string) ([]byte, string, error) {
	var out bytes.Buffer
	w := multipart.NewWriter(&out)
	if err := w.SetBoundary(boundary); err != nil {
		return nil, "", err
	}
	for r := multipart.NewReader(bytes.NewReader(body), boundary); ; {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, "", err
		}
		to, err := w.CreatePart(p.Header)
		if err != nil {
			return nil, "", err
		}
		if p.FormName() == "model" {
			if _, err = io.WriteString(to, name); err != nil {
				return nil, "", err
			}
			continue
		}
		if _, err := io.Copy(to, p); err != nil {
			return nil, "", err
		}
	}
	if err := w.Close(); err != nil {
		return nil, "", err
	}
	return out.Bytes(), contentType, nil
}
