package vllmsim

import (
	"fmt"
	"net/http"
	"sort"
	"strings"
)

// metrics answers the counters under vLLM's names.
func (e *Engine) metrics(w http.ResponseWriter, _ *http.Request) {
	e.mu.Lock()
	s := e.stats
	reasons := make([]string, 0, len(s.success))
	for k := range s.success {
		reasons = append(reasons, k)
	}
	sort.Strings(reasons)
	var b strings.Builder
	label := fmt.Sprintf(`engine="0",model_name=%q`, e.o.Served[0])
	gauge := func(name, help string, v any) {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s gauge\n%s{%s} %v\n", name, help, name, name, label, v)
	}
	counter := func(name, help string, v any) {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s counter\n%s_total{%s} %v\n", name, help, name, name, label, v)
	}
	gauge("vllm:num_requests_running", "Number of requests in model execution batches.", float(s.running))
	gauge("vllm:num_requests_waiting", "Number of requests waiting to be processed.", float(s.waiting))
	gauge("vllm:kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.", float(0))
	counter("vllm:prompt_tokens", "Number of prefill tokens processed.", float(s.promptTokens))
	counter("vllm:generation_tokens", "Number of generation tokens processed.", float(s.outTokens))
	fmt.Fprintf(&b, "# HELP vllm:request_success Count of successfully processed requests.\n# TYPE vllm:request_success counter\n")
	for _, r := range append([]string{}, reasons...) {
		fmt.Fprintf(&b, "vllm:request_success_total{%s,finished_reason=%q} %s\n", label, r, float(s.success[r]))
	}
	fmt.Fprintf(&b, "# HELP vllm:time_to_first_token_seconds Histogram of time to first token in seconds.\n# TYPE vllm:time_to_first_token_seconds histogram\n")
	fmt.Fprintf(&b, "vllm:time_to_first_token_seconds_bucket{%s,le=\"+Inf\"} %s\n", label, float(s.firstTokens))
	fmt.Fprintf(&b, "vllm:time_to_first_token_seconds_count{%s} %s\nvllm:time_to_first_token_seconds_sum{%s} %v\n", label, float(s.firstTokens), label, s.firstSum)
	e.mu.Unlock()
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write([]byte(b.String()))
}

func float(n int) string { return fmt.Sprintf("%d.0", n) }
