// Package memory is a provider whose machines are values: the reference implementation of the conformance suite,
// the thing decorators are tested around, and a target for tests of what stands above providers.
package memory

import (
	"context"
	"fmt"
	"sort"
	"strconv"
	"sync"
	"time"

	"justright/catalog"
	"justright/internal/provider"
	"justright/launch"
	"justright/money"
)

// Provider keeps machines in memory. Every machine runs at once and says the lines of Says.
type Provider struct {
	// Says are the lines each machine prints at its start.
	Says []string
	// Price of every machine per hour.
	Price money.USD
	// Now is the clock.
	Now func() time.Time

	mu    sync.Mutex
	next  int
	by    map[string]*machine
	moved *sync.Cond // a machine has ended
}

type machine struct {
	in   launch.Instance
	logs []launch.LogLine
	gone bool
}

var _ provider.Provider = (*Provider)(nil)

// New makes an empty provider.
func New(now func() time.Time, price money.USD, says ...string) *Provider {
	p := &Provider{Says: says, Price: price, Now: now, by: map[string]*machine{}}
	p.moved = sync.NewCond(&p.mu)
	return p
}

// Name is the word of --on.
func (p *Provider) Name() string { return "memory" }

// Offers lists the one kind of machine there is.
func (p *Provider) Offers(ctx context.Context) ([]catalog.Offer, error) {
	if err := cancelled(ctx, "offers"); err != nil {
		return nil, err
	}
	price := p.Price
	return []catalog.Offer{{Provider: "memory", GPU: "l4", ProviderID: "l4", PricePerHour: &price, MaxCount: 1, Stock: "HIGH"}}, nil
}

// Create makes a machine.
func (p *Provider) Create(ctx context.Context, s launch.Spec) (launch.Instance, error) {
	if err := cancelled(ctx, "create"); err != nil {
		return launch.Instance{}, err
	}
	if s.AttemptID == "" || s.OwnerID == "" {
		return launch.Instance{}, &provider.Error{Op: "create", Kind: launch.FailRejected, Detail: "no attempt or owner id"}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next++
	now := p.Now().UTC()
	price := p.Price
	m := &machine{in: launch.Instance{
		ID: fmt.Sprintf("m%06d", p.next), Name: s.Name, AttemptID: s.AttemptID, OwnerID: s.OwnerID, Status: launch.Running,
		PricePerHour: &price, GPU: s.GPU, GPUCount: max(1, s.GPUCount), Created: now, Started: now,
	}}
	m.in.BaseURL = "http://" + m.in.ID + ".invalid"
	for i, text := range p.Says {
		m.logs = append(m.logs, launch.LogLine{ID: strconv.Itoa(i + 1), At: now, Source: "container", Text: text})
	}
	p.by[m.in.ID] = m
	return m.in, nil
}

// Get describes a machine; what is not there is gone.
func (p *Provider) Get(ctx context.Context, id string) (launch.Instance, error) {
	if err := cancelled(ctx, "get"); err != nil {
		return launch.Instance{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.by[id]
	if m == nil || m.gone {
		return launch.Instance{ID: id, Status: launch.Gone}, nil
	}
	return p.aged(m.in), nil
}

func (p *Provider) aged(in launch.Instance) launch.Instance {
	in.Uptime = p.Now().Sub(in.Started)
	return in
}

// List describes all machines in the order of their making.
func (p *Provider) List(ctx context.Context) ([]launch.Instance, error) {
	if err := cancelled(ctx, "list"); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	out := []launch.Instance{}
	for _, m := range p.by {
		if !m.gone {
			out = append(out, p.aged(m.in))
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].ID < out[j].ID })
	return out, nil
}

// Delete ends a machine.
func (p *Provider) Delete(ctx context.Context, id string) error {
	if err := cancelled(ctx, "delete"); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if m := p.by[id]; m != nil {
		m.gone = true
	}
	p.moved.Broadcast()
	return nil
}

// Logs hands on the lines after the mark and then waits for the machine's end.
func (p *Provider) Logs(ctx context.Context, id, after string, f func(launch.LogLine) error) error {
	if err := cancelled(ctx, "logs"); err != nil {
		return err
	}
	from, err := strconv.Atoi("0" + after)
	if err != nil {
		return &provider.Error{Op: "logs", Kind: launch.FailRejected, Detail: "unknown mark", Err: err}
	}
	p.mu.Lock()
	m := p.by[id]
	if m == nil || m.gone {
		p.mu.Unlock()
		return nil
	}
	lines := m.logs[min(from, len(m.logs)):]
	p.mu.Unlock()
	for _, l := range lines {
		if err := cancelled(ctx, "logs"); err != nil {
			return err
		}
		if err := f(l); err != nil {
			return err
		}
	}
	stop := context.AfterFunc(ctx, func() { p.mu.Lock(); defer p.mu.Unlock(); p.moved.Broadcast() })
	defer stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for !m.gone && ctx.Err() == nil {
		p.moved.Wait()
	}
	if m.gone {
		return nil
	}
	return cancelled(ctx, "logs")
}

// cancelled is the error of a call whose context has ended. The plain error type keeps nil nil.
func cancelled(ctx context.Context, op string) error {
	if ctx.Err() == nil {
		return nil
	}
	return &provider.Error{Op: op, Kind: launch.FailTemporary, Err: ctx.Err()}
}
