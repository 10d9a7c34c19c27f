package solve

import (
	"regexp"
	"strconv"
	"strings"
)

// Flag is one argument of the engine. Dashed tells a command line ("--max-model-len 8192") from a keyword argument
// ("max_model_len=8192"): engines drop the two at different releases.
type Flag struct {
	Name   string // "max-model-len", without dashes, aliases resolved
	Given  string // as written, with its dashes
	Value  string
	Dashed bool
}

// Flags are the arguments an engine would be started with.
type Flags struct {
	List []Flag
	Env  map[string]string
}

// flagAliases map what people and other engines write to vLLM's own name.
var flagAliases = map[string]string{
	"tp": "tensor-parallel-size", "tp-size": "tensor-parallel-size", "tensor-parallel": "tensor-parallel-size",
	"pp": "pipeline-parallel-size", "pp-size": "pipeline-parallel-size", "pipeline-parallel": "pipeline-parallel-size",
	"dp": "data-parallel-size", "dp-size": "data-parallel-size", "ep": "enable-expert-parallel",
	"context": "max-model-len", "context-length": "max-model-len", "context-len": "max-model-len", "ctx-len": "max-model-len",
	"max-seq-len": "max-model-len", "max-length": "max-model-len", "model-len": "max-model-len",
	"mem-fraction-static": "gpu-memory-utilization", "utilization": "gpu-memory-utilization",
	"memory-utilization": "gpu-memory-utilization", "gpu-memory-util": "gpu-memory-utilization",
	"model-path": "model", "vllm-dtype": "dtype", "q": "quantization",
}

// valueFlags take a value even when written as bare words: "tensor_parallel 8, quantization modelopt".
var valueFlags = map[string]bool{
	"tensor-parallel-size": true, "pipeline-parallel-size": true, "data-parallel-size": true, "max-model-len": true,
	"gpu-memory-utilization": true, "dtype": true, "quantization": true, "max-num-seqs": true, "max-num-batched-tokens": true,
	"kv-cache-dtype": true, "attention-backend": true, "moe-backend": true,
}

// switches take no value, so that the word after them is not eaten.
var switches = map[string]bool{
	"trust-remote-code": true, "enforce-eager": true, "enable-expert-parallel": true, "enable-auto-tool-choice": true,
	"enable-prefix-caching": true, "no-enable-prefix-caching": true, "enable-chunked-prefill": true, "disable-log-requests": true,
	"disable-log-stats": true, "enable-reasoning": true, "use-v2-block-manager": true, "language-model-only": true,
	"async-scheduling": true, "disable-custom-all-reduce": true, "enable-lora": true, "disable-flashinfer": true,
	"disable-flashinfer-sampling": true, "skip-mm-profiling": true, "headless": true, "help": true,
}

// phrases are settings in words, and what they are as a keyword argument.
var phrases = []struct {
	words *regexp.Regexp
	flag  string
}{
	{regexp.MustCompile(`(?i)\btensor parallel(?:ism)?(?: size)?(?: of)?\s*[:=]?\s*(\d+)`), "tensor_parallel_size=$1"},
	{regexp.MustCompile(`(?i)\bpipeline parallel(?:ism)?(?: size)?(?: of)?\s*[:=]?\s*(\d+)`), "pipeline_parallel_size=$1"},
	{regexp.MustCompile(`(?i)\b(?:max(?:imum)? )?(?:context|model) (?:len(?:gth)?|window)(?: of)?\s*[:=]?\s*(\d+[km]?)\b`), "max_model_len=$1"},
	{regexp.MustCompile(`(?i)\bgpu memory utili[sz]ation(?: of)?\s*[:=]?\s*(0?\.\d+)`), "gpu_memory_utilization=$1"},
	{regexp.MustCompile(`(?i)\b(fp8(?:_e5m2|_e4m3)?) kv[ -]cache\b`), "kv_cache_dtype=$1"},
	{regexp.MustCompile(`(?i)\benforce eager\b`), "enforce_eager=True"},
	{regexp.MustCompile(`(^|\s)([a-z]+(?:[_-][a-z]+)+): (\S)`), "$1$2=$3"}, // a line of YAML
}

// ParseFlagText reads flags as people write them down, dashed or not, with commas, semicolons and remarks between.
func ParseFlagText(s string) Flags {
	for _, p := range phrases {
		s = p.words.ReplaceAllString(s, p.flag)
	}
	s = strings.NewReplacer(",", " ", ";", " ", "(", " ", ")", " ", "`", " ", "\n", " ", "'", "", "\"", "").Replace(s)
	return ParseFlags(strings.Fields(s))
}

// ParseFlags reads an argument vector. It never fails: what it cannot place is kept by name.
func ParseFlags(args []string) Flags {
	f := Flags{Env: map[string]string{}}
	for i := 0; i < len(args); i++ {
		a := args[i]
		name, value, hasValue := strings.Cut(a, "=")
		dashed := strings.HasPrefix(a, "-") && len(a) > 1 && !isNumber(a)
		if !dashed && hasValue && isEnvName(name) && !strings.EqualFold(name, "tp") && !strings.EqualFold(name, "pp") {
			f.Env[name] = value
			continue
		}
		key := canonicalFlag(name)
		switch {
		case dashed || hasValue:
			if !hasValue && !switches[key] && i+1 < len(args) && isValueWord(args[i+1]) {
				i++
				value = args[i]
			}
		case valueFlags[key] && i+1 < len(args) && isValueWord(args[i+1]):
			i++
			value = args[i]
		case !strings.ContainsAny(a, "_-"):
			if strings.EqualFold(a, "V1") {
				f.Env["VLLM_USE_V1"] = "1" // "V1 engine enabled by environment"
			}
			continue // a word of prose
		}
		if key == "" {
			continue
		}
		f.List = append(f.List, Flag{Name: key, Given: name, Value: value, Dashed: dashed})
	}
	return f
}

// canonicalFlag strips dashes, lowers, turns underscores, and resolves aliases.
func canonicalFlag(name string) string {
	n := strings.ReplaceAll(strings.ToLower(strings.TrimLeft(name, "-")), "_", "-")
	if full, ok := flagAliases[n]; ok {
		return full
	}
	return n
}

// isEnvName reports whether s is written like an environment variable.
func isEnvName(s string) bool {
	if s == "" {
		return false
	}
	for _, r := range s {
		if !(r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_') {
			return false
		}
	}
	return true
}

func isNumber(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

func isValueWord(s string) bool {
	if strings.HasPrefix(s, "-") && !isNumber(s) {
		return false
	}
	name, _, eq := strings.Cut(s, "=")
	return !(eq && isEnvName(name))
}

// Get returns the last value of a flag.
func (f Flags) Get(name string) (string, bool) {
	for i := len(f.List) - 1; i >= 0; i-- {
		if f.List[i].Name == name {
			return f.List[i].Value, true
		}
	}
	return "", false
}

// Has reports whether a switch is set: present, and not "false".
func (f Flags) Has(name string) bool {
	v, ok := f.Get(name)
	return ok && !strings.EqualFold(v, "false") && v != "0"
}

// Int returns a flag's whole number, with the k/K/m suffixes vLLM takes; ok is false when it is absent or no number.
func (f Flags) Int(name string) (int, bool) {
	v, ok := f.Get(name)
	if !ok || v == "" {
		return 0, false
	}
	n, ok := parseTokens(v)
	return n, ok
}

// Float returns a flag's number.
func (f Flags) Float(name string) (float64, bool) {
	v, ok := f.Get(name)
	if !ok {
		return 0, false
	}
	x, err := strconv.ParseFloat(v, 64)
	return x, err == nil
}

// parseTokens reads a count the way vLLM's human_readable_int does: 1k is 1000, 1K is 1024.
func parseTokens(s string) (int, bool) {
	mult := 1.0
	switch {
	case strings.HasSuffix(s, "k"):
		mult = 1000
	case strings.HasSuffix(s, "K"):
		mult = 1024
	case strings.HasSuffix(s, "m"):
		mult = 1e6
	case strings.HasSuffix(s, "M"):
		mult = 1 << 20
	}
	if mult != 1 {
		s = s[:len(s)-1]
	}
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || x < 0 || x*mult > 1e9 {
		return 0, false
	}
	return int(x * mult), true
}
