package launch

import (
	"fmt"
	"testing"
	"time"

	"justright/money"
	"justright/problem"
)

// FuzzNext feeds any order of events, sensible or not, and holds what must never break: no second create of one intent,
// none when the task is wanted gone, money reserved within the budget, nothing settled before it was denied twice, and an
// end that does not forget what bills.
func FuzzNext(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13})
	f.Add([]byte{0, 2, 4, 7, 5, 5, 5, 1, 1, 9, 9, 9})
	f.Add([]byte{0, 2, 17, 15, 8, 10, 11, 11, 16, 0, 1, 1, 1, 1, 1, 1})
	f.Add([]byte{0, 2, 20, 21, 1, 1, 6, 6, 6, 6, 15, 1, 1, 10, 11, 11, 11})
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) > 400 {
			return
		}
		s, now := task(), t0
		creates, denials := map[string]int{}, map[string]int{}
		id := func(b byte) string { return fmt.Sprintf("%c", 'a'+b%5) }
		fresh := byte(0)
		for i, op := range ops {
			arg := byte(i * 7)
			now = now.Add(time.Duration(op%11) * 3 * time.Second)
			at := At(now)
			a := id(arg)
			var e Event
			switch op % 24 {
			case 0:
				e = Resume{At: at}
			case 1:
				e = Tick{at}
			case 2, 3:
				e = planned(now.Sub(t0).Seconds(), id(fresh), "gpu"+id(fresh))
				fresh++
			case 4:
				e = Created{at, a, instance("p"+a, a)}
			case 5:
				e = CreateFailed{At: at, Attempt: a, Kind: FailTemporary}
			case 6:
				e = Listed{At: at}
			case 7:
				e = Listed{at, []Instance{instance("p"+a, a), instance("q"+a, a)}}
			case 8:
				e = LogsSaved{at, a}
			case 9:
				e = Failed{At: at, Attempt: a, Cause: "c", Fatal: op > 128}
			case 10:
				e = DeleteAnswered{At: at, Attempt: a}
			case 11:
				e = Denied{at, a}
			case 12:
				e = Present{at, a, instance("p"+a, a)}
			case 13:
				e = Unsure{at, a, FailAuth, "?"}
			case 14:
				e = EngineReady{at, a}
			case 15:
				e = DownWanted{at, "down"}
			case 16:
				e = Interrupted{At: at, Hard: op > 128}
			case 17:
				e = GuardSaid{at, a, "armed", ""}
			case 18:
				e = Proved{At: at, Attempt: a, Passed: op > 64, Retry: op > 160}
			case 19:
				e = NoPlan{At: at, Exit: problem.ExitCapacity, Code: "x"}
			case 20:
				e = CreateFailed{At: at, Attempt: a, Kind: FailNoCapacity, Definite: true}
			case 21:
				e = ListFailed{At: at, Kind: FailAuth}
			case 22:
				e = GuardSaid{at, a, "unguarded", "key_refused"}
			case 23:
				e = Billed{At: at, Attempt: a, Cost: money.USD(arg)}
			}
			gone := s.Wanted == WantGone
			before := s
			var es []Effect
			s, es = Next(s, e)
			if d, ok := e.(Denied); ok {
				denials[d.Attempt]++
			}
			for _, x := range es {
				if c, ok := x.(Create); ok {
					if creates[c.Attempt]++; creates[c.Attempt] > 1 {
						t.Fatalf("a second create of intent %s", c.Attempt)
					}
					if gone {
						t.Fatal("a create after down")
					}
					if s.Committed(now) > s.Budget {
						t.Fatalf("$%s committed of $%s", s.Committed(now), s.Budget)
					}
				}
			}
			if gone && s.Wanted != WantGone {
				t.Fatal("down was taken back")
			}
			for i, b := range before.Attempts {
				n := s.Attempts[i]
				if n.Phase == Removed && b.Phase != Removed && (n.Denials < 2 || n.Asked == false) {
					t.Fatalf("settled after %d denials: %+v", n.Denials, n)
				}
			}
			if before.End == nil && s.End != nil && s.End.Outcome == "cancelled" && s.End.Code != CodeNotGone {
				for _, x := range s.Unsettled() {
					if x.Phase.Billing() {
						t.Fatalf("ended %+v while %s bills", s.End, x.PodID)
					}
				}
			}
			if due := s.Due(); s.End == nil && due.Before(t0) && !due.IsZero() && due.Year() > 1 {
				t.Fatalf("due in the past of the task: %v", due)
			}
		}
	})
}
