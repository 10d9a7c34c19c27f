package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"justright/internal/httpclient"
	"justright/internal/probe"
	"justright/money"
	"justright/problem"
)

// endpointFlags are the flags of commands that talk to an endpoint.
type endpointFlags struct {
	key, keyFile, model string
}

func (f *endpointFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.keyFile, "key-file", "", "read the endpoint's key from `FILE`")
	c.Flags().StringVar(&f.key, "key", "", "the endpoint's key (others on this machine can see it; prefer --key-file or VLLM_API_KEY)")
	c.Flags().StringVar(&f.model, "model", "", "served `NAME` (default: the first in the model list)")
}

// oneArg takes exactly one argument and says what it must be: cobra's own words for it would count as a bug of ours.
func oneArg(what, example string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == 1 {
			return nil
		}
		return problem.New(problem.ExitUsage, "usage", "%s takes one argument, %s; %d were given", c.CommandPath(), what, len(args)).Try("for example", example)
	}
}

// knownEndpoint is what is known of an endpoint before it is asked.
type knownEndpoint struct {
	BaseURL  string
	Key      httpclient.Secret
	Expected probe.Expected
	Price    *money.USD // per hour
	Task     string     // the journal's id; empty for a bare address
}

// endpointOf turns URL or NAME of the command line into an endpoint.
func (w *World) endpointOf(ctx context.Context, arg string, f endpointFlags) (probe.Endpoint, knownEndpoint, error) {
	var k knownEndpoint
	if isAddress(arg) {
		base, err := probe.ParseBaseURL(arg)
		if err != nil {
			return probe.Endpoint{}, k, problem.New(problem.ExitUsage, "bad_address", "%s", err).
				Try("an address looks like this", "justright verify https://HOST/v1 --key-file FILE").
				Try("or give the name of a launch", "justright ps")
		}
		k.BaseURL, k.Key = base, httpclient.NewSecret(strings.TrimSpace(w.Env("VLLM_API_KEY")))
	} else {
		var err error
		if k, err = w.launchEndpoint(ctx, arg); err != nil {
			return probe.Endpoint{}, k, err
		}
	}
	switch {
	case f.key != "" && f.keyFile != "":
		return probe.Endpoint{}, k, problem.New(problem.ExitUsage, "usage", "--key and --key-file exclude each other")
	case f.key != "":
		k.Key = httpclient.NewSecret(f.key)
	case f.keyFile != "":
		s, err := w.readKey(f.keyFile)
		if err != nil {
			return probe.Endpoint{}, k, err
		}
		k.Key = s
	}
	if f.model != "" {
		k.Expected.Model = f.model
	}
	e := probe.Endpoint{BaseURL: k.BaseURL, Key: k.Key, Model: k.Expected.Model, Now: w.Now,
		HTTP: httpclient.New(httpclient.Options{Transport: w.Transport, Now: w.Now})}
	return e, k, nil
}

// readKey reads a key file, whose first line is the key.
func (w *World) readKey(path string) (httpclient.Secret, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(w.Dir, path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return httpclient.Secret{}, problem.New(problem.ExitUsage, "unreadable_file", "cannot read the key file %s", path).Wrap(errors.Unwrap(err))
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	line = strings.TrimSpace(line)
	if line == "" || len(line) > 4096 || strings.ContainsAny(line, " \t\x00") {
		return httpclient.Secret{}, problem.New(problem.ExitUsage, "unreadable_file", "%s holds no key: its first line must be the key and nothing else", path)
	}
	return httpclient.NewSecret(line), nil
}

// endpointProblem turns the reasons for no answer at all into what a person needs.
func endpointProblem(ctx context.Context, base, arg string, err error) error {
	switch {
	case ctx.Err() != nil:
		return problem.New(problem.ExitInterrupted, "interrupted", "interrupted").Wrap(ctx.Err())
	case errors.Is(err, probe.ErrKeyRefused):
		return problem.New(problem.ExitCredentials, "key_refused", "%s refuses the key", base).Wrap(err).
			Try("give the right one", fmt.Sprintf("justright verify %s --key-file FILE", arg))
	case errors.Is(err, probe.ErrUnreachable):
		return problem.New(problem.ExitCapacity, "unreachable", "%s does not answer", base).Wrap(err).
			Try("an engine listens only once its model is loaded; look at its log", "justright logs -f NAME").
			Try("see whether the machine runs", "justright ps")
	case errors.Is(err, probe.ErrNoText):
		return problem.New(problem.ExitNoStack, "no_text", "%s generates no text: there is nothing to measure", base).Wrap(err)
	default:
		return err
	}
}
