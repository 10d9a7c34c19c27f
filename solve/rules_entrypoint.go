package solve

import (
	"fmt"
	"strings"

	"justright/catalog"
	"justright/problem"
)

// ruleEntrypoint: a command given to an image whose entrypoint is the server already. The server's parser takes one
// word, the model's name, and turns the rest away.
func ruleEntrypoint(s *subject) []finding {
	words := strings.Fields(s.c.ImageCommand)
	if len(words) == 0 || !s.official || s.wheels || !startsServer(words) {
		return nil
	}
	entry := "python3 -m vllm.entrypoints.openai.api_server (vllm serve from 0.11.1 on)"
	if s.release != nil && s.exact {
		entry = "python3 -m vllm.entrypoints.openai.api_server"
		if s.since("0.11.1") {
			entry = "vllm serve"
		}
	}
	return []finding{{code: CodeFlagUnknown, at: s.c.ImageCommand,
		reason: fmt.Sprintf("%q is handed to %s as arguments, for the image starts the server itself: unrecognized arguments", s.c.ImageCommand, entry),
		facts: []catalog.Fact{reported("vllm/image/entrypoint", "the entrypoint of vllm/vllm-openai is the server: python3 -m vllm.entrypoints.openai.api_server up to 0.11.0, vllm serve from 0.11.1 on; what is given as a command becomes its arguments",
			"docker/Dockerfile of vLLM at its tags; https://github.com/vllm-project/vllm/issues/22072, https://github.com/vllm-project/vllm/issues/27389", "2025-10-23")},
		hints: []problem.Hint{{Text: "give the flags alone (--model …), or replace the entrypoint: --entrypoint vllm … serve …"}}}}
}

// startsServer reports whether words are a command rather than a model's name: "serve", "vllm serve", "bash -c",
// "python3 -m vllm.…".
func startsServer(words []string) bool {
	switch base := words[0][strings.LastIndexByte(words[0], '/')+1:]; {
	case base == "serve":
		return true
	case base == "vllm":
		return len(words) > 1 && words[1] == "serve"
	case base == "bash" || base == "sh":
		return len(words) > 1 && strings.HasPrefix(words[1], "-")
	case strings.HasPrefix(base, "python"):
		return len(words) > 2 && words[1] == "-m" && strings.HasPrefix(words[2], "vllm.")
	}
	return false
}
