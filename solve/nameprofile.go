package solve

import (
	"encoding/json"
	"regexp"
	"strings"

	"justright/catalog"
	"justright/memory"
	"justright/model"
)

// What a model's name alone tells the account of memory: a config made from a well-known shape, or only a size.

// modelProfile is the profile to account for: the whole one, one made from a well-known shape, or only a size.
func (s *subject) modelProfile() *model.Profile {
	if s.profile != nil {
		return s.profile
	}
	if !s.hasNamed && s.named.Parameters == 0 {
		return nil
	}
	if p := profileOfShape(s.named); p != nil {
		return p
	}
	if s.named.Parameters == 0 {
		return nil
	}
	bits := s.named.Bits
	if s.named.Quant == "gguf" || s.named.Quant == "" && bits == 16 && strings.Contains(strings.ToLower(s.named.Name), "gguf") {
		return nil
	}
	return &model.Profile{ID: s.named.Name, Architecture: s.named.Architecture, ModelType: s.named.ModelType, DType: "bfloat16", Vision: seesPictures(s.named.Architecture),
		Parameters: s.named.Parameters, WeightsBytes: int64(float64(s.named.Parameters) * bits / 8)}
}

// seesPictures reports whether a class by its name has an encoder of pictures.
func seesPictures(class string) bool {
	return strings.Contains(class, "VL") || strings.Contains(class, "Vision") || strings.Contains(class, "Llava")
}

// profileOfShape makes a config from a shape and reads it as any other, so that one piece of code knows what it means.
func profileOfShape(n catalog.NamedModel) *model.Profile {
	sh := n.Shape
	if sh == nil || sh.Layers == 0 {
		return nil
	}
	c := unquantised(n)
	if c == nil {
		c = configOfShape(n)
	}
	if c == nil {
		return nil
	}
	if tokens := contextInName(n.Name); tokens > 0 {
		c["max_position_embeddings"] = tokens
	}
	switch n.Quant {
	case "awq", "gptq":
		c["quantization_config"] = map[string]any{"quant_method": n.Quant, "bits": int(n.Bits), "group_size": 128}
	case "fp8":
		c["quantization_config"] = map[string]any{"quant_method": "fp8", "weight_block_size": []int{128, 128}}
	case "":
	default:
		return nil // stored in a way the shape does not tell: only the size is known
	}
	raw, err := json.Marshal(c)
	if err != nil {
		return nil
	}
	p, err := model.FromConfig(raw, model.Sizes{})
	if err != nil {
		return nil
	}
	p.ID = n.Name
	p.Sources = []catalog.Fact{reported("model/"+n.Name+"/config", "shape of "+n.Name, catalog.FamilySource, catalog.ModelsDate)}
	return &p
}

var storedWord = regexp.MustCompile(`(?i)[-_](?:fp8|awq|gptq-int[48]|gptq)$`)

var contextWord = regexp.MustCompile(`(?i)[-_](\d{1,4}k|\d{1,2}m)(?:[-_.]|$)`)

// contextInName is the context that a name states: "Yarn-Mistral-7b-128k", "glm-4-9b-chat-1m"; 0 when it states none.
func contextInName(name string) int {
	w := contextWord.FindStringSubmatch(name[strings.LastIndexByte(name, '/')+1:])
	if w == nil {
		return 0
	}
	n, _ := parseTokens(strings.ToUpper(w[1])) // in units of 1024
	return n
}

// unquantised is the whole config of the model that a name's checkpoint was quantised from, where the catalog has it: it says
// which layers keep a cache.
func unquantised(n catalog.NamedModel) map[string]any {
	base := storedWord.ReplaceAllString(n.Name[strings.LastIndexByte(n.Name, '/')+1:], "")
	found := catalog.FindModels(base)
	if n.Quant == "" || len(found) == 0 || len(found[0].HFQuantConfig) > 0 {
		return nil
	}
	var c map[string]any
	if json.Unmarshal(found[0].Config, &c) != nil || c["quantization_config"] != nil {
		return nil
	}
	return c
}

// configOfShape writes a shape as a config; nil when it does not tell enough.
func configOfShape(n catalog.NamedModel) map[string]any {
	sh := n.Shape
	c := map[string]any{
		"architectures": []string{n.Architecture}, "model_type": n.ModelType, "hidden_size": sh.Hidden, "num_hidden_layers": sh.Layers,
		"num_attention_heads": sh.Heads, "num_key_value_heads": sh.KVHeads, "head_dim": sh.HeadDim, "intermediate_size": sh.Intermediate,
		"vocab_size": sh.Vocab, "max_position_embeddings": sh.MaxPosition, "tie_word_embeddings": sh.Tied, "torch_dtype": "bfloat16",
	}
	if sh.Experts > 0 {
		c["num_experts"], c["moe_intermediate_size"], c["num_experts_per_tok"] = sh.Experts, sh.ExpertIntermediate, 8
		if n.ModelType == "mixtral" || n.ModelType == "llama4" {
			c["num_local_experts"] = sh.Experts
		}
		if sh.Experts > 16 && sh.ExpertIntermediate == 0 {
			return nil
		}
	}
	if n.ModelType == "qwen3_next" || strings.HasPrefix(n.ModelType, "qwen3_5") {
		return nil // three layers in four keep a state, no cache
	}
	return c
}

func (s *subject) weightsBytes() int64 {
	p := s.modelProfile()
	if p == nil {
		return 0
	}
	if p.WeightsBytes > 0 {
		return p.WeightsBytes
	}
	return memory.Estimate(*p, memory.Use{}).WeightsBytes
}
