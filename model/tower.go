package model

import "strings"

// towers are encoders whose size config.json often leaves to the class: layers, hidden, intermediate (class
// defaults of transformers' vision configs), and a published count where the shape does not give it.
// Source: https://github.com/huggingface/transformers (configuration_*.py of each family), model cards.
var towers = []struct {
	prefix                       string // of the top-level model_type
	layers, hidden, intermediate int
	published                    int64
}{
	{"qwen2_5_vl", 32, 1280, 3456, 0},
	{"qwen2_vl", 32, 1280, 5120, 0},
	{"qwen3_vl", 27, 1152, 4304, 0},
	{"qwen3_5", 27, 1152, 4304, 0},
	{"gemma3n", 0, 0, 0, 980_000_000}, // MobileNetV5 300 M and the audio encoder 680 M
	{"gemma3", 27, 1152, 4304, 0},
	{"gemma4_unified", 0, 0, 0, 1},   // raw patches go to the language model: as good as no tower
	{"gemma4", 0, 0, 0, 550_000_000}, // model card: about 550 M for 26B and 31B
	{"llama4", 34, 1408, 5632, 0},
	{"mistral3", 24, 1024, 4096, 0},
	{"pixtral", 24, 1024, 4096, 0},
	{"kimi_k25", 27, 1152, 4304, 0},
	{"kimi_vl", 27, 1152, 4304, 0},
	{"dots_ocr", 42, 1536, 4224, 0},
}

// gatedTowers have three matrices in a feed-forward block.
var gatedTowers = []string{"qwen2_5_vl", "mistral3", "pixtral", "dots_ocr", "llava_next_pixtral"}

// tower notes an image, video or audio encoder and counts it as far as its shape is known.
func (r *reader) tower(p *Profile) {
	var v object
	for _, k := range []string{"vision_config", "visual", "vision_tower_config", "vit_config", "audio_config", "img_processor"} {
		if o, ok := r.top[k].(object); ok {
			v = o
			break
		}
	}
	if c, ok := r.top["thinker_config"].(object); ok && v == nil {
		v, _ = c["vision_config"].(object)
	}
	if stated, ok := r.top["vision_config"]; ok && stated == nil && r.top["audio_config"] == nil {
		return // a multimodal class without its tower
	}
	known := -1
	for i, t := range towers {
		if strings.HasPrefix(p.ModelType, t.prefix) && (p.TextModelType != "" || v != nil || strings.Contains(p.Architecture, "ConditionalGeneration") || t.prefix == "dots_ocr") {
			known = i
			break
		}
	}
	if p.ModelType == "" && strings.HasPrefix(p.Architecture, "Mistral3") {
		for i, t := range towers {
			if t.prefix == "mistral3" {
				known = i
			}
		}
	}
	if v == nil && known < 0 {
		p.Vision = strings.Contains(p.Architecture, "VLFor") || strings.Contains(p.Architecture, "Vision") || strings.Contains(p.Architecture, "ForConditionalGeneration") && p.ModelType != "" && !p.EncoderDecoder
		if p.Vision {
			r.unknown("encoder: config.json does not describe the image or audio tower")
		}
		return
	}
	p.Vision = true
	t := &Tower{}
	if v != nil {
		n := func(keys ...string) int {
			for _, k := range keys {
				if x := r.in(v, "vision_config."+k, maxDimension, k); x > 0 {
					return x
				}
			}
			return 0
		}
		t.Layers, t.Hidden = n("num_hidden_layers", "depth", "n_layers", "encoder_layers", "vt_num_hidden_layers"), n("embed_dim", "hidden_size", "d_model", "width", "vt_hidden_size")
		t.Intermediate, t.OutHidden = n("intermediate_size", "mlp_dim", "encoder_ffn_dim", "vt_intermediate_size"), n("out_hidden_size")
		if t.Layers > maxLayers {
			r.fail("vision_config", "states more layers than are believed")
		}
	}
	if known >= 0 {
		k := towers[known]
		t.Parameters = k.published
		if k.prefix == "gemma4" && p.PerLayerInput > 0 {
			t.Parameters = 450_000_000 // E2B and E4B: about 150 M for images and 300 M for sound
		}
		if t.Layers == 0 {
			t.Layers, t.Hidden, t.Intermediate = k.layers, k.hidden, k.intermediate
		}
		if t.Intermediate == 0 {
			t.Intermediate = k.intermediate
		}
	}
	if t.Intermediate == 0 {
		t.Intermediate = 4 * t.Hidden
	}
	if p.ModelType == "mllama" && v != nil { // global layers after the local ones; every cross layer sees all tiles
		n := func(k string) int { return r.in(v, "vision_config."+k, 1<<14, k) }
		t.Layers += n("num_global_layers")
		side := n("image_size") / max(1, n("patch_size"))
		p.CrossTokens = max(1, n("max_num_tiles")) * (side*side + 1)
	}
	if t.Parameters == 0 && t.Layers > 0 {
		t.Parameters = countTower(p, t)
	}
	if t.Parameters == 0 {
		r.unknown("encoder: the size of the image or audio tower is not known")
	}
	p.VisionTower = t
}

// countTower counts a transformer encoder and the merger that maps its output to the language model: Qwen's
// mergers join four patches; Qwen3-VL has three more for its deep features.
func countTower(p *Profile, t *Tower) int64 {
	h, i, out := float64(t.Hidden), float64(t.Intermediate), float64(max(t.OutHidden, p.Hidden))
	matrices := 2.0
	for _, g := range gatedTowers {
		if strings.HasPrefix(p.ModelType, g) {
			matrices = 3
		}
	}
	n := float64(t.Layers) * (4*h*h + matrices*h*i)
	n += h*1536 + 4096*h // patch embedding and positions, about
	merger := 0.0
	if p.ModelType == "mllama" { // six layers' outputs join; positions for each kind of tiling
		return int64(min(n+6*h*out+4*9*1601*h, 1e13))
	}
	if strings.HasPrefix(p.ModelType, "qwen") || strings.HasPrefix(p.ModelType, "kimi") || strings.HasPrefix(p.ModelType, "dots") {
		merger = 4*h*4*h + 4*h*out
	} else {
		merger = h*out + out*out/4
	}
	if strings.HasPrefix(p.ModelType, "qwen3_vl") {
		merger *= 4
	}
	return int64(min(n+merger, 1e13))
}
