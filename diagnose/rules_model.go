package diagnose

import (
	"bytes"
	"regexp"
	"strings"
)

var importRules = []rule{
	{code: DriverTooOld, tier: root, quiet: true, lits: "driver on your system is too old|undefined symbol: cutensormapencode|undefined symbol: cumem|undefined symbol: culib|undefined symbol: culaunch|undefined symbol: cugetproc|undefined symbol: cugreenctx|undefined symbol: cumulticast", source: "https://github.com/vllm-project/vllm/issues/11623"},
	{code: DriverInsufficient, tier: root, quiet: true, lits: "cuda driver version is insufficient|cudaerrorinsufficientdriver", source: srcTorch},
	{code: LibcudartMissing, tier: root, lits: "cannot open shared object file|not found in the system path", re: regexp.MustCompile(`lib(?:cudart|cublas|cublaslt|cudnn\w*|cufft|curand|cusparse|cusparselt|cusolver|nvrtc|cupti|nvtoolsext|nvjitlink|nvshmem_host|cufile)\b[-\w.*\[\]]*(?:: cannot open| not found in the system path)`), source: "https://github.com/vllm-project/vllm/issues/1718"},
	{code: LibcudartMissing, tier: hint, quiet: true, lits: "cannot open shared object file", re: regexp.MustCompile(`lib(?:cudart|cublas|cublaslt|nvrtc)\.so[.\d]*: cannot open`)},
	{code: LibcudartMissing, tier: root, lits: "could not load library libcud|unable to load any of {libcudnn|could not load library libcublas"},
	{code: LibcudaMissing, tier: root, lits: "libcuda.so.1: cannot open shared object|libcuda.so cannot found|libcuda.so cannot be found|libcuda.so.1: file not found", source: srcVLLM},
	{code: LibcudaMissing, tier: hint, quiet: true, lits: "libcuda.so.1: cannot open shared object|libcuda.so cannot found"},
	{code: NCCLLibraryMissing, tier: root, lits: "failed to load nccl library|libnccl.so.2: cannot open shared|libnccl.so: cannot open", source: srcVLLM},
	{code: TorchABIMismatch, tier: root, lits: "cannot open shared object file", re: regexp.MustCompile(`lib(?:torch\w*|c10\w*)\.so[.\d]*: cannot open`)},
	{code: SystemLibraryMissing, tier: root, lits: "cannot open shared object file", re: regexp.MustCompile(`lib(?:numa|gl|glib-2\.0|gomp|gthread-2\.0|ibverbs|rdmacm|mpi\w*|python3\.\d+|sndfile|openblas|jpeg|stdc\+\+|tcmalloc\w*|mlx5|efa|amdhip64|ze_loader|sm6|xext|xrender|z3|ssl|crypto|ucp|ucs)\.so[-.\d]*: cannot open`)},
	{code: NVJitLinkMismatch, tier: root, quiet: true, lits: "undefined symbol: __nvjitlink|libnvjitlink.so", and: "undefined symbol|not defined in file", source: srcTorch},
	{code: TorchABIMismatch, tier: root, lits: "undefined symbol: _z|tried to instantiate class|undefined symbol: aoti_|undefined symbol: torch|undefined symbol: c10|undefined symbol: at::|undefined symbol: _py|undefined symbol: cublas|undefined symbol: nccl|symbol not found: __zn", source: "https://github.com/vllm-project/vllm/issues/13608", refine: undefinedSymbol},
	{code: TorchABIMismatch, tier: hint, quiet: true, lits: "undefined symbol: _z|undefined symbol: aoti_|symbol not found: __zn", not: "flash_attn_2|torchvision|xformers", source: "https://github.com/vllm-project/vllm/issues/17399"},
	{code: TorchABIMismatch, tier: soft, lits: "'_opnamespace' '_", and: "has no attribut"},
	{code: DependencyAPIMismatch, tier: soft, lits: "'_opnamespace' 'sgl_kernel'", and: "has no attribut", source: srcSGLang},
	{code: GlibcTooOld, tier: root, lits: "version `glibc|version 'glibc|version `cxxabi|version `gcc_", and: "not found", source: "https://github.com/vllm-project/vllm/issues/22798"},
	{code: GlibcTooOld, tier: hint, quiet: true, lits: "version `glibc|version 'glibc|version `cxxabi", and: "not found"},
	{code: NumpyABI, tier: root, lits: "numpy.dtype size changed|runtimeerror: numpy is not available|numpy.core.multiarray failed to import|numba needs numpy|numpy.core._multiarray_umath|numpy.ufunc size changed|binary incompatibility, expected 96|np.float_` was removed|`np.unicode_` was removed|_array_api not found", not: "extension modules", source: "https://numpy.org/doc/stable/numpy_2_0_migration_guide.html", refine: numpyTier},
	{code: NumpyABI, tier: root, lits: "compiled using numpy 1.x", re: regexp.MustCompile(`importerror: .{0,30}compiled using numpy 1`)},
	{code: NumpyABI, tier: hint, quiet: true, lits: "compiled using numpy 1.x"},
	{code: TorchvisionMismatch, tier: root, quiet: true, lits: "operator torchvision::nms does not exist|couldn't load custom c++ ops|module 'torchvision' has no attribute 'extension'|pytorch and torchvision were compiled with different|cannot import name 'interpolationmode' from|torchvision/_c.so: undefined symbol|torchvision/image.so: undefined", not: "failed to load image python extension", source: "https://github.com/huggingface/diffusers/issues/9109"},
	{code: XformersMismatch, tier: root, lits: "xformers wasn't build with cuda|no operator found for `memory_efficient_attention|xformers/_c.so: undefined symbol|xformers is not installed correctly", source: srcVLLM},
	{code: XformersMismatch, tier: hint, quiet: true, lits: "xformers can't load c++/cuda"},
	{code: AttentionPackageMismatch, tier: root, lits: "flash_attn_2_cuda|flash_attn_3_cuda|_vllm_fa2_c|_vllm_fa3_c|flash_attn_cuda", and: "importerror|undefined symbol|no module named|has no attribute|not found|cannot import", source: "https://github.com/vllm-project/vllm/issues/36234"},
	{code: AttentionPackageMismatch, tier: hint, quiet: true, lits: "flash_attn_2_cuda|_vllm_fa2_c|_vllm_fa3_c", and: "undefined symbol|cannot import name|no module named"},
	{code: AttentionPackageMismatch, tier: root, lits: "flashinfer-cubin version|flashinfer-jit-cache version|does not match flashinfer version|flashinfer_python is installed with version|flash_attn is installed with|flash attention version|is not compatible with flashinfer", and: "does not match|less than the minimum|not compatible|mismatch|required"},
	{code: AttentionPackageMismatch, tier: soft, lits: "flash_attn_varlen_func() got|flash_attn_with_kvcache() got|flash_attn_func() got|kvcachewrapper.plan() got|kvcachewrapper.begin_forward() got|flash attention build does not support|flashattention build does not support", and: "unexpected keyword|does not support", not: "headdim|head_dim|head dim", source: "https://github.com/vllm-project/vllm/issues/7191"},
	{code: SglKernelArchMissing, tier: soft, quiet: true, lits: "could not load any common_ops|no common_ops library", source: srcSGLang},
	{code: DependencyAPIMismatch, tier: root, lits: "cannot import name ", source: "https://github.com/sgl-project/sglang/issues/350", refine: importName},
	{code: DependencyAPIMismatch, tier: soft, lits: "' has no attribute '", re: regexp.MustCompile(`attributeerror: (?:partially initialized )?module '[\w.]+' has no attribute`), refine: moduleAttribute},
	{code: TransformersAPIMismatch, tier: root, lits: "is already used by a transformers |has no attribute 'all_special_tokens_extended'|all_special_tokens_extended|requires a transformers version|transformers version is|transformers>=|is required for a normal functioning of this module", re: regexp.MustCompile(`already used by a transformers (?:config|model)|no attribute '?all_special_tokens_extended|(?:importerror|versionconflict|valueerror|runtimeerror|error): .{0,200}(?:transformers\s?(?:>=|==|<|version)|(?:tokenizers|huggingface-hub)\S* is required for a normal functioning)`), source: "https://github.com/vllm-project/vllm/issues/20439"},
	{code: AttentionPackageMismatch, tier: root, lits: "with minimum required version", and: "flashinfer", source: "https://github.com/sgl-project/sglang/issues/6160"},
	{code: DependencyAPIMismatch, tier: root, lits: "with minimum required version", not: "flashinfer"},
	{code: DependencyAPIMismatch, tier: root, lits: "is installed with version", and: "less than the minimum required", not: "flashinfer"},
	{code: MissingPythonModule, tier: root, lits: "no module named ", source: "https://github.com/vllm-project/vllm/issues/7612", refine: moduleMissing},
	{code: MissingPythonModule, tier: root, lits: "packages that were not found in your environment|no package metadata was found for|packagenotfounderror: |error while finding module specification", refine: packageMissing},
	{code: MissingPythonModule, tier: soft, lits: "please install |pip install | to be installed| is required for ", re: regexp.MustCompile(`(?:(?:importerror|modulenotfounderror|runtimeerror|valueerror|assertionerror): |value error, )(?:.{0,240}(?:please install|is not installed|to be installed|\bis required for )|[^\x60]{0,240}(?:with|run|using|by|via|try|do|please|use|:|,|\.|["'(]) ?pip install)`), not: "upgrade transformers|install --upgrade transformers|update transformers|hf_transfer|flashinfer version|out of date|bitsandbytes quantization|_config is required"},
	{code: MissingPythonModule, tier: soft, lits: ": `pip install ", re: regexp.MustCompile(`(?:importerror|modulenotfounderror): .{0,120}\brequires [\w. -]{1,60}: \x60pip install`), source: "https://github.com/kimjammer/Neuro/issues/36"},
	{code: MissingPythonModule, tier: soft, lits: " is not available. ", re: regexp.MustCompile(`(?:error: |value error, )[\w.-]+ is not available\. .{0,160}(?:ensure|install)`), source: "https://github.com/vllm-project/vllm/issues/9340"},
	{code: ModuleMissingPartialInstall, tier: root, lits: "partially initialized module '", re: regexp.MustCompile(`partially initialized module '(?:vllm|sglang|sgl_kernel|torch)\b`), source: srcVLLM},
	{code: ModuleMissingPartialInstall, tier: root, lits: "nameerror: name 'vllm_", re: regexp.MustCompile(`nameerror: name 'vllm_\w*ops' is not defined`), source: "https://github.com/vllm-project/vllm/issues/4083"},
	{code: ModuleMissingPartialInstall, tier: root, lits: "cannot open shared object file", and: "torch_extensions|/cache/"},
}

func numpyTier(h *hit) (Code, tier) {
	if hasAny(h.near, "_array_api not found") {
		return NumpyABI, hint
	}
	return NumpyABI, root
}

// undefinedSymbol tells whose binary does not fit: torch's own extensions, or a package with a cause of its own.
func undefinedSymbol(h *hit) (Code, tier) {
	switch {
	case hasAny(h.near, "flash_attn_2_cuda|flash_attn_3_cuda|flash_attn/|flashinfer/"):
		return AttentionPackageMismatch, root
	case hasAny(h.near, "torchvision/"):
		return TorchvisionMismatch, root
	case hasAny(h.near, "xformers/"):
		return XformersMismatch, root
	case hasAny(h.near, "libnvjitlink|__nvjitlink"):
		return "", 0
	}
	return TorchABIMismatch, root
}

var (
	importedName = regexp.MustCompile(`cannot import name ['"‘’]?([\w.]+)['"‘’]? from (partially initialized module )?['"‘’]?([\w.]+)`)
	moduleName   = regexp.MustCompile(`no module named ['"‘’]?([\w.-]+)`)
	attributeOf  = regexp.MustCompile(`module '([\w.]+)' has no attribute`)
)

// topModule is the package a dotted name belongs to.
func topModule(name string) string {
	top, _, _ := strings.Cut(name, ".")
	return top
}

// importName tells whose name is missing.
func importName(h *hit) (Code, tier) {
	m := importedName.FindSubmatch(h.lower[h.col:])
	if m == nil {
		return "", 0
	}
	name, from := string(m[1]), string(m[3])
	switch top := topModule(from); top {
	case "transformers":
		return TransformersAPIMismatch, root
	case "typing", "enum", "datetime", "collections", "types", "importlib":
		return PythonVersionUnsupported, root
	case "flash_attn", "flashinfer", "flash_attn_interface", "flash_attn_2_cuda", "vllm_flash_attn":
		return AttentionPackageMismatch, root
	case "mistral_common":
		return TokenizerLoadFailed, root
	case "torchvision":
		return TorchvisionMismatch, root
	case "xformers":
		return XformersMismatch, root
	case "vllm", "sglang":
		if len(m[2]) > 0 || strings.HasPrefix(name, "__version") || strings.HasSuffix(from, "._c") || name == "_c" || hasAny(h.lower[h.col:min(len(h.lower), h.col+200)], "(unknown location)") {
			return ModuleMissingPartialInstall, root
		}
	}
	return DependencyAPIMismatch, root
}

// moduleAttribute is a dependency that lost a name, unless it is a stub of a failed import.
func moduleAttribute(h *hit) (Code, tier) {
	m := attributeOf.FindSubmatch(h.near)
	if m == nil {
		return "", 0
	}
	switch top := topModule(string(m[1])); top {
	case "transformers":
		return TransformersAPIMismatch, soft
	case "numpy":
		return NumpyABI, soft
	case "vllm", "sglang":
		if strings.Contains(string(m[1]), ".") {
			return DependencyAPIMismatch, soft // the module is there, of another release
		}
		return ModuleMissingPartialInstall, soft
	case "torch":
		return "", 0 // too many reasons
	case "flash_attn", "flashinfer":
		return AttentionPackageMismatch, soft
	}
	return DependencyAPIMismatch, soft
}

// moduleMissing tells a forgotten package from an engine that is installed halfway and from one that is too new or
// too old for the other.
func moduleMissing(h *hit) (Code, tier) {
	code, t := missingModule(h)
	if t == root && toldOf(h.lower[:h.col]) {
		t = hint // what an import said, told by a program that goes on after it
	}
	return code, t
}

// toldOf reports whether a sentence leads up to an exception's words, not its name or a program's.
func toldOf(before []byte) bool {
	rest, ok := bytes.CutSuffix(before, []byte(": "))
	sentence := bytes.Fields(rest[bytes.LastIndexByte(rest, ':')+1:])
	if !ok || len(sentence) < 2 {
		return false
	}
	last := sentence[len(sentence)-1]
	return !bytes.HasSuffix(last, []byte("error")) && !bytes.HasSuffix(last, []byte("exception")) && !bytes.Contains(last, []byte("python"))
}

func missingModule(h *hit) (Code, tier) {
	m := moduleName.FindSubmatch(h.lower[h.col:])
	if m == nil {
		return "", 0
	}
	if h.level == levelQuiet {
		return "", 0
	}
	name := strings.Trim(string(m[1]), ".")
	if hasAny(h.near, "failed to read commit hash|failed to import from custom_ar|import error msg") {
		return "", 0 // said in passing
	}
	if name == "common_ops" { // sgl-kernel's last try; the first one says why
		return "", 0
	}
	top := topModule(name)
	dotted := name != top
	switch top {
	case "transformers":
		if dotted {
			return TransformersAPIMismatch, root
		}
	case "vllm", "sglang":
		if !dotted && hasAny(h.history(), "collect_env.py") || !dotted && hasAny(h.lower[max(0, h.col-250):h.col], "collect_env.py") {
			return "", 0 // the report's own helper, run outside the environment
		}
		if !dotted {
			break
		}
		if strings.HasSuffix(name, "_fa2_c") || strings.HasSuffix(name, "_fa3_c") {
			return AttentionPackageMismatch, root
		}
		if top == "vllm" && (h.recently("sglang_frame", 30) || h.r.engine == "sglang") {
			return DependencyAPIMismatch, root
		}
		return ModuleMissingPartialInstall, root
	case "ensurepip", "venv":
		return PythonVenvMissing, root
	case "flash_attn", "flash_attn_2_cuda", "flashinfer":
		if dotted || top == "flash_attn_2_cuda" {
			return AttentionPackageMismatch, root
		}
	case "numpy":
		if dotted {
			return NumpyABI, root
		}
	case "torch":
		if dotted {
			return DependencyAPIMismatch, root
		}
	case "mistral_common":
		return TokenizerLoadFailed, root
	case "libtpu", "amdsmi", "torch_xla", "habana_frameworks", "intel_extension_for_pytorch", "torch_npu", "setuptools_scm":
		if top != "setuptools_scm" && hasAny(h.near, "not available because|is not available|failed to import") {
			return "", 0 // platform probes of vLLM, always printed
		}
	case "outlines", "pydantic", "triton", "compressed_tensors", "xgrammar", "openai", "huggingface_hub", "llguidance", "lmformatenforcer", "pyairports", "torchao", "kernels", "starlette", "fastapi":
		if dotted {
			return DependencyAPIMismatch, root
		}
	}
	return MissingPythonModule, root
}

func packageMissing(h *hit) (Code, tier) {
	if hasAny(h.near, "error while finding module spec") {
		switch {
		case hasAny(h.near, "no module named 'vllm')|no module named 'sglang')"):
			return MissingPythonModule, root
		case hasAny(h.near, "no module named 'vllm.|no module named 'sglang.|partially initialized module"):
			return ModuleMissingPartialInstall, root
		case hasAny(h.near, "importerror: "):
			return "", 0 // the import error inside says more
		}
	}
	if hasAny(h.near, "for vllm|for sglang|modulespec") && !hasAny(h.near, "not found in your environment") {
		if hasAny(h.near, "no module named 'vllm')|no module named 'sglang')") {
			return MissingPythonModule, root
		}
		return ModuleMissingPartialInstall, root
	}
	return MissingPythonModule, root
}

var modelRules = []rule{
	{code: UnknownModelType, tier: root, lits: "transformers does not recognize this|does not recognize this architecture|does not support model type", and: "model type", not: "tokenizer", source: "https://github.com/vllm-project/vllm/issues/19793"},
	{code: UnknownModelType, tier: root, lits: "keyerror: '", before: "config_mapping[|configuration_auto.py|autoconfig.from_pretrained|keyerror(key)", re: regexp.MustCompile(`keyerror: '[\w-]+'`), source: srcTF},
	{code: UnknownModelType, tier: soft, lits: "keyerror: '", re: regexp.MustCompile(`keyerror: '(?:qwen|llama|gemma|glm|chatglm|gpt_oss|mistral|mixtral|ministral|deepseek|phi|kimi|minimax|hunyuan|ernie|granite|falcon|olmo|exaone|internlm|internvl|nemotron|cohere|command|step|seed_oss|bailing|longcat|mimo|smollm|baichuan|dbrx|jamba|mamba|starcoder|minicpm|molmo|pixtral|llava|whisper|apertus|arcee|lfm|dots|grok|yi|solar|aya|ovis|idefics)[a-z0-9_]*'`)},
	{code: UnknownModelType, tier: soft, lits: "raise keyerror(k", before: "config_mapping[", source: srcTF},
	{code: UnknownModelType, tier: soft, lits: "unknown model type|unsupported model type|model type not supported"},
	{code: ArchNotSupported, tier: root, lits: "are not supported for now|unsupported architectures: |was supported in vllm until|unknown model architecture|unsupported architecture:|is not a registered model in the transformers library|no supported model architecture|cannot find model module|model architecture is not supported", not: "failed to be inspected|lora", source: srcVLLM},
	{code: ArchNotSupported, tier: root, lits: "has no vllm implementation|has no sglang implementation|is not compatible with vllm|not compatible with sglang", not: "falling back|fallback"},
	{code: ArchNotSupported, tier: soft, lits: "unsupported architectures|is not supported by vllm|model architectures ", and: "not supported|unsupported architectures", not: "lora|failed to be inspected|fallback|falling back"},
	{code: ArchNotSupported, tier: soft, lits: "gguf model with architecture|unknown gguf model_type|: architecture ", re: regexp.MustCompile(`gguf model with architecture \S+ is not|unknown gguf model_type|valueerror: architecture \S+ (?:is )?not supported`), source: srcTF},
	{code: ArchInspectFailed, tier: soft, lits: "failed to be inspected|error in inspecting model architecture", source: "https://github.com/vllm-project/vllm/issues/18318"},
	{code: GatedRepo, tier: root, lits: "cannot access gated repo|gatedrepoerror|trying to access a gated repo|by the repo's authors|awaiting a review from the repo|is restricted and you are not in the authorized|must have access to it and be authenticated|you must be authenticated to access it|access to this model is restricted|' requires approval.", not: "tool call", source: srcHF},
	{code: GatedRepo, tier: root, lits: "access to model ", and: "is restricted"},
	{code: GatedRepo, tier: root, lits: "403 client error|403 forbidden", and: "huggingface.co|hf.co/"},
	{code: HFUnauthorized, tier: root, quiet: true, lits: "invalid credentials in authorization|invalid user token|token is expired", source: srcHF},
	{code: HFUnauthorized, tier: soft, lits: "401 client error|401 unauthorized|invalid username or password|invalid credentials in authorization|illegal header value b'bearer|invalid user token|token is expired|user access token|token is not valid", and: "huggingface|hub|hf_token|bearer|token|username|/resolve/|/api/models/", not: "gated|http/1.1\" 401|not a valid model identifier|read access", source: "https://github.com/vllm-project/vllm/issues/20350", refine: unauthorized},
	{code: RepoNotFound, tier: root, lits: "is not a valid model identifier|repository not found for url|repositorynotfounderror|invalid repository id or local directory|revisionnotfounderror|revision not found for url|invalid rev id|if the repo is private, make sure you are authenticated", source: srcHF, refine: repoMissing},
	{code: RepoNotFound, tier: soft, lits: "404 client error", and: "huggingface", not: "entry not found|entrynotfound|adapter_config|generation_config|tokenizer_config|chat_template"},
	{code: InvalidModelPath, tier: root, lits: "repo id must be in the form|repo id must use alphanumeric|hfvalidationerror|incorrect path_or_model_id|repo_name' or 'namespace/repo_name'", source: srcHF, refine: askedFirst},
	{code: InvalidModelPath, tier: root, lits: "no adapter found for ", not: "loading raw base weights", text: "The folder of the LoRA adapter is not there inside the container: mount or correct it.", source: srcVLLM},
	{code: InvalidModelPath, tier: soft, lits: "no such file or directory: '", re: regexp.MustCompile(`filenotfounderror.{0,60}no such file or directory: '[^']*(?:/config\.json|/models?/[^']*)'`), not: ".safetensors'|.bin'|.pt'|.pth'|.gguf'"},
	{code: MissingConfig, tier: root, lits: "does not appear to have a file named config.json|no file named config.json|could not detect config format|failed to load mistral 'params.json'", not: "couldn't connect", source: srcTF},
	{code: MissingConfig, tier: root, lits: "could not detect config format|no config file found|no supported config format found|does not appear to have a file named config.json|no file named config.json|can't load the configuration of|is not the path to a directory containing a config.json|couldn't find any config|is not a valid json file", and: "config", not: "couldn't connect|tokenizer|looks like the config file at 'generation", source: srcTF},
	{code: TrustRemoteCodeRequired, tier: root, lits: "contains custom code which must be executed|to execute the configuration file in that repo|pass the argument `trust_remote_code=true`|set the option `trust_remote_code=true`|do you wish to run the custom code|execute the configuration file in that|requires you to execute|allow_custom_code|failed to load the model config. if the model is a custom model", source: srcTF},
	{code: TrustRemoteCodeRequired, tier: root, lits: "does not exist or is not currently imported", refine: tokenizerClass},
	{code: TokenizerClassMissing, tier: root, lits: "tokenizersbackend", and: "does not exist|not found|no attribute|cannot import|not currently imported", source: "https://github.com/vllm-project/vllm/issues/36448"},
	{code: TokenizerLoadFailed, tier: root, lits: "can't load tokenizer|couldn't instantiate the backend tokenizer|requires the sentencepiece library|need to have sentencepiece|data did not match any variant of untagged enum|unable to load vocabulary from file|error parsing line|tekken.json|tokenizer.model not found|no tokenizer file found|no valid tokenizer file found|make sure that a mistral tokenizer is present", and: "tokenizer|sentencepiece|untagged|vocabulary|tekken|parsing line", not: "no such file or directory: '/", source: srcTF},
	{code: TokenizerLoadFailed, tier: root, lits: "mistral_common", and: "error|exception", re: regexp.MustCompile(`(?:error|exception)\b.*mistral_common|mistral_common.*(?:error|exception):`), not: "file \"|pip install|is required for this function"},
	{code: TransformersAPIMismatch, tier: soft, lits: "typeerror: transformers.|tokenizersbackend.", and: "typeerror|attributeerror"},
	{code: TokenizerLoadFailed, tier: soft, lits: "failed to load the tokenizer|either model_file or model_proto must be|converting from tiktoken failed|converting from sentencepiece and tiktoken|tiktoken is required|tokenizer is not valid|not a string\n"},
	{code: HarmonyVocabDownload, tier: root, lits: "harmonyerror|error downloading or loading vocab|failed to download or load vocab|hash mismatch: computed|openaipublic.blob.core.windows.net", and: "vocab|hash mismatch|openaipublic", source: "https://github.com/openai/harmony/issues/95"},
	{code: ContextExceedsModel, tier: root, lits: "is greater than the derived", and: "max_model_len|context_length|context length", source: srcVLLM},
	{code: ContextExceedsModel, tier: root, lits: "user-specified max_model_len|user-specified context_length"},
}

// unauthorized tells a refused token from none at all for a model whose owner gates it: those are known by name.
func unauthorized(h *hit) (Code, tier) {
	if hasAny(h.near, "/meta-llama/|/google/gemma|/mistralai/|/bigcode/|/stabilityai/|/black-forest-labs/|/codellama/") {
		return GatedRepo, soft
	}
	return HFUnauthorized, soft
}

// repoMissing keeps a path that is not there apart from a name the hub does not know.
func repoMissing(h *hit) (Code, tier) {
	if m := quotedName.FindSubmatch(h.lower[max(0, h.col-160):]); m != nil && (m[1][0] == '/' || m[1][0] == '.') {
		return InvalidModelPath, root
	}
	if emptyFolder.Match(h.near) {
		if h.r.now.phaseAt[PhaseImport].line > 0 && !h.around("for speculativeconfig") { // a path that is not there would have been refused as a repository's name before
			return MissingConfig, root
		}
		return InvalidModelPath, root
	}
	return RepoNotFound, root
}

// askedFirst: vLLM asks the hub for the files of a path too, and looks at the folder afterwards.
func askedFirst(h *hit) (Code, tier) {
	if hasAny(h.near, "error retrieving file list") {
		return InvalidModelPath, hint
	}
	return InvalidModelPath, root
}

var emptyFolder = regexp.MustCompile(`invalid repository id or local directory specified: '[/.~]`)

var quotedName = regexp.MustCompile(`['"]?([\w./-]+)['"]? is not a local folder`)

var tokenizerClassName = regexp.MustCompile(`tokenizer class '?(\w+)`)

// tokenizerClass tells a class of newer Transformers from one the model's vendor ships. The first list is of the
// classes Transformers has; everything else comes with the model and needs trust_remote_code.
func tokenizerClass(h *hit) (Code, tier) {
	m := tokenizerClassName.FindSubmatch(h.near)
	if m == nil {
		return "", 0
	}
	name := strings.TrimSuffix(strings.TrimSuffix(string(m[1]), "fast"), "tokenizer")
	if strings.HasPrefix(name, "tokenizersbackend") {
		return TokenizerClassMissing, root
	}
	const known = " llama codellama gemma qwen2 qwen2_5 qwen3 qwen3_5 mistral mistralcommon cohere cohere2 pretrained gpt2 gptneox bloom falcon " +
		"bert roberta xlmroberta deberta debertav2 t5 mbart nllb siglip clip whisper phi3 olmo mpnet albert electra gptj opt " +
		"cpmant jamba mixtral starcoder2 gemma2 gemma3 gemma4 glm4 llama4 byt5 moonshine seamlessm4t myt5 parakeet "
	if strings.Contains(known, " "+name+" ") {
		return TokenizerClassMissing, root
	}
	return TrustRemoteCodeRequired, root
}

var downloadRules = []rule{
	{code: HFRateLimited, tier: root, quiet: true, lits: "429 client error|too many requests|error 429 thrown while requesting|we had to rate limit your ip|you have been rate limited|hub rate limit", and: "huggingface|hf.co|rate limit|/resolve/|/api/models/", refine: limited, source: srcHF},
	{code: HFUnreachable, tier: root, lits: "couldn't connect to 'https://huggingface|couldn't connect to 'https://hf-mirror|localentrynotfounderror|cannot find an appropriate cached snapshot|outgoing traffic has been disabled|offlinemodeisenabled|cannot find the requested files in the local cache|cannot find the requested files in the disk cache|cannot reach https://huggingface|cannot send a request because|couldn't connect to the hub", source: srcHF},
	{code: HFUnreachable, tier: soft, lits: "the cached snapshot for |no cached tree listing found for|does not seem to be served by a hugging face hub|distant resource does not have an etag", and: "is incomplete|no cached tree|endpoint|etag", source: srcHF},
	{code: HFUnauthorized, tier: soft, lits: "token is required (`token=true`), but no token found", source: srcHF},
	{code: RepoNotFound, tier: soft, lits: "cannot resolve revision '", source: srcHF},
	{code: HFUnreachable, tier: soft, lits: "error: local entry not found|server error '50", and: "local entry not found|/resolve/|/api/models/", source: srcHF},
	{code: HFUnreachable, tier: soft, lits: "max retries exceeded|nameresolutionerror|network is unreachable|failed to resolve|temporary failure in name resolution|connecttimeout|connection to huggingface.co timed out|name or service not known|readtimeout|connection aborted|incomplete read|incompleteread|peer closed connection|certificate_verify_failed", and: "huggingface|hf.co|hf-mirror|cdn-lfs"},
	{code: HFTransferMissing, tier: root, lits: "hf_hub_enable_hf_transfer=1|'hf_transfer' package is not available", and: "hf_transfer' package|but 'hf_transfer'|not available in your", source: srcHF},
	{code: HFXetError, tier: root, lits: "cas service error|hf_xet error|hf_xet::|xet-core|cas-server.xethub|data processing error", and: "error|failed|panic|stalled", not: "no space left|quota exceeded|is not installed|falling back to regular|os error 28|os error 122|io error|no such file", source: "https://github.com/huggingface/xet-core"},
	{code: HFXetError, tier: root, lits: "cas service error", and: "io error: timer expired|io error: timed out|io error: broken pipe|io error: connection|io error: unexpected eof", source: "https://github.com/huggingface/xet-core/issues/444"},
	{code: DiskFull, tier: root, quiet: true, lits: "[errno 28]", before: "could not install packages due to", stage: StageInstall, source: srcPip},
	{code: DiskFull, tier: root, quiet: true, lits: "no space left on device|disk quota exceeded|not enough disk space|[errno 28]|[errno 122]|os error 28|os error 122|not enough free disk space|there is not enough space on the disk|insufficient disk space", not: "failed to register layer|/dev/shm|shared memory|failed to extract layer|processing tar file|/var/lib/docker|/var/lib/containerd|</torch_|nccl-|applylayer|shm_open|bo allocation", source: srcHF, refine: fullDisk},
}

// limited tells a request that is tried again from one that was given up, once an engine has spoken.
func limited(h *hit) (Code, tier) {
	if h.r.now.phase >= PhaseImport && hasAny(h.near, "thrown while requesting") {
		return HFRateLimited, hint
	}
	return HFRateLimited, root
}

// fullDisk tells a warning of the hub's client before a download from a disk that is full.
func fullDisk(h *hit) (Code, tier) {
	if h.level == levelQuiet && hasAny(h.near, "not enough free disk space|not enough disk space") {
		return DiskFull, hint
	}
	return DiskFull, root
}

var weightName = regexp.MustCompile(`keyerror: ['"](?:[\w-]+\.)+(?:weight|bias|qweight|qzeros|scales|g_idx|weight_scale\w*|weight_packed|\w*scale\w*|inv_freq|w[123]|kernel|\w+_blocks|\w+_scales|lora_[ab]|\w+)['"]`)

// weightFile keeps weights apart from what processes send each other pickled: there a stray line of output does this.
func weightFile(h *hit) (Code, tier) {
	if hasAny(h.near, "unpicklingerror|invalid load key") && (hasAny(h.lower[:h.col], "pickle.loads(") || hasAny(h.history(), "pickle.loads(")) {
		return "", 0
	}
	if hasAny(h.near, "unpicklingerror") && !h.around("invalid load key|truncated|raytaskerror|torch.load|torch_load|pt_weights|load_weights|.bin|.pt") {
		return "", 0 // a program's own data
	}
	return SafetensorsCorrupt, root
}

var weightRules = []rule{
	{code: SafetensorsCorrupt, tier: root, lits: "error while deserializing header|metadataincompletebuffer|invalidheaderdeserialization|headertoolarge|headertoosmall|invalidheaderlength|invalid load key|failed finding central directory|pytorchstreamreader failed|file not fully covered|unpicklingerror|invalid header or archive is corrupted|unexpected pos |not a safetensors file|failed to parse safetensors header|invalid magic characters|incomplete metadata|safetensors file is corrupt", source: "https://github.com/QwenLM/Qwen/issues/462", refine: weightFile},
	{code: WeightsMissing, tier: root, lits: "cannot find any model weights with|cannot find any safetensors model weights|weight files referenced in index but missing|no safetensors weights found|no model weights found|no file named model.safetensors|no file named pytorch_model.bin|error no file named", source: srcVLLM},
	{code: WeightsNameMismatch, tier: root, lits: "keyerror: '|keyerror: \"", re: weightName, source: srcVLLM},
	{code: WeightsNameMismatch, tier: root, lits: "there is no module or parameter named|not initialized from checkpoint|error(s) in loading state_dict|attempted to load weight|loaded_weight.shape|loaded_weight.size()|cannot find parameter|tried to load weights of size|size mismatch for |unexpected key(s) in state_dict|missing key(s) in state_dict|unexpected weight name|unexpected weight:|no parameter named|weight shape mismatch", source: srcVLLM},
	{code: WeightsNameMismatch, tier: soft, lits: "keyerror: '|keyerror: \"", before: "load_weights|params_dict[|weight_loader", not: "config_mapping"},
	{code: WeightsNameMismatch, tier: soft, lits: ".qweight'|.weight'|.weight_scale'|.weight_packed'|.qzeros'", re: regexp.MustCompile(`\] '(?:[\w-]+\.){2,}\w+'(?:\s|$)`), source: "https://github.com/vllm-project/vllm/issues/11122"},
	{code: WeightsNameMismatch, tier: soft, lits: "must match the size of tensor|must match the existing size|no module or parameter named|has no attribute 'weight_loader'", before: "load_weights|weight_loader|load_model|no module or"},
	{code: QuantConfigMissing, tier: root, lits: "cannot find the config file for|scales must be calibrated|quantize_config.json|no quantization config found|could not find quantization config|hf_quant_config.json", re: regexp.MustCompile(`cannot find the config file for|scales must be calibrated|(?:no such file|not found|cannot find|missing|could not find).{0,80}(?:quantize_config|hf_quant_config)\.json|no quantization config found|could not find quantization config`), source: "https://github.com/vllm-project/vllm/issues/16208"},
	{code: QuantConfigMissing, tier: root, lits: "cannot find any of [", and: "quantization config", text: "The checkpoint's quantization_config lacks what its method needs: take a complete checkpoint, or leave quantisation out.", source: srcVLLM},
	{code: SafetensorsCorrupt, tier: soft, lits: "file appears to be version |gguf magic invalid|this reader handles v2", and: "which we cannot handle|magic|is gguf v", source: srcLlama},
	{code: UnknownQuantization, tier: soft, lits: "unsupported quantization config|weight quantization is supported for", source: srcVLLM},
	{code: UnknownQuantization, tier: root, lits: "unknown quantization method|invalid quantization method|unknown quantization type|unsupported quantization method|unknown quant_method|quantization method not supported|unsupported quantization:|unrecognized quantization", source: srcVLLM},
	{code: LoraUnsupported, tier: root, lits: "does not support lora|lora is not supported|is not supported for lora|lora isn't supported|doesn't support lora", and: "lora", not: "warning 0", source: srcVLLM},
}
