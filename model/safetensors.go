package model

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strings"
)

// MaxHeaderBytes bounds a safetensors header, as the format's own library does.
const MaxHeaderBytes = 25_000_000

// Tensor is one entry of a safetensors header.
type Tensor struct {
	Name, DType     string
	Elements, Bytes int64
	Shape           []int64
}

// HeaderError says why a safetensors file is not believed.
type HeaderError struct{ Why string }

func (e *HeaderError) Error() string { return "safetensors header: " + e.Why }

// HeaderLength reads the length of the JSON header from a file's first eight bytes. fileBytes is the size of the
// whole file, 0 when it is not known.
func HeaderLength(first []byte, fileBytes int64) (int64, error) {
	if len(first) < 8 {
		return 0, &HeaderError{fmt.Sprintf("the file has %d bytes; it begins with 8 that give the header's length", len(first))}
	}
	n := binary.LittleEndian.Uint64(first)
	switch {
	case n > MaxHeaderBytes:
		return 0, &HeaderError{fmt.Sprintf("it declares %d bytes; more than %d are not read", n, MaxHeaderBytes)}
	case n < 2:
		return 0, &HeaderError{fmt.Sprintf("it declares %d bytes", n)}
	case fileBytes > 0 && int64(n)+8 > fileBytes:
		return 0, &HeaderError{fmt.Sprintf("it declares %d bytes in a file of %d", n, fileBytes)}
	}
	return int64(n), nil
}

// elementBits of the storage types of the format.
var elementBits = map[string]int64{
	"F64": 64, "I64": 64, "U64": 64, "F32": 32, "I32": 32, "U32": 32, "F16": 16, "BF16": 16, "I16": 16, "U16": 16,
	"F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FN": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I8": 8, "U8": 8, "BOOL": 8,
	"F4": 4, "F4_E2M1": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}

// ElementBits is the size of one element of a storage type of the format, 0 for a type it does not have.
func ElementBits(dtype string) int64 { return elementBits[dtype] }

// ParseHeader reads the JSON header of one safetensors file and checks that its tensors tile the data without
// overlap. fileBytes is the size of the whole file, 0 when it is not known.
func ParseHeader(header []byte, fileBytes int64) ([]Tensor, error) {
	if len(header) > MaxHeaderBytes {
		return nil, &HeaderError{fmt.Sprintf("it has %d bytes; more than %d are not read", len(header), MaxHeaderBytes)}
	}
	if depth(header) > 8 {
		return nil, &HeaderError{"it nests deeper than its format"}
	}
	d := json.NewDecoder(bytes.NewReader(header))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, &HeaderError{"it is not a JSON object"}
	}
	var out []Tensor
	var spans [][2]int64
	names := map[string]bool{}
	for d.More() {
		k, err := d.Token()
		name, ok := k.(string)
		if err != nil || !ok {
			return nil, &HeaderError{"it is not JSON"}
		}
		if names[name] {
			return nil, &HeaderError{fmt.Sprintf("%q is there twice", shorten(name))}
		}
		names[name] = true
		if name == "__metadata__" {
			var skip map[string]any
			if err := d.Decode(&skip); err != nil {
				return nil, &HeaderError{"its metadata is not an object"}
			}
			continue
		}
		t, span, err := parseEntry(d, name)
		if err != nil {
			return nil, err
		}
		out, spans = append(out, t), append(spans, span)
	}
	if _, err := d.Token(); err != nil {
		return nil, &HeaderError{"it is cut off"}
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, &HeaderError{"something follows the JSON object"}
	}
	if err := checkSpans(spans, int64(len(header)), fileBytes); err != nil {
		return nil, err
	}
	return out, nil
}

func parseEntry(d *json.Decoder, name string) (Tensor, [2]int64, error) {
	var e struct {
		DType   string   `json:"dtype"`
		Shape   []int64  `json:"shape"`
		Offsets [2]int64 `json:"data_offsets"`
	}
	if err := d.Decode(&e); err != nil {
		return Tensor{}, e.Offsets, &HeaderError{fmt.Sprintf("entry %q cannot be read", shorten(name))}
	}
	bits, ok := elementBits[e.DType]
	if !ok {
		return Tensor{}, e.Offsets, &HeaderError{fmt.Sprintf("%q has the unknown type %q", shorten(name), shorten(e.DType))}
	}
	n := int64(1)
	for _, s := range e.Shape {
		if s < 0 || s > 0 && n > (1<<56)/s {
			return Tensor{}, e.Offsets, &HeaderError{fmt.Sprintf("%q has an impossible shape", shorten(name))}
		}
		n *= s
	}
	size := e.Offsets[1] - e.Offsets[0]
	if e.Offsets[0] < 0 || size < 0 || (n*bits+7)/8 != size {
		return Tensor{}, e.Offsets, &HeaderError{fmt.Sprintf("%q has %d bytes for %d elements of %s", shorten(name), size, n, e.DType)}
	}
	return Tensor{Name: name, DType: e.DType, Elements: n, Bytes: size, Shape: e.Shape}, e.Offsets, nil
}

func checkSpans(spans [][2]int64, header, fileBytes int64) error {
	sort.Slice(spans, func(a, b int) bool {
		return spans[a][0] < spans[b][0] || spans[a][0] == spans[b][0] && spans[a][1] < spans[b][1]
	})
	end := int64(0)
	for _, s := range spans {
		if s[0] < end {
			return &HeaderError{"tensors overlap"}
		}
		end = s[1]
	}
	if fileBytes > 0 && end+header+8 > fileBytes {
		return &HeaderError{fmt.Sprintf("tensors end at byte %d of a file of %d", end+header+8, fileBytes)}
	}
	return nil
}

// addTensors sums what the headers say, per role and storage type, and lets them overrule config.json where the
// two can disagree: a stored output projection is not tied.
func (p *Profile) addTensors(tensors []Tensor) {
	if len(tensors) == 0 {
		return
	}
	sums := map[[2]string]*TensorGroup{}
	head, sum := false, int64(0)
	for _, t := range tensors {
		role := Role(t.Name)
		head = head || role == "lm_head"
		if i := layerIndex(t.Name); role != "vision" && i != "" && p.Layers > 0 && len(i) < 6 && !p.EncoderDecoder {
			// DeepSeek and GLM keep their prediction layers after the last.
			if n := atoi(i); n >= p.Layers && n < p.Layers+max(p.MTPLayers, 1) && strings.Contains(t.Name, "model.layers."+i+".") {
				role = "mtp"
			}
		}
		k := [2]string{role, t.DType}
		g := sums[k]
		if g == nil {
			g = &TensorGroup{Role: role, DType: t.DType}
			sums[k] = g
		}
		g.Count++
		g.Elements += t.Elements
		g.Bytes += t.Bytes
		sum += t.Bytes
	}
	p.WeightsBytes = sum
	for _, g := range sums {
		p.Tensors = append(p.Tensors, *g)
	}
	sort.Slice(p.Tensors, func(a, b int) bool {
		x, y := p.Tensors[a], p.Tensors[b]
		return x.Role < y.Role || x.Role == y.Role && x.DType < y.DType
	})
	if head {
		p.TieEmbeddings = false
	} else if !p.EncoderOnly {
		p.TieEmbeddings = true
	}
}

func atoi(s string) int {
	n := 0
	for _, c := range s {
		n = n*10 + int(c-'0')
	}
	return n
}
