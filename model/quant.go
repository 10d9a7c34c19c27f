package model

import (
	"fmt"
	"strings"
)

// quant reads how the checkpoint stores its linear layers: config.json's quantization_config (or the older
// compression_config), else the file a quantiser left beside it.
func (r *reader) quant(p *Profile, beside []byte) {
	q, ok := r.top["quantization_config"].(object)
	if !ok {
		q, ok = r.text["quantization_config"].(object)
	}
	if !ok {
		q, ok = r.text["compression_config"].(object)
	}
	var side object
	if len(beside) > 0 {
		o, err := decodeObject(beside)
		if err != nil {
			r.unknown("quantisation: the file beside config.json cannot be read: %v", err)
		} else if side, _ = o["quantization"].(object); side == nil && o["bits"] != nil {
			side = o // GPTQ's and AWQ's own files are flat
		} else if side == nil && o["w_bit"] != nil {
			side = object{"quant_method": "awq", "bits": o["w_bit"], "group_size": o["q_group_size"], "zero_point": o["zero_point"]}
		}
	}
	if !ok && side == nil {
		return
	}
	if !ok {
		q = side
	}
	out := &Quant{Method: strings.ToLower(r.str(q, "quant_method", "method")), Format: r.str(q, "format")}
	if out.Method == "" && (q["quant_algo"] != nil || side["quant_algo"] != nil) {
		out.Method = "modelopt"
	}
	out.Excluded = append(append(stringsOf(q["modules_to_not_convert"]), stringsOf(q["ignore"])...), stringsOf(q["exclude_modules"])...)
	out.Excluded = append(append(out.Excluded, stringsOf(q["ignored_layers"])...), stringsOf(q["llm_int8_skip_modules"])...)
	if len(out.Excluded) == 0 && side != nil {
		out.Excluded = stringsOf(side["exclude_modules"])
	}
	out.BlockShape = r.blockShape(q)
	out.ZeroPoint = r.flag(q, "zero_point")
	if sym, stated := q["sym"].(bool); stated && !sym {
		out.ZeroPoint = true
	}
	out.KVCacheDType = r.cacheScheme(q, side)
	r.groups(out, q)
	r.storage(out, q, side)
	if out.Method == "" {
		out.Method = "unknown"
		r.unknown("quantisation: config.json has a quantization_config without a method")
	}
	if e := r.str(r.text, "expert_dtype"); e == "fp4" && out.Method == "fp8" { // DeepSeek V4: MXFP4 experts in an FP8 file
		out.Groups = append(out.Groups, QuantGroup{Format: "mxfp4", Bits: 4, GroupSize: 32, Targets: []string{"experts"}})
	}
	p.Quant = out
}

func (r *reader) blockShape(q object) []int {
	l, _ := q["weight_block_size"].([]any)
	var shape []int
	for _, v := range l[:min(len(l), 4)] {
		if f, ok := number(v); ok && f >= 1 && f <= maxDimension {
			shape = append(shape, int(f))
		}
	}
	return shape
}

// cacheScheme is the element type of the KV cache that the checkpoint asks for.
func (r *reader) cacheScheme(q, side object) string {
	for _, o := range []object{q, side} {
		switch algo := strings.ToUpper(r.str(o, "kv_cache_quant_algo")); algo {
		case "":
		case "FP8", "NVFP4":
			return strings.ToLower(algo)
		}
		if s, ok := o["kv_cache_scheme"].(object); ok {
			bits, _ := number(s["num_bits"])
			if bits == 8 {
				return "fp8"
			}
			if bits == 4 {
				return "nvfp4"
			}
		}
		if s := r.str(o, "kv_cache_scheme"); strings.EqualFold(s, "FP8") {
			return "fp8"
		}
	}
	return ""
}

// groups reads config_groups of compressed-tensors and ModelOpt.
func (r *reader) groups(out *Quant, q object) {
	g, _ := q["config_groups"].(object)
	for _, k := range sortedKeys(g) {
		one, _ := g[k].(object)
		w, _ := one["weights"].(object)
		if w == nil {
			continue
		}
		bits, ok := number(w["num_bits"])
		if !ok || bits < 1 || bits > 32 {
			r.unknown("quantisation: %s does not say how many bits", shorten(k))
			continue
		}
		size := r.in(w, "quantization_config.config_groups.weights.group_size", maxDimension, "group_size")
		if sym, ok := w["symmetric"].(bool); ok && !sym {
			out.ZeroPoint = true
		}
		group := QuantGroup{Bits: bits, GroupSize: size, Format: weightFormat(bits, r.str(w, "type"), size), Targets: stringsOf(one["targets"])}
		out.Groups = append(out.Groups, group)
	}
}

// weightFormat names a storage format from its bits, number type and group size.
func weightFormat(bits float64, kind string, group int) string {
	switch {
	case kind == "float" && bits == 8:
		return "fp8"
	case kind == "float" && bits == 4 && group == 32:
		return "mxfp4"
	case kind == "float" && bits == 4:
		return "nvfp4"
	default:
		return fmt.Sprintf("int%g", bits)
	}
}

// storage fills bits, group size and format of the linears in general.
func (r *reader) storage(out *Quant, q, side object) {
	if b, ok := number(q["bits"]); ok && b >= 1 && b <= 32 {
		out.Bits = b
	}
	out.GroupSize = r.in(q, "quantization_config.group_size", maxDimension, "group_size")
	algo := strings.ToUpper(r.str(q, "quant_algo"))
	if algo == "" {
		algo = strings.ToUpper(r.str(side, "quant_algo"))
	}
	if out.GroupSize == 0 && side != nil {
		out.GroupSize = r.in(side, "hf_quant_config.group_size", maxDimension, "group_size")
	}
	switch out.Method {
	case "fp8", "fbgemm_fp8", "deepspeedfp":
		out.Bits, out.Format = 8, "fp8"
	case "mxfp4":
		out.Bits, out.GroupSize, out.Format = 4, 32, "mxfp4"
	case "awq", "gptq", "auto-round", "gptq_marlin", "awq_marlin":
		if out.Bits == 0 {
			out.Bits = 4
		}
		if out.GroupSize == 0 {
			out.GroupSize = 128
		}
		out.Format = fmt.Sprintf("int%g", out.Bits)
		if out.Method == "awq" {
			out.ZeroPoint = true
		}
	case "bitsandbytes":
		out.Bits, out.Format = 8, "int8"
		if r.flag(q, "load_in_4bit") || r.flag(q, "_load_in_4bit") {
			out.Bits, out.GroupSize, out.Format = 4, 64, "bnb4"
		}
	case "modelopt", "modelopt_fp4", "modelopt_mixed", "nvfp4":
		switch {
		case strings.Contains(algo, "NVFP4"):
			out.Bits, out.GroupSize, out.Format = 4, 16, "nvfp4"
		case strings.Contains(algo, "MXFP8"):
			out.Bits, out.GroupSize, out.Format = 8, 32, "mxfp8"
		case strings.Contains(algo, "FP8"):
			out.Bits, out.Format = 8, "fp8"
		case strings.Contains(algo, "W4"), strings.Contains(algo, "INT4"):
			out.Bits, out.Format = 4, "int4"
			if out.GroupSize == 0 {
				out.GroupSize = 128
			}
		case len(out.Groups) == 0 && algo != "":
			r.unknown("quantisation: ModelOpt's %s does not say what is stored how", algo)
		}
	case "quark", "torchao", "aqlm", "exl3", "gguf", "higgs", "vptq", "hqq", "eetq", "quanto", "bitnet", "fp_quant":
		r.unknown("quantisation: what %s stores is known only from the files", out.Method)
	}
	if len(out.Groups) > 0 && out.Bits == 0 {
		out.Bits, out.GroupSize = out.Groups[0].Bits, out.Groups[0].GroupSize
	}
}

// roleWords are parts of module names that tell a role; the first role that matches wins.
var roleWords = []struct {
	role  string
	words []string
}{
	{"vision", []string{"vision", "visual", "multi_modal", "mm_projector", "embed_audio", "audio_tower", "mlp1", "vit."}},
	{"mtp", []string{"mtp", "eagle", "nextn"}},
	{"lm_head", []string{"lm_head", "output_layer", "embed_out"}},
	{"embedding", []string{"embed_tokens", "embeddings", "word_embeddings", "wte", "tok_embeddings", "embed_positions"}},
	{"router", []string{"mlp.gate.", "mlp.router", ".router", "block_sparse_moe.gate.", "feed_forward.gate.", "moe.gate."}},
	{"shared_expert", []string{"shared_expert"}},
	{"expert", []string{"experts", ".moe."}},
	{"linear_attn", []string{"linear_attn", "mamba", ".mixer.", ".short_conv", ".conv."}},
	{"norm", []string{"norm"}},
	{"attention", []string{"self_attn", ".attn", "attention", "self_attention", "cross_attn", "encoder_attn"}},
	{"mlp", []string{"mlp", "feed_forward", "ffn", ".fc1", ".fc2"}},
}

// Role tells what a module or tensor is for, by its name.
func Role(name string) string {
	n := strings.ToLower(name)
	if strings.HasSuffix(n, "mlp.gate") || strings.HasSuffix(n, "mlp.gate$") || n == "gate" {
		return "router"
	}
	for _, r := range roleWords {
		for _, w := range r.words {
			if strings.Contains(n, w) {
				return r.role
			}
		}
	}
	return "other"
}

// StoredBytes is how many bytes one weight of a role takes in the checkpoint's own format, scales included, and
// the name of the format; whole is 2 for 16-bit elements. Roles no quantiser touches stay whole.
func (q *Quant) StoredBytes(role string, layers int, whole float64) (perWeight float64, format string) {
	if q == nil {
		return whole, ""
	}
	switch role {
	case "embedding", "norm", "router", "vision", "bias":
		return whole, ""
	case "lm_head":
		return whole, "" // every published quantiser leaves it out; a header overrides this
	}
	if q.Method == "mxfp4" && role != "expert" {
		return whole, ""
	}
	bytes, format := q.formatOf(role)
	if bytes == 0 {
		return whole, ""
	}
	out := q.excludedShare(role, layers)
	return out*whole + (1-out)*bytes, format
}

// formatOf is the format of a role's weights: of the group that names it, else of the group for all linears.
func (q *Quant) formatOf(role string) (float64, string) {
	var general *QuantGroup
	for i := range q.Groups {
		g := &q.Groups[i]
		for _, t := range g.Targets {
			if t == "Linear" || t == "re:.*" {
				general = g
			} else if Role(t) == role || role == "mlp" && strings.Contains(t, "mlp") && Role(t) == "mlp" {
				return storedBytes(g.Format, g.Bits, g.GroupSize, q.BlockShape, q.ZeroPoint), g.Format
			}
		}
	}
	if general != nil {
		return storedBytes(general.Format, general.Bits, general.GroupSize, q.BlockShape, q.ZeroPoint), general.Format
	}
	if len(q.Groups) > 0 && q.Format == "" {
		return 0, "" // named modules only, and not these
	}
	return storedBytes(q.Format, q.Bits, q.GroupSize, q.BlockShape, q.ZeroPoint), q.Format
}

// storedBytes is the packed size of one weight with its share of scales and zeros.
func storedBytes(format string, bits float64, group int, block []int, zeros bool) float64 {
	g := float64(group)
	switch {
	case bits == 0:
		return 0
	case format == "fp8" && len(block) == 2:
		return 1 + 4/float64(block[0]*block[1])
	case format == "fp8":
		return 1 + 4.0/4096 // a scale a channel
	case format == "nvfp4":
		return 0.5 + 1.0/16
	case format == "mxfp4":
		return 0.5 + 1.0/32
	case format == "mxfp8":
		return 1 + 1.0/32
	case format == "bnb4":
		return 0.5 + 4.0/64
	case format == "bnb4-nested": // scales are quantised themselves
		return 0.5 + 1.0/64 + 4.0/(64*256)
	case group > 0 && zeros:
		return bits/8 + (2+bits/8)/g
	case group > 0:
		return bits/8 + 2/g
	default:
		return bits/8 + 2.0/4096
	}
}

// excludedShare is the share of a role's layers that the quantiser left whole.
func (q *Quant) excludedShare(role string, layers int) float64 {
	seen := map[string]float64{}
	for _, e := range q.Excluded {
		name := strings.TrimRight(strings.TrimSuffix(strings.TrimPrefix(e, "re:"), "$"), ".*")
		if Role(name) != role {
			continue
		}
		index := layerIndex(name)
		part := 1.0
		switch last := name[strings.LastIndexByte(name, '.')+1:]; {
		case strings.Contains(last, "conv1d"), strings.Contains(last, "in_proj_a"), strings.Contains(last, "in_proj_b"), last == "A_log", last == "dt_bias", strings.Contains(last, "norm"), strings.Contains(last, "indexer"):
			part = 0 // too small to matter
		case strings.Contains(last, "proj"):
			part = 0.25
		}
		seen[index] = min(1, seen[index]+part)
	}
	if whole, ok := seen[""]; ok && whole > 0 {
		return whole
	}
	if layers == 0 || len(seen) == 0 {
		return 0
	}
	sum := 0.0
	for _, k := range sortedShares(seen) {
		sum += seen[k]
	}
	return min(1, sum/float64(layers))
}

// layerIndex is the first number among the dotted parts of a module name; empty when it names all layers.
func layerIndex(name string) string {
	for _, part := range strings.Split(name, ".") {
		if part != "" && strings.Trim(part, "0123456789") == "" {
			return part
		}
	}
	return ""
}
