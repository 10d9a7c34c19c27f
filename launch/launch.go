// Package launch knows the life of one launch: what is asked of a provider, what it answers, the states in
// between, and the effects to perform next. It is pure: Next(state, event) gives a state and effects, which
// internal/runner stores before it performs them.
package launch

import (
	"time"

	"justright/money"
	"justright/solve"
	"justright/version"
)

// Spec is one machine as it is asked for. Name is for people; AttemptID (128 bit, hex) and OwnerID travel in the
// environment as JUSTRIGHT_ATTEMPT and JUSTRIGHT_OWNER, and matching uses only these.
type Spec struct {
	Name      string
	AttemptID string
	OwnerID   string

	Image      string
	RegistryID string
	Start      solve.Start
	Env        map[string]string // values may be secret: stored answers and logs lose it
	Ports      []string          // "8000/http"
	DiskGB     int

	GPU         string // the provider's id; empty for a CPU machine
	GPUCount    int    // of each machine that it is made of
	Copies      int    // whole engines behind one address; up to 1: one. Where the target makes several
	Nodes       int    // machines that one engine runs over; up to 1: one. Not both
	MinCUDA     version.CUDA
	Cloud       string
	DataCenters []string
	VolumeID    string
	VolumePath  string
	Expose      string // host[:port] that clients reach the engine at, on a machine of one's own; empty: this machine's loopback

	MaxPricePerHour money.USD // the confirmed price; an answer above it is deleted
}

// Status is the provider's word about a machine, in our terms.
type Status string

// The statuses of an instance.
const (
	Provisioning  Status = "provisioning" // allocated or pulling: bills, no container yet
	Running       Status = "running"      // a container has started at least once
	Stopped       Status = "stopped"
	Gone          Status = "gone" // the provider denies it, or says terminated
	StatusUnknown Status = "unknown"
)

// Instance is one machine as the provider describes it.
type Instance struct {
	ID           string
	Name         string
	AttemptID    string // from its environment; empty when not ours
	OwnerID      string
	Status       Status
	PricePerHour *money.USD // as answered; nil when not told
	HostCUDA     version.CUDA
	DataCenter   string
	GPU          string
	GPUCount     int
	Pods         int // that it is made of, where it is made of several; PodsReady of them take requests
	PodsReady    int
	Created      time.Time
	Started      time.Time     // last start of the container; zero when unknown
	Uptime       time.Duration // of the container; goes back to 0 when it restarts
	BaseURL      string        // the address a user will use, without /v1; empty until known
}

// LogLine is one line a machine said. ID is the provider's resume mark.
type LogLine struct {
	ID     string
	At     time.Time
	Source string // "container" or "system"
	Text   string
}

// FailureKind classifies what went wrong at a provider, for deciding and for exit codes.
type FailureKind string

// The failure kinds.
const (
	FailAuth       FailureKind = "auth"        // 401, 403: credentials
	FailQuota      FailureKind = "quota"       // balance, spend limit
	FailNoCapacity FailureKind = "no_capacity" // try the next candidate
	FailNotFound   FailureKind = "not_found"
	FailConflict   FailureKind = "conflict"  // not valid in this state
	FailTemporary  FailureKind = "temporary" // 429, 5xx, network: an unanswered create is ambiguous
	FailRejected   FailureKind = "rejected"  // our request is wrong: never repeat it
	// A place of one's own at a provider, a cluster's namespace, and what it refuses whatever the plan.
	FailRoom        FailureKind = "quota_exceeded" // what it may hold: its quota, its limits of one machine
	FailPolicy      FailureKind = "policy"         // what may run there
	FailNoNamespace FailureKind = "no_namespace"   // it is not there
	FailUnknown     FailureKind = "unknown"
)
