// Package catalog knows the facts: what each engine release, wheel, image, GPU and model type needs and
// offers, each with its source, its date and its standing. It is data with queries; it does no I/O beyond
// what is embedded, and it decides nothing (package solve does).
package catalog

import (
	"encoding/json"

	"justright/money"
	"justright/version"
)

// Standing says how a fact came to be known.
type Standing string

// The standings, strongest first.
const (
	Derived  Standing = "derived"  // read out of the artefact itself
	Run      Standing = "run"      // seen by running it
	Reported Standing = "reported" // somebody else's statement
	Stated   Standing = "stated"   // the user said so (a flag, a pin), or a provider's offer
	Learned  Standing = "learned"  // a lesson from a failed launch
)

// FactID names a fact stably: "vllm/0.10.1/architectures/GptOssForCausalLM".
type FactID string

// Fact is one statement somebody can check. Source is a URL or the name of an artefact; Date is when it was
// read or published (YYYY-MM-DD).
type Fact struct {
	ID        FactID   `json:"id"`
	Statement string   `json:"statement"`
	Source    string   `json:"source"`
	Date      string   `json:"date"`
	Standing  Standing `json:"standing"`
}

// Offer is something a target would rent us, as of now. Unknown fields are nil or empty, never zero by guess.
type Offer struct {
	Provider     string         `json:"provider"`
	GPU          string         `json:"gpu"`               // catalog id of the GPU, see GPU.ID; empty for a CPU machine
	ProviderID   string         `json:"provider_id"`       // the string the provider's API wants
	Cloud        string         `json:"cloud"`             // SECURE, COMMUNITY, or empty
	DataCenters  []string       `json:"data_centers"`      // where it is in stock; empty when not known
	Shunned      bool           `json:"shunned,omitempty"` // data centres were left out by lessons: the create must name the rest
	HostCUDA     []version.CUDA `json:"host_cuda"`         // CUDA versions of hosts in stock; empty when not known
	Driver       version.Driver `json:"driver"`            // known only for local and ssh
	MaxCount     int            `json:"max_count"`         // most GPUs in one machine; 0 when not known
	PricePerHour *money.USD     `json:"price_per_hour"`    // for ONE GPU; nil when not known
	Stock        string         `json:"stock"`             // HIGH, MEDIUM, LOW, NONE or empty
	Source       string         `json:"source"`
	Date         string         `json:"date"`
}

// Lesson is what a failed launch taught: a constraint with evidence that the next solve respects until it expires.
// Exactly the fields that constrain are set.
type Lesson struct {
	ID       string   `json:"id"`
	Cause    string   `json:"cause"`  // a cause of package diagnose
	Remedy   string   `json:"remedy"` // a remedy kind of package diagnose
	Evidence []string `json:"evidence"`
	Source   string   `json:"source"` // the launch and attempt that taught it
	Created  string   `json:"created"`
	Expires  string   `json:"expires"`

	// What it is about; empty means any.
	Model  string `json:"model,omitempty"`
	Engine string `json:"engine,omitempty"` // "vllm==0.6.3.post1" or "vllm"
	Image  string `json:"image,omitempty"`
	GPU    string `json:"gpu,omitempty"`
	GPUs   int    `json:"gpus,omitempty"` // cards in the stack that failed; 0 means one

	// WheelCUDA narrows it to builds of at least this CUDA.
	WheelCUDA version.CUDA `json:"wheel_cuda,omitzero"`

	// What the next stack must satisfy.
	MinHostCUDA     version.CUDA `json:"min_host_cuda,omitzero"`
	MinEngine       string       `json:"min_engine,omitempty"`       // PEP 440
	MaxEngine       string       `json:"max_engine,omitempty"`       // PEP 440, inclusive
	MinTransformers string       `json:"min_transformers,omitempty"` // PEP 440
	MoreMemoryBytes int64        `json:"more_memory_bytes,omitempty"`
	MoreDiskBytes   int64        `json:"more_disk_bytes,omitempty"`
	DropFlags       []string     `json:"drop_flags,omitempty"` // "--flag", or one value of it: "--flag=value"
	AddFlags        []string     `json:"add_flags,omitempty"`
	ExcludeHost     string       `json:"exclude_host,omitempty"` // data center or machine
	Forbid          bool         `json:"forbid,omitempty"`       // the subject above is not to be tried again
}

// MarshalJSON writes a day that is not known as null.
func (f Fact) MarshalJSON() ([]byte, error) {
	type plain Fact
	return json.Marshal(struct {
		plain
		Date *string `json:"date"`
	}{plain(f), orNull(f.Date)})
}

// MarshalJSON writes what is not known of an offer, or does not apply to it, as null.
func (o Offer) MarshalJSON() ([]byte, error) {
	type plain Offer
	var driver *version.Driver
	if !o.Driver.IsZero() {
		driver = &o.Driver
	}
	return json.Marshal(struct {
		plain
		GPU    *string         `json:"gpu"`
		Cloud  *string         `json:"cloud"`
		Driver *version.Driver `json:"driver"`
		Stock  *string         `json:"stock"`
		Date   *string         `json:"date"`
	}{plain(o), orNull(o.GPU), orNull(o.Cloud), driver, orNull(o.Stock), orNull(o.Date)})
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
