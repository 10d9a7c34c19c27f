package launch

import "time"

// Attention reports whether a task that nobody drives needs somebody, by one list of the account's machines (by attempt id)
// and the clock: something of it is missing, twice, too late, past a limit or on its way out.
func Attention(s State, wanted Wanted, shown map[string][]Instance, now time.Time) bool {
	for _, a := range s.Attempts {
		alive := 0
		for _, in := range shown[a.ID] {
			if in.OwnerID == s.Owner && in.Status != Gone {
				alive++
			}
		}
		switch {
		case a.Duplicate:
			if !a.Phase.Settled() {
				return true
			}
		case a.Phase.Settled() || a.Phase == Open:
			if alive > 0 || a.Phase == Open && !now.Before(a.Intended.Add(s.Timing.OpenFor)) {
				return true
			}
		case a.Phase != Ready:
			return true // its run broke off
		case alive != 1 || wanted == WantGone:
			return true
		case past(a.CapBy, now) || past(a.EndBy, now):
			return true
		case shown[a.ID][0].Status == Stopped:
			return true
		}
	}
	return wanted == WantGone && !s.Over() && len(s.Attempts) == 0
}

func past(limit, now time.Time) bool { return !limit.IsZero() && !now.Before(limit) }
