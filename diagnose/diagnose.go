// Package diagnose reads launch logs and names the cause: rules are data with sources, the first error that is
// no wrapper wins, and a log that is still starting, ready or stopped on purpose is no failure.
package diagnose

import "justright/catalog"

// Outcome is what a log says about its launch as a whole.
type Outcome string

// The outcomes.
const (
	Failure    Outcome = "failure"
	InProgress Outcome = "in_progress"
	Ready      Outcome = "ready"
	Stopped    Outcome = "stopped" // by somebody, on purpose: no failure
	Unknown    Outcome = "unknown" // the log does not decide
)

// Stage is the part of a launch a cause belongs to.
type Stage string

// The stages, in the order of a launch.
const (
	StageProvision    Stage = "provision"
	StageImagePull    Stage = "image_pull"
	StageContainer    Stage = "container_start"
	StageInstall      Stage = "install"
	StageImport       Stage = "import"
	StageModelResolve Stage = "model_resolve"
	StageDownload     Stage = "download"
	StageWeights      Stage = "weights"
	StageMemory       Stage = "memory"
	StageKernel       Stage = "kernel"
	StageDistributed  Stage = "distributed"
	StageServe        Stage = "serve"
	StageRuntime      Stage = "runtime"
	StageProxy        Stage = "proxy"
)

// RemedyKind is the sort of change that helps.
type RemedyKind string

// The remedy kinds.
const (
	ChangeFlag             RemedyKind = "change_flag"
	NewerEngine            RemedyKind = "newer_engine"
	OlderEngine            RemedyKind = "older_engine"
	PinDependency          RemedyKind = "pin_dependency"
	UserAction             RemedyKind = "user_action"
	Retry                  RemedyKind = "retry"
	OtherImage             RemedyKind = "other_image"
	OtherHostCUDA          RemedyKind = "other_host_cuda"
	OtherGPUCapability     RemedyKind = "other_gpu_capability"
	OtherGPUMoreVRAM       RemedyKind = "other_gpu_more_vram"
	MoreGPUs               RemedyKind = "more_gpus"
	ModelBug               RemedyKind = "model_bug"
	NewerTransformers      RemedyKind = "newer_transformers"
	LowerContext           RemedyKind = "lower_context"
	LowerMemoryUtilization RemedyKind = "lower_memory_utilization"
	OtherRegion            RemedyKind = "other_region"
	Credentials            RemedyKind = "credentials"
	MoreDisk               RemedyKind = "more_disk"
	Quoting                RemedyKind = "quoting"
)

// Evidence is one line of the log that the answer rests on. Line counts from 1.
type Evidence struct {
	Line int    `json:"line"`
	Text string `json:"text"`
}

// Remedy is what to do about it.
type Remedy struct {
	Kind RemedyKind `json:"kind"`
	Text string     `json:"text"`
}

// Result is the answer to one log. Cause is empty when the log names none: a wrong cause costs more than none.
type Result struct {
	Outcome  Outcome         `json:"outcome"`
	Cause    Code            `json:"cause"`
	Stage    Stage           `json:"stage"`
	Evidence []Evidence      `json:"evidence"`
	Remedy   *Remedy         `json:"remedy"`
	Lesson   *catalog.Lesson `json:"lesson"`
	Next     Step            `json:"next"`
	Engine   string          `json:"engine,omitempty"` // "vllm", "sglang", … when the log tells
	Version  string          `json:"engine_version,omitempty"`
	Source   string          `json:"source,omitempty"` // where the rule's text was seen
	Restarts int             `json:"restarts,omitempty"`
	Lines    int             `json:"lines"`
}

// Options are what the reader may know besides the log.
type Options struct {
	Model  string // for the lesson; empty when not known
	Engine string // "vllm==0.10.1" or "vllm"; empty: read from the log
	Image  string
	GPU    string
	Source string // the launch and attempt the log belongs to
}
