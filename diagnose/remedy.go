package diagnose

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"justright/version"
)

// remedy is what to do about f: the usual remedy of its cause, or what the figures in the line ask for.
func (r *Reader) remedy(f *finding) *Remedy {
	if f == nil && r.now.killed.line > 0 {
		return &Remedy{UserAction, killedText}
	}
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
		if r.context["cpu"] > 0 {
			out.Kind = ChangeFlag
			out.Text += " On a CPU the cache is as large as VLLM_CPU_KVCACHE_SPACE says, in GiB: or raise that."
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
	case InvalidArgumentValue:
		valueRemedy(f.text, out)
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
