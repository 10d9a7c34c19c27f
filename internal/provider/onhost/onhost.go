// Package onhost is what the targets share that run a launch as a process of a machine somebody has: how an instance is
// described, what its process is told, what the machine has, and how its log file becomes lines.
package onhost

import (
	"strconv"
	"strings"
	"time"

	"justright/catalog"
	"justright/launch"
	"justright/money"
	"justright/version"
)

// Record is an instance as its directory describes it. It holds no secret.
type Record struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	AttemptID string    `json:"attempt_id"`
	OwnerID   string    `json:"owner_id"`
	Created   time.Time `json:"created"`
	Port      int       `json:"port"` // where the engine listens on the machine
	GPU       string    `json:"gpu,omitempty"`
	GPUCount  int       `json:"gpu_count,omitempty"`
}

// Instance describes a launch that nobody bills for. baseURL is the address its user will use.
func (r Record) Instance(st launch.Status, baseURL string, now time.Time) launch.Instance {
	free := money.USD(0)
	in := launch.Instance{ID: r.ID, Name: r.Name, AttemptID: r.AttemptID, OwnerID: r.OwnerID, Status: st,
		PricePerHour: &free, GPU: r.GPU, GPUCount: r.GPUCount, Created: r.Created, Started: r.Created, BaseURL: baseURL}
	if st == launch.Running {
		in.Uptime = max(0, now.Sub(r.Created))
	}
	return in
}

// Guard is the word that tells the start script to end its own process group and nothing else.
const Guard = "local"

// Vars is what a launch's process is told beside the environment it inherits: the launch's own variables, and ours, which win.
// What only the machine knows (its id there, port and directories) is added by who knows it. hold is how long a failed start stays
// up when the launch does not say.
func Vars(s launch.Spec, hold time.Duration) map[string]string {
	set := map[string]string{"JUSTRIGHT_HOLD": strconv.Itoa(int(hold.Seconds()))}
	for k, v := range s.Env {
		set[k] = v
	}
	for k, v := range map[string]string{
		"JUSTRIGHT_GUARD": Guard, "JUSTRIGHT_ATTEMPT": s.AttemptID, "JUSTRIGHT_OWNER": s.OwnerID, "JUSTRIGHT_NAME": s.Name,
	} {
		set[k] = v
	}
	return set
}

// SecretParts are the words that make an inherited variable a secret, and Misleading the beginnings of names that would mislead
// the start script. Neither kind is passed on.
func SecretParts() []string {
	return []string{"TOKEN", "SECRET", "PASSWORD", "API_KEY", "ACCESS_KEY", "CREDENTIAL"}
}

// Misleading names, by their beginnings.
func Misleading() []string {
	return []string{"RUNPOD_", "JUSTRIGHT_", "PYTHONDONTWRITEBYTECODE"}
}

// MayPass reports whether an inherited variable goes on to the launch's process.
func MayPass(name string) bool {
	for _, part := range SecretParts() {
		if strings.Contains(strings.ToUpper(name), part) {
			return false
		}
	}
	for _, begin := range Misleading() {
		if strings.HasPrefix(name, begin) {
			return false
		}
	}
	return true
}

// Note is the script that writes its own process id into the file "$1" and becomes the rest of its arguments: there is no instant
// at which a launch runs and nobody knows.
const Note = `printf '%s\n' "$$" >"$1.tmp" && mv "$1.tmp" "$1" || exit 125; shift; exec "$@"`

// Pythons are the versions an engine may run on, in our order of preference.
func Pythons() []string { return []string{"3.12", "3.11", "3.13", "3.10"} }

// Tools are the programs that boot's script calls by name.
func Tools() []string {
	return []string{"sh", "mkdir", "mv", "rm", "tail", "date", "sleep", "df", "gzip", "base64"}
}

// Offer is a machine as the one thing that can be had there. Its price is left open.
func (m Machine) Offer(provider, source string, lookup func(string) string, now time.Time) catalog.Offer {
	o := catalog.Offer{Provider: provider, MaxCount: 1, Stock: "HIGH", Source: source, Date: now.UTC().Format(time.DateOnly)}
	if len(m.GPUs) == 0 {
		return o
	}
	o.ProviderID, o.GPU, o.MaxCount, o.Driver = m.GPUs[0].Name, m.GPUs[0].Name, len(m.GPUs), m.Driver
	if lookup != nil {
		o.GPU = lookup(o.ProviderID)
	}
	if !m.CUDA.IsZero() {
		o.HostCUDA = []version.CUDA{m.CUDA}
	}
	return o
}
