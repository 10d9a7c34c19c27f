package solve

import (
	"encoding/json"

	"justright/catalog"
	"justright/version"
)

// The documents say null where something is not known or does not apply (DESIGN 6); in Go that is the zero value.

// MarshalJSON writes what is not stated as null.
func (c Candidate) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Image     *string `json:"image"`
		Engine    *string `json:"engine"`
		WheelCUDA *string `json:"wheel_cuda"`
		GPU       *string `json:"gpu"`
	}{orNull(c.Image), orNull(c.Engine), orNull(c.WheelCUDA), orNull(c.GPU)})
}

// MarshalJSON writes what is not known as null.
func (e Engine) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Name         *string `json:"name"`
		Version      *string `json:"version"`
		WheelCUDA    *string `json:"wheel_cuda"`
		Torch        *string `json:"torch"`
		Transformers *string `json:"transformers"`
		Python       *string `json:"python"`
	}{orNull(e.Name), orNull(e.Version), orNull(e.WheelCUDA), orNull(e.Torch), orNull(e.Transformers), orNull(e.Python)})
}

// MarshalJSON writes a machine without a card as one whose id is null.
func (g GPU) MarshalJSON() ([]byte, error) {
	var bytes *int64
	if g.MemoryBytes > 0 {
		bytes = &g.MemoryBytes
	}
	return json.Marshal(struct {
		ID          *string `json:"id"`
		Count       int     `json:"count"`
		MemoryBytes *int64  `json:"memory_bytes"`
	}{orNull(g.ID), g.Count, bytes})
}

// MarshalJSON writes what the machine need not bring as null.
func (h Host) MarshalJSON() ([]byte, error) {
	var out struct {
		MinCUDA   *version.CUDA   `json:"min_cuda"`
		MinDriver *version.Driver `json:"min_driver"`
	}
	if !h.MinCUDA.IsZero() {
		out.MinCUDA = &h.MinCUDA
	}
	if !h.MinDriver.IsZero() {
		out.MinDriver = &h.MinDriver
	}
	return json.Marshal(out)
}

// MarshalJSON writes a plan without an image as one whose image is null.
func (s Stack) MarshalJSON() ([]byte, error) {
	type plain Stack
	var context *int
	if s.Context > 0 {
		context = &s.Context
	}
	return json.Marshal(struct {
		plain
		Image   *string `json:"image"`
		Context *int    `json:"context"`
	}{plain(s), orNull(s.Image), context})
}

// OpenBecause says why an open plan is open, and which of its paths answer without the key; "" for one that is not.
func (s *Stack) OpenBecause() string {
	switch {
	case !s.Open:
		return ""
	case s.Engine.Name == catalog.SGLang:
		return "SGLang takes no middleware of ours: its own key guards every path but /health… (/health_generate computes) and /metrics"
	}
	return "the image starts its engine itself, without our middleware: vLLM's own key guards /v1, /v2, /inference and /cohere, not /invocations, /tokenize and others"
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
