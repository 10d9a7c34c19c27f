package memory

import (
	"fmt"
	"math"
	"strings"

	"justright/model"
)

// span is an amount with its bounds.
type span struct{ at, low, high float64 }

// activations is the peak of the profile run: one step of the largest batch, the encoder on its largest item, the
// sampler on every sequence. They do not overlap, so the largest counts.
func activations(p *model.Profile, u Use, r rules, context, tokens, seqs int) (span, string) {
	each := perToken(p, u)
	forward := span{at: float64(tokens) * each}
	forward.low, forward.high = 0.5*forward.at, 1.7*forward.at+0.15*GiB
	if r.firstEngine {
		forward.high = 1.3*forward.at + 0.15*GiB
	}
	sample, per := sampled(p, u, r, seqs)
	encoder := encoderPeak(p, u, r, context, seqs)
	peak := span{math.Max(math.Max(forward.at, sample.at), encoder.at), math.Max(math.Max(forward.low, sample.low), encoder.low), math.Max(math.Max(forward.high, sample.high), encoder.high)}
	if !u.AllStated && u.MaxSeqs == 0 { // fewer sequences than the default, which nobody wrote down, need less
		peak.low = math.Max(0.3*forward.at, encoder.low)
	}
	peak.low = math.Min(peak.low, peak.at)
	switch {
	case peak.at == encoder.at && encoder.at > 0:
		return peak, "encoder on its largest item"
	case peak.at == sample.at && sample.at > 0:
		return peak, fmt.Sprintf("sampler: %d rows x %d entries x %.1f B", seqs, p.Vocab, per)
	}
	return peak, fmt.Sprintf("forward pass: %d tokens x %.0f B", tokens, each)
}

// sampled is what drawing a token for every sequence takes, and the bytes an entry of the logits: sorting keeps values,
// indices and sums; else masks and draws.
func sampled(p *model.Profile, u Use, r rules, seqs int) (s span, per float64) {
	const sort, lean = 38.5, 14.0
	if p.EncoderOnly || u.Pooling || pools(p) {
		return span{}, lean
	}
	entries := float64(seqs) * float64(p.Vocab)
	per = lean
	if r.sortSampler && !(u.FromImage && r.ncclInside) {
		per = sort
	}
	s = span{entries * per, entries * lean * 0.7, entries*per*1.05 + 0.15*GiB}
	if per == lean {
		s.low, s.high = entries*lean*0.4, entries*lean*1.6+0.15*GiB // 5 to 22 bytes an entry on six starts
	}
	if !r.known {
		s.high = math.Max(s.high, entries*sort)
	}
	return s, per
}

// pools reports a model that returns vectors or scores, so that nothing is sampled: by its class, or by its name, since
// repositories called so carry the list of modules by which vLLM takes the pooling runner.
func pools(p *model.Profile) bool {
	name := strings.ToLower(p.ID[strings.LastIndexByte(p.ID, '/')+1:])
	return strings.Contains(name, "embedding") || strings.Contains(name, "reranker") || strings.HasSuffix(p.Architecture, "Model") || strings.HasSuffix(p.Architecture, "ForSequenceClassification") || strings.HasSuffix(p.Architecture, "ForRewardModel")
}

// perToken is what a token keeps alive in the widest block of the forward pass, 16 bit: hidden states, residual and the
// block's input, and the block itself: gate, up and their product; experts work on copies for each expert a token is sent
// to. Llama 3.1 8B took 2.07 GiB for 20000 tokens and 2.99 for 29000 (vLLM issue 10517): 110.6 KB each.
func perToken(p *model.Profile, u Use) float64 {
	tp := float64(max(1, u.TensorParallel))
	h := float64(p.Hidden)
	attention := float64(p.Heads*p.HeadDim+2*p.KVHeads*p.HeadDim) / tp
	dense := 3 * float64(p.Intermediate) / tp
	if p.MoE != nil && p.MoE.Layers > 0 {
		i := float64(p.MoE.Intermediate) / tp
		k := float64(max(1, p.MoE.PerToken))
		if u.ExpertParallel {
			i = float64(p.MoE.Intermediate) // tokens stay, experts are whole
		}
		experts := 1.5 * k * (math.Max(2*i, h) + i) // what is sorted and padded for the kernels beside it, on four starts
		if p.MoE.Layers == p.Layers && !p.MoE.BesideDense {
			dense = 0
		}
		dense = math.Max(dense, experts)
	}
	return elementSize(nil, u) * (3*h + math.Max(attention, dense))
}

// encoderPeak is what profiling the image encoder takes, on few measurements: Qwen's towers see 16384 tokens an
// image by default, others a few hundred. Qwen2-VL and Qwen2.5-VL are profiled with a video of as many such frames as the
// context holds, at most 14 in pairs (get_num_frames_with_most_features): with a long context, many times an image.
func encoderPeak(p *model.Profile, u Use, r rules, context, seqs int) span {
	if !p.Vision || u.TextOnly || u.SkipEncoder {
		return span{}
	}
	switch {
	case p.ModelType == "mllama": // an image of all its tiles for every sequence, 1280 wide and four times that inside
		at := float64(seqs*p.CrossTokens) * (4*1280 + 2*4*1280/float64(max(1, u.TensorParallel))) * 2
		return span{at, 0.3 * at, 1.5*at + GiB}
	case strings.HasPrefix(p.ModelType, "qwen2_vl"), strings.HasPrefix(p.ModelType, "qwen2_5_vl"):
		frames := 1.0
		if !u.FewImages && !r.firstEngine {
			frames = math.Min(math.Max(math.Floor(float64(context)/16384), 1), 7)
		}
		if u.FewImages {
			return span{1.2 * GiB, 0.3 * GiB, 4 * GiB}
		}
		return span{2.2 * frames * GiB, 0.3 * frames * GiB, 2.6*frames*GiB + 1.4*GiB}
	case strings.HasPrefix(p.ModelType, "qwen") || p.ModelType == "dots_ocr":
		at := 2.4 * GiB
		if u.FewImages {
			at = 1.2 * GiB
		}
		return span{at, 0.3 * GiB, 4 * GiB}
	default:
		return span{0.5 * GiB, 0.1 * GiB, 2 * GiB}
	}
}

// graphs is the pool of CUDA graphs: 0.28 MiB a layer and captured size, on eight measured starts. The sizes are
// 1, 2, 4, then by eights to 256 and by sixteens to twice the sequences, at most 512.
func graphs(p *model.Profile, u Use, r rules, seqs int) (span, string) {
	if u.Eager {
		return span{}, "eager: none"
	}
	largest := min(2*seqs, 512)
	switch { // older releases capture all sizes
	case r.firstEngine:
		largest = 256
	case r.ncclInside:
		largest = 512
	}
	sizes := 0
	for _, s := range []int{1, 2, 4} {
		sizes += boolInt(s <= largest)
	}
	sizes += min(largest, 256) / 8
	if largest > 256 {
		step := 16
		if r.ncclInside {
			step = 8
		}
		sizes += (largest - 256) / step
	}
	at := float64(sizes) * float64(p.Layers) * 0.28 * (1 << 20)
	formula := fmt.Sprintf("%d sizes x %d layers x 0.28 MiB", sizes, p.Layers)
	if u.TensorParallel > 1 {
		at *= 2 // 1.4 to 3.0 times on four measured starts
		formula += " x 2 for several ranks"
	}
	return span{at, at * 0.3, at*2.2 + 0.3*GiB}, formula
}

// resident is what stays inside the budget besides weights and cache: kernels and libraries loaded while
// profiling, collective buffers, and on unified memory the processes themselves. "non-torch memory" of published starts:
// 0.02 to 0.1 GiB on one card; with the collectives inside, 1.4 on two Hopper cards and 1.8 to 2.5 on four or more,
// whose switch makes buffers of its own, 0.2 to 0.9 elsewhere.
func resident(u Use, r rules) (span, string) {
	s, what := span{0.1 * GiB, 0.02 * GiB, 0.4 * GiB}, "kernels and libraries"
	if ranks := u.TensorParallel * max(1, u.PipelineParallel); ranks > 1 {
		what += ", collective buffers"
		switch {
		case r.ncclInside && !r.firstEngine && u.GPU.switched() && ranks > 2:
			s.at, s.low, s.high = s.at+1.9*GiB, s.low+0.3*GiB, s.high+2.6*GiB
		case r.ncclInside && !r.firstEngine && u.GPU.switched():
			s.at, s.low, s.high = s.at+1.2*GiB, s.low+0.2*GiB, s.high+1.8*GiB
		case r.ncclInside:
			s.at, s.high = s.at+0.3*GiB, s.high+1.8*GiB
		default:
			s.at, s.high = s.at+0.2*GiB, s.high+0.8*GiB
		}
		if u.ExpertParallel {
			s.at, s.high = s.at+0.4*GiB, s.high+2*GiB
		}
	}
	if u.GPU.unified() {
		what += ", host memory of the engine"
		s.at, s.high = s.at+2.4*GiB, s.high+4.5*GiB
		if !r.known {
			s.high += 0.1 * float64(u.GPU.TotalBytes) // builds for such machines keep more, and differ
		}
	}
	switch {
	case r.countsOthers && r.firstEngine: // whatever else is on the card, the CUDA context first
		what += ", CUDA context"
		s.at, s.low, s.high = s.at+0.5*GiB, s.low+0.3*GiB, s.high+GiB
	case r.countsOthers: // and what the compiler loaded
		what += ", CUDA context"
		s.at, s.low, s.high = s.at+GiB, s.low+0.3*GiB, s.high+2*GiB
	}
	if share := u.Utilization; r.countsOthers && !u.AllStated && u.FreeBytes == 0 && share > 0 && share < 0.7 {
		s.high += (0.9 - share) * float64(u.GPU.TotalBytes) // a small share is for a card that others use
	}
	switch {
	case r.firstEngine && r.countsOthers:
		s.high += 1.5 * GiB
	case !r.known:
		s.high += 2.5 * GiB
	case r.firstEngine:
		s.high += 0.5 * GiB
	}
	return s, fmt.Sprintf("%s: about %.1f GiB", what, s.at/GiB)
}

// outside is what the share of the card that the engine leaves alone must hold: the CUDA context, collective
// buffers made before the snapshot, and graphs where they are not counted.
func outside(u Use, r rules, g span) span {
	s := span{0.45 * GiB, 0.3 * GiB, 0.8 * GiB}
	if u.TensorParallel > 1 && !r.ncclInside {
		s.at, s.low, s.high = s.at+0.4*GiB, s.low+0.2*GiB, s.high+GiB
	}
	if !r.graphsCounted {
		s.at, s.low, s.high = s.at+g.at, s.low+g.low, s.high+g.high
	}
	return s
}
