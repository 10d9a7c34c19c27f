package runner_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"justright/launch"
	"justright/sim/runpodsim"
)

func randomFaults(rng *rand.Rand) []runpodsim.Fault {
	all := []runpodsim.Fault{
		{Kind: runpodsim.LostReply, Op: "createPod"}, {Kind: runpodsim.LostRequest, Op: "createPod"},
		{Kind: runpodsim.ErrorAfter, Op: "createPod", Status: 500}, {Kind: runpodsim.ErrorBefore, Op: "createPod", Status: 503},
		{Kind: runpodsim.Throttled, Op: "createPod", Delay: 3 * time.Second}, {Kind: runpodsim.SlowAnswer, Op: "createPod", Delay: 50 * time.Second},
		{Kind: runpodsim.LostReply, Op: "deletePod"}, {Kind: runpodsim.ErrorBefore, Op: "deletePod", Status: 500},
		{Kind: runpodsim.Ignored, Op: "deletePod"}, {Kind: runpodsim.ErrorAfter, Op: "deletePod", Status: 502},
		{Kind: runpodsim.ErrorBefore, Op: "listPods", Status: 500}, {Kind: runpodsim.LostReply, Op: "listPods"},
		{Kind: runpodsim.ErrorBefore, Op: "getPod", Status: 500}, {Kind: runpodsim.LostReply, Op: "getPod"},
		{Kind: runpodsim.CutBody, Op: "podLogs", Bytes: 200},
		{Kind: runpodsim.ErrorBefore, Op: "listPods", Status: 401}, {Kind: runpodsim.ErrorBefore, Op: "getPod", Status: 403},
		{Kind: runpodsim.ErrorBefore, Op: "deletePod", Status: 401},
	}
	var out []runpodsim.Fault
	for range rng.IntN(4) {
		f := all[rng.IntN(len(all))]
		f.Count, f.After = 1+rng.IntN(3), rng.IntN(3)
		out = append(out, f)
	}
	if rng.IntN(3) == 0 {
		out = append(out, runpodsim.Fault{Kind: runpodsim.ListLag, Delay: time.Duration(1+rng.IntN(25)) * time.Second})
	}
	if rng.IntN(5) == 0 {
		out = append(out, runpodsim.Fault{Kind: runpodsim.GetLag, Delay: time.Duration(1+rng.IntN(25)) * time.Second})
	}
	if rng.IntN(10) == 0 {
		out = append(out, runpodsim.Fault{Kind: runpodsim.WrongPrice, Factor: 1.5})
	}
	if rng.IntN(10) == 0 {
		out = append(out, runpodsim.Fault{Kind: runpodsim.CrashLoop, Delay: time.Second, Status: 1})
	}
	switch rng.IntN(20) { // no container, no guard: all three bill
	case 0, 1:
		out = append(out, runpodsim.Fault{Kind: runpodsim.DeadHost})
	case 2:
		out = append(out, runpodsim.Fault{Kind: runpodsim.StuckPull})
	case 3:
		out = append(out, runpodsim.Fault{Kind: runpodsim.PullDenied})
	}
	return out
}

// plantForeign rents pods that look like ours and are not: another journal's, with our very names, and a stranger's.
func (s *schedule) plantForeign(ctx context.Context) []string {
	p := s.config(0).Provider
	var ids []string
	for i, owner := range []string{strings.Repeat("f", 32), strings.Repeat("0", 32)} {
		in, err := p.Create(ctx, launch.Spec{
			Name: "jr-x-0001", AttemptID: fmt.Sprintf("%032d", i), OwnerID: owner, Image: "runpod/base:0.6.2-cuda12.4.1",
			Ports: []string{"8000/http"}, DiskGB: 10, GPU: "NVIDIA A40", GPUCount: 1,
		})
		if err == nil {
			ids = append(ids, in.ID)
		}
	}
	return ids
}

// plantSelf rents the pod that the processes will run in: made from this journal, and bearing the very id that the first
// attempt will have.
func (s *schedule) plantSelf(ctx context.Context) {
	in, err := s.config(0).Provider.Create(ctx, launch.Spec{
		Name: "jr-x-self", AttemptID: (&idSource{}).next(), OwnerID: s.owner, Image: "runpod/base:0.6.2-cuda12.4.1", Ports: []string{"8000/http"},
		DiskGB: 10, GPU: "NVIDIA A40", GPUCount: 1,
	})
	if err == nil {
		s.self = in.ID
	}
	clear(s.calls.creates) // whoever made that pod is not on trial
}

// signals is a keyboard: mostly nobody touches it, else Ctrl-C once or twice, a hang-up or a termination at some moment.
func (s *schedule) signals(within time.Duration) <-chan bool {
	if s.rng.IntN(3) > 0 {
		return nil
	}
	out := make(chan bool)
	at := time.Duration(s.rng.Int64N(int64(min(within, 2*time.Minute)))) // while it boots
	hard, twice := s.rng.IntN(3) == 0, s.rng.IntN(2) == 0
	send := func() {
		select {
		case out <- hard:
		case <-time.After(time.Minute): // the process has ended
		}
	}
	go func() {
		time.Sleep(at)
		send()
		if twice {
			time.Sleep(time.Second)
			send()
		}
	}()
	return out
}

// console is somebody who ends a machine of ours on the provider's page, now and then.
func (s *schedule) console(within time.Duration, counts *tally) {
	if s.rng.IntN(6) > 0 {
		return
	}
	at, pick := time.Duration(s.rng.Int64N(int64(within))), s.rng.Uint64()
	p := s.config(0).Provider
	time.AfterFunc(at, func() {
		var ours []string
		for _, pod := range s.sim.Ledger().Pods {
			if pod.Billing && pod.ID != s.self && pod.Env != "" && !strings.HasPrefix(pod.Env, "000000") {
				ours = append(ours, pod.ID)
			}
		}
		if len(ours) > 0 && p.Delete(context.Background(), ours[pick%uint64(len(ours))]) == nil {
			counts.add("console")
		}
	})
}
