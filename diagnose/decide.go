package diagnose

import (
	"bytes"
	"slices"
	"sort"
	"strings"
)

// CauseUnknown is said where the log proves a failure and no rule knows its cause, and where nothing is known at all.
const CauseUnknown Code = "unknown"

// masks lists, for a cause, those that are only its consequences and lose to it wherever they stand.
var masks = map[Code][]Code{
	ContainerCUDARequirement: {DockerNoGPURuntime, NVMLError},
	NVMLDriverMismatch:       {NoGPUVisible, NVMLError, DockerNoGPURuntime, CUDAInitFailed},
	NVMLNotFound:             {NoGPUVisible},
	NVMLError:                {NoGPUVisible},
	LibcudaMissing:           {NoGPUVisible},
	CUDAInitFailed:           {NoGPUVisible},
	CUDACompatLibrary:        {NoGPUVisible, CUDAInitFailed, NVMLError},
	DriverTooOld:             {NoGPUVisible, CUDAInitFailed, DriverInsufficient, TorchABIMismatch, NCCLError, ArchInspectFailed},
	DriverInsufficient:       {NCCLError, CUDAInitFailed, NoGPUVisible},
	TorchArchMismatch:        {NoKernelImage, CUDAKernelFault, NCCLError},
	GPUTooOld:                {NoKernelImage, KernelCompileFailed},
	TorchABIMismatch:         {ArchInspectFailed, NoGPUVisible, ModuleMissingPartialInstall},
	GlibcTooOld:              {TorchABIMismatch, ArchInspectFailed, NoGPUVisible, ModuleMissingPartialInstall},
	NVJitLinkMismatch:        {TorchABIMismatch},
	AttentionPackageMismatch: {TorchABIMismatch, TransformersAPIMismatch},
	TorchvisionMismatch:      {TransformersAPIMismatch, ModuleMissingPartialInstall},
	SHMTooSmall:              {NCCLError, RayWorkerDied, WorkerSegfault, DiskFull, CollectiveTimeout},
	// The extension that could not be loaded is a warning; the model's configuration is read in spite of it.
	UnknownModelType:          {GlibcTooOld, TorchABIMismatch},
	GatedRepo:                 {HFUnauthorized, RepoNotFound, HFUnreachable, MissingConfig, TokenizerLoadFailed},
	RepoNotFound:              {HFUnauthorized},
	DiskFull:                  {HFXetError, KernelCompileFailed},
	ImageDiskFull:             {DiskFull, ImageLayerCorrupt},
	HFRateLimited:             {HFUnreachable, TokenizerLoadFailed, MissingConfig},
	CUDAToolkitTooOld:         {FlashinferFailed, KernelCompileFailed},
	NvccMissing:               {FlashinferFailed, KernelCompileFailed, BuildToolMissing},
	NinjaMissing:              {FlashinferFailed, KernelCompileFailed},
	CCompilerMissing:          {FlashinferFailed, KernelCompileFailed},
	PythonHeadersMissing:      {FlashinferFailed, KernelCompileFailed},
	BuildHostOOM:              {HostOOMKilled, FlashinferFailed, KernelCompileFailed},
	TokenizerClassMissing:     {TokenizerLoadFailed, TrustRemoteCodeRequired},
	TrustRemoteCodeRequired:   {TokenizerLoadFailed},
	PythonVersionUnsupported:  {PipResolutionConflict, PipNoMatchingDistribution},
	PipNoMatchingDistribution: {PipResolutionConflict},
	CUDAOOMLoad:               {NCCLError, CublasError, CUDAGraphCaptureFailed, KernelCompileFailed},
	CUDAOOMProfile:            {NCCLError, CublasError, CUDAGraphCaptureFailed, KernelCompileFailed, FlashinferFailed},
	CUDAOOMCudagraph:          {NCCLError, CublasError, CUDAGraphCaptureFailed},
	TPQuantGroupIndivisible:   {TPSizeIndivisible},
	SystemLibraryMissing:      {SglKernelArchMissing},
	LibcudartMissing:          {SglKernelArchMissing},
	KVCacheSmallerThanContext: {NoKVCacheBlocks},
	FlashinferFailed:          {CUDAGraphCaptureFailed},
	HFTransferMissing:         {TokenizerLoadFailed, MissingConfig},
	ExternallyManaged:         {PipNoMatchingDistribution},
	ShellQuoting:              {WorkerSegfault, ExecNotFound},
	NoKernelImage:             {FlashinferFailed, CUDAGraphCaptureFailed, NCCLError, CublasError},
	PTXUnsupportedToolchain:   {FlashinferFailed, CUDAGraphCaptureFailed, NCCLError},
	PeerConnectionLost:        {CUDAGraphCaptureFailed},
	NCCLError:                 {CUDAGraphCaptureFailed, PeerConnectionLost, WorkerSegfault},
	CublasError:               {CUDAGraphCaptureFailed},
	KernelCompileFailed:       {CUDAGraphCaptureFailed},
	QuantConfigMissing:        {CUDAGraphCaptureFailed},
	InvalidModelPath:          {MissingConfig, RepoNotFound},
	UnrecognizedArguments:     {InvalidArgumentValue},
	QuantUnsupportedGPU:       {KernelCompileFailed, CUDAGraphCaptureFailed},
	EngineHangTimeout:         {CollectiveTimeout},
	NCCLLibraryMissing:        {NCCLError},
	ArchNotSupported:          {MissingPythonModule},
	InvalidConfigCombination:  {TPSizeIndivisible},
}

// masked reports whether another cause that was found explains c.
func masked(c Code, all []*finding) bool {
	for _, f := range all {
		if f.code != c && slices.Contains(masks[f.code], c) {
			return true
		}
	}
	return false
}

// Result says what the log means so far. It may be asked at any time; more lines may change the answer, and a line
// that says ready is withdrawn by a later fatal one.
func (r *Reader) Result() Result {
	r.flushPartial()
	r.search()
	a := r.now
	if r.previous != nil && !a.ready && a.phase <= r.previous.phase && a.died() == 0 {
		a = r.previous // a crash loop: the new attempt has come no further than the last
	}
	res := Result{Engine: r.engine, Version: r.version, Restarts: r.restarts, Lines: r.line}
	if text, ok := r.nothing(); ok {
		res.Outcome, res.Cause, res.Remedy, res.Next = Unknown, CauseUnknown, &Remedy{UserAction, text}, WaitLonger
		return res
	}
	f, outcome := r.decide(a)
	if f != nil && f.code == TorchArchMismatch && r.facts.oldCard() { // the same warning, for a card below the list
		older := *f
		older.code = GPUTooOld
		f = &older
	}
	if f != nil && f.code == CUDAOOMLoad && f.tier == soft && r.engine == "sglang" && r.context["forward"] > 0 && r.context["load"] == 0 && strings.Contains(f.text, "ried to allocate") {
		serving := *f // a guess, made before the log told whose it is: SGLang runs no model before it serves but to capture
		serving.code = CUDAOOMRuntime
		f = &serving
	}
	res.Outcome = outcome
	switch {
	case f != nil:
		res.Cause = f.code
		res.Stage = r.stageOf(f)
		res.Source = f.rule.source
	case outcome == Ready:
		res.Cause, res.Stage = CauseReady, StageServe
	case outcome == InProgress:
		res.Cause, res.Stage = CauseInProgress, a.current.stage()
	case outcome == Failure && a.ready:
		res.Cause, res.Stage = CauseUnknown, StageRuntime
	default:
		res.Cause, res.Stage = CauseUnknown, a.current.stage()
	}
	res.Evidence = r.evidence(a, f, outcome)
	if outcome == Failure {
		res.Remedy = r.remedy(f)
		res.Next = NextStep(res.Cause)
		if f != nil {
			res.Lesson = r.lesson(f, res)
		}
	} else {
		info, ok := Of(res.Cause)
		if !ok {
			info = Info{Remedy: UserAction, Text: "The log does not say: read more of it."}
		}
		res.Remedy = &Remedy{info.Remedy, info.Text}
		res.Next = map[Outcome]Step{Ready: NoStep, InProgress: WaitLonger, Stopped: NoStep, Unknown: WaitLonger}[outcome]
	}
	return res
}

// Findings counts what rules have found so far. While it stands still, Result changes only by going from in progress to
// ready, or by a later line of progress that disproves an earlier error.
func (r *Reader) Findings() int {
	r.search()
	return r.now.sequence + r.restarts
}

// Dead reports whether the log says that the engine has ended, whatever the cause.
func (r *Reader) Dead() bool {
	r.search()
	return r.now.death != nil
}

// decide picks the cause, nil when none is known.
func (r *Reader) decide(a *attempt) (*finding, Outcome) {
	live := a.live()
	byTier := map[tier][]*finding{}
	for _, f := range live {
		byTier[f.tier] = append(byTier[f.tier], f)
	}
	if a.ready {
		f, outcome := a.afterReady(live)
		if outcome == Ready {
			if raised := r.raised(a, live); raised != nil {
				return raised, Failure
			}
		}
		return f, outcome
	}
	cause := firstUnmasked(byTier[root], live)
	if cause == nil {
		cause = a.softCause(byTier[soft], byTier[hint], live)
	}
	if a.stop != nil && (cause == nil || a.stop.line < cause.line && cause.tier != root || a.stop.line < cause.line && a.stop.line < a.deathLine()) {
		if cause == nil || cause.code != StartupTimeout && cause.code != HostOOMKilled {
			if cause == nil && len(a.odd) > 0 {
				return nil, Failure // a server that fails before it serves ends its own engine with the same signal
			}
			if a.death == nil || a.stop.line < a.death.line {
				return a.stop, Stopped
			}
		}
	}
	switch {
	case cause != nil:
		return cause, Failure
	case a.death != nil:
		if len(a.odd) > 0 || a.killed.line > 0 {
			return nil, Failure
		}
		return a.death, Failure
	case a.ended():
		return nil, Failure
	case a.unexplained():
		return nil, Unknown
	case r.line <= 1 && (len(a.odd) > 0 || bytes.Contains(r.buf, []byte("```"))):
		return nil, Unknown // a copy of an issue: its reporter tells the error first, and shows the log after it, often cut
	case a.phase > PhaseNone || r.speaks:
		return nil, InProgress
	default:
		return nil, Unknown
	}
}

// unexplained reports whether the log ends in an error that no rule knows: then it is not known to be still starting.
func (a *attempt) unexplained() bool {
	marked := position{a.mark.line, a.mark.at}
	if a.loud.after(marked) {
		return true
	}
	if len(a.odd) == 0 {
		return false
	}
	last := a.odd[len(a.odd)-1]
	return position{last.line, last.col}.after(marked)
}

// deathLine is where the engine was first said to be dead, far away when it was not.
func (a *attempt) deathLine() int {
	if a.death == nil {
		return int(^uint(0) >> 1)
	}
	return a.death.line
}

// afterReady judges an engine that has served: only what can end a server counts, or anything before a death.
func (a *attempt) afterReady(live []*finding) (*finding, Outcome) {
	var fatal []*finding
	for _, f := range live {
		if !f.after || f.tier < soft || f.code == StoppedFromOutside {
			continue
		}
		if f.rule.serves || a.death != nil && a.death.after && f.line <= a.death.line+400 {
			fatal = append(fatal, f)
		}
	}
	cause := firstUnmasked(fatal, fatal)
	stopped := a.stop != nil && a.stop.after
	switch {
	case stopped && (cause == nil || a.stop.line < cause.line) && (a.death == nil || !a.death.after || a.stop.line < a.death.line || a.stop.line == a.death.line && a.stop.col < a.death.col):
		return a.stop, Stopped
	case cause != nil:
		return cause, Failure
	case a.death != nil && a.death.after:
		if n := len(a.odd); n > 0 && (position{a.odd[n-1].line, a.odd[n-1].col}).after(position{a.readyAt.line, a.readyAt.col}) {
			return nil, Failure
		}
		return a.death, Failure
	default:
		return nil, Ready
	}
}

// raised is the last word of a vLLM that has served: an exception its core logs ends it, unless it answers a call of the
// server's. Whatever is served afterwards disproves it.
func (r *Reader) raised(a *attempt, live []*finding) *finding {
	for _, f := range live {
		called, ok := r.context["called"]
		if f.after && f.tier == root && strings.Contains(f.text, "[core.py:") && (position{f.line, f.col}).after(position{a.mark.line, a.mark.at}) && !(ok && f.line-called < 200) {
			return f
		}
	}
	return nil
}

// live lists what was found and not disproved by what came after, in the order of the log.
func (a *attempt) live() []*finding {
	var out []*finding
	for _, f := range a.found {
		if !a.disproved(f) {
			out = append(out, f)
		} else if f.last != nil && !a.disproved(f.last) {
			out = append(out, f.last)
		}
	}
	if slices.ContainsFunc(out, func(f *finding) bool { return f.code == HFUnauthorized && f.tier == root }) {
		// The hub says what it minds about the token: no need to guess from the owner's name.
		out = slices.DeleteFunc(out, func(f *finding) bool { return f.code == GatedRepo && f.tier == soft })
	}
	sort.Slice(out, func(i, j int) bool { return out[i].seq < out[j].seq })
	return out
}

// disproved reports whether the launch went on so far after f that f did not end it.
func (a *attempt) disproved(f *finding) bool {
	if a.ready && !f.after {
		return true
	}
	if f.after || f.tier == wrapper || a.death != nil && a.death.line >= f.line {
		return false
	}
	need := PhaseCache
	switch info, _ := Of(f.code); {
	case info.Stage == StageProvision:
		need = PhasePull // a machine was found after all
	case info.Stage == StageImagePull:
		need = PhaseContainer
	case f.tier == hint && f.code == LibcudaMissing, f.code == InvalidModelPath:
		need = PhaseResolve // the engine found its platform without it, or a folder that it asked the hub for first
	case f.tier == hint:
		need = PhaseLoad
	case f.phase >= PhaseLoad:
		need = f.phase + 2
	}
	for q := need; q < phaseCount; q++ {
		if at := a.phaseAt[q]; at.line > f.line || f.tier == hint && at.after(position{f.line, f.col}) { // a reporter quotes the error before the log, not a warning
			return true
		}
	}
	return false
}

// firstUnmasked is the earliest finding that no other explains.
func firstUnmasked(candidates, all []*finding) *finding {
	for _, f := range candidates {
		if !masked(f.code, all) {
			return f
		}
	}
	if len(candidates) == 0 {
		return nil
	}
	for _, f := range all { // what explains the first one, however quietly it was said
		if slices.Contains(masks[f.code], candidates[0].code) {
			return f
		}
	}
	return candidates[0]
}

// alone lists the hints that mean a failure even where the log says nothing louder: nobody goes on after them.
var alone = map[Code]bool{
	NVMLNotFound: true, TorchArchMismatch: true, TorchABIMismatch: true, GlibcTooOld: true, NoGPUVisible: true, NVMLError: true,
	AttentionPackageMismatch: true, GPUTooOld: true, LibcudartMissing: true,
}

// weak lists the causes that are mostly what another failure looks like from outside: they count when nothing else does.
var weak = map[Code]bool{RayWorkerDied: true, PeerConnectionLost: true, StartupTimeout: true}

// weakLast puts weak causes after all others, each in the order of the log.
func weakLast(softs []*finding) []*finding {
	out := slices.Clone(softs)
	slices.SortStableFunc(out, func(a, b *finding) int {
		switch {
		case weak[a.code] == weak[b.code]:
			return 0
		case weak[a.code]:
			return 1
		}
		return -1
	})
	return out
}

// otherError reports whether an error that no rule knows stands in another line than f.
func (a *attempt) otherError(f *finding) bool {
	return f.code == RayWorkerDied && slices.ContainsFunc(a.odd, func(p place) bool { return p.line != f.line && !hasAny([]byte(p.text), "Ray|Actor") })
}

// softCause picks among errors another one may stand behind and warnings that explain a death.
func (a *attempt) softCause(softs, hints, live []*finding) *finding {
	softs = weakLast(softs)
	if len(softs) > 0 && weak[softs[0].code] && a.otherError(softs[0]) {
		return nil // an error no rule knows stands beside what is only its consequence
	}
	if f := firstUnmasked(softs, live); f != nil && !masked(f.code, live) {
		if (f.code == ProxyBadGateway502 || f.code == ProxyTimeout524) && a.phase >= PhaseImport {
			f = nil // asked too early, by somebody else
		}
		if f != nil {
			return f
		}
	}
	for _, f := range hints {
		if masked(f.code, live) || f.code == NumpyABI && a.mark.line > f.line && a.death == nil {
			continue
		}
		quietOnly := a.death == nil && len(softs) == 0 && len(a.odd) == 0 && (a.traceback == 0 || a.traceback < f.line-20)
		if !quietOnly || alone[f.code] || f.code == NumpyABI || f.code == LibcudaMissing && slices.ContainsFunc(live, func(g *finding) bool { return g.code == NoGPUVisible }) {
			return f
		}
	}
	return nil
}
