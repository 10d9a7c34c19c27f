package diagnose

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"justright/catalog"
	"justright/version"
)

// remedy is what to do about f: the usual remedy of its cause, or what the figures in the line ask for.
func (r *Reader) remedy(f *finding) *Remedy {
	if f == nil {
		return &Remedy{UserAction, "No rule knows this error: read the lines shown, and search for the message."}
	}
	info, _ := Of(f.code)
	out := &Remedy{info.Remedy, info.Text}
	if f.rule.remedy != "" {
		out.Kind = f.rule.remedy
	}
	if f.rule.text != "" {
		out.Text = f.rule.text
	}
	low := strings.ToLower(f.text)
	switch f.code {
	case KVCacheSmallerThanContext:
		if n := feasibleContext(low); n > 0 {
			out.Text = fmt.Sprintf("The KV cache cannot hold one full request: --max-model-len %d fits, by the log's own estimate.", n)
		}
	case ContextExceedsModel:
		if m := derivedMax.FindStringSubmatch(low); m != nil {
			out.Text = "More context is asked for than the model has: --max-model-len " + m[1] + ", or configure rope scaling."
		}
	case FreeMemoryBelowUtilization:
		if strings.Contains(low, "requested memory for kv") { // the CPU build's own check
			out.Kind, out.Text = ChangeFlag, "The KV cache asked for is larger than this machine's free memory: lower VLLM_CPU_KVCACHE_SPACE or --kv-cache-memory-bytes."
		} else if free, total, ok := freeOf(low); ok && total > 0 {
			if free/total < 0.15 {
				out.Kind, out.Text = Retry, "Another process holds nearly all of the card: end it, or take another host."
			} else {
				out.Text = fmt.Sprintf("The card is not empty at start: --gpu-memory-utilization %.2f fits what is free, or end the neighbour.", floor2(free/total))
			}
		}
	case CUDAOOMLoad:
		if m := neighbour.FindStringSubmatch(low); m != nil && strings.Contains(low, "this process has") {
			out.Kind, out.Text = Retry, "Another process holds "+m[1]+" GiB of the card: end it, or take another host."
		}
	case TorchArchMismatch, NoKernelImage:
		if r.facts.oldCard() {
			out.Kind, out.Text = OtherGPUCapability, "The card is older than anything this build supports: a newer GPU."
		} else if f.code == NoKernelImage && r.recentEngine(low) {
			out.Kind, out.Text = NewerEngine, "A kernel of this release holds no code for this card, which is newer: a later release or a build for it, else another GPU."
		}
	case NCCLError:
		ncclRemedy(low, out)
	case QuantUnsupportedGPU:
		if strings.Contains(low, "fp8e4nv") {
			out.Kind, out.Text = ChangeFlag, "A kernel asks this card for fp8: --kv-cache-dtype auto, or another checkpoint; else a GPU of capability 8.9 or more."
		}
	case UnknownModelType:
		if m := modelTypeName.FindStringSubmatch(low); m != nil && typeRemedy(m[1]) != NewerTransformers {
			if out.Kind = typeRemedy(m[1]); out.Kind == ModelBug {
				out.Text = fmt.Sprintf("No release of Transformers knows the model type %s: it needs its vendor's own package; take another checkpoint.", m[1])
			} else {
				out.Text = fmt.Sprintf("The engine's newer releases bring the configuration of %s themselves: a newer engine.", m[1])
			}
		} else if m != nil {
			out.Text = fmt.Sprintf("This Transformers does not know the model type %s: a newer engine, which brings its own, else a newer Transformers.", m[1])
		}
	case UnrecognizedArguments:
		r.flagsRemedy(f.text, out)
	case MissingPythonModule:
		if m := moduleName.FindStringSubmatch(low); m != nil {
			out.Text = "The Python package " + topModule(m[1]) + " is missing: install it, or take an image that has it."
		}
	case ExecNotFound:
		if !engineProgram.MatchString(low) {
			out.Kind, out.Text = UserAction, "The start command names a program the image does not have: correct the command; an image with an entrypoint of its own takes only the flags."
		}
	case ContainerCUDARequirement:
		if c := wantedCUDA(low); !c.IsZero() {
			out.Text = fmt.Sprintf("The image asks the host for CUDA %s or newer: filter hosts by CUDA version, or take an image built for an older one.", c)
		}
	default: // the usual one
	}
	return out
}

// ncclRemedy reads in NCCL's words what it ran into.
func ncclRemedy(low string, out *Remedy) {
	switch {
	case strings.Contains(low, "out of memory"):
		out.Kind, out.Text = LowerMemoryUtilization, "NCCL found no memory left on the card: lower --gpu-memory-utilization (SGLang: --mem-fraction-static)."
	case strings.Contains(low, "invalid argument"), strings.Contains(low, "version mismatch"):
		out.Kind, out.Text = PinDependency, "NCCL was called in a way this release of it does not know: install the nvidia-nccl that torch pins."
	case strings.Contains(low, "unhandled system error"), strings.Contains(low, "ncclsystemerror"):
		out.Kind, out.Text = UserAction, "NCCL failed in the system below it: give the container more shared memory (--shm-size, --ipc=host), and name the network interface (NCCL_SOCKET_IFNAME)."
	}
}

// flagsRemedy names the flags a release does not know, and the release that has them.
func (r *Reader) flagsRemedy(text string, out *Remedy) {
	flags := unknownFlags(text)
	if len(flags) == 0 {
		return
	}
	out.Text = "This release does not know " + strings.Join(flags, " ") + ": leave it out or rename it, or take the release that has it."
	if r.engine == "sglang" || strings.Contains(strings.ToLower(text), "sglang") {
		return
	}
	kind, since, renamed := flagRemedy(flags)
	out.Kind = kind
	if since != "" {
		out.Text = "This release does not know " + strings.Join(flags, " ") + ": vLLM has it since " + since + "; leave it out, or take that release."
	} else if renamed != "" {
		out.Text = "This release does not know " + strings.Join(flags, " ") + " any more: " + renamed + " took over."
	}
}

// recentEngine reports whether the log is of a release that supports every card from Volta on, so that a kernel it
// lacks is one for a newer card: V1's process names, or the error type that torch has since 2.8.
func (r *Reader) recentEngine(low string) bool {
	return strings.Contains(low, "acceleratorerror") || r.context["v1"] > 0
}

var (
	feasibleLength = regexp.MustCompile(`estimated maximum model length is (\d+)`)
	cacheTokens    = regexp.MustCompile(`stored in kv cache \((\d+)\)`)
	derivedMax     = regexp.MustCompile(`(?:max_position_embeddings|derived context_length|derived max_model_len)[ =(]+(\d+)`)
	neighbour      = regexp.MustCompile(`process \d+ has (\d+(?:\.\d+)?) gib memory in use`)
	modelTypeName  = regexp.MustCompile("(?:model type |keyerror: )[`'\"]?([\\w.-]+)")
	cudaWanted     = regexp.MustCompile(`cuda>=(\d+\.\d+)`)
	engineProgram  = regexp.MustCompile(`["' /](?:vllm|sglang|python3?)["']?: |exec: (?:vllm|sglang|python3?):|^(?:vllm|sglang|python3?): |command not found: (?:vllm|sglang|python3?)|/python3?[\d.]*: bad interpreter`)
	flagName       = regexp.MustCompile(`(^|\s)(--?[A-Za-z][\w-]*)`)
	foundDriver    = regexp.MustCompile(`found version (\d+)`)
	typedBytes     = regexp.MustCompile(`tried to allocate (\d+(?:\.\d+)?) (gib|mib)`)
)

func feasibleContext(low string) int {
	for _, re := range []*regexp.Regexp{feasibleLength, cacheTokens} {
		if m := re.FindStringSubmatch(low); m != nil {
			if n, err := strconv.Atoi(m[1]); err == nil {
				return n
			}
		}
	}
	return 0
}

func freeOf(low string) (free, total float64, ok bool) {
	m := freePair.FindStringSubmatch(low)
	if m == nil {
		return 0, 0, false
	}
	free, _ = strconv.ParseFloat(m[1], 64)
	total, _ = strconv.ParseFloat(m[2], 64)
	return free, total, true
}

// floor2 rounds down to two digits, so that what is asked for is really free.
func floor2(f float64) float64 { return float64(int(f*100)) / 100 }

func wantedCUDA(low string) version.CUDA {
	if m := cudaWanted.FindStringSubmatch(low); m != nil {
		if c, err := version.ParseCUDA(m[1]); err == nil {
			return c
		}
	}
	return version.CUDA{}
}

// unknownFlags lists the flags after "unrecognized arguments:"; argparse does not name a flag's value apart.
func unknownFlags(text string) []string {
	i := strings.Index(strings.ToLower(text), "unrecognized arguments")
	if i < 0 {
		return nil
	}
	var out []string
	for _, m := range flagName.FindAllStringSubmatch(text[i:], 8) {
		out = append(out, m[2])
	}
	return out
}

// lesson is what the next solve must respect after f, nil when the cause teaches nothing about the plan.
func (r *Reader) lesson(f *finding, res Result) *catalog.Lesson {
	low := strings.ToLower(f.text)
	l := catalog.Lesson{Cause: string(f.code), Remedy: string(res.Remedy.Kind), Source: r.opts.Source}
	for _, e := range res.Evidence {
		l.Evidence = append(l.Evidence, e.Text)
	}
	engine := r.opts.Engine
	if engine == "" && r.engine != "" {
		engine = r.engine
		if r.version != "" {
			engine += "==" + r.version
		}
	}
	switch f.code {
	case ContainerCUDARequirement:
		l.Image, l.MinHostCUDA = r.opts.Image, wantedCUDA(low)
		if l.MinHostCUDA.IsZero() {
			l.Forbid = l.Image != ""
		}
	case DriverTooOld, DriverInsufficient, PTXUnsupportedToolchain, CUDACompatLibrary:
		l.Engine, l.Image = engine, r.opts.Image
		l.MinHostCUDA = oneAbove(low)
		l.Forbid = l.MinHostCUDA.IsZero()
	case UnknownModelType, ArchNotSupported, TokenizerClassMissing, UnknownQuantization:
		l.Model, l.Engine, l.Forbid = r.opts.Model, upTo(engine), true
	case WeightsNameMismatch, KVPageSizeUnify, ArchInspectFailed:
		l.Model, l.Engine, l.Forbid = r.opts.Model, engine, true
	case TransformersAPIMismatch, DependencyAPIMismatch, TorchABIMismatch, NumpyABI, TorchvisionMismatch, AttentionPackageMismatch,
		LibcudartMissing, ModuleMissingPartialInstall, MissingPythonModule, GlibcTooOld, PythonVersionUnsupported,
		PipNoMatchingDistribution, PipResolutionConflict:
		l.Engine, l.Image, l.Forbid = engine, r.opts.Image, true
	case UnrecognizedArguments:
		l.Engine, l.DropFlags = engine, unknownFlags(f.text)
		if len(l.DropFlags) == 0 {
			return nil
		}
	case KVCacheSmallerThanContext, ContextExceedsModel:
		l.Model, l.GPU = r.opts.Model, r.opts.GPU
		n := feasibleContext(low)
		if m := derivedMax.FindStringSubmatch(low); n == 0 && m != nil {
			n, _ = strconv.Atoi(m[1])
		}
		if n <= 0 {
			return nil
		}
		l.AddFlags = []string{"--max-model-len", strconv.Itoa(n)}
	case CUDAOOMLoad:
		l.Model, l.GPU, l.MoreMemoryBytes = r.opts.Model, r.opts.GPU, bytesAsked(low)
		l.Forbid = l.MoreMemoryBytes == 0
		if res.Remedy.Kind == Retry {
			return nil // a neighbour's memory says nothing about the plan
		}
	case CUDAOOMProfile:
		// What is profiled grows with both; the engine's text names them.
		l.Model, l.GPU, l.AddFlags = r.opts.Model, r.opts.GPU, []string{"--max-num-batched-tokens", "2048", "--max-num-seqs", "64"}
	case CUDAOOMCudagraph:
		l.Model, l.GPU, l.AddFlags = r.opts.Model, r.opts.GPU, []string{"--enforce-eager"}
	case NoKVCacheBlocks:
		l.Model, l.GPU, l.MoreMemoryBytes = r.opts.Model, r.opts.GPU, 1<<30
	case FreeMemoryBelowUtilization:
		free, total, ok := freeOf(low)
		if !ok || total <= 0 || res.Remedy.Kind != LowerMemoryUtilization {
			return nil
		}
		l.GPU, l.AddFlags = r.opts.GPU, []string{"--gpu-memory-utilization", strconv.FormatFloat(floor2(free/total), 'f', 2, 64)}
	case DiskFull, ImageDiskFull:
		l.Model, l.MoreDiskBytes = r.opts.Model, 20<<30
	case BF16Unsupported:
		l.Model, l.GPU, l.AddFlags = r.opts.Model, r.opts.GPU, []string{"--dtype", "half"}
	case TrustRemoteCodeRequired:
		l.Model, l.AddFlags = r.opts.Model, []string{"--trust-remote-code"}
	case NoKernelImage, TorchArchMismatch, GPUTooOld, QuantUnsupportedGPU, FlashAttnNeedsAmpere, TritonOutOfResources, CUDAToolkitTooOld:
		// An older release has no more kernels than this one, and it is the chip that decides, whatever else may help.
		l.Remedy = string(OtherGPUCapability)
		l.Model, l.Engine, l.GPU, l.Forbid = r.opts.Model, upTo(engine), r.opts.GPU, true
	case InvalidArgumentValue:
		l.Model, l.Engine, l.DropFlags = r.opts.Model, engine, refusedParser(low)
		if len(l.DropFlags) == 0 {
			return nil
		}
	case ImageManifestUnknown, ExecNotFound, ExecFormatError:
		if r.opts.Image == "" {
			return nil
		}
		l.Image, l.Forbid = r.opts.Image, true
	default:
		return nil
	}
	return &l
}

// oneAbove reads "found version 12040" (a driver for CUDA 12.4): the next host must offer more than that.
func oneAbove(low string) version.CUDA {
	m := foundDriver.FindStringSubmatch(low)
	if m == nil {
		return version.CUDA{}
	}
	n, err := strconv.Atoi(m[1])
	if err != nil || n < 1000 {
		return version.CUDA{}
	}
	return version.CUDA{Major: n / 1000, Minor: n%1000/10 + 1}
}

// bytesAsked is the allocation that failed: at least so much more is needed.
func bytesAsked(low string) int64 {
	m := typedBytes.FindStringSubmatch(low)
	if m == nil {
		return 0
	}
	f, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return 0
	}
	if m[2] == "gib" {
		return int64(f * (1 << 30))
	}
	return int64(f * (1 << 20))
}

// upTo names a release and all before it: what they lack is lacking in those too.
func upTo(engine string) string { return strings.Replace(engine, "==", "<=", 1) }

// refusedParser lists the flags to leave out when a release does not know the parser that one of them names. Answers then
// come as the model writes them, which is better than no answer.
func refusedParser(low string) []string {
	switch {
	case strings.Contains(low, "invalid tool call parser"), strings.Contains(low, "argument --tool-call-parser"):
		return []string{"--tool-call-parser", "--enable-auto-tool-choice"}
	case strings.Contains(low, "invalid reasoning parser"), strings.Contains(low, "argument --reasoning-parser"):
		return []string{"--reasoning-parser"}
	}
	return nil
}
