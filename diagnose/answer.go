package diagnose

import (
	"slices"
	"sort"
)

// stageOf is where in the launch f belongs; some causes occur in several stages.
func (r *Reader) stageOf(f *finding) Stage {
	if f.rule.stage != "" {
		return f.rule.stage
	}
	info, _ := Of(f.code)
	switch f.code {
	case DiskFull:
		switch {
		case hasAny(lowerInto(nil, []byte(f.text)), "inductor|autotun|compile_cache|triton"):
			return StageKernel
		case f.phase == PhaseInstall || hasAny(lowerInto(nil, []byte(f.text)), "install packages|site-packages/pip|uv "):
			return StageInstall
		case f.phase == PhaseLoad:
			return StageWeights
		}
	case DriverTooOld:
		if f.phase == PhaseInstall || hasAny(lowerInto(nil, []byte(f.text)), "pip-build-env") {
			return StageInstall
		}
	case PortInUse:
		if hasAny(lowerInto(nil, []byte(f.text)), "collective_rpc|tcpstore|rendezvous|distnetworkerror|zmqerror|nccl") {
			return StageDistributed
		}
	case TPQuantGroupIndivisible:
		if hasAny(lowerInto(nil, []byte(f.text)), "exceeds dimension size|b_scales") {
			return StageWeights // found only when the shards are cut
		}
	case TransformersAPIMismatch:
		if hasAny(lowerInto(nil, []byte(f.text)), "tokenization_|tokenizersbackend") {
			return StageModelResolve
		}
	case XformersMismatch:
		if hasAny(lowerInto(nil, []byte(f.text)), "operator found|build with cuda") {
			return StageKernel
		}
	case NCCLError, SHMTooSmall, CUDAKernelFault, NVMLError:
		if f.after {
			return StageRuntime
		}
	case GenericWrapperOnly:
		if hasAny(lowerInto(nil, []byte(f.text)), "workerproc|worker proc") {
			return StageDistributed
		}
	default: // one stage only
	}
	return info.Stage
}

// evidence is up to three lines: where the launch stood, the cause, and what it led to.
func (r *Reader) evidence(a *attempt, f *finding, outcome Outcome) []Evidence {
	var out []Evidence
	add := func(line int, text string) {
		if line == 0 || text == "" || slices.ContainsFunc(out, func(e Evidence) bool { return e.Line == line && (e.Text == text || r.line > 1) }) || len(out) == 3 {
			return
		}
		out = append(out, Evidence{line, text})
	}
	if f != nil {
		add(f.line, f.text)
	}
	if outcome == Ready {
		add(a.readyAt.line, a.readyAt.text)
	}
	if outcome == Failure && f == nil {
		add(a.killed.line, a.killed.text)
		for _, o := range a.odd {
			add(o.line, o.text)
		}
	}
	if f != nil {
		for _, g := range a.live() { // the consequence, best the wrapper at the end
			if g.seq != f.seq && g.tier == wrapper && g.line >= f.line {
				add(g.line, g.text)
			}
		}
		for _, g := range a.live() {
			if g.seq != f.seq && g.code != f.code {
				add(g.line, g.text)
			}
		}
	}
	add(a.mark.line, a.mark.text())
	sort.SliceStable(out, func(i, j int) bool { return out[i].Line < out[j].Line })
	return out
}
