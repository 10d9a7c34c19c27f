package diagnose

import (
	"regexp"
	"strconv"
	"strings"

	"justright/catalog"
	"justright/version"
)

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
		if m := refusedFlag.FindStringSubmatch(low); len(l.DropFlags) == 0 && m != nil && !essential[m[1]] {
			l.DropFlags = []string{m[1]}
		}
		if len(l.DropFlags) == 0 {
			return nil
		}
	case InvalidConfigCombination:
		m := batchedTokens.FindStringSubmatch(low)
		if m == nil {
			return nil
		}
		l.Model, l.AddFlags = r.opts.Model, []string{"--max-num-batched-tokens", m[1]}
	case QuantConfigMissing:
		l.Model, l.DropFlags = r.opts.Model, []string{"--quantization"}
	case KernelCompileFailed, CUDAGraphCaptureFailed:
		if r.engine == "sglang" {
			return nil
		}
		l.Model, l.GPU, l.AddFlags = r.opts.Model, r.opts.GPU, []string{"--enforce-eager"}
	case ImageManifestUnknown, ExecNotFound, ExecFormatError, CCompilerMissing, PythonHeadersMissing, NinjaMissing, NvccMissing, SystemLibraryMissing:
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

var (
	refusedFlag   = regexp.MustCompile(`error: argument (--[\w-]+)`)
	batchedTokens = regexp.MustCompile(`max_num_batched_tokens \(\d+\) is smaller than max_model_len \((\d+)\)`)
)

// essential are flags without which a server is not the one that was asked for: they are corrected, not left out.
var essential = map[string]bool{
	"--model": true, "--model-path": true, "--served-model-name": true, "--host": true, "--port": true, "--api-key": true, "--middleware": true,
	"--tensor-parallel-size": true, "--tp": true, "--pipeline-parallel-size": true, "--max-model-len": true, "--context-length": true,
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
