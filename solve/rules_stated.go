package solve

import (
	"fmt"
	"slices"
	"strings"

	"justright/catalog"
	"justright/problem"
	"justright/version"
)

// Rules about what a person states. A case that exists (Closed) ran as far as its report says, so they are not asked of it.

// ruleContext: more context than the model has, which the engine refuses when it reads the config.
func ruleContext(s *subject) []finding {
	if s.c.Closed || s.profile == nil || s.profile.MaxPosition == 0 || !s.isVLLM() {
		return nil
	}
	want, ok := s.flags.Int("max-model-len")
	if !ok || want <= s.profile.MaxPosition {
		return nil
	}
	if v := s.flags.Env["VLLM_ALLOW_LONG_MAX_MODEL_LEN"]; v == "1" || strings.EqualFold(v, "true") {
		return nil
	}
	for _, f := range []string{"hf-overrides", "rope-scaling", "rope-theta", "hf-config-path"} {
		if _, given := s.flags.Get(f); given {
			return nil
		}
	}
	return []finding{{code: CodeContext, at: fmt.Sprintf("--max-model-len %d", want), reason: fmt.Sprintf("%d tokens are more than the %d that the model's config allows", want, s.profile.MaxPosition),
		facts: []catalog.Fact{s.configFact("context", fmt.Sprintf("the config of %s allows %d tokens", s.profile.ID, s.profile.MaxPosition)), s.says("context", "the context is %d tokens", want)},
		hints: []problem.Hint{{Text: fmt.Sprintf("take at most --max-model-len %d", s.profile.MaxPosition)},
			{Text: "or stretch the positions with --hf-overrides, where the model was made for it"}}}}
}

// configFact is a statement that rests on the model's config.
func (s *subject) configFact(id, statement string) catalog.Fact {
	f := catalog.Fact{ID: catalog.FactID("model/" + s.profile.ID + "/" + id), Statement: statement, Source: "config.json of " + s.profile.ID, Standing: catalog.Derived}
	if len(s.profile.Sources) > 0 {
		f.Source, f.Date, f.Standing = s.profile.Sources[0].Source, s.profile.Sources[0].Date, s.profile.Sources[0].Standing
	}
	return f
}

// ruleCardDriver: a driver that is older than the first one for the card.
func ruleCardDriver(s *subject) []finding {
	if s.c.Closed || s.hostCUDA.IsZero() || s.gpu.capability.IsZero() {
		return nil
	}
	floor, fact, ok := catalog.CardDriver(s.gpu.capability)
	if !ok || s.hostCUDA.Compare(floor) >= 0 {
		return nil
	}
	return []finding{{code: CodeCardDriver, facts: []catalog.Fact{fact, s.hostFact()},
		reason: fmt.Sprintf("no driver that offers only CUDA %s runs %s: the first one for it offers %s", s.hostCUDA, s.cardName(), floor),
		hints:  []problem.Hint{{Text: fmt.Sprintf("take a host with CUDA %s or newer, or an older card", floor)}}}}
}

// ruleStatedParts: parts that no release has at all, where none is named; the release's own rules speak of one that is.
func ruleStatedParts(s *subject) []finding {
	if s.c.Closed {
		return nil
	}
	if s.release != nil {
		return s.otherPythonInside()
	}
	if s.engine != catalog.VLLM || s.c.Pins.Engine != "" && !strings.EqualFold(s.c.Pins.Engine, catalog.VLLM) || s.hasImage {
		return nil
	}
	var out []finding
	all := s.j.Releases(catalog.VLLM)
	read := s.j.s.NewestEngineRead(catalog.VLLM)
	if c, err := version.ParseCUDA(s.variantText); err == nil && s.variantText != "" && s.variantText != "cpu" && len(strings.TrimPrefix(s.variantText, "cu")) > 2 {
		var have []string
		for i := range all {
			for _, v := range all[i].Variants {
				if !slices.Contains(have, v.Tag()) {
					have = append(have, v.Tag())
				}
			}
		}
		slices.Sort(have)
		if !slices.Contains(have, "cu"+strings.ReplaceAll(c.String(), ".", "")) {
			out = append(out, finding{code: CodeVariantMissing, at: s.c.WheelCUDA, reason: fmt.Sprintf("no release of vLLM has a CUDA %s build", c),
				facts: []catalog.Fact{{ID: catalog.FactID("vllm/variants/" + s.variantText), Standing: catalog.Derived, Date: read, Source: "wheels of vLLM on the package index, its release page and its index",
					Statement: "the builds of all releases that were read are " + strings.Join(have, ", ")}},
				hints: []problem.Hint{{Text: "the builds there are: " + strings.Join(have, ", ")}}})
		}
	}
	if !s.python.IsZero() && !slices.ContainsFunc(all, func(r catalog.Release) bool { return r.Python.IsZero() || r.Python.Contains(s.python) }) {
		newest := s.j.newest(catalog.VLLM, "", nil)
		out = append(out, finding{code: CodePython, at: s.c.Python, reason: fmt.Sprintf("no release of vLLM admits Python %s", s.python),
			facts: []catalog.Fact{newest.Fact(catalog.AspectPython), s.says("python", "Python is %s", s.c.Python)}, hints: []problem.Hint{{Text: "take Python 3.12, which every release from 0.6.0 on supports"}}})
	}
	for _, f := range s.flags.List {
		if g, ok := s.flagOfNoRelease(f, all); ok {
			out = append(out, g)
		}
	}
	return out
}

// flagOfNoRelease: a flag that no release that was read has, nor any that begins with it.
func (s *subject) flagOfNoRelease(f Flag, all []catalog.Release) (finding, bool) {
	if !strings.HasPrefix(f.Given, "--") || foreignFlag(f.Name) {
		return finding{}, false
	}
	if _, known := s.j.s.Named(catalog.FlagNames, "--"+f.Name); known {
		return finding{}, false
	}
	if _, known := flagSpans[f.Name]; known || len(all) == 0 {
		return finding{}, false
	}
	if slices.ContainsFunc(s.j.s.Names(catalog.FlagNames), func(n string) bool {
		return strings.HasPrefix(n, "--"+f.Name) || strings.HasPrefix(n, "--"+strings.TrimPrefix(f.Name, "no-"))
	}) {
		return finding{}, false
	}
	asked := *s // of the newest release, as if it were named
	asked.release, asked.exact = s.j.newest(catalog.VLLM, "", nil), true
	asked.version = asked.release.Version
	g, bad := asked.neverAFlag(f, strings.TrimSpace(f.Given+" "+f.Value))
	if bad {
		g.reason = fmt.Sprintf("no release of vLLM that was read has a flag %s", f.Given)
		if near := nearestName("--"+f.Name, s.j.s.Names(catalog.FlagNames)); near != "" && len(g.hints) == 0 {
			g.hints = []problem.Hint{{Text: "did you mean " + near}}
		}
	}
	return g, bad
}

// nearestName is the name that is one or two letters from what was typed; "" when there is none.
func nearestName(typed string, names []string) string {
	nearest, least := "", 3
	for _, n := range names {
		if d := problem.Distance(n, typed); d < least {
			nearest, least = n, d
		}
	}
	return nearest
}

// otherPythonInside: a Python is stated that the engine inside an image cannot have been built for.
func (s *subject) otherPythonInside() []finding {
	if !s.inOwnImage() || s.c.Pins.Python == "" || s.python.IsZero() || s.release.Python.IsZero() || s.release.Python.Contains(s.python) || !s.exact {
		return nil
	}
	return []finding{{code: CodePython, at: s.c.Python, reason: fmt.Sprintf("%s needs Python %s, so there is no Python %s in its image", s.label(), s.release.Python, s.python),
		facts: []catalog.Fact{s.release.Fact(catalog.AspectPython), s.says("python", "Python is %s", s.c.Python)}, hints: []problem.Hint{{Text: "leave Python open: the image brings its own"}}}}
}

// rulePlainImage: an engine that is to be installed at the start into an image that holds no Python. Our start script needs
// python3 and stops without; what somebody's own script would install before is not asked here.
func rulePlainImage(s *subject) []finding {
	if s.c.Closed || s.c.Image == "" || s.c.Install != "wheels" && s.c.Install != "" {
		return nil // an image without an engine, named alone, is one to install into
	}
	k := s.j.image(s.imageRef(), s.dayOfImage())
	if !k.ok || !withoutPython(k.img) {
		return nil
	}
	return []finding{{code: CodePython, at: s.image.Text, reason: fmt.Sprintf("%s as published holds no Python, and what installs the engine at the start needs python3", s.image.Text),
		facts: []catalog.Fact{reported("image/"+k.img.Repository+"/python", "the images ubuntu, debian and nvidia/cuda are published without an interpreter", "https://hub.docker.com/_/ubuntu, https://hub.docker.com/_/debian, https://hub.docker.com/r/nvidia/cuda: package lists of the images", "2026-11-25")},
		hints: []problem.Hint{{Text: "leave --image out, or take one with Python: python:3.12-slim-bookworm, runpod/pytorch:2.8.0-py3.11-cuda12.8.1-cudnn-devel-ubuntu22.04"},
			{Text: "or a ready image of the engine: --install image"}}}}
}

// withoutPython reports an image that is published without an interpreter: a distribution's own, or CUDA on one.
func withoutPython(img catalog.Image) bool {
	return img.Python.IsZero() && (img.Repository == "nvidia/cuda" || img.Repository == "ubuntu" || img.Repository == "debian")
}

// unreadImage says what is not known of a stated image that the catalog has not read; "" when nothing is missing.
func (s *subject) unreadImage() string {
	if s.c.Closed || s.c.Image == "" || familyInImage(s.image) != "" || !s.image.CUDA.IsZero() || s.official && s.image.Engine.Stated() || !s.image.Engine.Exact.IsZero() {
		return ""
	}
	if k := s.j.image(s.imageRef(), s.dayOfImage()); k.ok || s.held.Tag != "" {
		return ""
	}
	if s.image.Engine.Name != "" {
		return fmt.Sprintf("whether the image %s exists, and which release of the engine it holds", s.image.Text)
	}
	return fmt.Sprintf("whether the image %s exists, what is inside and which CUDA it asks its host for", s.image.Text)
}

// judged says what a verdict that nothing speaks against was about, and what was left open.
func (s *subject) judged() string {
	var on, open []string
	put := func(known bool, what string) {
		if known {
			on = append(on, what)
		} else {
			open = append(open, what)
		}
	}
	put(s.architecture != "" || s.modelType != "", "model")
	put(s.release != nil, "engine release")
	put(s.hasImage || s.variant != nil || s.variantText != "", "build")
	put(s.gpu.name != "" || !s.gpu.capability.IsZero(), "card")
	put(!s.hostCUDA.IsZero(), "driver")
	if len(s.flags.List) > 0 {
		on = append(on, "flags")
	}
	text := "judged: " + strings.Join(on, ", ")
	if len(open) > 0 {
		text += "; left open: " + strings.Join(open, ", ")
	}
	return text
}
