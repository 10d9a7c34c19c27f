package artefact

import (
	"context"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"justright/internal/pyindex"
	"justright/sim/indexsim"
	"justright/version"
)

// open serves files as a wheel and opens it.
func open(t *testing.T, name string, files map[string]string) *pyindex.Wheel {
	t.Helper()
	x := indexsim.New(indexsim.Faults{})
	x.Add("p", indexsim.File{Name: name, Content: indexsim.Wheel(files)})
	srv := httptest.NewServer(x)
	t.Cleanup(srv.Close)
	c, err := pyindex.New(pyindex.Options{Indexes: []string{srv.URL + "/simple/"}, Sleep: func(context.Context, time.Duration) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Project(t.Context(), "p")
	if err != nil {
		t.Fatal(err)
	}
	w, err := c.OpenWheel(t.Context(), p.Files[0])
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestShapesOfTheYears holds the forms the files have had: 0.6.0, 0.8.5 and 0.10 to 0.33.
func TestShapesOfTheYears(t *testing.T) {
	meta := "Name: vllm\nVersion: 1\n\n"
	for _, c := range []struct {
		name  string
		files map[string]string
		want  VLLM
	}{
		{"0.6.0", map[string]string{
			"vllm-1.dist-info/METADATA":                           meta,
			"vllm/model_executor/models/__init__.py":              "_GENERATION_MODELS = {\n    \"AquilaModel\": (\"llama\", \"LlamaForCausalLM\"),  # Aquila\n}\n_MODELS = {\n    **_GENERATION_MODELS,\n}\n_OOT_MODELS: Dict[str, Type[nn.Module]] = {}\n_ROCM_PARTIALLY_SUPPORTED_MODELS: Dict[str, str] = {\n    \"Qwen2ForCausalLM\":\n    _ROCM_SWA_REASON,\n}\n",
			"vllm/transformers_utils/config.py":                   "_CONFIG_REGISTRY: Dict[str, Type[PretrainedConfig]] = {\n    \"chatglm\": ChatGLMConfig,\n    # \"not\": Me,\n    \"RefinedWeb\": RWConfig,  # For tiiuae/falcon-40b(-instruct)\n}\n",
			"vllm/engine/arg_utils.py":                            "        parser.add_argument(\n            '--kv-cache-dtype',\n            type=str,\n            choices=['auto', 'fp8'],\n            default=x)\n        parser.add_argument('--trust-remote-code',\n                            action='store_true')\n        parser.add_argument('--tensor-parallel-size', '-tp', type=int)\n",
			"vllm/entrypoints/openai/cli_args.py":                 "    parser.add_argument(\"--host\", type=nullable_str)\n    parser.add_argument(\n        \"--tool-call-parser\",\n        type=str,\n        choices=[\"mistral\", \"hermes\"])\n",
			"vllm/model_executor/layers/quantization/__init__.py": "QUANTIZATION_METHODS: Dict[str, Type[QuantizationConfig]] = {\n    \"awq\": AWQConfig,\n    \"gptq\": GPTQConfig,\n}\n",
		}, VLLM{Architectures: []string{"AquilaModel"}, ConfigTypes: []string{"RefinedWeb", "chatglm"}, ToolParsers: []string{"hermes", "mistral"},
			Flags:         []string{"--help", "--host", "--kv-cache-dtype", "--tensor-parallel-size", "--tool-call-parser", "--trust-remote-code"},
			KVCacheDTypes: []string{"auto", "fp8"}, QuantMethods: []string{"awq", "gptq"}}},
		{"0.8.5", map[string]string{
			"vllm-1.dist-info/METADATA":                           meta,
			"vllm/model_executor/models/registry.py":              "_TEXT_GENERATION_MODELS = {\n    \"LlamaForCausalLM\": (\"llama\", \"L\"),\n}\n_FALLBACK_MODEL = {\n    \"TransformersModel\": (\"transformers\", \"T\"),\n}\n_VLLM_MODELS = {\n    **_TEXT_GENERATION_MODELS,\n}\n",
			"vllm/entrypoints/openai/tool_parsers/__init__.py":    "from .a import A\n__all__ = [\"A\"]\n",
			"vllm/entrypoints/openai/tool_parsers/a_parser.py":    "@ToolParserManager.register_module([\"granite-20b-fc\", \"g\"])\nclass A: pass\n",
			"vllm/entrypoints/openai/tool_parsers/b_parser.py":    "@ToolParserManager.register_module(\"hermes\")\nclass B: pass\n",
			"vllm/reasoning/__init__.py":                          "",
			"vllm/reasoning/deepseek_r1_reasoning_parser.py":      "@ReasoningParserManager.register_module(name=\"deepseek_r1\")\nclass C: pass\n",
			"vllm/reasoning/abs_reasoning_parsers.py":             "# register_module(\"commented\")\n",
			"vllm/model_executor/layers/quantization/__init__.py": "QuantizationMethods = Literal[\n    \"aqlm\",\n    \"compressed-tensors\",\n]\nQUANTIZATION_METHODS: list[str] = list(get_args(QuantizationMethods))\n",
		}, VLLM{Architectures: []string{"LlamaForCausalLM", "TransformersModel"}, ToolParsers: []string{"g", "granite-20b-fc", "hermes"},
			ReasoningParsers: []string{"deepseek_r1"}, QuantMethods: []string{"aqlm", "compressed-tensors"}, Flags: []string{"--help"}}},
		{"0.10 on", map[string]string{
			"vllm-1.dist-info/METADATA":              meta,
			"vllm/model_executor/models/registry.py": "_TEXT_GENERATION_MODELS = {\n    # [Decoder-only]\n    \"A\": (\"a\", \"A\"),\n}\n_TRANSFORMERS_SUPPORTED_MODELS = {\n    \"SmolLM3ForCausalLM\": (\"transformers\", \"TransformersForCausalLM\"),\n}\n_PREVIOUSLY_SUPPORTED_MODELS = {\n    \"Gone\": \"0.10.2\",\n}\n",
			"vllm/entrypoints/openai/cli_args.py":    "@config\n@dataclass\nclass FrontendArgs:\n    \"\"\"Arguments.\n\nclass: none\n    also_text: none\n    \"\"\"\n    host: Optional[str] = None\n    \"\"\"Host.\"\"\"\n    lora_modules: list[X] | None = None\n\n    @staticmethod\n    def add(parser):\n        inner: int = 1\n\n\nclass Other:\n    not_a_flag: int = 1\n",
			"vllm/envs.py":                           "if TYPE_CHECKING:\n    VLLM_MAIN_CUDA_VERSION: str = \"12.9\"\nenvironment_variables = {\n    \"VLLM_A\": lambda: 1,\n    \"MAX_JOBS\":\n    lambda: 1,\n}\n",
			"vllm/_version.py":                       "__commit_id__ = commit_id = 'g1892993bc'\n",
		}, VLLM{Architectures: []string{"A", "SmolLM3ForCausalLM"}, OnBackend: []string{"SmolLM3ForCausalLM"}, Flags: []string{"--help", "--host", "--lora-modules"},
			EnvVars: []string{"VLLM_A"}, Commit: "1892993bc"}},
	} {
		got, err := ReadVLLM(t.Context(), open(t, "vllm-1-cp38-abi3-manylinux1_x86_64.whl", c.files))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		for what, pair := range map[string][2][]string{"architectures": {got.Architectures, c.want.Architectures}, "backend": {got.OnBackend, c.want.OnBackend},
			"config": {got.ConfigTypes, c.want.ConfigTypes}, "flags": {got.Flags, c.want.Flags}, "tool": {got.ToolParsers, c.want.ToolParsers},
			"reasoning": {got.ReasoningParsers, c.want.ReasoningParsers}, "kv": {got.KVCacheDTypes, c.want.KVCacheDTypes},
			"quant": {got.QuantMethods, c.want.QuantMethods}, "env": {got.EnvVars, c.want.EnvVars}} {
			if !slices.Equal(pair[0], pair[1]) {
				t.Errorf("%s: %s %q, want %q", c.name, what, pair[0], pair[1])
			}
		}
		if got.Commit != c.want.Commit || c.name == "0.10 on" && (got.CUDA.String() != "12.9" || got.Removed["Gone"] != "0.10.2") {
			t.Errorf("%s: commit %q CUDA %s removed %v", c.name, got.Commit, got.CUDA, got.Removed)
		}
	}
}

func TestTransformersShapes(t *testing.T) {
	meta := "Name: transformers\nVersion: 1\n\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"4.45": {map[string]string{"transformers/models/auto/configuration_auto.py": "CONFIG_MAPPING_NAMES = OrderedDict(\n    [\n        # Add configs here\n        (\"albert\", \"AlbertConfig\"),\n        (\"blip-2\", \"Blip2Config\"),\n    ]\n)\n"}, "albert blip-2"},
		"4.55": {map[string]string{"transformers/models/auto/configuration_auto.py": "CONFIG_MAPPING_NAMES = OrderedDict[str, str](\n    [\n        (\"gpt_oss\", \"GptOssConfig\"),\n    ]\n)\n"}, "gpt_oss"},
		"5.24": {map[string]string{"transformers/models/auto/configuration_auto.py": "CONFIG_MAPPING_NAMES.update(\n    {\n        \"odd\": \"OddConfig\",\n    }\n)\nCONFIG_MAPPING_NAMES = OrderedDict(**{\"gpt-sw3\": \"GPT2Config\"}, **CONFIG_MAPPING_NAMES)\n",
			"transformers/models/auto/auto_mappings.py": "CONFIG_MAPPING_NAMES = OrderedDict(\n    [\n        (\"afmoe\", \"AfmoeConfig\"),\n    ]\n)\n"}, "afmoe gpt-sw3 odd"},
	} {
		c.files["transformers-1.dist-info/METADATA"] = meta
		got, err := ReadTransformers(t.Context(), open(t, "transformers-1-py3-none-any.whl", c.files))
		if err != nil || strings.Join(got.Types, " ") != c.want {
			t.Errorf("%s: %q, %v", name, got.Types, err)
		}
	}
	if _, err := ReadTransformers(t.Context(), open(t, "transformers-1-py3-none-any.whl", map[string]string{"transformers-1.dist-info/METADATA": meta})); err == nil {
		t.Error("a wheel without a mapping is no error")
	}
}

func TestPipeline(t *testing.T) {
	p := parsePipeline("  CUDA_ARCH_X86: \"7.5 8.0+PTX\"\n      - label: \"Build wheel - aarch64 - CUDA 13.0\"\n      - label: \"Build wheel - x86_64 - CUDA 13.0\"\n" +
		"      - label: \"Build wheel - x86_64 - CUDA 12.9\"\n      - label: \"Build wheel - x86_64 - CPU\"\n      - label: \"Build release image - x86_64 - CUDA 13.0\"\n" +
		"      - label: \"Build release image - x86_64 - Rubin CUDA 13.4\"\n      - label: \"Build release image - x86_64 - CUDA 12.9 - Ubuntu 24.04\"\n")
	if len(p.Wheels) != 2 || strings.Join(p.Wheels[0].Platforms, " ") != "aarch64 x86_64" || len(p.Images) != 1 || !p.Ubuntu || p.ArchsX86 != "7.5 8.0+PTX" {
		t.Errorf("%+v", p)
	}
}

func FuzzPythonSource(f *testing.F) {
	f.Add("_CONFIG_REGISTRY: dict[str, x] = LazyConfigDict(\n    a=\"b\",\n    **{\"c-d\": \"E\"},\n)\n")
	f.Add("CacheDType = Literal[\"a\", 'b']\nclass FrontendArgs:\n    a: int\n\"\"\"unclosed")
	f.Add("_X_MODELS = {\"a\": (\"b\", '\\'}'), # }\n}")
	f.Fuzz(func(t *testing.T, src string) {
		for _, name := range []string{"_CONFIG_REGISTRY", "CacheDType", "_X_MODELS"} {
			inside := block(src, name)
			if len(inside) > len(src) {
				t.Fatalf("%d bytes inside of %d", len(inside), len(src))
			}
			keys(inside)
			literalsIn(inside)
		}
		all, backend := registry(src)
		for _, b := range backend {
			if !slices.Contains(all, b) {
				t.Fatalf("%q is served through the backend but not registered", b)
			}
		}
		for _, fl := range flags(src, src) {
			if !strings.HasPrefix(fl, "--") || strings.Contains(fl, "_") {
				t.Fatalf("flag %q", fl)
			}
		}
		configTypes(src)
		parsePipeline(src)
	})
}

// Each class answers for itself: by its method's name where it has one, and not for the next one when it says nothing.
func TestMinCapabilities(t *testing.T) {
	got := map[string]version.Capability{}
	minCapabilities(`class Silent(QuantizationConfig):
    def get_name(self):
        return "silent"

class MarlinConfig(QuantizationConfig):
    def get_name(self) -> str:
        return "marlin_x"

    @classmethod
    def get_min_capability(cls) -> int:
        # Ampere
        return 80

class SchemeW8(Scheme):
    @classmethod
    def get_min_capability(cls) -> int:
        return 75
`, got)
	if want := map[string]version.Capability{"marlin_x": {Major: 8}, "SchemeW8": {Major: 7, Minor: 5}}; !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestHostileSourceTakesLinearTime reads megabytes made of the beginnings of what is looked for. Four times the text may take four
// times as long, and eight on a busy machine; what is quadratic takes sixteen times, however often it is measured.
func TestHostileSourceTakesLinearTime(t *testing.T) {
	for _, piece := range []string{"_A_MODELS = {\n", "\"k\": (\"v\",\n", "'a':'b',", "add_argument(\"--x\",", "class FrontendArgs:\n    a: int\n", "\"\"\"", "\\\"'"} {
		read := func(size int) time.Duration {
			src := strings.Repeat(piece, size/len(piece))
			start := time.Now()
			registry(src)
			keys(block("_CONFIG_REGISTRY = {"+src, "_CONFIG_REGISTRY"))
			keys(src)
			flags(src, src)
			configTypes(src)
			return time.Since(start)
		}
		times := 0.0
		for range 5 {
			if times = float64(read(maxSource/8)) / float64(read(maxSource/32)); times < 8 {
				break
			}
		}
		if times >= 8 {
			t.Errorf("four times as much of %q takes %.0f times as long", piece, times)
		}
	}
}
