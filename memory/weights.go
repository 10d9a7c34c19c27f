package memory

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"justright/model"
)

// weighed is one rank's weights and how surely they are known.
type weighed struct {
	bytes, low, high float64
	formula          string
	why              string // why nothing is known, when bytes is 0
}

// weigh counts what one rank loads. Tensor headers are exact in sum and the shape tells how the sum divides; without
// headers the shape tells both; without a whole shape the size of the files is divided evenly.
func weigh(p *model.Profile, u Use, r rules) weighed {
	parts, complete := p.Parts()
	switch {
	case complete && len(p.Tensors) > 0:
		return weighTensors(p, parts, u, r)
	case complete:
		return weighShape(p, parts, u, r)
	case len(p.Tensors) > 0 || p.WeightsBytes > 0:
		return weighFiles(p, u, r)
	}
	return weighed{why: "neither the shape nor the size of the files is known"}
}

// online is a quantisation made while loading, by the names of --quantization that do that; a name that only reads
// quantised files says what the files hold when no config.json does.
func online(p *model.Profile, u Use, r rules) *model.Quant {
	if p.Quant != nil {
		return p.Quant
	}
	switch u.Quantization {
	case "fp8", "fbgemm_fp8", "ptpc_fp8":
		return &model.Quant{Method: "fp8", Format: "fp8", Bits: 8}
	case "fp8_per_tensor", "fp8_per_channel", "fp8_per_block":
		return &model.Quant{Method: "fp8", Format: "fp8", Bits: 8}
	case "mxfp8":
		return &model.Quant{Method: "mxfp8", Format: "mxfp8", Bits: 8, GroupSize: 32}
	case "int8_per_channel_weight_only", "tpu_int8":
		return &model.Quant{Method: u.Quantization, Format: "int8", Bits: 8}
	case "experts_int8":
		targets := []string{"experts"}
		if p.ModelType == "jamba" {
			targets = append(targets, "mlp") // a dense block is a mixture of one
		}
		return &model.Quant{Method: "experts_int8", Groups: []model.QuantGroup{{Format: "int8", Bits: 8, Targets: targets}}}
	case "bitsandbytes":
		format := "bnb4"
		if !r.flatAbsMax {
			format = "bnb4-nested"
		}
		return &model.Quant{Method: "bitsandbytes", Format: format, Bits: 4, GroupSize: 64}
	case "awq", "gptq", "awq_marlin", "gptq_marlin", "compressed-tensors":
		return &model.Quant{Method: u.Quantization, Format: "int4", Bits: 4, GroupSize: 128}
	case "modelopt", "modelopt_fp4", "nvfp4":
		return &model.Quant{Method: u.Quantization, Format: "nvfp4", Bits: 4, GroupSize: 16}
	}
	return nil
}

// share is the part of a matrix that the fullest rank holds.
func share(p *model.Profile, part model.Part, u Use) float64 {
	tp := float64(max(1, u.TensorParallel))
	switch part.Shard {
	case model.Replicated:
		return 1
	case model.Split:
	case model.SplitKV:
		return 1 / math.Min(tp, math.Max(1, float64(p.KVHeads)))
	case model.SplitVocab:
		pad := math.Ceil(float64(p.Vocab)/64) * 64
		return math.Ceil(pad/tp) / float64(max(1, p.Vocab))
	}
	if part.Role == "expert" && u.ExpertParallel {
		return 1 / (tp * float64(max(1, u.DataParallel)))
	}
	return 1 / tp
}

// stages is the share of the fullest pipeline stage; tables are at its ends.
func stages(p *model.Profile, role string, u Use) float64 {
	pp := max(1, u.PipelineParallel)
	if pp == 1 || role == "embedding" || role == "lm_head" {
		return 1
	}
	n := max(1, p.Layers)
	return math.Ceil(float64(n)/float64(pp)) / float64(n)
}

// ends are the two tables of the vocabulary: the first stage of a pipeline holds one, the last the other, or its copy
// of the first when they are tied.
type ends struct {
	apart       bool
	first, last float64
}

// put keeps a table back when the stages hold one each, and passes everything else through.
func (e *ends) put(role string, bytes float64) float64 {
	switch {
	case e.apart && role == "embedding":
		e.first += bytes
	case e.apart && role == "lm_head":
		e.last += bytes
	default:
		return bytes
	}
	return 0
}

func (e *ends) larger() float64 { return math.Max(e.first, e.last) }

func skipped(p *model.Profile, role string, u Use) bool {
	return role == "vision" && u.TextOnly || role == "mtp" && !predicts(p, u)
}

// predicts reports that the checkpoint's own prediction layers are loaded.
func predicts(p *model.Profile, u Use) bool {
	return u.Speculative.On && p.MTPLayers > 0 && u.Speculative.Draft == "" && (u.Speculative.Method == "" || strings.Contains(u.Speculative.Method, "mtp"))
}

func weighShape(p *model.Profile, parts []model.Part, u Use, r rules) weighed {
	q := online(p, u, r)
	if p.Quant != nil && q.Bits == 0 && len(q.Groups) == 0 && p.WeightsBytes == 0 {
		return weighed{why: "how " + name(q) + " stores the matrices is not known without the files"}
	}
	rank, whole, of := 0.0, 0.0, make(roleSums, 0, 12)
	e := ends{apart: u.PipelineParallel > 1}
	for _, part := range parts {
		per := elementSize(q, u)
		if part.Quant {
			per, _ = q.StoredBytes(part.Role, part.Layers, per)
		}
		if part.Role == "router" && p.MoE != nil {
			per = 2
		}
		if part.Role != "mla_copy" { // what the files hold, whatever is made of it while loading
			whole += part.Weights * math.Min(per, 2)
		}
		if skipped(p, part.Role, u) || part.Role == "mla_copy" && !r.latentCache {
			continue
		}
		b := part.Weights * per * share(p, part, u) * stages(p, part.Role, u)
		if part.Role == "expert" {
			b *= padding(p, q, u, r)
		}
		if b = e.put(part.Role, b); b > 0 {
			role := part.Role
			if role == "mla_copy" {
				role = "latent copies"
			}
			of.add(role, b)
			rank += b
		}
	}
	if b := e.larger(); b > 0 {
		of.add("table", b)
		rank += b
	}
	spread := 0.01
	formula := "by shape " + of.String()
	if q != nil {
		formula += " with linears as " + name(q)
		spread = 0.03
		if q.Bits <= 4 && p.WeightsBytes == 0 {
			spread = 0.06 // what such quantisers leave whole differs from file to file
		}
	}
	mtp := mtpWeights(p, parts, q)
	if p.WeightsBytes > 0 && whole > 0 {
		// The files may hold prediction layers that are not loaded, and what the quantiser left whole.
		ratio := float64(p.WeightsBytes) / (whole + mtp)
		if alone := float64(p.WeightsBytes) / whole; math.Abs(alone-1) < math.Abs(ratio-1) {
			ratio = alone
		}
		if ratio < 1.25 && math.Abs(ratio-1) > 0.002 { // above, the repository holds more than one copy
			rank *= ratio
			formula += fmt.Sprintf(", x %.4f to the size of the files", ratio)
			if ratio < 0.8 {
				spread = math.Max(spread, 0.06) // stored smaller than config.json says
			}
		}
	}
	if predicts(p, u) {
		of := mtp / float64(max(1, u.TensorParallel))
		rank += of
		spread += 0.02
		formula += fmt.Sprintf(", + prediction layers %.2f", of/GiB)
	}
	if p.VisionTower != nil && !u.TextOnly && rank > 0 && p.WeightsBytes == 0 { // a tower's shape is known roughly
		spread += math.Min(0.1, 0.3*2*float64(p.VisionTower.Parameters)/float64(max(1, u.TensorParallel))/rank)
	}
	return finishWeights(p, rank, spread, formula, u, r)
}

// elementSize is the size of one element that no quantiser packs: 16 bit, unless --dtype says single precision.
func elementSize(q *model.Quant, u Use) float64 {
	if q == nil && (u.DType == "float32" || u.DType == "float") {
		return 4
	}
	return 2
}

// roleSums says what a sum of weights is made of, in the order in which roles came.
type roleSums []struct {
	role  string
	bytes float64
}

func (s *roleSums) add(role string, bytes float64) {
	for i := range *s {
		if (*s)[i].role == role {
			(*s)[i].bytes += bytes
			return
		}
	}
	*s = append(*s, struct {
		role  string
		bytes float64
	}{role, bytes})
}

// String leaves out what is below 0.005 GiB.
func (s roleSums) String() string {
	b := make([]byte, 0, 96)
	for _, r := range s {
		if r.bytes < GiB/200 {
			continue
		}
		if len(b) > 0 {
			b = append(b, " + "...)
		}
		b = append(append(b, r.role...), ' ')
		b = strconv.AppendFloat(b, r.bytes/GiB, 'f', 2, 64)
	}
	return string(append(b, " GiB"...))
}

// mtpWeights is about what the prediction layers hold: a layer of the model each, and a projection of two hidden
// states to one.
func mtpWeights(p *model.Profile, parts []model.Part, q *model.Quant) float64 {
	if p.MTPLayers == 0 || p.Layers == 0 {
		return 0
	}
	layer := 2 * float64(p.Hidden) * float64(p.Hidden) * 2
	for _, part := range parts {
		if part.Layers > 1 && part.Role != "vision" && part.Role != "linear_attn" && part.Role != "mla_copy" {
			per := 2.0
			if part.Quant && p.Quant != nil && p.Quant.Method == "fp8" {
				per, _ = q.StoredBytes(part.Role, part.Layers, 2) // DeepSeek and GLM quantise them too, others do not
			}
			layer += part.Weights * per / float64(part.Layers)
		}
	}
	return layer * float64(p.MTPLayers)
}

func name(q *model.Quant) string {
	if q.Format != "" {
		return q.Format
	}
	return q.Method
}

// padding is how much the kernels enlarge MXFP4 experts: Marlin and TRT-LLM round the intermediate size of a rank to
// 128 and the hidden size to 256, Triton on Hopper only the latter (oracle/mxfp4.py).
func padding(p *model.Profile, q *model.Quant, u Use, r rules) float64 {
	if q == nil || q.Method != "mxfp4" || p.MoE == nil || p.MoE.Intermediate == 0 {
		return 1
	}
	tp := max(1, u.TensorParallel)
	if u.ExpertParallel {
		tp = 1
	}
	slice := float64(p.MoE.Intermediate) / float64(tp)
	i, h := math.Ceil(slice/128)*128/slice, math.Ceil(float64(p.Hidden)/256)*256/float64(p.Hidden)
	if u.GPU.Capability.Major == 9 && !r.ncclInside && tp == 1 {
		i = 1
	}
	return i * h
}

// weighTensors divides the headers' sums as the shape divides.
func weighTensors(p *model.Profile, parts []model.Part, u Use, r rules) weighed {
	type sums struct{ whole, rank float64 }
	byRole := map[string]*sums{}
	copies := 0.0
	for _, part := range parts {
		if part.Role == "mla_copy" {
			if r.latentCache {
				copies += part.Weights * 2 * share(p, part, u)
			}
			continue
		}
		s := byRole[part.Role]
		if s == nil {
			s = &sums{}
			byRole[part.Role] = s
		}
		s.whole += part.Weights
		s.rank += part.Weights * share(p, part, u)
	}
	q := online(p, u, r)
	made := make(roleSums, 0, 12)
	made.add("latent copies", copies)
	rank := copies
	e := ends{apart: u.PipelineParallel > 1}
	for _, g := range p.Tensors {
		if skipped(p, g.Role, u) || g.Role == "lm_head" && p.TieEmbeddings {
			continue
		}
		bytes := float64(g.Bytes)
		if g.DType != "F32" && g.DType != "F64" && elementSize(p.Quant, u) == 4 {
			bytes = 4 * float64(g.Elements)
		}
		if g.DType == "F32" && elementSize(p.Quant, u) == 2 && (p.Quant == nil || g.Elements > 1<<22) && g.Role != "router" {
			bytes /= 2 // dtype auto loads single precision as half
		}
		if p.Quant == nil && q != nil && g.Role != "embedding" && g.Role != "norm" && g.Role != "lm_head" && g.Role != "vision" && g.Role != "router" {
			per, _ := q.StoredBytes(g.Role, 1, 2)
			bytes = float64(g.Elements) * per
		}
		of := 1 / float64(max(1, u.TensorParallel))
		if s := byRole[g.Role]; s != nil && s.whole > 0 {
			of = s.rank / s.whole
		} else if g.Role == "norm" || g.Role == "router" {
			of = 1
		}
		if g.Role == "expert" {
			of *= padding(p, q, u, r)
		}
		bytes *= of * stages(p, g.Role, u)
		if bytes = e.put(g.Role, bytes); bytes > 0 {
			made.add(g.Role, bytes)
			rank += bytes
		}
	}
	if b := e.larger(); b > 0 {
		made.add("table", b)
		rank += b
	}
	return finishWeights(p, rank, 0.01, "by the files' headers "+made.String(), u, r)
}

func weighFiles(p *model.Profile, u Use, r rules) weighed {
	bytes := float64(p.WeightsBytes)
	if len(p.Tensors) > 0 {
		bytes = 0
		for _, g := range p.Tensors {
			if skipped(p, g.Role, u) {
				continue
			}
			if g.DType == "F32" && p.Quant == nil {
				bytes += float64(g.Bytes) / 2
			} else {
				bytes += float64(g.Bytes)
			}
		}
	}
	n := float64(max(1, u.TensorParallel) * max(1, u.PipelineParallel))
	return finishWeights(p, bytes/n, 0.05, "size of the files over the ranks", u, r)
}

// leftByLoading is what stays on the card beside tensors: 6 MiB in published starts of models of 0.1 to 0.5 GiB.
const leftByLoading = 6 << 20

// finishWeights adds what loading leaves beside the weights: rotary tables (one table for a model, float32 in old
// releases) and the kernels' workspaces.
func finishWeights(p *model.Profile, rank, spread float64, formula string, u Use, r rules) weighed {
	tp := max(1, u.TensorParallel) * max(1, u.PipelineParallel)
	if tp > 1 {
		formula += fmt.Sprintf(", one of %d ranks", tp)
	}
	unsure := rank * spread
	rank -= float64(u.OffloadBytes)
	if u.OffloadBytes > 0 {
		formula += fmt.Sprintf(", less %.2f offloaded", float64(u.OffloadBytes)/GiB)
	}
	if rank < 0 {
		rank = 0
	}
	tables := positionTables(p, r)
	rank += tables
	if tables > GiB/200 {
		formula += fmt.Sprintf(", + position tables %.2f", tables/GiB)
	}
	if u.LoRAs > 0 {
		rank += lora(p, u)
		formula += fmt.Sprintf(", + adapter slots %.2f", lora(p, u)/GiB)
	}
	rank += leftByLoading
	return weighed{bytes: rank, low: math.Max(0, rank-unsure), high: rank + unsure + 0.1*GiB, formula: formula}
}

// positionTables is what an engine computes of rotary positions and keeps, whole on every rank.
func positionTables(p *model.Profile, r rules) float64 {
	if r.shortTables && p.ThreeAxes && (strings.HasPrefix(p.ModelType, "qwen3_vl") || strings.HasPrefix(p.ModelType, "qwen3_5")) {
		return float64(p.RotaryBytes) / 4
	}
	return float64(p.RotaryBytes)
}

// lora is the size of the adapter slots: two low-rank matrices beside every linear of a layer.
func lora(p *model.Profile, u Use) float64 {
	rank := float64(u.LoRARank)
	if rank == 0 {
		rank = 16
	}
	ends := 2*float64(p.Hidden) + float64(p.Heads*p.HeadDim)*2 + float64(2*p.KVHeads*p.HeadDim) + 3*float64(p.Intermediate) + 3*float64(p.Hidden)
	return float64(u.LoRAs) * rank * ends * float64(p.Layers) * 2 / math.Sqrt(float64(max(1, u.TensorParallel)))
}
