package checkpoint

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
)

// weights are tensors in the order they are written, as bfloat16.
type weights struct {
	names  []string
	shapes map[string][]int
	values map[string][]float32
}

func newWeights() *weights {
	return &weights{shapes: map[string][]int{}, values: map[string][]float32{}}
}

func (w *weights) add(name string, values []float32, shape ...int) {
	w.names = append(w.names, name)
	w.shapes[name], w.values[name] = shape, values
}

// write makes a safetensors file: https://github.com/huggingface/safetensors#format
func (w *weights) write(path string) error {
	type entry struct {
		DType   string `json:"dtype"`
		Shape   []int  `json:"shape"`
		Offsets [2]int `json:"data_offsets"`
	}
	head, at := map[string]any{"__metadata__": map[string]string{"format": "pt"}}, 0
	for _, n := range w.names {
		size := len(w.values[n]) * 2
		head[n] = entry{"BF16", w.shapes[n], [2]int{at, at + size}}
		at += size
	}
	raw, err := json.Marshal(head)
	if err != nil {
		return err
	}
	for len(raw)%8 != 0 {
		raw = append(raw, ' ')
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	out := bufio.NewWriterSize(f, 1<<20)
	if err := binary.Write(out, binary.LittleEndian, uint64(len(raw))); err != nil {
		return err
	}
	if _, err := out.Write(raw); err != nil {
		return err
	}
	var two [2]byte
	for _, n := range w.names {
		for _, v := range w.values[n] {
			binary.LittleEndian.PutUint16(two[:], bfloat16(v))
			if _, err := out.Write(two[:]); err != nil {
				return err
			}
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return f.Close()
}

// bfloat16 rounds to nearest even.
func bfloat16(v float32) uint16 {
	b := math.Float32bits(v)
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}
