package runpod_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"justright/internal/httpclient"
	"justright/internal/provider"
	"justright/internal/provider/providertest"
	"justright/internal/provider/runpod"
	"justright/launch"
	"justright/sim/runpodsim"
	"justright/solve"
	"justright/version"
)

// talker plays a container that says its lines and stays up.
type talker struct{ lines []string }

func (r talker) Start(c *runpodsim.Container) func() {
	for _, l := range r.lines {
		c.Log(l)
	}
	return func() {}
}

func (talker) Close() {}

// lines include what makes a log hard: repeats, an empty one, JSON, and text that looks like the stream's own syntax.
var lines = []string{"justright phase=preflight status=start t=0.0", "again", "again", "", `{"ts":"x","line":"y"}`, "id: 7", "data: [DONE]", "zażółć 漢字 \x1b[31mred", "last"}

// subject makes an adapter on a fresh simulator, called without a socket.
func subject(t *testing.T, o runpodsim.Options) providertest.Subject {
	t.Helper()
	o.Runner, o.DelayScale, o.Seed, o.Keys = talker{lines}, runpodsim.NoDelay, 1, []runpodsim.Key{{Token: "rpa_TESTKEY"}}
	if o.RateLimit == nil {
		o.RateLimit = &runpodsim.Unlimited
	}
	s := runpodsim.New(o)
	t.Cleanup(s.Close)
	p, err := runpod.New(runpod.Config{
		Key: httpclient.NewSecret("rpa_TESTKEY"), BaseURL: "http://sim.test", Transport: s.Transport(),
		Sleep: func(ctx context.Context, d time.Duration) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(min(d, 2*time.Millisecond)):
				return nil
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return providertest.Subject{
		Provider: p, Lines: lines,
		Spec: launch.Spec{
			Image: "runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404", DiskGB: 20, GPU: "NVIDIA L4", GPUCount: 1, Cloud: "SECURE", Ports: []string{"8000/http"},
			MinCUDA: version.CUDA{Major: 12, Minor: 4},
			Start:   solve.Start{Entrypoint: []string{"/bin/sh", "-c"}, Cmd: []string{"exec talk"}, Args: `/bin/sh -c 'exec talk'`},
		},
	}
}

func TestConformance(t *testing.T) {
	worlds := map[string]runpodsim.Options{
		"as live":                {},
		"without exec form":      {RefuseExec: true},
		"statuses as documented": {SpecStatus: true},
		"plain log ids":          {PlainLogIDs: true},
		"lingering after delete": {Linger: 20 * time.Millisecond},
		"throttled now and then": {Faults: []runpodsim.Fault{{Kind: runpodsim.Throttled, Op: "getPod", Count: 2}, {Kind: runpodsim.ErrorBefore, Op: "listPods", Status: 503, Count: 1}}},
		"log streams cut":        {Faults: []runpodsim.Fault{{Kind: runpodsim.CutBody, Op: "getPodLogs", Bytes: 700}}},
	}
	for name, o := range worlds {
		t.Run(name, func(t *testing.T) {
			providertest.Run(t, func(t *testing.T) providertest.Subject { return subject(t, o) })
		})
	}
}

// TestAmbiguousCreates is what the suite cannot ask of every provider: an answer that is lost or wrong after the act is
// temporary, and the machine is found by its attempt id.
func TestAmbiguousCreates(t *testing.T) {
	for _, f := range []runpodsim.Fault{
		{Kind: runpodsim.LostReply, Op: "createPod", Count: 1},
		{Kind: runpodsim.ErrorAfter, Op: "createPod", Count: 1, Status: 500, Detail: "internal error"},
		{Kind: runpodsim.CutBody, Op: "createPod", Count: 1, Bytes: 40},
	} {
		t.Run(fmt.Sprint(f.Kind), func(t *testing.T) {
			s := subject(t, runpodsim.Options{Faults: []runpodsim.Fault{f}})
			spec := s.Spec
			spec.AttemptID, spec.OwnerID = "attempt-1", "owner-1"
			_, err := s.Provider.Create(t.Context(), spec)
			if provider.KindOf(err) != launch.FailTemporary {
				t.Fatalf("create: %v, want temporary", err)
			}
			all, err := s.Provider.List(t.Context())
			if err != nil || len(all) != 1 || all[0].AttemptID != "attempt-1" {
				t.Errorf("list after it: %+v, %v; want the one pod of the attempt", all, err)
			}
		})
	}
}

// TestNoStock and a key of somebody else, in the simulator's own words.
func TestRefusalsOfTheSimulator(t *testing.T) {
	s := subject(t, runpodsim.Options{Faults: []runpodsim.Fault{{Kind: runpodsim.NoStock}}})
	spec := s.Spec
	spec.AttemptID, spec.OwnerID = "a", "o"
	if _, err := s.Provider.Create(t.Context(), spec); provider.KindOf(err) != launch.FailNoCapacity {
		t.Errorf("no stock: %v", err)
	}
	s = subject(t, runpodsim.Options{})
	spec.MinCUDA = version.CUDA{Major: 99}
	if _, err := s.Provider.Create(t.Context(), spec); provider.KindOf(err) != launch.FailNoCapacity {
		t.Errorf("no host of that CUDA: %v", err)
	}
	spec = s.Spec
	spec.AttemptID, spec.OwnerID, spec.GPU = "a", "o", "No Such GPU"
	if _, err := s.Provider.Create(t.Context(), spec); err == nil || provider.KindOf(err) == launch.FailTemporary {
		t.Errorf("unknown GPU: %v", err)
	}
}
