package solve

import (
	"fmt"
	"strings"

	"justright/catalog"
	"justright/problem"
)

// ruleEmbedding: Qwen3 embedding checkpoints carry the class of the chat model but not its head. Before releases looked
// at the repository's pooling configuration by themselves, they had to be told.
func ruleEmbedding(s *subject) []finding {
	name := strings.ToLower(s.c.ModelName)
	if s.engine != catalog.VLLM || !s.exact || !strings.Contains(name, "qwen3-embedding") || s.before("0.8.5") || !s.before("0.10.1") {
		return nil
	}
	if t, _ := s.flags.Get("task"); strings.HasPrefix(t, "embed") {
		return nil
	}
	return []finding{{code: CodeOther, reason: fmt.Sprintf("%s loads Qwen3-Embedding as a chat model unless it is told --task embed", s.label()),
		facts: []catalog.Fact{reported("vllm/qwen3-embedding/task", "before 0.10.1 the Qwen3-Embedding checkpoints, whose weights have no model. prefix, load only with --task embed", "https://github.com/vllm-project/vllm/issues/21614", "2025-07-26")},
		hints: []problem.Hint{{Text: "add --task embed"}}}}
}
