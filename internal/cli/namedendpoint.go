package cli

import (
	"context"
	"encoding/json"
	"net"
	"slices"
	"strings"

	"justright/boot"
	"justright/internal/httpclient"
	"justright/internal/probe"
	"justright/internal/runner"
	"justright/launch"
	"justright/problem"
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
		Expected: w.promised(ctx, t.State.Model, a)}
	if price > 0 {
		k.Price = &price
	}
	if k.Expected.SeenArchitecture, err = resolvedArchitecture(ctx, s, a.ID); err != nil {
		return knownEndpoint{}, err
	}
	return k, nil
}

// upAgain is the command that starts a launch's model where it ran.
func upAgain(s launch.State) string {
	words := []string{"justright", "up", boot.Quote(s.Model)}
	if s.Target == onLocal || s.Target == onRehearsal {
		words = append(words, "--on", s.Target)
	}
	return strings.Join(words, " ")
}

// promised is what the plan of an attempt leads to expect.
func (w *World) promised(ctx context.Context, model string, a launch.Attempt) probe.Expected {
	x := probe.Expected{Model: model}
	if p, err := w.lookupModel(ctx, model, false); err == nil {
		x.Architecture = p.Architecture // without it the check says that it does not apply
	}
	if a.Stack == nil {
		return x
	}
	x.Context = a.Stack.Context
	flag := func(name string) (string, bool) {
		for i, arg := range a.Stack.Argv {
			if v, ok := strings.CutPrefix(arg, name+"="); ok {
				return v, true
			}
			if arg == name && i+1 < len(a.Stack.Argv) {
				return a.Stack.Argv[i+1], true
			}
		}
		return "", false
	}
	if v, ok := flag("--served-model-name"); ok {
		x.Model = v
	} else if i := strings.LastIndexByte(strings.TrimRight(model, "/"), '/'); strings.HasPrefix(model, "/") || strings.HasPrefix(model, ".") {
		x.Model = strings.TrimRight(model, "/")[i+1:] // a directory is served by its last name
	}
	_, x.Tools = flag("--tool-call-parser")
	x.Tools = x.Tools && slices.Contains(a.Stack.Argv, "--enable-auto-tool-choice")
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

// resolvedArchitecture looks for vLLM's own word in the stored log.
func resolvedArchitecture(ctx context.Context, s runner.Journal, attempt string) (string, error) {
	const marker, page = "Resolved architecture: ", 2000
	for after := int64(0); ; {
		lines, err := s.Log(ctx, attempt, after, page)
		if err != nil {
			return "", err
		}
		for _, l := range lines {
			if _, rest, ok := strings.Cut(l.Text, marker); ok {
				word, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
				return word, nil
			}
			after = l.N
		}
		if len(lines) < page {
			return "", nil
		}
	}
}
