package catalog

import "testing"

// A worker's tag names the worker's version, not the engine's.
func TestWorker(t *testing.T) {
	t.Parallel()
	s, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ tag, day, engine, cuda string }{
		{"v2.14.0", "", "0.16.0", "12.9"}, {"2.2.1", "", "0.8.2", "12.1"}, {"v1.3.1stable-cuda12.1.0", "", "0.5.5", "12.1"}, {"v2.25.0", "", "0.27.0", ""},
		{"", "2025-08-07", "0.9.0.1", "12.1"}, {"latest", "2025-11-20", "0.11.0", "12.1"}, {"stable-cuda12.1.0", "2024-09-10", "0.5.5", "12.1"},
		{"latest", "", "0.27.1", ""}, {"stable-cuda12.1.0", "", "", ""}, {"0.3.0-cuda11.8.0", "2024-05-14", "", ""}, {"latest", "2024-01-01", "", ""},
	} {
		w, ok := s.Worker(c.tag, c.day)
		cuda := ""
		if !w.CUDA.IsZero() {
			cuda = w.CUDA.String()
		}
		if ok != (c.engine != "") || w.Engine.String() != c.engine || cuda != c.cuda {
			t.Errorf("%q on %q: %s of CUDA %q, %v; want %s, %q", c.tag, c.day, w.Engine, cuda, ok, c.engine, c.cuda)
		}
	}
}
