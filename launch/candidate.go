package launch

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"justright/money"
	"justright/solve"
	"justright/version"
)

// CandidateKey names a plan so that it is never tried twice in one task: everything that decides whether it works,
// and nothing that changes from hour to hour.
func CandidateKey(p solve.Stack) string {
	return strings.Join([]string{
		p.Engine.Name + "==" + p.Engine.Version, p.Engine.WheelCUDA, p.Engine.Torch, p.Engine.Transformers,
		p.Install, p.Image, HardwareKey(p), p.Host.MinCUDA.String(), fmt.Sprint(p.Context), fmt.Sprint(p.DiskBytes >> 30), strings.Join(p.Argv, " "),
	}, "|")
}

// HardwareKey names what a provider may be out of, but for the CUDA floor. Where a card is in stock changes from hour to
// hour; only when some data centres are left out by what was learned do the others belong to the name.
func HardwareKey(p solve.Stack) string {
	cloud := ""
	if p.Offer != nil {
		cloud = p.Offer.Cloud
		if p.Offer.Shunned {
			cloud += "/" + strings.Join(p.Offer.DataCenters, ",")
		}
	}
	return fmt.Sprintf("%d×%s %s", p.GPU.Count, p.GPU.ID, cloud)
}

// Shortage is hardware that a provider was out of, on hosts with at least this CUDA version.
type Shortage struct {
	Hardware string       `json:"hardware"`
	MinCUDA  version.CUDA `json:"min_cuda,omitzero"`
}

// Worth reports whether a task has a reason to try a plan: it was not tried, the provider takes its image, and is not out of
// its hardware.
// Hosts for a higher CUDA floor are among those for a lower one, so a shortage below is a shortage above.
func (s State) Worth(p solve.Stack) bool {
	if slices.Contains(s.Tried, CandidateKey(p)) || slices.Contains(s.Unusable, p.Image) {
		return false
	}
	hw := HardwareKey(p)
	return !slices.ContainsFunc(s.Barren, func(b Shortage) bool {
		return b.Hardware == hw && b.MinCUDA.Compare(p.Host.MinCUDA) <= 0
	})
}

// slim is a stack as an attempt keeps it: without what only explains the choice.
func slim(p solve.Stack) *solve.Stack {
	p.Facts = nil
	if p.Offer != nil {
		o := *p.Offer
		o.HostCUDA = nil
		p.Offer = &o
	}
	return &p
}

// lasts is how long an amount pays for an hourly price, at most ten years.
func lasts(amount, hourly money.USD) time.Duration {
	const most = 10 * 365 * 24 * time.Hour
	if hourly <= 0 {
		return most
	}
	seconds := float64(amount) * 3600 / float64(hourly)
	if seconds >= most.Seconds() {
		return most
	}
	return time.Duration(seconds * float64(time.Second)).Truncate(time.Second)
}

// outerFirst is by how much the guard inside lets the program outside go first: that one can save the logs and try
// the next plan.
const outerFirst = time.Minute

// LimitsEnv is what the guard inside the machine is told: who it is and its limits, in absolute seconds of the
// provider's clock. A limit that is not set is left out.
func (a Attempt) LimitsEnv(owner, name string, idle time.Duration) map[string]string {
	env := map[string]string{"JUSTRIGHT_ATTEMPT": a.ID, "JUSTRIGHT_OWNER": owner, "JUSTRIGHT_NAME": name}
	for k, t := range map[string]time.Time{
		"JUSTRIGHT_BOOT_BY": a.BootBy.Add(outerFirst), "JUSTRIGHT_END_BY": a.EndBy, "JUSTRIGHT_CAP_BY": a.CapBy,
	} {
		if !t.IsZero() {
			env[k] = fmt.Sprint(t.Unix())
		}
	}
	if idle > 0 {
		env["JUSTRIGHT_IDLE"] = fmt.Sprint(int(idle.Seconds()))
	}
	return env
}
