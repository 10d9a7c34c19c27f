package boot_test

import (
	"runtime"
	"testing"

	"justright/boot"
)

// The fixed parts of a script are compressed once in a process: a compressor takes most of a megabyte, so that a script
// which needed one would show.
func TestScriptsShareTheirFixedParts(t *testing.T) {
	s := gpuSpec(t)
	render(t, s)
	const scripts = 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range scripts {
		render(t, s)
	}
	runtime.ReadMemStats(&after)
	if per := (after.TotalAlloc - before.TotalAlloc) / scripts; per > 400<<10 {
		t.Errorf("a script takes %d KiB of memory", per>>10)
	} else {
		t.Logf("a script takes %d KiB of memory", per>>10)
	}
}

func BenchmarkRender(b *testing.B) {
	s := gpuSpec(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := boot.Render(s); err != nil {
			b.Fatal(err)
		}
	}
}
