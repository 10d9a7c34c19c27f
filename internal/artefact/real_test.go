package artefact

import (
	"fmt"
	"os"
	"testing"

	"justright/internal/pyindex"
)

// TestRealWheels reads the real index when asked to: JUSTRIGHT_INDEX=https://pypi.org/simple/.
func TestRealWheels(t *testing.T) {
	index := os.Getenv("JUSTRIGHT_INDEX")
	if index == "" {
		t.Skip("set JUSTRIGHT_INDEX to read a real package index")
	}
	c, err := pyindex.New(pyindex.Options{Indexes: []string{index}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Project(t.Context(), "vllm")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range p.Files {
		d, err := pyindex.ParseName("vllm", f.Name)
		if err != nil || d.Sdist {
			continue
		}
		switch d.Version.String() {
		case "0.6.0", "0.6.3", "0.8.5", "0.9.2", "0.11.0", "0.15.1", "0.20.0", "0.28.0", "0.33.0":
		default:
			continue
		}
		if _, ok := d.Linux("x86_64"); !ok {
			continue
		}
		w, err := c.OpenWheel(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		v, err := ReadVLLM(t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("%s cuda=%s commit=%s archs=%d backend=%d config=%d flags=%d tool=%d reason=%d kv=%d quant=%d env=%d fetched=%d\n", f.Name, v.CUDA, v.Commit,
			len(v.Architectures), len(v.OnBackend), len(v.ConfigTypes), len(v.Flags), len(v.ToolParsers), len(v.ReasoningParsers), len(v.KVCacheDTypes), len(v.QuantMethods), len(v.EnvVars), w.Fetched())
	}
}
