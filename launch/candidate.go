package launch

import (
	"fmt"
	"strings"
	"time"

	"justright/money"
	"justright/solve"
)

// CandidateKey names a plan so that it is never tried twice in one task: everything that decides whether it works,
// and nothing that changes from hour to hour.
func CandidateKey(p solve.Stack) string {
	return strings.Join([]string{
		p.Engine.Name + "==" + p.Engine.Version, p.Engine.WheelCUDA, p.Engine.Torch, p.Engine.Transformers,
		p.Install, p.Image, HardwareKey(p), p.Host.MinCUDA.String(), fmt.Sprint(p.Context), strings.Join(p.Argv, " "),
	}, "|")
}

// HardwareKey names what a provider may be out of.
func HardwareKey(p solve.Stack) string {
	cloud := ""
	if p.Offer != nil {
		cloud = p.Offer.Cloud + "/" + strings.Join(p.Offer.DataCenters, ",")
	}
	return fmt.Sprintf("%d×%s %s ≥%s", p.GPU.Count, p.GPU.ID, cloud, p.Host.MinCUDA)
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
