package memory

import (
	"fmt"

	"justright/model"
)

// Tuning is a way to make a model fit that nearly does: engine flags, in the order of what they cost.
type Tuning struct {
	Use    Use
	Flags  []string
	Answer Breakdown
}

// Tune looks for the least that must change for p to be sure to fit on the cards of u: smaller batches, which cost
// throughput; a larger share of the card; an 8-bit cache where the card computes it, which costs a little accuracy;
// no CUDA graphs, which costs speed. What u already sets is kept. found is false when even all of it does not do, and
// nothing is changed when p fits as it is.
func Tune(p model.Profile, u Use) (t Tuning, found bool) {
	t = Tuning{Use: u, Answer: Estimate(p, u)}
	if fits(t.Answer) {
		return t, true
	}
	steps := []func(*Use) []string{
		func(u *Use) []string {
			if u.MaxSeqs > 0 || u.BatchedTokens > 0 {
				return nil
			}
			u.MaxSeqs, u.BatchedTokens = 128, 2048
			return []string{"--max-num-seqs", "128", "--max-num-batched-tokens", "2048"}
		},
		func(u *Use) []string {
			if u.Utilization > 0 {
				return nil
			}
			u.Utilization = 0.95
			return []string{"--gpu-memory-utilization", "0.95"}
		},
		func(u *Use) []string {
			c := u.GPU.Capability
			if u.CacheDType != "" || p.EncoderOnly || c.Major < 8 || c.Major == 8 && c.Minor < 9 || p.Quant != nil && p.Quant.KVCacheDType != "" {
				return nil
			}
			u.CacheDType = "fp8"
			return []string{"--kv-cache-dtype", "fp8"}
		},
		func(u *Use) []string {
			if u.Eager {
				return nil
			}
			u.Eager = true
			return []string{"--enforce-eager"}
		},
	}
	for _, step := range steps {
		flags := step(&t.Use)
		if flags == nil {
			continue
		}
		t.Flags = append(t.Flags, flags...)
		if t.Answer = Estimate(p, t.Use); fits(t.Answer) {
			return t, true
		}
	}
	return t, false
}

func fits(b Breakdown) bool { return b.Fits != nil && *b.Fits }

// String is the flags as one would type them.
func (t Tuning) String() string {
	s := ""
	for _, f := range t.Flags {
		s += fmt.Sprintf(" %s", f)
	}
	if s == "" {
		return s
	}
	return s[1:]
}
