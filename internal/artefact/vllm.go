package artefact

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"justright/internal/pyindex"
	"justright/version"
)

// maxSource bounds one source file; vLLM's largest that is read is 0.2 MB.
const maxSource = 2 << 20

// VLLM is what a wheel of vLLM says about itself. Empty fields were not found.
type VLLM struct {
	Wheel            string
	Metadata         pyindex.Metadata
	CUDA             version.CUDA
	Commit           string
	Architectures    []string
	Removed          map[string]string // class → the last release that served it, as _PREVIOUSLY_SUPPORTED_MODELS says
	OnBackend        []string          // of those, served through the Transformers modeling backend
	ConfigTypes      []string          // model types with a configuration class of vLLM's own
	Flags            []string
	ToolParsers      []string
	ReasoningParsers []string
	KVCacheDTypes    []string
	QuantMethods     []string
	EnvVars          []string
	MinCapability    map[string]version.Capability // quantisation method (its own name, else its class) → least compute capability
}

// maxDicts bounds the dicts of one registry; vLLM 0.33.0 has ten.
const maxDicts = 100

// maxClasses bounds the classes of one file of quantisation methods.
const maxClasses = 200

// reader reads files of one wheel and remembers the first real failure; a missing file is none.
type reader struct {
	ctx context.Context
	w   *pyindex.Wheel
	err error
}

// read returns the first of the named files that the wheel has, "" when it has none.
func (r *reader) read(names ...string) string {
	for _, n := range names {
		if r.err == nil && r.w.Has(n) {
			b, err := r.w.Read(r.ctx, n, maxSource)
			if err != nil {
				r.err = err
				return ""
			}
			return string(b)
		}
	}
	return ""
}

// ReadVLLM reads a wheel of vLLM.
func ReadVLLM(ctx context.Context, w *pyindex.Wheel) (VLLM, error) {
	r := &reader{ctx: ctx, w: w}
	meta, err := w.Metadata(ctx)
	if err != nil {
		return VLLM{}, err
	}
	v := VLLM{Wheel: w.File().Name, Metadata: meta}
	models := r.read("vllm/model_executor/models/registry.py", "vllm/model_executor/models/__init__.py")
	v.Architectures, v.OnBackend = registry(models)
	v.Removed = map[string]string{}
	for _, m := range removedPair.FindAllStringSubmatch(withoutComments(block(models, "_PREVIOUSLY_SUPPORTED_MODELS")), -1) {
		v.Removed[m[1]] = m[2]
	}
	v.ConfigTypes = sortedSet(keys(block(r.read("vllm/transformers_utils/config.py"), "_CONFIG_REGISTRY")))
	args := r.read("vllm/engine/arg_utils.py")
	cli := ""
	for _, n := range w.Names() { // openai/cli_args.py, later common/cli_args.py; wherever they move next
		if strings.HasPrefix(n, "vllm/entrypoints/") && strings.HasSuffix(n, "/cli_args.py") {
			cli += r.read(n) + "\n"
		}
	}
	v.Flags = flags(args+"\n"+r.read("vllm/entrypoints/cli/serve.py", "vllm/scripts.py"), cli)
	v.ToolParsers = r.parsers("_TOOL_PARSERS_TO_REGISTER", cli, "vllm/tool_parsers/", "vllm/entrypoints/openai/tool_parsers/")
	v.ReasoningParsers = r.parsers("_REASONING_PARSERS_TO_REGISTER", "", "vllm/reasoning/", "vllm/entrypoints/openai/reasoning_parsers/")
	v.KVCacheDTypes = cacheDTypes(r.read("vllm/config/cache.py", "vllm/config/__init__.py", "vllm/config.py"), args)
	v.QuantMethods = quantMethods(r.read("vllm/model_executor/layers/quantization/__init__.py"))
	v.MinCapability = map[string]version.Capability{}
	for _, n := range w.Names() {
		if quantFile.MatchString(n) {
			minCapabilities(r.read(n), v.MinCapability)
		}
	}
	envs := r.read("vllm/envs.py")
	v.EnvVars = envVars(envs)
	v.CUDA = mainCUDA(envs)
	v.Commit = commit(r.read("vllm/_version.py"))
	if r.err != nil {
		return VLLM{}, fmt.Errorf("%s: %w", v.Wheel, r.err)
	}
	return v, nil
}

var removedPair = regexp.MustCompile(`["'](\w+)["']\s*:\s*["']([\d.]+(?:post\d+)?)["']`)

var modelDict = regexp.MustCompile(`(?m)^(_[A-Z_]*MODELS?)\b[^=\n]*=\s*\{`)

// registry reads the model classes from registry.py. The dicts of names that are not served are left out.
func registry(source string) (all, backend []string) {
	for _, m := range modelDict.FindAllStringSubmatch(source, maxDicts) {
		switch m[1] {
		case "_PREVIOUSLY_SUPPORTED_MODELS", "_OOT_SUPPORTED_MODELS", "_OOT_MODELS", "_ROCM_UNSUPPORTED_MODELS",
			"_ROCM_PARTIALLY_SUPPORTED_MODELS", "_VLLM_MODELS", "_MODELS", "_ROCM_SWA_MODELS":
			continue
		}
		names := keys(block(source, m[1]))
		all = append(all, names...)
		if m[1] == "_TRANSFORMERS_SUPPORTED_MODELS" {
			backend = append(backend, names...)
		}
	}
	return sortedSet(all), sortedSet(backend)
}

var (
	addArgument = regexp.MustCompile(`add_argument\(\s*((?:\*\w+\s*,\s*)?(?:["']--?[\w.-]+["']\s*,?\s*)+)`)
	quotedFlag  = regexp.MustCompile(`["'](--[\w.-]+)["']`)
	frontend    = regexp.MustCompile(`(?m)^class \w*FrontendArgs\b[^:]*:\n`)
	docstring   = regexp.MustCompile(`(?s)""".*?"""`)
	topLevel    = regexp.MustCompile(`(?m)^[a-zA-Z@]`)
	fieldLine   = regexp.MustCompile(`(?m)^    ([a-z]\w*)\s*:\s*\S`)
	method      = regexp.MustCompile(`(?m)^    (?:@\w+|def )`)
)

// flags reads the names given to add_argument, and the fields of the FrontendArgs dataclasses, which become flags.
func flags(args, cli string) []string {
	out := []string{"--help"} // argparse's own
	for _, src := range []string{args, cli} {
		for _, m := range addArgument.FindAllStringSubmatch(withoutComments(src), -1) {
			for _, f := range quotedFlag.FindAllStringSubmatch(m[1], -1) {
				out = append(out, strings.ReplaceAll(f[1], "_", "-"))
			}
		}
	}
	cli = docstring.ReplaceAllString(cli, `""`) // they hold lines that look like code
	for _, at := range frontend.FindAllStringIndex(cli, -1) {
		body := cli[at[1]:]
		if end := topLevel.FindStringIndex(body); end != nil {
			body = body[:end[0]]
		}
		if at := method.FindStringIndex(body); at != nil {
			body = body[:at[0]]
		}
		for _, f := range fieldLine.FindAllStringSubmatch(body, -1) {
			out = append(out, "--"+strings.ReplaceAll(f[1], "_", "-"))
		}
	}
	return sortedSet(out)
}

var (
	registered = regexp.MustCompile(`register_module\(\s*(?:name\s*=\s*)?(\[[^\]]*\]|["'][\w.-]+["'])`)
	parserArg  = regexp.MustCompile(`(?s)["']--tool-call-parser["'].{0,80}?choices\s*=\s*\[([^\]]*)\]`)
	parserFile = regexp.MustCompile(`parsers?\.py$`)
)

// parsers reads the names of parsers: the dict of the package's __init__, else the decorators in its files (up to 0.11.0),
// else the choices of the flag (up to 0.6.2).
func (r *reader) parsers(dict, cli string, dirs ...string) []string {
	for _, dir := range dirs {
		if names := keys(block(r.read(dir+"__init__.py"), dict)); len(names) > 0 {
			return sortedSet(names)
		}
		var names []string
		for _, n := range r.w.Names() {
			if !strings.HasPrefix(n, dir) || !parserFile.MatchString(n) {
				continue
			}
			for _, m := range registered.FindAllStringSubmatch(withoutComments(r.read(n)), -1) {
				names = append(names, literalsIn(m[1])...)
			}
		}
		if len(names) > 0 {
			return sortedSet(names)
		}
	}
	if m := parserArg.FindStringSubmatch(cli); m != nil {
		return sortedSet(literalsIn(m[1]))
	}
	return nil
}

var kvChoices = regexp.MustCompile(`(?s)["']--kv-cache-dtype["'].{0,120}?choices\s*=\s*\[([^\]]*)\]`)

func cacheDTypes(config, args string) []string {
	if names := literalsIn(block(config, "CacheDType")); len(names) > 0 {
		return sortedSet(names)
	}
	if m := kvChoices.FindStringSubmatch(args); m != nil {
		return sortedSet(literalsIn(m[1]))
	}
	return nil
}

func quantMethods(source string) []string {
	if names := literalsIn(block(source, "QuantizationMethods")); len(names) > 0 {
		return sortedSet(names)
	}
	inside := block(source, "QUANTIZATION_METHODS")
	if names := keys(inside); len(names) > 0 {
		return sortedSet(names)
	}
	return sortedSet(literalsIn(inside))
}

var (
	quantFile  = regexp.MustCompile(`^vllm/model_executor/layers/quantization/(?:compressed_tensors/(?:schemes/)?)?\w+\.py$`)
	classStart = regexp.MustCompile(`(?m)^class (\w+)`)
	capability = regexp.MustCompile(`def get_min_capability\(\w*\)[^:]*:(?:\n {8}.*|\n)*?\n {8}return (\d{2,3})\b`)
	methodName = regexp.MustCompile(`def get_name\(\w*\)[^:]*:(?:\n {8}.*|\n)*?\n {8}return ["']([\w-]+)["']`)
)

// minCapabilities reads what get_min_capability of each class answers: 75 means 7.5. A class without a name of its own (a scheme
// of compressed-tensors) goes by its class name.
func minCapabilities(source string, into map[string]version.Capability) {
	starts := classStart.FindAllStringSubmatchIndex(source, maxClasses)
	for i, at := range starts {
		end := len(source)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		body := source[at[0]:end]
		m := capability.FindStringSubmatch(body)
		if m == nil {
			continue
		}
		name := source[at[2]:at[3]]
		if n := methodName.FindStringSubmatch(body); n != nil {
			name = n[1]
		}
		if c, err := version.ParseCapability(m[1]); err == nil {
			into[name] = c
		}
	}
}

var envKey = regexp.MustCompile(`(?m)^\s{4}["'](VLLM_\w+)["']\s*:`)

func envVars(source string) []string {
	var out []string
	for _, m := range envKey.FindAllStringSubmatch(source, -1) {
		out = append(out, m[1])
	}
	return sortedSet(out)
}

var (
	cudaDefault = regexp.MustCompile(`VLLM_MAIN_CUDA_VERSION:\s*str\s*=\s*"(\d+\.\d+)"`)
	commitLine  = regexp.MustCompile(`commit_id = ['"]g?([0-9a-f]{6,40})['"]`)
)

// mainCUDA reads the CUDA version the wheel was built for from envs.py (0.11.0 on). Zero when it is not stated.
func mainCUDA(envs string) version.CUDA {
	m := cudaDefault.FindStringSubmatch(envs)
	if m == nil {
		return version.CUDA{}
	}
	c, err := version.ParseCUDA(m[1])
	if err != nil {
		return version.CUDA{}
	}
	return c
}

func commit(source string) string {
	if m := commitLine.FindStringSubmatch(source); m != nil {
		return m[1]
	}
	return ""
}
