package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// gguf is a model in one file: metadata, then tensors. The format:
// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
type gguf struct {
	meta    map[string]any
	tensors map[string]tensor
	data    []byte // of all tensors
}

// tensor has its innermost dimension first, as GGUF writes it.
type tensor struct {
	dims   []uint64
	kind   uint32
	offset uint64
}

// The kinds that are read; block sizes in values and bytes.
const (
	kindF32  = 0
	kindQ4_1 = 3
	kindQ8_0 = 8
	block    = 32
)

type reader struct {
	*bytes.Reader
	err error
}

func get[T any](r *reader) (v T) {
	if r.err == nil {
		r.err = binary.Read(r.Reader, binary.LittleEndian, &v)
	}
	return v
}

func (r *reader) text() string {
	n := get[uint64](r)
	if r.err != nil || n > uint64(r.Len()) {
		r.err = errors.Join(r.err, io.ErrUnexpectedEOF)
		return ""
	}
	b := make([]byte, n)
	_, r.err = io.ReadFull(r.Reader, b)
	return string(b)
}

func (r *reader) value(kind uint32) any {
	switch kind {
	case 0, 1, 7:
		return get[uint8](r)
	case 2, 3:
		return get[uint16](r)
	case 4, 5:
		return get[uint32](r)
	case 6:
		return get[float32](r)
	case 8:
		return r.text()
	case 9:
		of, n := get[uint32](r), get[uint64](r)
		if n > uint64(r.Len()) {
			r.err = io.ErrUnexpectedEOF
		}
		var out []any
		for i := uint64(0); i < n && r.err == nil; i++ {
			out = append(out, r.value(of))
		}
		return out
	case 10, 11, 12:
		return get[uint64](r)
	default:
		r.err = fmt.Errorf("metadata of kind %d", kind)
		return nil
	}
}

func parseGGUF(raw []byte) (*gguf, error) {
	r := &reader{Reader: bytes.NewReader(raw)}
	if magic := get[[4]byte](r); string(magic[:]) != "GGUF" {
		return nil, errors.New("no GGUF file")
	}
	if v := get[uint32](r); v != 3 {
		return nil, fmt.Errorf("GGUF version %d", v)
	}
	tensors, pairs := get[uint64](r), get[uint64](r)
	g := &gguf{meta: map[string]any{}, tensors: map[string]tensor{}}
	for i := uint64(0); i < pairs && r.err == nil; i++ {
		key := r.text()
		g.meta[key] = r.value(get[uint32](r))
	}
	for i := uint64(0); i < tensors && r.err == nil; i++ {
		name, n := r.text(), get[uint32](r)
		t := tensor{}
		for j := uint32(0); j < n && j < 8; j++ {
			t.dims = append(t.dims, get[uint64](r))
		}
		t.kind, t.offset = get[uint32](r), get[uint64](r)
		g.tensors[name] = t
	}
	if r.err != nil {
		return nil, fmt.Errorf("read GGUF: %w", r.err)
	}
	at := (len(raw) - r.Len() + 31) &^ 31 // the default alignment
	if at > len(raw) {
		return nil, fmt.Errorf("read GGUF: %w", io.ErrUnexpectedEOF)
	}
	g.data = raw[at:]
	return g, nil
}

func (g *gguf) number(key string) int {
	switch v := g.meta[key].(type) {
	case uint32:
		return int(v)
	case uint64:
		return int(v)
	case float32:
		return int(v)
	}
	return 0
}

// floats reads a tensor's values.
func (g *gguf) floats(name string) ([]float32, []uint64, error) {
	t, ok := g.tensors[name]
	if !ok {
		return nil, nil, fmt.Errorf("no tensor %s", name)
	}
	n := uint64(1)
	for _, d := range t.dims {
		n *= d
	}
	size := map[uint32]uint64{kindF32: n * 4, kindQ4_1: n / block * 20, kindQ8_0: n / block * 34}[t.kind]
	if size == 0 || t.offset+size > uint64(len(g.data)) {
		return nil, nil, fmt.Errorf("tensor %s: kind %d, or beyond the end", name, t.kind)
	}
	raw, out := g.data[t.offset:t.offset+size], make([]float32, n)
	le := binary.LittleEndian
	switch t.kind {
	case kindF32:
		for i := range out {
			out[i] = math.Float32frombits(le.Uint32(raw[i*4:]))
		}
	case kindQ4_1: // scale, minimum, 16 bytes: value i in the low half of byte i, value 16+i in the high half
		for b := range len(out) / block {
			q := raw[b*20:]
			d, m := half(le.Uint16(q)), half(le.Uint16(q[2:]))
			for i := range block / 2 {
				out[b*block+i] = d*float32(q[4+i]&15) + m
				out[b*block+block/2+i] = d*float32(q[4+i]>>4) + m
			}
		}
	case kindQ8_0: // scale, 32 signed bytes
		for b := range len(out) / block {
			q := raw[b*34:]
			d := half(le.Uint16(q))
			for i := range block {
				out[b*block+i] = d * float32(int8(q[2+i]))
			}
		}
	}
	return out, t.dims, nil
}

// half widens an IEEE half float.
func half(h uint16) float32 {
	sign, exp, frac := uint32(h>>15)<<31, uint32(h>>10&31), uint32(h&1023)
	switch exp {
	case 0:
		v := float32(frac) / (1 << 24)
		if sign != 0 {
			return -v
		}
		return v
	case 31:
		return math.Float32frombits(sign | 255<<23 | frac<<13)
	default:
		return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
	}
}
