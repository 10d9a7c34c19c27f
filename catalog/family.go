package catalog

import (
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"justright/version"
)

// Serving is how a family of models is served by vLLM: parsers and further flags, as its published recipe or its
// tool-calling guide says. The release must know the parsers (NameIn).
type Serving struct {
	Family          string
	Architecture    string         // the class of the family's models; "" when it names none or several
	MinEngine       version.PEP440 // the recipe's own claim; the registry decides
	ToolParser      string
	ReasoningParser string
	ChatTemplate    string // file of vLLM's examples directory
	Flags           []string
	source, date    string
}

// Recipe is one published vLLM recipe, as reported.
type Recipe struct {
	Model     string
	MinEngine version.PEP440
	Flags     []string
	Env       map[string]string
	Image     string

	ToolParser, ReasoningParser string
	file                        string
}

type recipeSection struct {
	read, source string
	families     []familyJSON
	recipes      map[string]json.RawMessage // lower-case model id
}

type familyJSON struct {
	Family    string   `json:"family"`
	Models    []string `json:"models,omitempty"`        // patterns over the lower-case model id without its owner
	Archs     []string `json:"architectures,omitempty"` // used when no pattern matches
	Min       string   `json:"min,omitempty"`
	Tool      string   `json:"tool,omitempty"`
	Reasoning string   `json:"reasoning,omitempty"`
	Template  string   `json:"template,omitempty"`
	Flags     []string `json:"flags,omitempty"`
	Source    string   `json:"source"`
}

type recipeJSON struct {
	Model string            `json:"model"`
	Min   string            `json:"min,omitempty"`
	Args  []string          `json:"args,omitempty"`
	Env   map[string]string `json:"env,omitempty"`
	Image string            `json:"image,omitempty"`
	Tool  string            `json:"tool,omitempty"`
	Think string            `json:"reasoning,omitempty"`
	File  string            `json:"file"`
}

func parseRecipes(data []byte) (recipeSection, error) {
	var in struct {
		Read     string                     `json:"read"`
		Source   string                     `json:"source"`
		Families []familyJSON               `json:"families"`
		Recipes  map[string]json.RawMessage `json:"recipes"`
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return recipeSection{}, err
	}
	for _, f := range in.Families {
		for _, p := range f.Models {
			if _, err := path.Match(p, ""); err != nil {
				return recipeSection{}, fmt.Errorf("family %s: pattern %q: %w", f.Family, p, err)
			}
		}
		if _, err := version.ParsePEP440(f.Min); f.Min != "" && err != nil {
			return recipeSection{}, fmt.Errorf("family %s: %w", f.Family, err)
		}
	}
	return recipeSection{in.Read, in.Source, in.Families, in.Recipes}, nil
}

// Serving finds how a model is served: by its id first, then by its architecture. ok is false when nothing is known;
// then no tool or reasoning parser should be set.
func (s *Snapshot) Serving(model, architecture string) (Serving, bool) {
	sec := s.recipes()
	name := strings.ToLower(model[strings.LastIndexByte(model, '/')+1:])
	for _, f := range sec.families {
		for _, p := range f.Models {
			if ok, _ := path.Match(p, name); ok && name != "" {
				return f.serving(sec), true
			}
		}
	}
	for _, f := range sec.families {
		for _, a := range f.Archs {
			if a == architecture {
				return f.serving(sec), true
			}
		}
	}
	return Serving{}, false
}

func (f *familyJSON) serving(sec recipeSection) Serving {
	out := Serving{Family: f.Family, ToolParser: f.Tool, ReasoningParser: f.Reasoning, ChatTemplate: f.Template, Flags: f.Flags,
		source: f.Source, date: sec.read}
	if len(f.Archs) == 1 {
		out.Architecture = f.Archs[0]
	}
	out.MinEngine.UnmarshalText([]byte(f.Min)) //nolint:errcheck // parsed when the section was read
	return out
}

// Fact states how the family is served.
func (v *Serving) Fact() Fact {
	st := v.Family + " is served with"
	if v.ToolParser != "" {
		st += " --enable-auto-tool-choice --tool-call-parser " + v.ToolParser
	}
	if v.ReasoningParser != "" {
		st += " --reasoning-parser " + v.ReasoningParser
	}
	if len(v.Flags) > 0 {
		st += " " + strings.Join(v.Flags, " ")
	}
	return Fact{ID: FactID("serving/" + strings.ReplaceAll(strings.ToLower(v.Family), " ", "-")), Statement: st, Source: v.source,
		Date: v.date, Standing: Reported}
}

// Recipe finds the published recipe of a model id, in any case.
func (s *Snapshot) Recipe(model string) (Recipe, bool) {
	sec := s.recipes()
	raw, ok := sec.recipes[strings.ToLower(model)]
	if !ok {
		return Recipe{}, false
	}
	var j recipeJSON
	if json.Unmarshal(raw, &j) != nil {
		return Recipe{}, false
	}
	r := Recipe{Model: j.Model, Flags: j.Args, Env: j.Env, Image: j.Image, ToolParser: j.Tool, ReasoningParser: j.Think, file: j.File}
	return r, r.MinEngine.UnmarshalText([]byte(j.Min)) == nil
}

// Recipes lists the model ids that have a recipe, in lower case; the order is not defined.
func (s *Snapshot) Recipes() []string {
	var out []string
	for id := range s.recipes().recipes {
		out = append(out, id)
	}
	return out
}

// Fact states what the recipe claims.
func (r *Recipe) Fact() Fact {
	return Fact{ID: FactID("recipe/" + r.Model), Standing: Reported, Date: "2026-08-21",
		Statement: fmt.Sprintf("the vLLM recipe of %s asks for vLLM %s or newer", r.Model, r.MinEngine),
		Source:    "https://github.com/vllm-project/recipes/blob/8959cf6/" + r.file}
}
