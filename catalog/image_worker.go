package catalog

import (
	"fmt"
	"strings"

	"justright/version"
)

// workerJSON is a release of RunPod's serverless worker and the vLLM that its Dockerfile installs.
type workerJSON struct {
	Tag  string `json:"tag"`
	Date string `json:"date"`
	VLLM string `json:"vllm"`
	CUDA string `json:"cuda,omitempty"` // of the base image
}

// Worker is one release of RunPod's serverless worker for vLLM, whose versions are its own.
type Worker struct {
	Tag, Date string
	Engine    version.PEP440
	CUDA      version.CUDA // of NVIDIA's image it is built on; zero from 2.24.0 on, which is built on vLLM's
}

// IsWorker reports whether an image's text names RunPod's worker for vLLM.
func IsWorker(image string) bool {
	low := strings.ToLower(image)
	return strings.Contains(low, "worker-vllm") || strings.Contains(low, "worker-v1-vllm")
}

// Worker finds the worker's release by an image's tag, or the newest one out on a day ("" today) where the tag names none. ok is
// false for a release before 1.1, whose image was built in parts, and for a moving tag of which no day is known.
func (s *Snapshot) Worker(tag, day string) (w Worker, ok bool) {
	bare := func(t string) string {
		t, _, _ = strings.Cut(strings.TrimPrefix(strings.ToLower(t), "v"), "-")
		return strings.TrimSuffix(t, "stable")
	}
	want := bare(tag)
	numbered := strings.ContainsAny(want, "0123456789")
	if day == "" && !numbered && tag != "" && want != "latest" {
		return w, false
	}
	for _, j := range s.images().workers {
		if numbered && bare(j.Tag) != want || !numbered && day != "" && j.Date > day {
			continue
		}
		w, ok = Worker{Tag: j.Tag, Date: j.Date}, true
		w.Engine, _ = version.ParsePEP440(j.VLLM) // parsed when the section was read
		w.CUDA, _ = version.ParseCUDA(j.CUDA)     // zero where the base is vLLM's
	}
	return w, ok
}

// Fact states what the worker holds.
func (w *Worker) Fact() Fact {
	return Fact{ID: FactID("runpod/worker-vllm/" + w.Tag), Standing: Derived, Date: w.Date, Source: "https://github.com/runpod-workers/worker-vllm, Dockerfile at the tag",
		Statement: fmt.Sprintf("RunPod's worker-vllm %s of %s installs vLLM %s", w.Tag, w.Date, w.Engine)}
}
