package model

import (
	"encoding/json"
	"strconv"
	"strings"
)

// rotary sums the tables of rotary positions that an engine keeps beside the weights: one for each distinct
// setting, a row for every position, in 16 bit. Source: vLLM's layers/rotary_embedding, whose scaled tables have
// factor times the original length and whose "longrope" joins a short and a long one.
func (r *reader) rotary(p *Profile) {
	if p.Heads == 0 || p.MaxPosition == 0 || p.EncoderOnly {
		return
	}
	switch p.text() {
	case "gpt2", "opt", "bloom", "mpt", "gpt_bigcode", "whisper", "jamba", "mamba", "mamba2", "falcon_mamba", "gpt_neo", "nemotron_h":
		return // positions are learned, relative, or not used
	}
	positions := r.dim(maxPositions, positionKeys...)
	settings, seen := []object{}, map[string]bool{}
	for _, k := range []string{"rope_parameters", "rope_scaling"} {
		o, _ := r.text[k].(object)
		nested := false
		for _, kind := range sortedKeys(o) { // transformers 5: one setting a kind of layer
			if inner, ok := o[kind].(object); ok {
				settings, nested = append(settings, inner), true
			}
		}
		if o != nil && !nested {
			settings = append(settings, o)
		}
		if len(settings) > 0 {
			break
		}
	}
	if len(settings) == 0 && strings.HasPrefix(p.text(), "gemma3") && !strings.HasPrefix(p.text(), "gemma3n") && positions == 131072 {
		// Gemma 3's own setting beyond 1B, for a config.json that was shortened.
		settings = append(settings, object{"rope_type": "linear", "factor": json.Number("8")}, object{})
	}
	if len(settings) == 0 {
		settings = append(settings, nil)
	}
	if len(settings) == 1 && (r.text["rope_local_base_freq"] != nil || r.text["swa_rope_theta"] != nil || r.text["local_rope_theta"] != nil) {
		settings = append(settings, object{"rope_type": "local"}) // another base: a table of its own
	}
	total := 0.0
	for i, o := range settings {
		dim := p.HeadDim
		if i == 0 && p.FullHeadDim > 0 { // full_attention sorts first
			dim = p.FullHeadDim
		}
		if p.MLA != nil {
			dim = p.MLA.QKRopeHeadDim
		} else if d := r.dim(maxDimension, "rotary_dim"); d > 0 && d <= dim {
			dim = d
		} else if f := r.share(o, "partial_rotary_factor"); f > 0 && p.FullHeadDim == 0 {
			dim = int(float64(dim) * f)
		}
		rows := r.rotaryRows(o, positions)
		if r.threefold(o, p) {
			p.ThreeAxes = true
			rows *= 4 // video counts in seconds: MRotaryEmbedding's table is four times as long
		}
		key := shorten(rotaryKey(o, rows, dim))
		if !seen[key] {
			seen[key] = true
			total += rows * float64(dim) * 2
		}
	}
	if total < 1e13 {
		p.RotaryBytes = int64(total)
	}
}

// rotaryRows is how many positions a table covers.
func (r *reader) rotaryRows(o object, positions int) float64 {
	factor, _ := number(o["factor"])
	if factor < 1 || factor > 1024 {
		factor = 1
	}
	original := float64(positions)
	if n := r.in(o, "rope_scaling.original_max_position_embeddings", maxPositions, "original_max_position_embeddings"); n > 0 {
		original = float64(n)
	} else if n := r.dim(maxPositions, "original_max_position_embeddings"); n > 0 {
		original = float64(n)
	}
	switch r.str(o, "rope_type", "type") {
	case "yarn", "deepseek_yarn":
		return original * factor
	case "linear":
		return float64(positions) * factor
	case "longrope", "su":
		return float64(positions) + original
	}
	return float64(positions)
}

// threefold reports positions of time, height and width (Qwen's multimodal models).
func (r *reader) threefold(o object, p *Profile) bool {
	if o["mrope_section"] != nil {
		return true
	}
	if p.TextModelType == "" && !strings.Contains(p.Architecture, "ConditionalGeneration") {
		return false
	}
	for _, t := range []string{"qwen2_vl", "qwen2_5_vl", "qwen3_vl", "glm4v", "ernie4_5_vl"} {
		if strings.HasPrefix(p.ModelType, t) {
			return true
		}
	}
	return false
}

// share reads a fraction from a rope setting, else from the language model itself.
func (r *reader) share(o object, key string) float64 {
	for _, at := range []object{o, r.text} {
		if f, ok := number(at[key]); ok && f > 0 && f <= 1 {
			return f
		}
	}
	if f, ok := number(r.text["rotary_pct"]); ok && f > 0 && f <= 1 {
		return f
	}
	return 0
}

// rotaryKey tells settings apart.
func rotaryKey(o object, rows float64, dim int) string {
	var b strings.Builder
	for _, k := range sortedKeys(o) {
		b.WriteString(k)
		if s, ok := o[k].(string); ok {
			b.WriteString(s)
		} else if f, ok := number(o[k]); ok {
			b.WriteString(formatFloat(f))
		}
	}
	b.WriteString(formatFloat(rows))
	b.WriteString(formatFloat(float64(dim)))
	return b.String()
}

func formatFloat(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
