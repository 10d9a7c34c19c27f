package artefact

import (
	"context"
	"fmt"
	"regexp"

	"justright/internal/pyindex"
)

// Transformers is what a wheel of transformers says.
type Transformers struct {
	Wheel    string
	Metadata pyindex.Metadata
	Types    []string          // every model_type it knows, sorted
	Classes  map[string]string // model class → model type, for the classes that generate or embed
}

var pair = regexp.MustCompile(`\(\s*["']([\w.+-]+)["']\s*,\s*["'](\w+)["']`)

// ReadTransformers reads a wheel of transformers.
func ReadTransformers(ctx context.Context, w *pyindex.Wheel) (Transformers, error) {
	r := &reader{ctx: ctx, w: w}
	meta, err := w.Metadata(ctx)
	if err != nil {
		return Transformers{}, err
	}
	t := Transformers{Wheel: w.File().Name, Metadata: meta, Classes: map[string]string{}}
	auto := r.read("transformers/models/auto/configuration_auto.py")
	generated := r.read("transformers/models/auto/auto_mappings.py") // 5.x
	t.Types = sortedSet(configTypes(generated, auto))
	modeling := withoutComments(r.read("transformers/models/auto/modeling_auto.py"))
	// Later mappings do not replace earlier ones: the plain causal class is what config.json names.
	for _, name := range []string{"MODEL_FOR_CAUSAL_LM_MAPPING_NAMES", "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES",
		"MODEL_FOR_VISION_2_SEQ_MAPPING_NAMES", "MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES", "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES",
		"MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES", "MODEL_MAPPING_NAMES"} {
		for _, m := range pair.FindAllStringSubmatch(block(modeling, name), -1) {
			if _, taken := t.Classes[m[2]]; !taken {
				t.Classes[m[2]] = m[1]
			}
		}
	}
	if r.err != nil {
		return Transformers{}, fmt.Errorf("%s: %w", t.Wheel, r.err)
	}
	if len(t.Types) == 0 {
		return Transformers{}, fmt.Errorf("%s: no model types found", t.Wheel)
	}
	return t, nil
}

var (
	updated = regexp.MustCompile(`(?m)^CONFIG_MAPPING_NAMES\.update\(\s*\{`)
	spliced = regexp.MustCompile(`(?m)^CONFIG_MAPPING_NAMES = OrderedDict\(\*\*\{`)
)

// configTypes reads CONFIG_MAPPING_NAMES in its shapes: an OrderedDict of pairs, the same in a generated file, and an update with a
// dict.
func configTypes(sources ...string) []string {
	var out []string
	for _, src := range sources {
		inside := withoutComments(block(src, "CONFIG_MAPPING_NAMES"))
		for _, m := range pair.FindAllStringSubmatch(inside, -1) {
			out = append(out, m[1])
		}
		for _, form := range []*regexp.Regexp{updated, spliced} {
			if at := form.FindStringIndex(src); at != nil {
				out = append(out, keys(balanced(src[at[1]-1:]))...)
			}
		}
	}
	return out
}
