package solve

import (
	"fmt"
	"slices"
	"strings"

	"justright/catalog"
	"justright/problem"
	"justright/version"
)

// removedKeywords are keyword arguments of the engine's Python classes that went at another release than the flag of
// the same name.
var removedKeywords = map[string]struct{ gone, statement, source string }{
	"disable-log-requests": {"0.11.0", "AsyncEngineArgs no longer takes disable_log_requests from 0.11.0 on; enable_log_requests took over", "https://github.com/hiyouga/LlamaFactory/issues/9503"},
	"use-v2-block-manager": {"0.10.0", "EngineArgs no longer takes use_v2_block_manager from 0.10.0 on", "vllm wheels: vllm/engine/arg_utils.py"},
	"device":               {"0.10.0", "EngineArgs no longer takes device from 0.10.0 on", "vllm wheels: vllm/engine/arg_utils.py"},
	"task":                 {"0.13.0", "EngineArgs no longer takes task from 0.13.0 on; runner and convert took over", "vllm wheels: vllm/engine/arg_utils.py"},
	"num-scheduler-steps":  {"0.10.1", "EngineArgs no longer takes num_scheduler_steps from 0.10.1 on", "vllm wheels: vllm/engine/arg_utils.py"},
	"swap-space":           {"0.18.0", "EngineArgs no longer takes swap_space from 0.18.0 on", "vllm wheels: vllm/engine/arg_utils.py"},
}

// span is a run of releases that have a flag: from is the first with it, gone the first without it again.
type flagSpan struct{ from, gone, instead string }

// flagSpans completes the flags read from the wheels (catalog.FlagNames) where those were not read; sources: vllm's
// arg_utils.py and cli_args.py at the releases, and its release notes.
var flagSpans = map[string]flagSpan{
	"speculative-model": {gone: "0.8.3", instead: "--speculative-config"}, "num-speculative-tokens": {gone: "0.8.3", instead: "--speculative-config"},
	"ngram-prompt-lookup-max": {gone: "0.8.3", instead: "--speculative-config"}, "ngram-prompt-lookup-min": {gone: "0.8.3", instead: "--speculative-config"},
	"long-lora-scaling-factors": {gone: "0.10.0"}, "num-scheduler-steps": {gone: "0.10.1", instead: "--async-scheduling"}, "max-seq-len-to-capture": {gone: "0.11.0"},
	"preemption-mode": {gone: "0.11.0"}, "rope-scaling": {gone: "0.11.1", instead: "--hf-overrides"}, "rope-theta": {gone: "0.11.1", instead: "--hf-overrides"},
	"enable-lora-bias": {gone: "0.11.1"}, "guided-decoding-backend": {gone: "0.12.0", instead: "--structured-outputs-config"}, "num-lookahead-slots": {gone: "0.12.0"},
	"cuda-graph-sizes": {gone: "0.13.0", instead: "--cudagraph-capture-sizes"}, "disable-mm-preprocessor-cache": {gone: "0.13.0", instead: "--mm-processor-cache-gb 0"},
	"disable-frontend-multiprocessing": {gone: "0.19.0"}, "max-num-partial-prefills": {gone: "0.27.0"}, "calculate-kv-scales": {gone: "0.28.0"},
	"enable-bf16x3-router-gemm": {gone: "0.30.0"}, "enable-mamba-fine-grained-prefix-cache": {from: "0.30.0", gone: "0.31.0"},
	"tool-parser-plugin": {from: "0.6.3"}, "generation-config": {from: "0.6.6"}, "kv-cache-memory-bytes": {from: "0.10.2"}, "safetensors-load-strategy": {from: "0.10.2"},
	"enable-log-requests": {from: "0.10.1"}, "structured-outputs-config": {from: "0.11.0"}, "kv-offloading-size": {from: "0.11.1"}, "moe-backend": {from: "0.17.0"},
	"enable-auto-tool-choice": {from: "0.6.0"}, "tool-call-parser": {from: "0.6.0"}, "language-model-only": {from: "0.17.0"}, "performance-mode": {from: "0.17.0"}, "grpc": {from: "0.18.0"}, "numa-bind": {from: "0.20.0"}, "linear-backend": {from: "0.22.0"},
	"spec-method": {from: "0.22.0"}, "spec-model": {from: "0.22.0"}, "spec-tokens": {from: "0.22.0"}, "device-ids": {from: "0.24.0"}, "max-num-queued-reqs": {from: "0.29.0"},
	"sse-keep-alive-interval": {from: "0.29.0"}, "watermark-config": {from: "0.30.0"}, "enable-scale-out": {from: "0.30.0"}, "max-num-active-seqs": {from: "0.31.0"},
	"device-memory-utilization": {from: "0.31.0"}, "tool-strict-level": {from: "0.31.0"},
}

// foreignFlags belong to another engine or to the launcher, and say nothing about vLLM's parser.
func foreignFlag(name string) bool {
	switch name {
	case "gpu-arch", "gpus", "shm-size", "ipc", "mem-fraction-static", "runtime", "extra-index-url", "prerelease", "torch-backend", "index-url", "env":
		return true
	}
	return false
}

// ruleFlags: each argument against the flags that the release has.
func ruleFlags(s *subject) []finding {
	if s.engine == catalog.SGLang {
		return s.underscores()
	}
	if s.release == nil || s.engine != catalog.VLLM || s.atMost || s.fork {
		return nil
	}
	var out []finding
	for _, f := range s.flags.List {
		if g, ok := s.oneDash(f); ok {
			out = append(out, g)
			continue
		}
		if foreignFlag(f.Name) || foreignFlag(strings.ReplaceAll(strings.ToLower(strings.TrimLeft(f.Given, "-")), "_", "-")) {
			continue
		}
		at := strings.TrimSpace(f.Given + " " + f.Value)
		if !f.Dashed {
			if r, ok := removedKeywords[f.Name]; ok && !s.before(r.gone) {
				out = append(out, finding{code: CodeFlagRemoved, at: at, reason: fmt.Sprintf("%s does not take %s any more", s.label(), f.Given),
					facts: []catalog.Fact{reported("vllm/keywords/"+f.Name, r.statement, r.source, "2026-11-25")}})
			} else if !ok && s.exact && f.Given != f.Name && f.Value != "" { // max_x=…: the classes take what the command line takes
				if n, known := s.j.s.Named(catalog.FlagNames, "--"+f.Name); known && n.Releases.At(s.version.Public()) == catalog.Absent {
					if g, bad := s.flagFinding(f, at); bad {
						out = append(out, g)
					}
				}
			}
			continue
		}
		if g, ok := s.flagFinding(f, at); ok {
			out = append(out, g)
		}
	}
	return out
}

// underscores: SGLang's parser takes its flags with dashes only.
func (s *subject) underscores() []finding {
	var out []finding
	for _, f := range s.flags.List {
		if strings.HasPrefix(f.Given, "--") && strings.Contains(f.Given, "_") {
			out = append(out, finding{code: CodeFlagUnknown, at: strings.TrimSpace(f.Given + " " + f.Value), reason: fmt.Sprintf("SGLang has no flag %s", f.Given),
				facts: []catalog.Fact{reported("sglang/flags/dashes", "SGLang's argument parser does not turn underscores into dashes", "https://github.com/sgl-project/sglang/issues/12818", "2025-11-07")},
				hints: []problem.Hint{{Text: "write " + strings.ReplaceAll(f.Given, "_", "-")}}})
		}
	}
	return out
}

// oneDash: a long flag with a single dash is a bundle of short ones to the parser.
func (s *subject) oneDash(f Flag) (finding, bool) {
	if strings.HasPrefix(f.Given, "--") || !strings.HasPrefix(f.Given, "-") || len(f.Given) < 9 {
		return finding{}, false
	}
	n, known := s.j.s.Named(catalog.FlagNames, "--"+f.Name)
	if !known {
		return finding{}, false
	}
	return finding{code: CodeFlagUnknown, at: f.Given, facts: []catalog.Fact{n.Fact()}, reason: fmt.Sprintf("%s is written with two dashes: -%s", f.Given, f.Given),
		hints: []problem.Hint{{Text: "write -" + f.Given}}}, true
}

func (s *subject) flagFinding(f Flag, at string) (finding, bool) {
	v := s.version.Public()
	n, known := s.j.s.Named(catalog.FlagNames, "--"+f.Name)
	if known {
		switch {
		case n.Releases.At(v) == catalog.Uncertain: // the first release that was read has it, and it may be older
			return s.flagBySpan(f, at)
		case n.Releases.At(v) != catalog.Absent || s.dev && n.Releases.At(v.Base()) == catalog.Present:
			return finding{}, false
		case n.Releases.First().Compare(v) > 0:
			if v.Compare(catalog.FirstCurrentVLLM) < 0 && n.Releases[0].OrEarlier || s.soonAfter(n.Releases.First()) {
				return finding{}, false
			}
			return finding{code: CodeFlagUnknown, at: at, facts: []catalog.Fact{n.Fact()}, reason: fmt.Sprintf("%s does not know %s yet; it came in %s", s.label(), f.Given, n.Releases.First())}, true
		}
		g := finding{code: CodeFlagRemoved, at: at, facts: []catalog.Fact{n.Fact()}, reason: fmt.Sprintf("%s no longer takes %s", s.label(), f.Given)}
		if n.RenamedTo != "" {
			g.hints = []problem.Hint{{Text: "use " + n.RenamedTo}}
		}
		return g, true
	}
	if _, ok := flagSpans[f.Name]; !ok {
		return s.neverAFlag(f, at)
	}
	return s.flagBySpan(f, at)
}

// flagBySpan judges a flag by what flagSpans knows of it.
func (s *subject) flagBySpan(f Flag, at string) (finding, bool) {
	sp, ok := flagSpans[f.Name]
	if !ok {
		return finding{}, false
	}
	v := s.version.Public()
	fact := reported("vllm/flags/"+f.Name, spanStatement(f.Name, sp), "vllm wheels: vllm/engine/arg_utils.py, vllm/entrypoints/openai/cli_args.py", "2026-11-25")
	if sp.gone != "" && !s.before(sp.gone) {
		g := finding{code: CodeFlagRemoved, at: at, facts: []catalog.Fact{fact}, reason: fmt.Sprintf("%s no longer takes %s", s.label(), f.Given)}
		if sp.instead != "" {
			g.hints = []problem.Hint{{Text: "use " + sp.instead}}
		}
		return g, true
	}
	if sp.from != "" && s.before(sp.from) && !(s.dev && version.MustParsePEP440(sp.from).Compare(v.Base()) == 0) {
		return finding{code: CodeFlagUnknown, at: at, facts: []catalog.Fact{fact}, reason: fmt.Sprintf("%s does not know %s yet; it came in %s", s.label(), f.Given, sp.from)}, true
	}
	return finding{}, false
}

// soonAfter reports whether the release in use is but a guess from a day, and a release came within three weeks of it: whoever used what that
// one brought had a build from the branch, unless it says that a package was installed.
func (s *subject) soonAfter(first version.PEP440) bool {
	r := s.j.find(s.engine, first)
	return s.c.Closed && s.c.Engine.Moving && !s.wheels && r != nil && r.Released > s.day && daysBetween(s.day, r.Released) <= 21
}

// neverAFlag: no release that was read has the flag, nor one that begins with it (argparse takes abbreviations).
func (s *subject) neverAFlag(f Flag, at string) (finding, bool) {
	v := s.version.Public()
	if !s.exact || strings.Contains(f.Name, ".") || len(f.Name) < 2 || !strings.HasPrefix(f.Given, "--") {
		return finding{}, false
	}
	names, read := s.j.s.NamesIn(catalog.FlagNames, v)
	if !read || len(names) < 100 {
		return finding{}, false
	}
	bare := strings.TrimPrefix(f.Name, "no-")
	for _, n := range names {
		if strings.HasPrefix(n, "--"+f.Name) || strings.HasPrefix(n, "--"+bare) || n == "--"+strings.TrimPrefix(strings.ToLower(f.Given), "--") {
			return finding{}, false
		}
	}
	switch f.Name { // of the server's own parser, which is not read with the engine's
	case "model", "host", "port", "api-key", "served-model-name", "help", "version", "config", "headless", "root-path", "middleware", "uds":
		return finding{}, false
	}
	if strings.HasPrefix(f.Name, "ssl-") || strings.HasPrefix(f.Name, "uvicorn") || strings.HasPrefix(f.Name, "allowed-") || f.Name == "lora-modules" {
		return finding{}, false
	}
	fact := catalog.Fact{ID: catalog.FactID("vllm/flags/" + f.Name), Standing: catalog.Derived, Date: s.j.s.NewestEngineRead(catalog.VLLM),
		Statement: fmt.Sprintf("none of the %d flags of vLLM %s is --%s", len(names), v, f.Name), Source: "vllm wheel: vllm/engine/arg_utils.py, vllm/entrypoints/openai/cli_args.py"}
	g := finding{code: CodeFlagUnknown, at: at, facts: []catalog.Fact{fact}, reason: fmt.Sprintf("%s has no flag %s", s.label(), f.Given)}
	if f.Name == "omni" {
		g.hints = []problem.Hint{{Text: "--omni is of vLLM-Omni, another package, whose version goes with the engine's: pip install vllm-omni"}}
	}
	return g, true
}

func spanStatement(name string, sp flagSpan) string {
	switch {
	case sp.from != "" && sp.gone != "":
		return fmt.Sprintf("vLLM has --%s from %s until before %s", name, sp.from, sp.gone)
	case sp.from != "":
		return fmt.Sprintf("vLLM has --%s from %s on", name, sp.from)
	}
	return fmt.Sprintf("vLLM has no --%s from %s on", name, sp.gone)
}

// parserSpans completes the parser names read from the wheels: first release, and the first without it again.
var toolParserSpans = map[string]flagSpan{
	"hermes": {from: "0.6.3"}, "internlm": {from: "0.6.3"}, "llama3_json": {from: "0.6.3"}, "mistral": {from: "0.6.3"}, "granite": {from: "0.6.4"}, "jamba": {from: "0.6.4"}, "pythonic": {from: "0.6.4"},
	"phi4_mini_json": {from: "0.8.3"}, "llama4_json": {from: "0.8.5"}, "deepseek_v3": {from: "0.9.0"}, "llama4_pythonic": {from: "0.9.0"}, "xlam": {from: "0.9.2"}, "minimax": {from: "0.9.2", gone: "0.24.0"},
	"kimi_k2": {from: "0.10.0"}, "qwen3_coder": {from: "0.10.0"}, "hunyuan_a13b": {from: "0.10.0"}, "glm4_moe": {from: "0.10.0", gone: "0.10.1", instead: "glm45"}, "glm45": {from: "0.10.1"}, "step3": {from: "0.10.1"},
	"openai": {from: "0.10.2"}, "seed_oss": {from: "0.10.2"}, "deepseek_v31": {from: "0.10.2"}, "qwen3_xml": {from: "0.11.0"}, "longcat": {from: "0.11.0"}, "minimax_m2": {from: "0.11.1"}, "ernie45": {from: "0.11.1"}, "olmo3": {from: "0.11.1"},
	"deepseek_v32": {from: "0.13.0"}, "gigachat3": {from: "0.13.0"}, "glm47": {from: "0.14.0"}, "functiongemma": {from: "0.14.0"}, "step3p5": {from: "0.15.1"}, "granite4": {from: "0.18.0"}, "gemma4": {from: "0.19.0"},
	"deepseek_v4": {from: "0.20.0"}, "hy_v3": {from: "0.20.0"}, "mimo": {from: "0.20.0"}, "lfm2": {from: "0.21.0"}, "poolside_v1": {from: "0.21.0"}, "cohere_command3": {from: "0.21.0"}, "cohere_command4": {from: "0.21.0"},
	"apertus": {from: "0.22.0"}, "minicpm5": {from: "0.23.0"}, "minimax_m3": {from: "0.24.0"}, "inkling": {from: "0.26.0"}, "kimi_k3": {from: "0.27.0"}, "hf": {from: "0.32.0"}, "plamo3": {from: "0.32.0"}, "qwen3_json": {from: "0.32.0"},
}

var reasoningParserSpans = map[string]flagSpan{
	"deepseek_r1": {from: "0.7.1"}, "granite": {from: "0.8.3"}, "qwen3": {from: "0.9.0"}, "mistral": {from: "0.10.0"}, "hunyuan_a13b": {from: "0.10.0"}, "glm45": {from: "0.10.1"}, "step3": {from: "0.10.1"},
	"openai_gptoss": {from: "0.10.2"}, "seed_oss": {from: "0.11.0"}, "deepseek_v3": {from: "0.11.1"}, "kimi_k2": {from: "0.11.1"}, "minimax_m2": {from: "0.11.1"}, "ernie45": {from: "0.11.1"}, "olmo3": {from: "0.11.1"},
	"holo2": {from: "0.13.0"}, "step3p5": {from: "0.15.1"}, "nemotron_v3": {from: "0.17.1"}, "gemma4": {from: "0.19.0"}, "deepseek_v4": {from: "0.20.0"}, "hy_v3": {from: "0.20.0"}, "mimo": {from: "0.20.0"}, "glm47": {from: "0.24.0"}, "minimax_m3": {from: "0.24.0"},
}

// ruleParsers: the values of --tool-call-parser, --reasoning-parser and --kv-cache-dtype.
func ruleParsers(s *subject) []finding {
	if s.release == nil || s.engine != catalog.VLLM || s.atMost || s.fork {
		return nil
	}
	var out []finding
	for _, q := range []struct {
		flag  string
		kind  catalog.NameKind
		spans map[string]flagSpan
	}{
		{"tool-call-parser", catalog.ToolParsers, toolParserSpans},
		{"reasoning-parser", catalog.ReasoningParsers, reasoningParserSpans},
		{"kv-cache-dtype", catalog.KVCacheDTypes, nil},
	} {
		value, ok := s.flags.Get(q.flag)
		if !ok || value == "" || s.flags.Has("tool-parser-plugin") && q.flag == "tool-call-parser" || s.flags.Has("reasoning-parser-plugin") && q.flag == "reasoning-parser" {
			continue
		}
		if f, ok := s.valueFinding(q.flag, value, q.kind, q.spans); ok {
			out = append(out, f)
		}
	}
	return out
}

func (s *subject) valueFinding(flag, value string, kind catalog.NameKind, spans map[string]flagSpan) (finding, bool) {
	v := s.version.Public()
	at := "--" + flag + " " + value
	if n, known := s.j.s.Named(kind, value); known {
		if n.Releases.At(v) != catalog.Absent || s.dev || s.soonAfter(n.Releases.First()) {
			return finding{}, false
		}
		f := finding{code: CodeFlagUnknown, at: at, facts: []catalog.Fact{n.Fact()}, reason: fmt.Sprintf("%s has no %q for --%s", s.label(), value, flag)}
		if last := n.Releases.Last(); !last.IsZero() && v.Compare(last) > 0 {
			f.code = CodeFlagRemoved
		} else {
			f.reason += fmt.Sprintf("; it came in %s", n.Releases.First())
		}
		return f, true
	}
	sp, ok := spans[value]
	if !ok || s.dev && !s.before(sp.from) {
		return finding{}, false
	}
	fact := reported("vllm/"+string(kind)+"/"+value, spanStatement(flag+" "+value, sp), "vllm wheels: parser lists", "2026-11-25")
	switch {
	case s.before(sp.from) && !(s.dev && version.MustParsePEP440(sp.from).Compare(v.Base()) == 0):
		return finding{code: CodeFlagUnknown, at: at, facts: []catalog.Fact{fact}, reason: fmt.Sprintf("%s has no %q for --%s; it came in %s", s.label(), value, flag, sp.from)}, true
	case sp.gone != "" && !s.before(sp.gone):
		return finding{code: CodeFlagRemoved, at: at, facts: []catalog.Fact{fact}, reason: fmt.Sprintf("%s no longer has %q for --%s", s.label(), value, flag)}, true
	}
	return finding{}, false
}

// quantTimeline says which releases know a quantisation method, from the wheels that were read.
func (j *Judger) quantTimeline(method string) (catalog.Timeline, catalog.Fact, bool) {
	names := []string{method, strings.ReplaceAll(method, "_", "-")}
	switch method {
	case "nvfp4":
		names = []string{"modelopt_fp4", "nvfp4"} // renamed in 0.9
	case "int8", "int4":
		return nil, catalog.Fact{}, false
	}
	var all catalog.Timeline
	var fact catalog.Fact
	for _, n := range names {
		if named, ok := j.s.Named(catalog.QuantMethods, n); ok {
			all = append(all, named.Releases...)
			fact = named.Fact()
		}
	}
	slices.SortFunc(all, func(a, b catalog.Span) int { return a.First.Compare(b.First) })
	return all, fact, len(all) > 0
}
