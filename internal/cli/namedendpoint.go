package cli

import (
	"context"
	"encoding/json"
	"net"
	"path/filepath"
	"strings"

	"justright/boot"
	"justright/internal/httpclient"
	"justright/internal/probe"
	"justright/internal/runner"
	"justright/launch"
	"justright/model"
	"justright/problem"
	"justright/solve"
)

// isAddress tells an address from the name of a launch, which may hold dots and, as a model's id, a slash.
func isAddress(arg string) bool {
	if strings.Contains(arg, "://") {
		return true
	}
	host, _, _ := strings.Cut(arg, "/")
	if h, port, err := net.SplitHostPort(host); err == nil && h != "" && port != "" {
		return true
	}
	return host == "localhost" || net.ParseIP(host) != nil
}

// launchEndpoint finds a launch of the journal by its name, with what its plan promised and its engine said.
func (w *World) launchEndpoint(ctx context.Context, name string) (knownEndpoint, error) {
	unknown := func(p *problem.Problem) error {
		return p.Try("an endpoint that is no launch is given by its address", "justright verify https://HOST --key-file FILE")
	}
	s, err := w.openJournal(ctx)
	if err != nil {
		return knownEndpoint{}, err
	}
	defer func() { _ = s.Close() }() // what was to be stored is committed by now
	all, err := s.Tasks(ctx)
	if err != nil {
		return knownEndpoint{}, err
	}
	t, err := findTask(all, name)
	if err != nil {
		return knownEndpoint{}, unknown(problem.From(err))
	}
	i := -1
	for n, a := range t.State.Attempts {
		if !a.Phase.Settled() && !a.Duplicate && a.BaseURL != "" {
			i = n
		}
	}
	if i < 0 {
		return knownEndpoint{}, problem.New(problem.ExitCapacity, "not_running", "%s has no machine with an address", t.State.Name).
			Try("see how it ended", "justright show "+t.State.Name).Try("start it again", upAgain(t.State))
	}
	a := t.State.Attempts[i]
	key, err := w.readTaskKey(t.State.ID)
	if err != nil {
		return knownEndpoint{}, problem.New(problem.ExitUsage, "unreadable_file", "the key of %s cannot be read", t.State.Name).Wrap(err)
	}
	price := a.Hourly()
	k := knownEndpoint{BaseURL: strings.TrimSuffix(strings.TrimRight(a.BaseURL, "/"), "/v1"), Key: httpclient.NewSecret(key), Task: t.State.ID,
		Expected: promised(w.profileOf(ctx, t.State.Model), servedAs(t.State.Model), a)}
	if price > 0 {
		k.Price = &price
	}
	said, err := engineSaid(ctx, s, a.ID)
	if err != nil {
		return knownEndpoint{}, err
	}
	said.into(&k.Expected)
	return k, nil
}

// upAgain is the command that starts a launch's model where it ran.
func upAgain(s launch.State) string {
	words := []string{"justright", "up", boot.Quote(s.Model)}
	if s.Target == onLocal || s.Target == onRehearsal || isSSH(s.Target) || isKubernetes(s.Target) {
		words = append(words, "--on", s.Target)
	}
	return strings.Join(words, " ")
}

// profileOf is what is known of a model by its name; empty when nothing is, and then the proof says what does not apply.
func (w *World) profileOf(ctx context.Context, name string) model.Profile {
	p, err := w.lookupModel(ctx, name, false)
	if err != nil {
		return model.Profile{}
	}
	return p
}

// servedAs is the name in the API of a model whose command line gives it none: a directory goes by its last name.
func servedAs(id string) string {
	if strings.HasPrefix(id, "/") || strings.HasPrefix(id, ".") {
		return filepath.Base(strings.TrimRight(id, "/"))
	}
	return id
}

// promised is what the plan of an attempt leads to expect of its endpoint. name is what the API calls the model where the
// command line does not say.
func promised(m model.Profile, name string, a launch.Attempt) probe.Expected {
	x := probe.Expected{Model: name, Architecture: m.Architecture}
	if a.Stack == nil {
		return x
	}
	x.Context = a.Stack.Context
	flags := solve.ParseFlags(a.Stack.Argv)
	if v, ok := flags.Get("served-model-name"); ok && v != "" {
		x.Model = v
	}
	if v, ok := flags.Get("tool-call-parser"); ok && flags.Has("enable-auto-tool-choice") {
		x.Tools, x.ToolParser = true, v
	}
	x.DoorsShut = a.Guarded && strings.HasPrefix(a.Stack.Engine.Name, "vllm") // our middleware goes with our start script
	return x
}

// saveProof keeps the newest proof of a launch in the journal, for show and the dashboard.
func (w *World) saveProof(ctx context.Context, task string, p probe.Proof) error {
	raw, err := json.Marshal(p)
	if err != nil {
		return err
	}
	s, err := w.openJournal(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }() // what was to be stored is committed by now
	return s.SaveProof(ctx, task, w.Now(), raw)
}

// said is what an attempt's log tells of its endpoint.
type said struct {
	architecture string // vLLM's own word; empty while it has not said it
	doorless     bool   // our middleware could not be written: the engine's own check is all there is
}

// into adds what was said to what the plan promises.
func (s said) into(x *probe.Expected) {
	x.SeenArchitecture = s.architecture
	x.DoorsShut = x.DoorsShut && !s.doorless
}

// engineSaid reads the stored log.
func engineSaid(ctx context.Context, s runner.Journal, attempt string) (out said, err error) {
	const marker, page = "Resolved architecture: ", 2000
	for after := int64(0); ; {
		lines, err := s.Log(ctx, attempt, after, page)
		if err != nil {
			return out, err
		}
		for _, l := range lines {
			after = l.N
			if _, rest, ok := strings.Cut(l.Text, marker); ok && out.architecture == "" {
				out.architecture, _, _ = strings.Cut(strings.TrimSpace(rest), " ")
			}
			if b, ok := boot.ParseLine(l.Text); ok && b.Phase == boot.PhaseReady && strings.Contains(l.Text, " door=0") {
				out.doorless = true
			}
		}
		if len(lines) < page {
			return out, nil
		}
	}
}
