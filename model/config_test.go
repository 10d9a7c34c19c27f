package model

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// One config a family: what is read, in the family's own spelling.
func TestFromConfigFamilies(t *testing.T) {
	count := func(p Profile) string {
		var s []string
		for _, k := range []LayerKind{FullAttention, SlidingAttention, ChunkedAttention, LinearAttention, MambaLayer, HybridLayer, NoAttention} {
			if n := p.CountKind(k); n > 0 {
				s = append(s, fmt.Sprintf("%s:%d", k, n))
			}
		}
		return strings.Join(s, " ")
	}
	tests := []struct {
		name, config, kinds string
		check               func(Profile) bool
	}{
		{"dense", `{"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":4096,"num_hidden_layers":32,"num_attention_heads":32,"num_key_value_heads":8,"vocab_size":128256,"intermediate_size":14336,"max_position_embeddings":131072}`,
			"full_attention:32", func(p Profile) bool {
				return p.HeadDim == 128 && p.KVHeads == 8 && !p.TieEmbeddings && p.Parameters == 8030261248
			}},
		{"nested text config", `{"architectures":["Gemma3ForConditionalGeneration"],"model_type":"gemma3","vision_config":{"num_hidden_layers":27,"hidden_size":1152,"intermediate_size":4304},
			"text_config":{"model_type":"gemma3_text","hidden_size":2560,"num_hidden_layers":34,"num_attention_heads":8,"num_key_value_heads":4,"intermediate_size":10240,"vocab_size":262208,"sliding_window":1024,"max_position_embeddings":131072}}`,
			"full_attention:5 sliding_attention:29", func(p Profile) bool {
				return p.HeadDim == 256 && p.Vision && p.TieEmbeddings && p.TextModelType == "gemma3_text" && p.VisionTower.Parameters > 400e6
			}},
		{"thinker", `{"model_type":"qwen3_omni_moe","thinker_config":{"text_config":{"num_hidden_layers":4,"hidden_size":64,"num_attention_heads":4},"vision_config":{"depth":2,"hidden_size":32}}}`,
			"full_attention:4", func(p Profile) bool { return p.Hidden == 64 && p.Vision }},
		{"latent attention", `{"model_type":"deepseek_v3","hidden_size":7168,"num_hidden_layers":61,"num_attention_heads":128,"kv_lora_rank":512,"q_lora_rank":1536,"qk_nope_head_dim":128,"qk_rope_head_dim":64,"v_head_dim":128,
			"n_routed_experts":256,"num_experts_per_tok":8,"n_shared_experts":1,"moe_intermediate_size":2048,"intermediate_size":18432,"first_k_dense_replace":3,"moe_layer_freq":1,"vocab_size":129280,"num_nextn_predict_layers":1,
			"quantization_config":{"quant_method":"fp8","weight_block_size":[128,128]}}`,
			"full_attention:61", func(p Profile) bool {
				return p.MLA.KVLoraRank == 512 && p.MoE.Layers == 58 && p.MoE.SharedIntermediate == 2048 && p.MTPLayers == 1 && p.Quant.Bits == 8 && p.Parameters > 670e9 && p.ActiveParameters < 40e9
			}},
		{"gated delta net", `{"model_type":"qwen3_next","hidden_size":2048,"num_hidden_layers":48,"num_attention_heads":16,"num_key_value_heads":2,"linear_num_value_heads":32,"linear_num_key_heads":16,"linear_key_head_dim":128,"linear_value_head_dim":128,"linear_conv_kernel_dim":4}`,
			"full_attention:12 linear_attention:36", func(p Profile) bool { return p.GatedQuery && p.HeadDim == 256 && p.Mamba.Kind == "gdn" }},
		{"nemotron-h", `{"model_type":"nemotron_h","num_hidden_layers":6,"hidden_size":64,"num_attention_heads":4,"hybrid_override_pattern":"MEM*-M","mamba_num_heads":8,"mamba_head_dim":16,"ssm_state_size":32,"n_groups":2,"conv_kernel":4,"n_routed_experts":8,"moe_intermediate_size":32}`,
			"full_attention:1 mamba:3 none:2", func(p Profile) bool { return p.Mamba.Inner == 128 && p.MoE.Layers == 1 && p.PlainMLP }},
		{"jamba", `{"model_type":"jamba","num_hidden_layers":8,"hidden_size":64,"num_attention_heads":4,"attn_layer_period":8,"attn_layer_offset":4,"mamba_d_state":16,"mamba_d_conv":4,"mamba_expand":2}`,
			"full_attention:1 mamba:7", func(p Profile) bool { return p.Mamba.Kind == "mamba1" && p.Mamba.Inner == 128 }},
		{"falcon-h1", `{"model_type":"falcon_h1","num_hidden_layers":4,"hidden_size":64,"num_attention_heads":4,"mamba_n_heads":8,"mamba_d_head":16,"mamba_d_state":32}`,
			"attention_and_mamba:4", func(p Profile) bool { return p.Mamba.Kind == "mamba2" }},
		{"lfm2", `{"model_type":"lfm2","num_hidden_layers":3,"hidden_size":64,"num_attention_heads":4,"conv_L_cache":3,"layer_types":["conv","conv","full_attention"]}`,
			"full_attention:1 mamba:2", func(p Profile) bool { return p.Mamba.Kind == "short_conv" && p.TieEmbeddings }},
		{"chunks", `{"model_type":"llama4","text_config":{"model_type":"llama4_text","num_hidden_layers":8,"hidden_size":64,"num_attention_heads":4,"attention_chunk_size":8192}}`,
			"full_attention:2 chunked_attention:6", func(p Profile) bool { return p.ChunkSize == 8192 }},
		{"window switched off", `{"model_type":"qwen2","num_hidden_layers":4,"hidden_size":64,"num_attention_heads":4,"sliding_window":4096,"use_sliding_window":false,"max_window_layers":2,"max_position_embeddings":32768}`,
			"full_attention:4", func(p Profile) bool { return p.SlidingWindow == 0 }},
		{"window on upper layers", `{"model_type":"qwen2","num_hidden_layers":4,"hidden_size":64,"num_attention_heads":4,"sliding_window":4096,"use_sliding_window":true,"max_window_layers":3,"max_position_embeddings":32768}`,
			"full_attention:3 sliding_attention:1", func(p Profile) bool { return true }},
		{"encoder", `{"architectures":["BertModel"],"model_type":"bert","num_hidden_layers":12,"hidden_size":384,"num_attention_heads":12,"intermediate_size":1536,"vocab_size":30522}`,
			"", func(p Profile) bool { return p.EncoderOnly && p.Parameters > 30e6 }},
		{"multi-query", `{"model_type":"falcon","num_hidden_layers":32,"hidden_size":4544,"num_attention_heads":71,"multi_query":true}`,
			"full_attention:32", func(p Profile) bool { return p.KVHeads == 1 && p.HeadDim == 64 }},
		{"yarn", `{"model_type":"qwen2","num_hidden_layers":1,"hidden_size":64,"num_attention_heads":1,"max_position_embeddings":32768,"rope_scaling":{"type":"yarn","factor":4.0,"original_max_position_embeddings":32768}}`,
			"full_attention:1", func(p Profile) bool { return p.MaxPosition == 131072 }},
		{"prediction layers after the last", `{"model_type":"mimo","num_hidden_layers":2,"hidden_size":64,"num_attention_heads":2,"layer_types":["full_attention","sliding_attention","full_attention"],"sliding_window":8,"max_position_embeddings":64}`,
			"full_attention:1 sliding_attention:1", func(p Profile) bool { return true }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := FromConfig([]byte(tt.config), Sizes{})
			if err != nil {
				t.Fatal(err)
			}
			if got := count(p); got != tt.kinds {
				t.Errorf("layers %q, want %q", got, tt.kinds)
			}
			if !tt.check(p) {
				t.Errorf("%+v mamba %+v moe %+v quant %+v", p, p.Mamba, p.MoE, p.Quant)
			}
		})
	}
}

// How many bytes a weight of a role takes, by quantiser.
func TestStoredBytes(t *testing.T) {
	tests := []struct {
		name, quant, beside, role string
		want                      float64
		cache                     string
	}{
		{"none", ``, ``, "mlp", 2, ""},
		{"awq", `{"quant_method":"awq","bits":4,"group_size":128,"zero_point":true}`, ``, "mlp", 0.51953125, ""},
		{"gptq sym", `{"quant_method":"gptq","bits":4,"group_size":128,"sym":true}`, ``, "attention", 0.515625, ""},
		{"fp8 blocks", `{"quant_method":"fp8","weight_block_size":[128,128]}`, ``, "expert", 1 + 4.0/16384, ""},
		{"fp8 leaves tables", `{"quant_method":"fp8"}`, ``, "embedding", 2, ""},
		{"mxfp4 experts", `{"quant_method":"mxfp4"}`, ``, "expert", 0.53125, ""},
		{"mxfp4 attention", `{"quant_method":"mxfp4"}`, ``, "attention", 2, ""},
		{"compressed int4", `{"quant_method":"compressed-tensors","format":"pack-quantized","config_groups":{"g":{"targets":["Linear"],"weights":{"num_bits":4,"type":"int","group_size":128,"symmetric":true}}},"ignore":["lm_head"]}`, ``, "mlp", 0.515625, ""},
		{"compressed nvfp4", `{"quant_method":"compressed-tensors","format":"nvfp4-pack-quantized","config_groups":{"g":{"targets":["Linear"],"weights":{"num_bits":4,"type":"float","group_size":16}}},"ignore":["re:.*self_attn.*"]}`, ``, "attention", 2, ""},
		{"compressed cache", `{"quant_method":"compressed-tensors","config_groups":{"g":{"targets":["Linear"],"weights":{"num_bits":8,"type":"float"}}},"kv_cache_scheme":{"num_bits":8,"type":"float"}}`, ``, "mlp", 1 + 4.0/4096, "fp8"},
		{"modelopt beside", ``, `{"quantization":{"quant_algo":"NVFP4","kv_cache_quant_algo":"FP8","group_size":16,"exclude_modules":["lm_head"]}}`, "mlp", 0.5625, "fp8"},
		{"modelopt mixed", `{"quant_method":"modelopt","quant_algo":"MIXED_PRECISION","config_groups":{"a":{"weights":{"num_bits":8,"type":"float"},"targets":["model.layers.0.self_attn.q_proj"]},"b":{"weights":{"num_bits":4,"type":"float","group_size":16},"targets":["model.layers.0.mlp.experts"]}}}`, ``, "expert", 0.5625, ""},
		{"modelopt mixed attention", `{"quant_method":"modelopt","quant_algo":"MIXED_PRECISION","config_groups":{"a":{"weights":{"num_bits":8,"type":"float"},"targets":["model.layers.0.self_attn.q_proj"]},"b":{"weights":{"num_bits":4,"type":"float","group_size":16},"targets":["model.layers.0.mlp.experts"]}}}`, ``, "attention", 1 + 4.0/4096, ""},
		{"bitsandbytes", `{"quant_method":"bitsandbytes","load_in_4bit":true}`, ``, "mlp", 0.5625, ""},
		{"half the layers left whole", `{"quant_method":"fp8","modules_to_not_convert":["model.layers.0.mlp","model.layers.1.mlp"]}`, ``, "mlp", 0.5*2 + 0.5*(1+4.0/4096), ""},
		{"old gptq file", ``, `{"bits":4,"group_size":32,"sym":true}`, "mlp", 0.5625, ""},
		{"old awq file", ``, `{"w_bit":4,"q_group_size":128,"zero_point":true}`, "mlp", 0.51953125, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			config := `{"num_hidden_layers":4,"hidden_size":64`
			if tt.quant != "" {
				config += `,"quantization_config":` + tt.quant
			}
			p, err := FromConfig([]byte(config+"}"), Sizes{QuantConfig: []byte(tt.beside)})
			if err != nil {
				t.Fatal(err)
			}
			got, _ := p.Quant.StoredBytes(tt.role, p.Layers, 2)
			if got < tt.want*0.9999 || got > tt.want*1.0001 {
				t.Errorf("%g bytes a weight, want %g (%+v)", got, tt.want, p.Quant)
			}
			if p.Quant != nil && p.Quant.KVCacheDType != tt.cache {
				t.Errorf("cache %q, want %q", p.Quant.KVCacheDType, tt.cache)
			}
		})
	}
}

func TestHostileConfigs(t *testing.T) {
	deep := strings.Repeat(`{"text_config":`, 1000) + "{}" + strings.Repeat("}", 1000)
	for name, config := range map[string]string{
		"empty": "", "cut": `{"a":`, "list": `[1]`, "two": `{}{}`, "deep": deep, "huge": `{"x":"` + strings.Repeat("a", MaxConfigBytes) + `"}`,
		"million layers": `{"num_hidden_layers":1000000}`, "negative": `{"vocab_size":-2}`, "fraction": `{"hidden_size":1.5}`, "text": `{"num_hidden_layers":"32"}`,
		"infinite": `{"hidden_size":1e999}`, "overflow": `{"hidden_size":9223372036854775808}`, "nested negative": `{"text_config":{"num_attention_heads":-1000}}`,
		"experts": `{"num_experts":1000000}`, "tower": `{"model_type":"qwen2_vl","vision_config":{"depth":100000}}`,
	} {
		_, err := FromConfig([]byte(config), Sizes{})
		var bad *ConfigError
		if !errors.As(err, &bad) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseHeader(t *testing.T) {
	good := `{"__metadata__":{"a":"b"},"x":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]},"y":{"dtype":"F4","shape":[3],"data_offsets":[12,14]}}`
	got, err := ParseHeader([]byte(good), int64(len(good))+8+14)
	if err != nil || len(got) != 2 || got[0].Elements != 6 || got[1].Bytes != 2 {
		t.Fatalf("%v %v", got, err)
	}
	for name, h := range map[string]string{
		"cut": good[:40], "twice": `{"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"x":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`,
		"overlap": `{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"y":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`,
		"size":    `{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, "type": `{"x":{"dtype":"F99","shape":[1],"data_offsets":[0,1]}}`,
		"negative": `{"x":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}`, "backwards": `{"x":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}}`,
		"overflow": `{"x":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, "outside": `{"x":{"dtype":"U8","shape":[1000],"data_offsets":[0,1000]}}`,
		"trailing": `{}{}`, "list": `[]`,
	} {
		var bad *HeaderError
		if _, err := ParseHeader([]byte(h), 500); !errors.As(err, &bad) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHeaderLength(t *testing.T) {
	le := func(n uint64) []byte {
		return []byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24), byte(n >> 32), byte(n >> 40), byte(n >> 48), byte(n >> 56)}
	}
	tests := []struct {
		first []byte
		file  int64
		ok    bool
	}{
		{le(100), 0, true}, {le(100), 108, true}, {le(100), 107, false}, {le(1), 0, false}, {le(10 << 30), 0, false}, {le(1 << 63), 0, false}, {le(MaxHeaderBytes), 0, true}, {le(MaxHeaderBytes + 1), 0, false}, {le(100)[:7], 0, false},
	}
	for _, tt := range tests {
		if _, err := HeaderLength(tt.first, tt.file); (err == nil) != tt.ok {
			t.Errorf("% x of %d bytes: %v", tt.first, tt.file, err)
		}
	}
}

func TestPythonsInfinitiesAreRead(t *testing.T) {
	t.Parallel()
	p, err := FromConfig([]byte(`{"architectures":["NemotronHForCausalLM"],"model_type":"nemotron_h","time_step_limit":[0.0, Infinity],"x":-Infinity,"y":NaN,
		"note":"Infinity \" NaN","num_hidden_layers":4,"hidden_size":256,"hybrid_override_pattern":"M*-M"}`), Sizes{})
	if err != nil || p.Layers != 4 || len(p.LayerKinds) != 4 {
		t.Fatalf("got %d layers, kinds %v, error %v", p.Layers, p.LayerKinds, err)
	}
	for _, bad := range []string{`{"a":Inf}`, `{"a":NaNs}`, `{"a":Infinity`, `{"a":"Infinity`} {
		if _, err := FromConfig([]byte(bad), Sizes{}); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}

// TestLayersWithoutANumber: Nemotron 3 Ultra lists its layers and leaves the number out.
func TestLayersWithoutANumber(t *testing.T) {
	t.Parallel()
	p, err := FromConfig([]byte(`{"architectures":["NemotronHForCausalLM"],"model_type":"nemotron_h","hidden_size":64,"layers_block_type":["mamba","moe","mamba","attention"],"n_routed_experts":4,"moe_intermediate_size":32}`), Sizes{})
	if err != nil || p.Layers != 4 || p.MoE == nil || p.MoE.Layers != 1 || p.CountKind(MambaLayer) != 2 || p.CountKind(FullAttention) != 1 {
		t.Fatalf("%d layers, experts %+v, error %v", p.Layers, p.MoE, err)
	}
}

// TestEncoderLayersAreNoPrediction: Whisper turbo has 32 encoder and 4 decoder layers; the later encoder layers were
// once taken for prediction layers beyond the fourth.
func TestEncoderLayersAreNoPrediction(t *testing.T) {
	t.Parallel()
	config := `{"architectures":["WhisperForConditionalGeneration"],"model_type":"whisper","d_model":1280,"decoder_layers":4,"encoder_layers":32,"decoder_attention_heads":20,"vocab_size":51866,"max_source_positions":1500,"max_target_positions":448}`
	p, err := FromConfig([]byte(config), Sizes{Tensors: []Tensor{{Name: "model.encoder.layers.30.fc1.weight", DType: "F16", Elements: 10, Bytes: 20}}})
	if err != nil || len(p.Tensors) != 1 || p.Tensors[0].Role == "mtp" || p.CrossTokens != 1500 {
		t.Fatalf("%+v, %v", p.Tensors, err)
	}
	deepseek := `{"architectures":["DeepseekV3ForCausalLM"],"model_type":"deepseek_v3","hidden_size":64,"num_hidden_layers":3,"num_nextn_predict_layers":1}`
	p, err = FromConfig([]byte(deepseek), Sizes{Tensors: []Tensor{{Name: "model.layers.3.mlp.up_proj.weight", DType: "BF16", Elements: 10, Bytes: 20}}})
	if err != nil || p.Tensors[0].Role != "mtp" {
		t.Fatalf("%+v, %v", p.Tensors, err)
	}
}

// TestRotaryTables against the buffers of vLLM 0.32's own classes.
func TestRotaryTables(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		config string
		want   int64
	}{
		"plain":       {`{"model_type":"qwen3","num_hidden_layers":1,"hidden_size":1024,"num_attention_heads":16,"head_dim":128,"max_position_embeddings":40960}`, 40960 * 128 * 2},
		"yarn":        {`{"model_type":"deepseek_v3","num_hidden_layers":1,"num_attention_heads":128,"kv_lora_rank":512,"qk_rope_head_dim":64,"hidden_size":7168,"max_position_embeddings":163840,"rope_scaling":{"type":"yarn","factor":40,"original_max_position_embeddings":4096}}`, 163840 * 64 * 2},
		"two kinds":   {`{"model_type":"gemma4_text","num_hidden_layers":2,"num_attention_heads":16,"hidden_size":2816,"head_dim":256,"global_head_dim":512,"max_position_embeddings":262144,"rope_parameters":{"full_attention":{"rope_theta":1e6},"sliding_attention":{"rope_theta":1e4}}}`, 262144 * (256 + 512) * 2},
		"partial":     {`{"model_type":"qwen3_5_text","num_hidden_layers":1,"num_attention_heads":24,"hidden_size":5120,"head_dim":256,"max_position_embeddings":262144,"rope_parameters":{"partial_rotary_factor":0.25}}`, 262144 * 64 * 2},
		"two bases":   {`{"model_type":"gemma3_text","num_hidden_layers":1,"num_attention_heads":4,"hidden_size":1152,"head_dim":256,"max_position_embeddings":32768,"rope_local_base_freq":10000}`, 2 * 32768 * 256 * 2},
		"three axes":  {`{"architectures":["Qwen3VLForConditionalGeneration"],"model_type":"qwen3_vl","text_config":{"model_type":"qwen3_vl_text","num_hidden_layers":1,"num_attention_heads":16,"hidden_size":2048,"head_dim":128,"max_position_embeddings":262144}}`, 4 * 262144 * 128 * 2}, // 3.4554 GiB of a published start hold 0.25 of it
		"linear":      {`{"model_type":"gemma3_text","num_hidden_layers":1,"num_attention_heads":32,"hidden_size":5376,"head_dim":128,"max_position_embeddings":131072,"rope_local_base_freq":10000,"rope_scaling":{"factor":8,"rope_type":"linear"}}`, (8 + 1) * 131072 * 128 * 2},
		"no rotation": {`{"model_type":"opt","num_hidden_layers":1,"num_attention_heads":12,"hidden_size":768,"max_position_embeddings":2048}`, 0},
	} {
		p, err := FromConfig([]byte(tt.config), Sizes{})
		if err != nil || p.RotaryBytes != tt.want {
			t.Errorf("%s: %d bytes, want %d (%v)", name, p.RotaryBytes, tt.want, err)
		}
	}
}

// TestSharedIndexers: GLM 5.2 chooses for every fourth layer; 400000 tokens cost 53940 bytes each in a published start.
func TestSharedIndexers(t *testing.T) {
	t.Parallel()
	base := `{"architectures":["GlmMoeDsaForCausalLM"],"model_type":"glm_moe_dsa","hidden_size":6144,"num_hidden_layers":78,"num_attention_heads":64,"kv_lora_rank":512,"qk_rope_head_dim":64,"index_head_dim":128,"index_n_heads":32,"index_topk":2048`
	for rest, want := range map[string]int{
		``: 0,
		`,"index_topk_freq":4,"index_skip_topk_offset":3`:          21,
		`,"index_topk_pattern":"` + strings.Repeat("FS", 39) + `"`: 39,
		`,"index_topk_freq":1`:                                     0,
	} {
		p, err := FromConfig([]byte(base+rest+`}`), Sizes{})
		if err != nil || p.MLA == nil || p.MLA.IndexLayers != want {
			t.Errorf("%q: %+v, want %d (%v)", rest, p.MLA, want, err)
		}
	}
}

// TestBlocksOfTheirOwn: Nemotron NAS searched each layer's blocks; 5.25 of 8192 are 28672 wide.
func TestBlocksOfTheirOwn(t *testing.T) {
	t.Parallel()
	p, err := FromConfig([]byte(`{"architectures":["DeciLMForCausalLM"],"model_type":"nemotron-nas","hidden_size":8192,"num_hidden_layers":3,"num_attention_heads":64,"vocab_size":128256,"max_position_embeddings":131072,"tie_word_embeddings":false,
		"block_configs":[{"attention":{"n_heads_in_group":8},"ffn":{"ffn_mult":5.25}},{"attention":{"no_op":true},"ffn":{"ffn_mult":2.625}},{"attention":{"n_heads_in_group":8},"ffn":{"no_op":true}}]}`), Sizes{})
	if err != nil || p.WidthSum != 28672+14336 || p.KVHeads != 8 || p.CountKind(FullAttention) != 2 {
		t.Fatalf("widths %d, %d KV heads, kinds %v, %v", p.WidthSum, p.KVHeads, p.LayerKinds, err)
	}
	silent, err := FromConfig([]byte(`{"architectures":["DeciLMForCausalLM"],"model_type":"nemotron-nas","hidden_size":8192,"num_hidden_layers":1,"num_attention_heads":64,"vocab_size":128256,
		"block_configs":[{"attention":{},"ffn":{"ffn_mult":5.25}}]}`), Sizes{})
	if err != nil || silent.CountKind(FullAttention) != 1 {
		t.Errorf("a block that does not say its groups: kinds %v, %v", silent.LayerKinds, err)
	}
	attention := int64(2 * 8192 * (2*8192 + 2*1024))
	norms := int64(7 * 8192)
	if want := 2*128256*8192 + attention + 3*8192*(28672+14336) + norms; p.Parameters != want {
		t.Errorf("%d parameters, want %d", p.Parameters, want)
	}
}
