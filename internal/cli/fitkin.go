package cli

import (
	"strings"

	"justright/catalog"
	"justright/memory"
	"justright/model"
)

// quantWords are the words by which repositories name what was done to a model's matrices; the value is how the account
// calls the storage, "" for words that say nothing of it.
var quantWords = map[string]string{
	"fp8": "fp8", "awq": "awq", "gptq": "gptq", "int4": "gptq", "w4a16": "gptq", "4bit": "gptq", "autoround": "gptq", "nvfp4": "nvfp4", "fp4": "nvfp4", "mxfp4": "mxfp4",
	"bnb": "bitsandbytes", "int8": "int8_per_channel_weight_only", "w8a8": "int8_per_channel_weight_only", "w8a16": "int8_per_channel_weight_only",
	"gguf": "gguf", "exl2": "exl3", "exl3": "exl3",
	"dynamic": "", "static": "", "quantized": "", "bf16": "", "fp16": "", "instruct": "", "chat": "", "it": "", "base": "", "local": "", "copy": "", "unsloth": "", "merged": "", "abliterated": "", "g128": "", "marlin": "", "sym": "", "qat": "",
}

// kin finds, for a model that nobody has a profile of, the known one that its name says it was made from, and how its
// matrices are stored by that name: "owner/Qwen3-8B-FP8-dynamic", or "Qwen3-8B AWQ (local copy)". ok is false when the
// words that remain name no model, or more than one shape.
func kin(name string) (p model.Profile, quant string, ok bool) {
	last := strings.ToLower(withoutRemarks(name[strings.LastIndexByte(name, '/')+1:]))
	last = strings.NewReplacer("(", " ", ")", " ", ",", " ", "_", "-", "4-bit", "4bit", "8-bit", "int8", "quantized.", "quantized-").Replace(last)
	words := strings.FieldsFunc(last, func(r rune) bool { return r == ' ' || r == '-' })
	for n := len(words); n > 0; n-- {
		for _, m := range kinOf(strings.Join(words[:n], "-")) {
			found, err := model.FromRecord(m)
			if err != nil || len(found.Tensors) > 0 {
				continue
			}
			return found, quant, true
		}
		storage, known := quantWords[words[n-1]]
		if !known {
			return model.Profile{}, "", false
		}
		if storage != "" && (quant == "" || storage == "bitsandbytes") {
			quant = storage
		}
	}
	return model.Profile{}, "", false
}

// withoutRemarks drops what stands in brackets unless it says how the matrices are stored.
func withoutRemarks(name string) string {
	open := strings.IndexByte(name, '(')
	if open < 0 || !strings.HasSuffix(name, ")") {
		return name
	}
	kept := name[:open]
	for _, w := range strings.FieldsFunc(strings.ToLower(name[open+1:len(name)-1]), func(r rune) bool { return r == ' ' || r == '-' || r == ',' }) {
		if quantWords[w] != "" {
			kept += " " + w
		}
	}
	return kept
}

// kinOf lists unquantised models of the catalog with that name, spelled with or without what only tuning changes.
func kinOf(name string) []catalog.ModelRecord {
	var out []catalog.ModelRecord
	for _, m := range catalog.Models() {
		id := strings.ToLower(strings.ReplaceAll(m.ID[strings.LastIndexByte(m.ID, '/')+1:], "_", "-"))
		for _, suffix := range []string{"", "-instruct", "-it", "-chat", "-base", "-bf16", "-hf", "-chat-hf", "-instruct-hf"} {
			plain := id == name+suffix || suffix != "" && id+suffix == name
			if plain && !strings.Contains(string(m.Config), "quantization_config") {
				out = append(out, m)
				break
			}
		}
	}
	return out
}

// asKin gives p the storage that a name or a case states.
func asKin(p *model.Profile, stated, named string) {
	if stated == "" {
		stated = named
	}
	p.WeightsBytes, p.Parameters = 0, 0
	switch stated {
	case "", "none":
	case "gguf", "exl3", "exl2", "inc", "torchao", "quark", "compressed-tensors", "modelopt", "modelopt_mixed":
		if named != "" && stated != "gguf" && !strings.HasPrefix(stated, "exl") {
			asKin(p, named, "")
			return
		}
		p.Quant = &model.Quant{Method: stated} // what it holds is in the files alone
	case "mxfp4":
		p.Quant = &model.Quant{Method: "mxfp4", Format: "mxfp4", Bits: 4, GroupSize: 32}
	}
}

// fillDraft gives a question the profile of the draft model that its flags name, when the catalog knows it.
func fillDraft(u *memory.Use) {
	if u.Speculative.Draft == "" {
		return
	}
	if m := catalog.FindModels(u.Speculative.Draft); len(m) == 1 {
		if p, err := model.FromRecord(m[0]); err == nil {
			u.Speculative.Model = &p
		}
	}
}
