package catalog

import (
	"strings"
	"testing"
)

func TestQuantizationMinimums(t *testing.T) {
	s := load(t)
	for _, c := range []struct{ method, format, engine, min, native string }{
		{"awq", "", "0.6.0", "7.5", "0.0"}, {"awq_marlin", "", "0.13.0", "8.0", "0.0"}, {"awq_marlin", "", "0.14.0", "7.5", "0.0"},
		{"gptq", "", "0.33.0", "6.0", "0.0"}, {"gptq_marlin", "", "0.14.0", "7.5", "0.0"}, {"mxfp4", "", "0.33.0", "8.0", "9.0"},
		{"fp8", "", "0.11.0", "8.0", "8.9"}, {"fp8", "", "0.33.0", "7.5", "8.9"}, {"modelopt", "", "0.20.0", "8.9", "8.9"}, {"modelopt", "", "0.27.0", "8.0", "8.9"},
		{"compressed-tensors", "nvfp4-pack-quantized", "0.10.0", "8.0", "10.0"}, {"compressed-tensors", "nvfp4-pack-quantized", "0.16.0", "7.5", "10.0"},
		{"compressed-tensors", "float-quantized", "0.15.1", "8.0", "8.9"}, {"compressed-tensors", "pack-quantized", "0.12.0", "7.5", "0.0"},
		{"compressed-tensors", "int-quantized", "0.33.0", "7.5", "0.0"}, {"compressed-tensors", "", "0.33.0", "7.0", "0.0"}, {"nvfp4", "", "0.33.0", "7.5", "10.0"},
		{"bitsandbytes", "", "0.33.0", "7.0", "0.0"},
	} {
		n, ok := s.Quantization(c.method, c.format, v(c.engine))
		if !ok || n.Min.String() != c.min || n.Native.String() != c.native || !strings.Contains(n.Fact().Statement, c.min) {
			t.Errorf("%s %s in %s: %v %s native %s", c.method, c.format, c.engine, ok, n.Min, n.Native)
		}
	}
	if _, ok := s.Quantization("unheard-of", "", v("0.33.0")); ok {
		t.Error("a minimum for a method nobody knows")
	}
	if n, _ := s.Quantization("gguf", "", v("0.24.0")); n.Plugin != "vllm-gguf-plugin" {
		t.Errorf("gguf left the engine with 0.24.0: %+v", n)
	}
}
