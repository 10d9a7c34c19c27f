package runpod_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"justright/boot"
	"justright/internal/provider"
	"justright/internal/provider/providertest"
	"justright/internal/provider/runpod"
	"justright/launch"
	"justright/money"
	"justright/solve"
)

// TestLive runs the same suite against whatever RUNPOD_API_KEY and RUNPOD_API_BASE_URL name, the real RunPod among
// them, when JUSTRIGHT_LIVE_DOLLARS says how much that may cost. Every create reserves its price for longestLife, and
// the test refuses one that would pass the limit; every pod of the suite is deleted at the end.
func TestLive(t *testing.T) {
	limit, err := money.Parse(os.Getenv("JUSTRIGHT_LIVE_DOLLARS"))
	if err != nil {
		t.Skip("JUSTRIGHT_LIVE_DOLLARS is not set: this one may cost money")
	}
	cfg, err := runpod.FromEnv(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	p, err := runpod.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	spend := &spending{Provider: p, limit: limit}
	t.Cleanup(func() { spend.removeAll(t) })
	offers, err := p.Offers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cheapest := -1
	for i, o := range offers {
		if o.PricePerHour != nil && o.Stock != "" && o.Stock != "NONE" && (cheapest < 0 || *o.PricePerHour < *offers[cheapest].PricePerHour) {
			cheapest = i
		}
	}
	if cheapest < 0 {
		t.Fatal("nothing in stock")
	}
	card := offers[cheapest]
	spend.price = *card.PricePerHour
	t.Logf("%s at $%s/h, at most $%s", card.ProviderID, spend.price, limit)
	text := "printf '%s\\n' one two two three; while :; do sleep 3600; done"
	providertest.Run(t, func(*testing.T) providertest.Subject {
		return providertest.Subject{
			Provider: spend, Lines: []string{"one", "two", "two", "three"}, Wait: longestLife, Machines: 2,
			Spec: launch.Spec{Image: "debian:12-slim", DiskGB: 5, GPU: card.ProviderID, GPUCount: 1, Cloud: card.Cloud, Ports: []string{"8000/http"},
				Start: solve.Start{Entrypoint: []string{"/bin/sh", "-c"}, Cmd: []string{text}, Args: boot.JoinArgs([]string{"/bin/sh", "-c", text})}},
		}
	})
}

// longestLife is what each machine of the live run is reckoned with: a pull of a small image and the suite's own waits.
const longestLife = 5 * time.Minute

// spending refuses creates beyond a limit and remembers what was made.
type spending struct {
	provider.Provider
	limit, price money.USD

	mu       sync.Mutex
	reserved money.USD
	owner    string
}

func (s *spending) Create(ctx context.Context, spec launch.Spec) (launch.Instance, error) {
	s.mu.Lock()
	if s.reserved+s.price.For(longestLife) > s.limit {
		s.mu.Unlock()
		return launch.Instance{}, &provider.Error{Op: "create", Kind: launch.FailQuota, Detail: fmt.Sprintf("the live run may cost $%s", s.limit)}
	}
	s.reserved += s.price.For(longestLife)
	s.owner = spec.OwnerID
	s.mu.Unlock()
	return s.Provider.Create(ctx, spec)
}

func (s *spending) removeAll(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	all, err := s.List(ctx)
	if err != nil {
		t.Errorf("pods of the live run may be left: %v", err)
	}
	for _, in := range all {
		if in.OwnerID != "" && in.OwnerID == s.owner && strings.HasPrefix(in.Name, "jr-") && in.Status != launch.Gone {
			if err := s.Delete(ctx, in.ID); err != nil {
				t.Errorf("pod %s is left, and bills: %v", in.ID, err)
			}
		}
	}
}
