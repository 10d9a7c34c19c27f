package solve

import (
	"fmt"
	"slices"
	"strings"

	"justright/catalog"
	"justright/version"
)

// setArgv writes the engine's command line.
func (s *search) setArgv(st *Stack, c engineChoice, p place) {
	m, n := s.r.Model, st.GPU.Count
	user := s.withoutDropped(s.r.Pins.Flags, c, &p)
	for _, f := range ParseFlags(s.r.Pins.Flags).List {
		if s.dropped(c, &p).has(f.Name, f.Value) {
			st.Unknowns = append(st.Unknowns, "your "+strings.TrimSpace(f.Given+" "+f.Value)+" is left out: a launch with it failed on "+st.Engine.Name+" "+st.Engine.Version)
		}
	}
	have, drop := ParseFlags(user), s.dropped(c, &p)
	var flags []string
	add := func(name string, value ...string) {
		if _, ok := have.Get(canonicalFlag(name)); !ok && !drop.has(name, strings.Join(value, " ")) && s.j.flagKnown(c, name) {
			flags = append(append(flags, name), value...)
		}
	}
	if n > 1 {
		if pp, _ := have.Int("pipeline-parallel-size"); pp < 2 {
			add(flagFor(c, "--tensor-parallel-size"), fmt.Sprint(n))
		}
	}
	if st.Context > 0 {
		add(flagFor(c, "--max-model-len"), fmt.Sprint(st.Context))
	}
	if s.r.Concurrency > 1 {
		add(flagFor(c, "--max-num-seqs"), fmt.Sprint(s.r.Concurrency))
	}
	if m.RemoteCode && s.needsRemoteCode(c) {
		add("--trust-remote-code")
	}
	if c.engine == catalog.VLLMCPU {
		s.addPrecision(st, have, add)
		add("--enforce-eager") // the compiled CPU engine was seen to answer wrongly
	}
	if c.engine == catalog.VLLM {
		s.addServing(c, add)
	}
	flags = append(flags, s.taughtFlags(c, &p, have)...)
	flags = append(flags, user...)
	image := c.image != nil
	switch {
	case c.engine == catalog.SGLang:
		st.Argv = append([]string{"python3", "-m", "sglang.launch_server", "--model-path", m.ID}, flags...)
	case c.engine == catalog.VLLMCPU:
		st.Argv = append([]string{"python3", "-m", "vllm.entrypoints.openai.api_server", "--model", m.ID}, flags...)
	case image && len(c.image.Entrypoint) > 0 && c.image.Entrypoint[0] != "vllm":
		st.Argv = append(append(slices.Clone(c.image.Entrypoint), "--model", m.ID), flags...)
	default:
		st.Argv = append([]string{"vllm", "serve", m.ID}, flags...)
	}
	for k, v := range s.r.Pins.Env {
		st.Env[k] = v
	}
	if image {
		st.Start = Start{Cmd: slices.Clone(st.Argv[len(c.image.Entrypoint):])}
		st.Start.Args = joinArgs(st.Start.Cmd)
	}
}

// flagFor is vLLM's flag in the words of the engine.
func flagFor(c engineChoice, name string) string {
	if c.engine != catalog.SGLang {
		return name
	}
	switch name {
	case "--tensor-parallel-size":
		return "--tp-size"
	case "--max-model-len":
		return "--context-length"
	case "--max-num-seqs":
		return "--max-running-requests"
	}
	return name
}

// flagKnown reports whether the release takes a flag of ours; what is not known about is taken.
func (j *Judger) flagKnown(c engineChoice, name string) bool {
	if c.engine != catalog.VLLM {
		return true
	}
	n, ok := j.s.Named(catalog.FlagNames, name)
	return !ok || n.Releases.At(c.release.Version) != catalog.Absent
}

// addServing adds the parsers of the model's family where the release has them.
func (s *search) addServing(c engineChoice, add func(string, ...string)) {
	fam, ok := s.j.s.Serving(s.r.Model.ID, s.r.Model.Architecture)
	if !ok {
		return
	}
	has := func(kind catalog.NameKind, name string, spans map[string]flagSpan) bool {
		if n, known := s.j.s.Named(kind, name); known {
			return n.Releases.At(c.release.Version) == catalog.Present
		}
		sp, known := spans[name]
		return known && c.release.Version.Compare(version.MustParsePEP440(sp.from)) >= 0 && (sp.gone == "" || c.release.Version.Compare(version.MustParsePEP440(sp.gone)) < 0)
	}
	if fam.ToolParser != "" && has(catalog.ToolParsers, fam.ToolParser, toolParserSpans) {
		add("--enable-auto-tool-choice")
		add("--tool-call-parser", fam.ToolParser)
	}
	if fam.ReasoningParser != "" && has(catalog.ReasoningParsers, fam.ReasoningParser, reasoningParserSpans) {
		add("--reasoning-parser", fam.ReasoningParser)
	}
	for i := 0; i < len(fam.Flags); i++ {
		f := fam.Flags[i]
		if f == "--trust-remote-code" || !strings.HasPrefix(f, "--") {
			continue
		}
		if strings.Contains(f, "=") {
			continue
		}
		if f == "--tokenizer_mode" || f == "--config_format" || f == "--load_format" || f == "--kv-cache-dtype" || f == "--block-size" || f == "--tokenizer-mode" {
			if i+1 < len(fam.Flags) && !strings.HasPrefix(fam.Flags[i+1], "-") {
				add(strings.ReplaceAll(f, "_", "-"), fam.Flags[i+1])
			}
		}
	}
}

// needsRemoteCode: the repository brings code, and neither transformers nor the engine knows its type.
func (s *search) needsRemoteCode(c engineChoice) bool {
	a, ok := s.j.class(s.r.Model.Architecture)
	if ok && a.ConfigInVLLM.At(c.release.Version) == catalog.Present {
		return false
	}
	if mt, ok := s.j.modelType(s.r.Model.ModelType); ok && mt.KnownTo(c.release.TransformersOnReleaseDay) == catalog.Present {
		return false
	}
	return true
}

// joinArgs writes words so that a shell-like splitter gives them back.
func joinArgs(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		if w != "" && !strings.ContainsFunc(w, func(r rune) bool {
			return !(isAlnum(r) || strings.ContainsRune("-_./:=,@+%", r))
		}) {
			out[i] = w
			continue
		}
		out[i] = "'" + strings.ReplaceAll(w, "'", `'"'"'`) + "'"
	}
	return strings.Join(out, " ")
}
