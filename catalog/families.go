package catalog

import (
	"strconv"
	"strings"
)

// NamedModel is what a model's name alone says: its architecture, its size, how its weights are stored. It is weaker
// than a config (standing Reported), and empty fields are not known.
type NamedModel struct {
	Name         string
	Architecture string
	ModelType    string
	Quant        string  // "mxfp4", "fp8", "awq", "gptq", "nvfp4", "bitsandbytes", "gguf", "int4", "int8", "w8a8"
	Bits         float64 // of the quantised linears; 16 when the name says nothing
	Parameters   int64   // from "72B", "30B-A3B", "8x7B"; 0 not known
	MoE          bool
	Shape        *Shape
	SameShape    string // an embedded model of the very same shape
}

// sameShape names the embedded model whose config has the same numbers.
var sameShape = map[string]string{
	"deepseek-coder-v2-lite": "deepseek-ai/DeepSeek-V2-Lite", "deepseek-v2-lite": "deepseek-ai/DeepSeek-V2-Lite",
	"deepseek-coder-v2-instruct": "deepseek-ai/DeepSeek-Coder-V2-Instruct", "deepseek-v2-chat": "deepseek-ai/DeepSeek-Coder-V2-Instruct",
	"deepseek-v3-0324": "deepseek-ai/DeepSeek-V3", "deepseek-r1-0528": "deepseek-ai/DeepSeek-R1",
}

// Shape is the part of a config that decides division and cache, for well-known models whose config is not embedded
// whole.
type Shape struct {
	Layers, Hidden, Intermediate, Heads, KVHeads, HeadDim, Vocab, MaxPosition int
	Experts, ExpertIntermediate                                               int
	Tied                                                                      bool
}

// FamilySource says where the table of names comes from.
const FamilySource = "the family's published config.json on huggingface.co"

type family struct {
	pattern, architecture, modelType string
}

// families, the most specific pattern first. "*" stands for anything; a pattern may match anywhere in the name.
var families = []family{
	{"deepseek-r1-0528-qwen3", "Qwen3ForCausalLM", "qwen3"},
	{"deepseek-r1-distill-qwen", "Qwen2ForCausalLM", "qwen2"}, {"deepseek-r1-distill-llama", "LlamaForCausalLM", "llama"},
	{"deepseek-v4.1", "DeepseekV41ForCausalLM", "deepseek_v41"}, {"deepseek-v4", "DeepseekV4ForCausalLM", "deepseek_v4"},
	{"deepseek-v3.2", "DeepseekV32ForCausalLM", "deepseek_v32"}, {"deepseek-v3", "DeepseekV3ForCausalLM", "deepseek_v3"}, {"deepseek-r1", "DeepseekV3ForCausalLM", "deepseek_v3"},
	{"deepseek-coder-v2", "DeepseekV2ForCausalLM", "deepseek_v2"}, {"deepseek-v2", "DeepseekV2ForCausalLM", "deepseek_v2"},
	{"deepseek-ocr-2", "DeepseekOCR2ForCausalLM", "deepseek_vl_v2"}, {"deepseek-ocr", "DeepseekOCRForCausalLM", "deepseek_vl_v2"}, {"deepseek-vl2", "DeepseekVLV2ForCausalLM", "deepseek_vl_v2"},
	{"deepseek-moe", "DeepseekForCausalLM", "deepseek"}, {"deepseek-coder", "LlamaForCausalLM", "llama"}, {"deepseek-llm", "LlamaForCausalLM", "llama"},
	{"kimi-k3", "KimiK3ForConditionalGeneration", "kimi_k3"}, {"kimi-k2.5", "KimiK25ForConditionalGeneration", "kimi_k25"}, {"kimi-k2.6", "KimiK25ForConditionalGeneration", "kimi_k25"},
	{"kimi-k2", "DeepseekV3ForCausalLM", "kimi_k2"}, {"kimi-linear", "KimiLinearForCausalLM", "kimi_linear"}, {"kimi-vl", "KimiVLForConditionalGeneration", "kimi_vl"},
	{"kimi-audio", "MoonshotKimiaForCausalLM", ""}, {"moonlight", "DeepseekV3ForCausalLM", "deepseek_v3"},
	{"gpt-oss", "GptOssForCausalLM", "gpt_oss"}, {"gptoss", "GptOssForCausalLM", "gpt_oss"},
	{"qwen3.8-flash-next", "Qwen4ExpForConditionalGeneration", "qwen4_exp"},
	{"qwen3.5*-a*b", "Qwen3_5MoeForConditionalGeneration", "qwen3_5_moe"}, {"qwen3.6*-a*b", "Qwen3_5MoeForConditionalGeneration", "qwen3_5_moe"}, {"qwen3.8*-a*b", "Qwen3_5MoeForConditionalGeneration", "qwen3_5_moe"},
	{"qwen3.5", "Qwen3_5ForConditionalGeneration", "qwen3_5"}, {"qwen3.6", "Qwen3_5ForConditionalGeneration", "qwen3_5"}, {"qwen3.8", "Qwen3_5ForConditionalGeneration", "qwen3_5"},
	{"qwen3-vl*-a*b", "Qwen3VLMoeForConditionalGeneration", "qwen3_vl_moe"}, {"qwen3-vl", "Qwen3VLForConditionalGeneration", "qwen3_vl"},
	{"qwen3-omni", "Qwen3OmniMoeForConditionalGeneration", "qwen3_omni_moe"}, {"qwen3-asr", "Qwen3ASRForConditionalGeneration", "qwen3_asr"},
	{"qwen3-coder-next", "Qwen3NextForCausalLM", "qwen3_next"}, {"qwen3-next", "Qwen3NextForCausalLM", "qwen3_next"},
	{"qwen3-reranker", "Qwen3ForSequenceClassification", "qwen3"}, {"qwen3-embedding", "Qwen3ForCausalLM", "qwen3"},
	{"qwen3*-a*b", "Qwen3MoeForCausalLM", "qwen3_moe"}, {"qwen3-coder", "Qwen3MoeForCausalLM", "qwen3_moe"}, {"qwen3", "Qwen3ForCausalLM", "qwen3"},
	{"qwen2.5-omni", "Qwen2_5OmniModel", "qwen2_5_omni"}, {"qwen2.5-vl", "Qwen2_5_VLForConditionalGeneration", "qwen2_5_vl"},
	{"qwen2-vl", "Qwen2VLForConditionalGeneration", "qwen2_vl"}, {"qvq", "Qwen2VLForConditionalGeneration", "qwen2_vl"}, {"qwen2-audio", "Qwen2AudioForConditionalGeneration", "qwen2_audio"},
	{"qwen2.5-math-rm", "Qwen2ForRewardModel", "qwen2"}, {"qwen2.5-math-prm", "Qwen2ForProcessRewardModel", "qwen2"},
	{"qwen1.5-moe", "Qwen2MoeForCausalLM", "qwen2_moe"}, {"qwen2*-a*b", "Qwen2MoeForCausalLM", "qwen2_moe"},
	{"qwen2.5", "Qwen2ForCausalLM", "qwen2"}, {"qwen2", "Qwen2ForCausalLM", "qwen2"}, {"qwen1.5", "Qwen2ForCausalLM", "qwen2"}, {"qwq", "Qwen2ForCausalLM", "qwen2"},
	{"qwen-vl", "QwenVLForConditionalGeneration", "qwen"}, {"qwen-*b", "QWenLMHeadModel", "qwen"},
	{"llama-4", "Llama4ForConditionalGeneration", "llama4"}, {"llama4", "Llama4ForConditionalGeneration", "llama4"},
	{"llama-3.2*vision", "MllamaForConditionalGeneration", "mllama"}, {"llama-3_3-nemotron-super", "DeciLMForCausalLM", "nemotron-nas"}, {"llama-3-3-nemotron-super", "DeciLMForCausalLM", "nemotron-nas"},
	{"llama-3.3-nemotron-super", "DeciLMForCausalLM", "nemotron-nas"}, {"llama-3_1-nemotron-51b", "DeciLMForCausalLM", "nemotron-nas"}, {"llama-3-1-nemotron-51b", "DeciLMForCausalLM", "nemotron-nas"},
	{"nemotron-3-*omni", "NemotronH_Nano_Omni_Reasoning_V3", ""}, {"nemotron-3", "NemotronHForCausalLM", "nemotron_h"}, {"nemotron-h", "NemotronHForCausalLM", "nemotron_h"}, {"nemotron-nano-9b-v2", "NemotronHForCausalLM", "nemotron_h"},
	{"nemotron-content-safety-reasoning", "Gemma3ForCausalLM", "gemma3_text"}, {"nemotron-4", "NemotronForCausalLM", "nemotron"}, {"minitron", "NemotronForCausalLM", "nemotron"},
	{"llava-onevision", "LlavaOnevisionForConditionalGeneration", "llava_onevision"}, {"llava-v1.6", "LlavaNextForConditionalGeneration", "llava_next"}, {"llava-next-video", "LlavaNextVideoForConditionalGeneration", "llava_next_video"}, {"llava-1.5", "LlavaForConditionalGeneration", "llava"},
	{"llama", "LlamaForCausalLM", "llama"}, {"vicuna", "LlamaForCausalLM", "llama"}, {"wizardlm", "LlamaForCausalLM", "llama"}, {"yi-vl", "LlavaForConditionalGeneration", "llava"}, {"yi-coder", "LlamaForCausalLM", "llama"}, {"yi-34b", "LlamaForCausalLM", "llama"}, {"yi-6b", "LlamaForCausalLM", "llama"}, {"yi-1.5", "LlamaForCausalLM", "llama"},
	{"gemma-4-12b", "Gemma4UnifiedForConditionalGeneration", "gemma4_unified"}, {"gemma-4", "Gemma4ForConditionalGeneration", "gemma4"}, {"gemma4", "Gemma4ForConditionalGeneration", "gemma4"},
	{"gemma-3n", "Gemma3nForConditionalGeneration", "gemma3n"}, {"embeddinggemma", "Gemma3TextModel", "gemma3_text"}, {"vaultgemma", "VaultGemmaForCausalLM", "vaultgemma"}, {"diffusiongemma", "DiffusionGemmaForBlockDiffusion", "diffusion_gemma"},
	{"gemma-3-1b", "Gemma3ForCausalLM", "gemma3_text"}, {"gemma-3-270m", "Gemma3ForCausalLM", "gemma3_text"}, {"gemma-3", "Gemma3ForConditionalGeneration", "gemma3"}, {"medgemma", "Gemma3ForConditionalGeneration", "gemma3"}, {"paligemma", "PaliGemmaForConditionalGeneration", "paligemma"},
	{"gemma-2-", "Gemma2ForCausalLM", "gemma2"}, {"gemma2", "Gemma2ForCausalLM", "gemma2"}, {"shieldgemma", "Gemma2ForCausalLM", "gemma2"}, {"gemma-", "GemmaForCausalLM", "gemma"},
	{"mixtral", "MixtralForCausalLM", "mixtral"}, {"pixtral-large", "PixtralForConditionalGeneration", "pixtral"}, {"pixtral", "PixtralForConditionalGeneration", "pixtral"},
	{"voxtral*realtime", "VoxtralRealtimeGeneration", ""}, {"voxtral", "VoxtralForConditionalGeneration", "voxtral"},
	{"mistral-large-3", "MistralLarge3ForCausalLM", ""}, {"ministral-3", "Mistral3ForConditionalGeneration", "mistral3"}, {"mistral-3-", "Mistral3ForConditionalGeneration", "mistral3"}, {"devstral-small-2-", "Mistral3ForConditionalGeneration", "mistral3"},
	{"mistral-small-3.1", "Mistral3ForConditionalGeneration", "mistral3"}, {"mistral-small-3.2", "Mistral3ForConditionalGeneration", "mistral3"}, {"magistral-small-2509", "Mistral3ForConditionalGeneration", "mistral3"},
	{"mistral-small-4", "Mistral3ForConditionalGeneration", "mistral3"}, {"mamba-codestral", "Mamba2ForCausalLM", "mamba2"},
	{"mistral", "MistralForCausalLM", "mistral"}, {"codestral", "MistralForCausalLM", "mistral"}, {"devstral", "MistralForCausalLM", "mistral"}, {"magistral", "MistralForCausalLM", "mistral"}, {"ministral", "MistralForCausalLM", "mistral"}, {"zephyr-7b", "MistralForCausalLM", "mistral"},
	{"glm-4.7-flash", "Glm4MoeLiteForCausalLM", "glm4_moe_lite"}, {"glm-5.3-flash", "Glm5NextForConditionalGeneration", "glm5_next"}, {"glm-5", "GlmMoeDsaForCausalLM", "glm_moe_dsa"},
	{"glm-4.5v", "Glm4vMoeForConditionalGeneration", "glm4v_moe"}, {"glm-4.6v-flash", "Glm4vForConditionalGeneration", "glm4v"}, {"glm-4.6v", "Glm4vMoeForConditionalGeneration", "glm4v_moe"}, {"glm-4.1v", "Glm4vForConditionalGeneration", "glm4v"},
	{"glm-4.5", "Glm4MoeForCausalLM", "glm4_moe"}, {"glm-4.6", "Glm4MoeForCausalLM", "glm4_moe"}, {"glm-4.7", "Glm4MoeForCausalLM", "glm4_moe"}, {"glm-ocr", "GlmOcrForConditionalGeneration", "glm_ocr"},
	{"glm-4v", "GLM4VForCausalLM", "chatglm"}, {"glm-4*0414", "Glm4ForCausalLM", "glm4"}, {"glm-z1", "Glm4ForCausalLM", "glm4"}, {"glm-4-*-hf", "GlmForCausalLM", "glm"}, {"glm-edge", "GlmForCausalLM", "glm"},
	{"glm-4", "ChatGLMModel", "chatglm"}, {"glm4-", "ChatGLMModel", "chatglm"}, {"chatglm", "ChatGLMModel", "chatglm"}, {"codegeex4", "ChatGLMModel", "chatglm"},
	{"phi-4-mini-flash", "Phi4FlashForCausalLM", "phi4flash"}, {"phi-4-multimodal", "Phi4MMForCausalLM", "phi4mm"}, {"phi-4-reasoning-vision", "Phi4ForCausalLMV", ""}, {"phi-3.5-moe", "PhiMoEForCausalLM", "phimoe"}, {"phi-tiny-moe", "PhiMoEForCausalLM", "phimoe"},
	{"phi-3.5-vision", "Phi3VForCausalLM", "phi3_v"}, {"phi-3-vision", "Phi3VForCausalLM", "phi3_v"}, {"phi-3-small", "Phi3SmallForCausalLM", "phi3small"}, {"phi-3", "Phi3ForCausalLM", "phi3"}, {"phi-4", "Phi3ForCausalLM", "phi3"}, {"phi-2", "PhiForCausalLM", "phi"}, {"phi-1", "PhiForCausalLM", "phi"},
	{"minimax-text-01", "MiniMaxText01ForCausalLM", "minimax_text_01"}, {"minimax-vl-01", "MiniMaxVL01ForConditionalGeneration", ""}, {"minimax-m1", "MiniMaxM1ForCausalLM", "minimax_m1"}, {"minimax-m2", "MiniMaxM2ForCausalLM", "minimax_m2"}, {"minimax-m3", "MiniMaxM3SparseForConditionalGeneration", "minimax_m3_vl"},
	{"internvl3_5", "InternVLChatModel", "internvl_chat"}, {"internvl*-hf", "InternVLForConditionalGeneration", "internvl"}, {"internvl", "InternVLChatModel", "internvl_chat"}, {"internlm3", "InternLM3ForCausalLM", "internlm3"}, {"internlm2", "InternLM2ForCausalLM", "internlm2"}, {"intern-s1-pro", "InternS1ProForConditionalGeneration", ""}, {"intern-s1", "InternS1ForConditionalGeneration", "interns1"}, {"internlm", "InternLMForCausalLM", "internlm"},
	{"ernie-4.5-vl", "Ernie4_5_VLMoeForConditionalGeneration", "ernie4_5_moe_vl"}, {"ernie-4.5*-a*b", "Ernie4_5_MoeForCausalLM", "ernie4_5_moe"}, {"ernie-4.5", "Ernie4_5ForCausalLM", "ernie4_5"},
	{"hunyuan-a13b", "HunYuanMoEV1ForCausalLM", "hunyuan_v1_moe"}, {"hunyuanocr", "HunYuanVLForConditionalGeneration", "hunyuan_vl"}, {"hy3", "HYV3ForCausalLM", "hy_v3"}, {"hunyuan-*b", "HunYuanDenseV1ForCausalLM", "hunyuan_v1_dense"},
	{"seed-oss", "SeedOssForCausalLM", "seed_oss"}, {"step-3.7", "Step3p7ForConditionalGeneration", "step3p7"}, {"step-3.5", "Step3p5ForCausalLM", "step3p5"}, {"step3", "Step3VLForConditionalGeneration", "step3_vl"},
	{"mimo-v2.5", "MiMoV2ForCausalLM", "mimo_v2"}, {"mimo-v2-flash", "MiMoV2FlashForCausalLM", "mimo_v2_flash"}, {"mimo-vl", "Qwen2_5_VLForConditionalGeneration", "qwen2_5_vl"}, {"mimo-7b", "MiMoForCausalLM", "mimo"},
	{"granite-4*-h-", "GraniteMoeHybridForCausalLM", "granitemoehybrid"}, {"granite-3*-a*m", "GraniteMoeForCausalLM", "granitemoe"}, {"granite-3", "GraniteForCausalLM", "granite"}, {"granite-4", "GraniteForCausalLM", "granite"},
	{"olmo-3", "Olmo3ForCausalLM", "olmo3"}, {"olmo-2", "Olmo2ForCausalLM", "olmo2"}, {"olmoe", "OlmoeForCausalLM", "olmoe"}, {"olmo", "OlmoForCausalLM", "olmo"},
	{"smollm3", "SmolLM3ForCausalLM", "smollm3"}, {"smollm", "LlamaForCausalLM", "llama"}, {"smolvlm", "SmolVLMForConditionalGeneration", "smolvlm"},
	{"command-a-vision", "Cohere2VisionForConditionalGeneration", "cohere2_vision"}, {"command-a", "Cohere2ForCausalLM", "cohere2"}, {"c4ai-command-r7b", "Cohere2ForCausalLM", "cohere2"}, {"command-r", "CohereForCausalLM", "cohere"}, {"aya-vision", "AyaVisionForConditionalGeneration", "aya_vision"}, {"aya-", "CohereForCausalLM", "cohere"},
	{"exaone-4", "Exaone4ForCausalLM", "exaone4"}, {"exaone", "ExaoneForCausalLM", "exaone"}, {"falcon-h1", "FalconH1ForCausalLM", "falcon_h1"}, {"falcon-mamba", "FalconMambaForCausalLM", "falcon_mamba"}, {"falcon3", "LlamaForCausalLM", "llama"}, {"falcon", "FalconForCausalLM", "falcon"},
	{"jamba", "JambaForCausalLM", "jamba"}, {"bamba", "BambaForCausalLM", "bamba"}, {"zamba2", "Zamba2ForCausalLM", "zamba2"}, {"dbrx", "DbrxForCausalLM", "dbrx"}, {"arctic-instruct", "ArcticForCausalLM", "arctic"},
	{"lfm2*-a*b", "Lfm2MoeForCausalLM", "lfm2_moe"}, {"lfm2-vl", "Lfm2VlForConditionalGeneration", "lfm2_vl"}, {"lfm2", "Lfm2ForCausalLM", "lfm2"}, {"apertus", "ApertusForCausalLM", "apertus"},
	{"minicpm-v", "MiniCPMV", "minicpmv"}, {"minicpm-o", "MiniCPMO", "minicpmo"}, {"minicpm3", "MiniCPM3ForCausalLM", "minicpm3"}, {"minicpm", "MiniCPMForCausalLM", "minicpm"},
	{"ovis2.5", "Ovis2_5", "ovis2_5"}, {"ovis", "Ovis", "ovis"}, {"molmo2", "Molmo2ForConditionalGeneration", "molmo2"}, {"molmo", "MolmoForCausalLM", "molmo"}, {"moondream3", "Moondream3ForCausalLM", "moondream3"}, {"paddleocr-vl", "PaddleOCRVLForConditionalGeneration", "paddleocr_vl"}, {"dots.ocr", "DotsOCRForCausalLM", "dots_ocr"}, {"dots.llm1", "Dots1ForCausalLM", "dots1"},
	{"baichuan2", "BaichuanForCausalLM", "baichuan"}, {"baichuan", "BaiChuanForCausalLM", "baichuan"}, {"starcoder2", "Starcoder2ForCausalLM", "starcoder2"}, {"starcoder", "GPTBigCodeForCausalLM", "gpt_bigcode"}, {"bloom", "BloomForCausalLM", "bloom"}, {"opt-*b", "OPTForCausalLM", "opt"}, {"mpt-", "MPTForCausalLM", "mpt"}, {"stablelm", "StableLmForCausalLM", "stablelm"}, {"solar-pro", "SolarForCausalLM", "solar"}, {"solar-10.7b", "LlamaForCausalLM", "llama"},
	{"whisper", "WhisperForConditionalGeneration", "whisper"}, {"longcat-flash", "LongcatFlashForCausalLM", "longcat_flash"}, {"ling-*2.5", "BailingMoeV2_5ForCausalLM", ""}, {"ling-*2.0", "BailingMoeV2ForCausalLM", "bailing_moe_v2"}, {"ring-*2.0", "BailingMoeV2ForCausalLM", "bailing_moe_v2"}, {"motif-2.6b", "MotifForCausalLM", ""}, {"plamo-2", "Plamo2ForCausalLM", "plamo2"}, {"afm-4.5b", "ArceeForCausalLM", "arcee"}, {"trinity", "AfmoeForCausalLM", "afmoe"},
	{"gpt2", "GPT2LMHeadModel", "gpt2"}, {"gpt-j-6b", "GPTJForCausalLM", "gptj"}, {"gpt-neox", "GPTNeoXForCausalLM", "gpt_neox"}, {"pythia-", "GPTNeoXForCausalLM", "gpt_neox"}, {"dolly-v2", "GPTNeoXForCausalLM", "gpt_neox"},
	{"bge-m3", "XLMRobertaModel", "xlm-roberta"}, {"bge-reranker", "XLMRobertaForSequenceClassification", "xlm-roberta"}, {"bge-", "BertModel", "bert"}, {"modernbert", "ModernBertModel", "modernbert"}, {"e5-mistral", "MistralModel", "mistral"}, {"nomic-embed", "NomicBertModel", "nomic_bert"},
}

type namedShape struct {
	pattern string
	shape   Shape
}

// shapes of well-known models: layers, hidden, intermediate, heads, KV heads, head size, vocabulary, positions,
// experts, expert width, tied embeddings.
var shapes = []namedShape{
	{"qwen1.5-0.5b", Shape{24, 1024, 2816, 16, 16, 64, 151936, 32768, 0, 0, true}}, {"qwen1.5-1.8b", Shape{24, 2048, 5504, 16, 16, 128, 151936, 32768, 0, 0, false}},
	{"qwen1.5-4b", Shape{40, 2560, 6912, 20, 20, 128, 151936, 32768, 0, 0, false}}, {"qwen1.5-7b", Shape{32, 4096, 11008, 32, 32, 128, 151936, 32768, 0, 0, false}},
	{"qwen1.5-32b", Shape{64, 5120, 27392, 40, 8, 128, 152064, 32768, 0, 0, false}}, {"qwen1.5-72b", Shape{80, 8192, 24576, 64, 64, 128, 152064, 32768, 0, 0, false}}, {"qwen1.5-110b", Shape{80, 8192, 49152, 64, 8, 128, 152064, 32768, 0, 0, false}},
	{"qwen2-0.5b", Shape{24, 896, 4864, 14, 2, 64, 151936, 32768, 0, 0, true}}, {"qwen2.5*-0.5b", Shape{24, 896, 4864, 14, 2, 64, 151936, 32768, 0, 0, true}},
	{"qwen2-1.5b", Shape{28, 1536, 8960, 12, 2, 128, 151936, 32768, 0, 0, true}}, {"qwen2.5*-1.5b", Shape{28, 1536, 8960, 12, 2, 128, 151936, 32768, 0, 0, true}}, {"qwen2-vl-2b", Shape{28, 1536, 8960, 12, 2, 128, 151936, 32768, 0, 0, true}},
	{"qwen2.5*-3b", Shape{36, 2048, 11008, 16, 2, 128, 151936, 32768, 0, 0, true}},
	{"qwen2-57b-a14b", Shape{28, 3584, 18944, 28, 4, 128, 151936, 32768, 64, 2560, false}},
	{"qwen2*-7b", Shape{28, 3584, 18944, 28, 4, 128, 152064, 32768, 0, 0, false}}, {"qwen2.5*-14b", Shape{48, 5120, 13824, 40, 8, 128, 152064, 32768, 0, 0, false}},
	{"qwen2.5*-32b", Shape{64, 5120, 27648, 40, 8, 128, 152064, 32768, 0, 0, false}}, {"qwq-32b", Shape{64, 5120, 27648, 40, 8, 128, 152064, 40960, 0, 0, false}}, {"qwen2*-72b", Shape{80, 8192, 29568, 64, 8, 128, 152064, 32768, 0, 0, false}}, {"qvq-72b", Shape{80, 8192, 29568, 64, 8, 128, 152064, 128000, 0, 0, false}},
	{"deepseek-r1-distill-qwen-1.5b", Shape{28, 1536, 8960, 12, 2, 128, 151936, 131072, 0, 0, false}}, {"deepseek-r1-distill-qwen-7b", Shape{28, 3584, 18944, 28, 4, 128, 152064, 131072, 0, 0, false}}, {"deepseek-r1-distill-qwen-14b", Shape{48, 5120, 13824, 40, 8, 128, 152064, 131072, 0, 0, false}}, {"deepseek-r1-distill-qwen-32b", Shape{64, 5120, 27648, 40, 8, 128, 152064, 131072, 0, 0, false}},
	{"qwen3-0.6b", Shape{28, 1024, 3072, 16, 8, 128, 151936, 40960, 0, 0, true}}, {"qwen3*-0.6b", Shape{28, 1024, 3072, 16, 8, 128, 151936, 32768, 0, 0, true}}, {"qwen3-1.7b", Shape{28, 2048, 6144, 16, 8, 128, 151936, 40960, 0, 0, true}},
	{"qwen3*-4b*2507", Shape{36, 2560, 9728, 32, 8, 128, 151936, 262144, 0, 0, true}}, {"qwen3-4b", Shape{36, 2560, 9728, 32, 8, 128, 151936, 40960, 0, 0, true}}, {"qwen3*-4b", Shape{36, 2560, 9728, 32, 8, 128, 151936, 40960, 0, 0, true}}, {"qwen3-8b", Shape{36, 4096, 12288, 32, 8, 128, 151936, 40960, 0, 0, false}}, {"qwen3*-8b", Shape{36, 4096, 12288, 32, 8, 128, 151936, 40960, 0, 0, false}},
	{"qwen3-14b", Shape{40, 5120, 17408, 40, 8, 128, 151936, 40960, 0, 0, false}}, {"qwen3-32b", Shape{64, 5120, 25600, 64, 8, 128, 151936, 40960, 0, 0, false}},
	{"qwen3*-30b-a3b*2507", Shape{48, 2048, 6144, 32, 4, 128, 151936, 262144, 128, 768, false}}, {"qwen3-coder-30b-a3b", Shape{48, 2048, 5472, 32, 4, 128, 151936, 262144, 128, 768, false}}, {"qwen3*-30b-a3b", Shape{48, 2048, 6144, 32, 4, 128, 151936, 40960, 128, 768, false}},
	{"qwen3*-235b-a22b*2507", Shape{94, 4096, 12288, 64, 4, 128, 151936, 262144, 128, 1536, false}}, {"qwen3*-235b-a22b", Shape{94, 4096, 12288, 64, 4, 128, 151936, 40960, 128, 1536, false}}, {"qwen3-coder-480b", Shape{62, 6144, 8192, 96, 8, 128, 151936, 262144, 160, 2560, false}},
	{"qwen3.5-35b-a3b", Shape{40, 2048, 0, 16, 2, 256, 248320, 262144, 256, 512, false}}, {"qwen3.6-35b-a3b", Shape{40, 2048, 0, 16, 2, 256, 248320, 262144, 256, 512, false}},
	{"qwen3-next-80b-a3b", Shape{48, 2048, 5120, 16, 2, 256, 151936, 262144, 512, 512, false}},
	{"qwen3.8-flash-next", Shape{Experts: 128, ExpertIntermediate: 320}}, // its FP8 issue, vllm 54178, states the experts' width
	{"qwen3.5-397b-a17b", Shape{60, 4096, 0, 32, 2, 256, 248320, 262144, 512, 1024, false}},
	{"llama-7b", Shape{32, 4096, 11008, 32, 32, 128, 32000, 2048, 0, 0, false}}, {"llama-13b", Shape{40, 5120, 13824, 40, 40, 128, 32000, 2048, 0, 0, false}},
	{"llama-30b", Shape{60, 6656, 17920, 52, 52, 128, 32000, 2048, 0, 0, false}}, {"llama-33b", Shape{60, 6656, 17920, 52, 52, 128, 32000, 2048, 0, 0, false}}, {"llama-65b", Shape{80, 8192, 22016, 64, 64, 128, 32000, 2048, 0, 0, false}},
	{"wizardlm-33b", Shape{60, 6656, 17920, 52, 52, 128, 32000, 2048, 0, 0, false}}, {"wizardlm-30b", Shape{60, 6656, 17920, 52, 52, 128, 32000, 2048, 0, 0, false}}, {"vicuna-33b", Shape{60, 6656, 17920, 52, 52, 128, 32000, 2048, 0, 0, false}},
	{"deepseek-coder-33b", Shape{62, 7168, 19200, 56, 8, 128, 32256, 16384, 0, 0, false}}, {"deepseek-coder-6.7b", Shape{32, 4096, 11008, 32, 32, 128, 32256, 16384, 0, 0, false}}, {"qwen1.5-14b", Shape{40, 5120, 13696, 40, 40, 128, 152064, 32768, 0, 0, false}},
	{"qwen-7b", Shape{32, 4096, 11008, 32, 32, 128, 151936, 8192, 0, 0, false}}, {"qwen-14b", Shape{40, 5120, 13696, 40, 40, 128, 152064, 8192, 0, 0, false}}, {"qwen-72b", Shape{80, 8192, 24576, 64, 64, 128, 152064, 32768, 0, 0, false}},
	{"llama-2-7b", Shape{32, 4096, 11008, 32, 32, 128, 32000, 4096, 0, 0, false}}, {"llama-2-13b", Shape{40, 5120, 13824, 40, 40, 128, 32000, 4096, 0, 0, false}}, {"llama-2-70b", Shape{80, 8192, 28672, 64, 8, 128, 32000, 4096, 0, 0, false}},
	{"vicuna-7b", Shape{32, 4096, 11008, 32, 32, 128, 32000, 4096, 0, 0, false}}, {"vicuna-13b", Shape{40, 5120, 13824, 40, 40, 128, 32000, 4096, 0, 0, false}}, {"codellama-7b", Shape{32, 4096, 11008, 32, 32, 128, 32016, 16384, 0, 0, false}}, {"codellama-13b", Shape{40, 5120, 13824, 40, 40, 128, 32016, 16384, 0, 0, false}}, {"codellama-34b", Shape{48, 8192, 22016, 64, 8, 128, 32000, 16384, 0, 0, false}}, {"codellama-70b", Shape{80, 8192, 28672, 64, 8, 128, 32016, 4096, 0, 0, false}},
	{"llama-3.1-8b", Shape{32, 4096, 14336, 32, 8, 128, 128256, 131072, 0, 0, false}}, {"llama-3-*-8b", Shape{32, 4096, 14336, 32, 8, 128, 128256, 8192, 0, 0, false}}, {"llama-3.1-*-8b", Shape{32, 4096, 14336, 32, 8, 128, 128256, 131072, 0, 0, false}}, {"llama-3-8b", Shape{32, 4096, 14336, 32, 8, 128, 128256, 8192, 0, 0, false}}, {"llama3-8b", Shape{32, 4096, 14336, 32, 8, 128, 128256, 8192, 0, 0, false}}, {"llama-3.1-70b", Shape{80, 8192, 28672, 64, 8, 128, 128256, 131072, 0, 0, false}}, {"llama-3.3-70b", Shape{80, 8192, 28672, 64, 8, 128, 128256, 131072, 0, 0, false}}, {"llama-3-70b", Shape{80, 8192, 28672, 64, 8, 128, 128256, 8192, 0, 0, false}}, {"distill-llama-70b", Shape{80, 8192, 28672, 64, 8, 128, 128256, 131072, 0, 0, false}}, {"distill-llama-8b", Shape{32, 4096, 14336, 32, 8, 128, 128256, 131072, 0, 0, false}},
	{"llama-3.1-405b", Shape{126, 16384, 53248, 128, 8, 128, 128256, 131072, 0, 0, false}}, {"llama-3.2-1b", Shape{16, 2048, 8192, 32, 8, 64, 128256, 131072, 0, 0, true}}, {"llama-3.2-3b", Shape{28, 3072, 8192, 24, 8, 128, 128256, 131072, 0, 0, true}},
	{"llama-4-scout", Shape{48, 5120, 16384, 40, 8, 128, 202048, 10485760, 16, 8192, false}}, {"llama-4-maverick", Shape{48, 5120, 16384, 40, 8, 128, 202048, 1048576, 128, 8192, false}},
	{"yi-34b", Shape{60, 7168, 20480, 56, 8, 128, 64000, 4096, 0, 0, false}}, {"yi-6b", Shape{32, 4096, 11008, 32, 4, 128, 64000, 4096, 0, 0, false}},
	{"mistral-nemo", Shape{40, 5120, 14336, 32, 8, 128, 131072, 131072, 0, 0, false}}, {"mistral-7b*v0.1", Shape{32, 4096, 14336, 32, 8, 128, 32000, 32768, 0, 0, false}}, {"mistral-7b", Shape{32, 4096, 14336, 32, 8, 128, 32768, 32768, 0, 0, false}}, {"zephyr-7b", Shape{32, 4096, 14336, 32, 8, 128, 32000, 32768, 0, 0, false}}, {"mistral-small*-24b", Shape{40, 5120, 32768, 32, 8, 128, 131072, 131072, 0, 0, false}}, {"devstral-small", Shape{40, 5120, 32768, 32, 8, 128, 131072, 131072, 0, 0, false}}, {"magistral-small", Shape{40, 5120, 32768, 32, 8, 128, 131072, 131072, 0, 0, false}}, {"mistral-small-instruct-2409", Shape{56, 6144, 16384, 48, 8, 128, 32768, 32768, 0, 0, false}}, {"codestral-22b", Shape{56, 6144, 16384, 48, 8, 128, 32768, 32768, 0, 0, false}}, {"mistral-large", Shape{88, 12288, 28672, 96, 8, 128, 32768, 131072, 0, 0, false}},
	{"mixtral-8x7b", Shape{32, 4096, 14336, 32, 8, 128, 32000, 32768, 8, 14336, false}}, {"mixtral-8x22b", Shape{56, 6144, 16384, 48, 8, 128, 32768, 65536, 8, 16384, false}},
	{"gemma-2-2b", Shape{26, 2304, 9216, 8, 4, 256, 256000, 8192, 0, 0, true}}, {"gemma-2-9b", Shape{42, 3584, 14336, 16, 8, 256, 256000, 8192, 0, 0, true}}, {"gemma-2-27b", Shape{46, 4608, 36864, 32, 16, 128, 256000, 8192, 0, 0, true}}, {"gemma-7b", Shape{28, 3072, 24576, 16, 16, 256, 256000, 8192, 0, 0, true}}, {"gemma-2b", Shape{18, 2048, 16384, 8, 1, 256, 256000, 8192, 0, 0, true}},
	{"gemma-3-1b", Shape{26, 1152, 6912, 4, 1, 256, 262144, 32768, 0, 0, true}}, {"gemma-3-4b", Shape{34, 2560, 10240, 8, 4, 256, 262208, 131072, 0, 0, true}}, {"gemma-3-12b", Shape{48, 3840, 15360, 16, 8, 256, 262208, 131072, 0, 0, true}}, {"gemma-3-27b", Shape{62, 5376, 21504, 32, 16, 128, 262208, 131072, 0, 0, true}}, {"nemotron-content-safety-reasoning-4b", Shape{34, 2560, 10240, 8, 4, 256, 262208, 131072, 0, 0, true}},
	{"phi-3-mini", Shape{32, 3072, 8192, 32, 32, 96, 32064, 4096, 0, 0, false}}, {"phi-3.5-mini", Shape{32, 3072, 8192, 32, 32, 96, 32064, 131072, 0, 0, false}}, {"phi-3-medium", Shape{40, 5120, 17920, 40, 10, 128, 32064, 4096, 0, 0, false}}, {"phi-4-mini", Shape{32, 3072, 8192, 24, 8, 128, 200064, 131072, 0, 0, true}}, {"phi-4", Shape{40, 5120, 17920, 40, 10, 128, 100352, 16384, 0, 0, false}},
	{"command-r-plus", Shape{64, 12288, 33792, 96, 8, 128, 256000, 131072, 0, 0, true}}, {"command-r", Shape{40, 8192, 22528, 64, 64, 128, 256000, 131072, 0, 0, true}},
	{"glm-4-9b", Shape{40, 4096, 13696, 32, 2, 128, 151552, 131072, 0, 0, false}}, {"glm-4-32b", Shape{61, 6144, 23040, 48, 2, 128, 151552, 32768, 0, 0, false}}, {"glm-4.1v-9b", Shape{40, 4096, 13696, 32, 2, 128, 151552, 65536, 0, 0, false}}, {"chatglm3-6b", Shape{28, 4096, 13696, 32, 2, 128, 65024, 8192, 0, 0, false}}, {"chatglm2-6b", Shape{28, 4096, 13696, 32, 2, 128, 65024, 32768, 0, 0, false}},
	{"glm-4.5-air", Shape{46, 4096, 10944, 96, 8, 128, 151552, 131072, 128, 1408, false}}, {"glm-4.5v", Shape{46, 4096, 10944, 96, 8, 128, 151552, 131072, 128, 1408, false}}, {"glm-4.5", Shape{92, 5120, 12288, 96, 8, 128, 151552, 131072, 160, 1536, false}}, {"glm-4.6", Shape{92, 5120, 12288, 96, 8, 128, 151552, 202752, 160, 1536, false}}, {"glm-4.7", Shape{92, 5120, 12288, 96, 8, 128, 151552, 202752, 160, 1536, false}},
	{"baichuan2-13b", Shape{40, 5120, 13696, 40, 40, 128, 125696, 4096, 0, 0, false}}, {"baichuan2-7b", Shape{32, 4096, 11008, 32, 32, 128, 125696, 4096, 0, 0, false}}, {"starcoder2-15b", Shape{40, 6144, 24576, 48, 4, 128, 49152, 16384, 0, 0, false}}, {"tinyllama", Shape{22, 2048, 5632, 32, 4, 64, 32000, 2048, 0, 0, false}}, {"smollm2-135m", Shape{30, 576, 1536, 9, 3, 64, 49152, 8192, 0, 0, true}},
	{"minimax-m2", Shape{62, 3072, 0, 48, 8, 128, 200064, 196608, 256, 1536, false}}, {"deepseek-v4-flash", Shape{43, 4096, 0, 64, 1, 512, 129280, 1048576, 256, 2048, false}}, {"falcon-40b", Shape{60, 8192, 32768, 128, 8, 64, 65024, 2048, 0, 0, false}}, {"qwq", Shape{64, 5120, 27648, 40, 8, 128, 152064, 40960, 0, 0, false}}, {"seed-oss-36b", Shape{64, 5120, 27648, 80, 8, 128, 155136, 524288, 0, 0, false}},
	{"qwen2*-72b*awq", Shape{80, 8192, 29696, 64, 8, 128, 152064, 32768, 0, 0, false}}, {"qwen2*-72b*gptq", Shape{80, 8192, 29696, 64, 8, 128, 152064, 32768, 0, 0, false}}, // widened for the groups of 128
	{"qwen2.5-vl-72b*awq", Shape{80, 8192, 29568, 64, 8, 128, 152064, 128000, 0, 0, false}}, // not widened at first: https://github.com/vllm-project/vllm/issues/13640
	{"gpt2", Shape{Heads: 12, KVHeads: 12}}, {"gpt2-medium", Shape{Heads: 16, KVHeads: 16}}, {"gpt2-large", Shape{Heads: 20, KVHeads: 20}}, {"gpt2-xl", Shape{Heads: 25, KVHeads: 25}},
	{"opt-125m", Shape{Heads: 12, KVHeads: 12}}, {"opt-1.3b", Shape{Heads: 32, KVHeads: 32}}, {"opt-2.7b", Shape{Heads: 32, KVHeads: 32}}, {"opt-6.7b", Shape{Heads: 32, KVHeads: 32}},
	{"opt-13b", Shape{Heads: 40, KVHeads: 40}}, {"opt-30b", Shape{Heads: 56, KVHeads: 56}}, {"opt-66b", Shape{Heads: 72, KVHeads: 72}},
	{"bloom-560m", Shape{Heads: 16, KVHeads: 16}}, {"bloom-1b7", Shape{Heads: 16, KVHeads: 16}}, {"bloom*-3b", Shape{Heads: 32, KVHeads: 32}}, {"bloom*-7b1", Shape{Heads: 32, KVHeads: 32}},
	{"mpt-7b", Shape{Heads: 32, KVHeads: 32}}, {"mpt-30b", Shape{Heads: 64, KVHeads: 64}},
	{"gpt-j-6b", Shape{Heads: 16, KVHeads: 16}}, {"gpt-neox-20b", Shape{Heads: 64, KVHeads: 64}}, {"pythia-6.9b", Shape{Heads: 32, KVHeads: 32}}, {"pythia-12b", Shape{Heads: 40, KVHeads: 40}},
	{"falcon-7b", Shape{Heads: 71}}, {"falcon-180b", Shape{Heads: 232, KVHeads: 8}}, {"falcon3-10b", Shape{40, 3072, 23040, 12, 4, 256, 131072, 32768, 0, 0, false}}, {"falcon3-7b", Shape{28, 3072, 23040, 12, 4, 256, 131072, 32768, 0, 0, false}},
	{"starcoder2-3b", Shape{Heads: 24, KVHeads: 2}}, {"starcoder2-7b", Shape{Heads: 36, KVHeads: 4}},
	{"deepseek-llm-7b", Shape{30, 4096, 11008, 32, 32, 128, 102400, 4096, 0, 0, false}}, {"deepseek-llm-67b", Shape{95, 8192, 22016, 64, 8, 128, 102400, 4096, 0, 0, false}}, {"deepseek-coder-1.3b", Shape{24, 2048, 5504, 16, 16, 128, 32256, 16384, 0, 0, false}},
	{"yi-1.5-34b", Shape{60, 7168, 20480, 56, 8, 128, 64000, 4096, 0, 0, false}}, {"yi-1.5-9b", Shape{48, 4096, 11008, 32, 4, 128, 64000, 4096, 0, 0, false}}, {"yi-1.5-6b", Shape{32, 4096, 11008, 32, 4, 128, 64000, 4096, 0, 0, false}}, {"yi-9b", Shape{48, 4096, 11008, 32, 4, 128, 64000, 4096, 0, 0, false}},
	{"internvl2-26b", Shape{Heads: 48, KVHeads: 8}}, {"internvl2*5-26b", Shape{Heads: 48, KVHeads: 8}}, {"internvl2-40b", Shape{Heads: 56, KVHeads: 8}}, {"internvl2-8b", Shape{Heads: 32, KVHeads: 8}}, {"internvl2*5-8b", Shape{Heads: 32, KVHeads: 8}},
	{"internvl2-1b", Shape{Heads: 14, KVHeads: 2}}, {"internvl2*5-1b", Shape{Heads: 14, KVHeads: 2}}, {"internvl3-1b", Shape{Heads: 14, KVHeads: 2}}, {"internvl3-2b", Shape{Heads: 12, KVHeads: 2}}, {"internvl3-8b", Shape{Heads: 28, KVHeads: 4}}, {"internvl3-14b", Shape{Heads: 40, KVHeads: 8}},
	{"internvl2*5-38b", Shape{Heads: 40, KVHeads: 8}}, {"internvl3-38b", Shape{Heads: 40, KVHeads: 8}}, {"internvl2*5-78b", Shape{Heads: 64, KVHeads: 8}}, {"internvl3-78b", Shape{Heads: 64, KVHeads: 8}}, {"internvl2-76b", Shape{Heads: 64, KVHeads: 8}},
	{"minicpm-2b", Shape{Heads: 36, KVHeads: 36}}, {"minicpm3-4b", Shape{Heads: 40, KVHeads: 40}}, {"minicpm-v-2*6", Shape{Heads: 28, KVHeads: 4}}, {"minicpm-o-2*6", Shape{Heads: 28, KVHeads: 4}}, {"minicpm-llama3-v-2*5", Shape{Heads: 32, KVHeads: 8}}, {"minicpm-v-4*5", Shape{Heads: 32, KVHeads: 8}},
	{"command-a-03-2025", Shape{Heads: 96, KVHeads: 8}}, {"aya-expanse-32b", Shape{Heads: 64, KVHeads: 8}}, {"aya-expanse-8b", Shape{Heads: 32, KVHeads: 8}},
	{"phi-2", Shape{Heads: 32, KVHeads: 32}}, {"phi-3.5-moe", Shape{Heads: 32, KVHeads: 8}}, {"phi-3-small", Shape{Heads: 32, KVHeads: 8}}, {"solar-10.7b", Shape{48, 4096, 14336, 32, 8, 128, 32000, 4096, 0, 0, false}},
	{"exaone-3.5-32b", Shape{64, 5120, 27392, 40, 8, 128, 102400, 32768, 0, 0, false}}, {"exaone-4.0-32b", Shape{64, 5120, 27392, 40, 8, 128, 102400, 131072, 0, 0, false}}, {"exaone-3.5-7.8b", Shape{32, 4096, 14336, 32, 8, 128, 102400, 32768, 0, 0, false}},
	{"granite-3*-8b", Shape{Heads: 32, KVHeads: 8}}, {"granite-3*-2b", Shape{Heads: 32, KVHeads: 8}}, {"granite-34b-code", Shape{Heads: 48, KVHeads: 1}}, {"granite-20b-code", Shape{Heads: 48, KVHeads: 1}},
	{"pixtral-12b", Shape{40, 5120, 14336, 32, 8, 128, 131072, 1024000, 0, 0, false}}, {"llama-3.2-11b-vision", Shape{Heads: 32, KVHeads: 8}}, {"llama-3.2-90b-vision", Shape{Heads: 64, KVHeads: 8}}, {"nemotron-70b", Shape{80, 8192, 28672, 64, 8, 128, 128256, 131072, 0, 0, false}},
	{"llava-1.5-7b", Shape{Heads: 32, KVHeads: 32}}, {"llava-1.5-13b", Shape{Heads: 40, KVHeads: 40}}, {"llava-v1.6-34b", Shape{Heads: 56, KVHeads: 8}}, {"llava-v1.6-mistral-7b", Shape{Heads: 32, KVHeads: 8}}, {"qwen2-audio-7b", Shape{Heads: 32, KVHeads: 32}},
	{"qwen3-coder-next", Shape{48, 2048, 5120, 16, 2, 256, 151936, 262144, 512, 512, false}}, {"ernie-4.5-300b-a47b", Shape{54, 8192, 28672, 64, 8, 128, 103424, 131072, 64, 3584, false}}, {"glm-4.7-flash", Shape{Heads: 20}}, {"dots.llm1", Shape{Heads: 32, KVHeads: 32}},
	{"olmo-2*-32b", Shape{64, 5120, 27648, 40, 8, 128, 100352, 4096, 0, 0, false}}, {"olmo-2*-13b", Shape{40, 5120, 13824, 40, 40, 128, 100352, 4096, 0, 0, false}}, {"internlm3-8b", Shape{48, 4096, 10240, 32, 2, 128, 128512, 32768, 0, 0, false}}, {"internlm-20b", Shape{60, 5120, 13824, 40, 40, 128, 103168, 4096, 0, 0, false}},
	{"medgemma-27b", Shape{Heads: 32, KVHeads: 16}}, {"medgemma-4b", Shape{Heads: 8, KVHeads: 4}}, {"gemma-3-270m", Shape{18, 640, 2048, 4, 1, 256, 262144, 32768, 0, 0, true}},
	{"smollm2-360m", Shape{32, 960, 2560, 15, 5, 64, 49152, 8192, 0, 0, true}}, {"smollm2-1.7b", Shape{24, 2048, 8192, 32, 32, 64, 49152, 8192, 0, 0, true}}, {"smolvlm-256m", Shape{Heads: 9, KVHeads: 3}}, {"smolvlm-500m", Shape{Heads: 15, KVHeads: 5}},
	{"whisper-large", Shape{Heads: 20, KVHeads: 20}}, {"whisper-medium", Shape{Heads: 16, KVHeads: 16}}, {"whisper-small", Shape{Heads: 12, KVHeads: 12}},
	{"internlm2*-20b", Shape{48, 6144, 16384, 48, 8, 128, 92544, 32768, 0, 0, false}}, {"internlm2*-7b", Shape{32, 4096, 14336, 32, 8, 128, 92544, 32768, 0, 0, false}}, {"hunyuan-a13b", Shape{32, 4096, 3072, 32, 8, 128, 128167, 32768, 64, 3072, false}}, {"nemotron-super-49b", Shape{80, 8192, 28672, 64, 8, 128, 128256, 131072, 0, 0, false}},
}

// FindNamed reads a model's name: "Qwen/Qwen2.5-VL-72B-Instruct-AWQ", "qwen3-32b", "TheBloke/Mistral-7B-v0.1-AWQ".
// ok is false when no family is recognised; size and storage are filled all the same.
func FindNamed(name string) (NamedModel, bool) {
	n := NamedModel{Name: name, Bits: 16}
	norm := normaliseName(name)
	n.Quant, n.Bits = quantOfName(norm)
	n.Parameters, n.MoE = parametersOfName(norm)
	for _, f := range families {
		if matchName(norm, f.pattern) {
			n.Architecture, n.ModelType = f.architecture, f.modelType
			break
		}
	}
	for pattern, sibling := range sameShape {
		if matchName(norm, pattern) && n.Quant == "" {
			n.SameShape = sibling
		}
	}
	best := -1
	for i, s := range shapes {
		if matchName(norm, s.pattern) && (best < 0 || len(s.pattern) > len(shapes[best].pattern)) {
			best = i
		}
	}
	if best >= 0 && !strings.Contains(norm, "draft") {
		s := shapes[best].shape
		n.Shape = &s
		n.MoE = n.MoE || s.Experts > 0
	}
	if n.ModelType == "gpt_oss" && n.Quant == "" && !strings.Contains(norm, "bf16") {
		n.Quant, n.Bits = "mxfp4", 4
	}
	if n.Quant == "" && nativeFP8(norm) {
		n.Quant, n.Bits = "fp8", 8
	}
	return n, n.Architecture != ""
}

// nativeFP8 lists families whose own release stores the linears as FP8 in blocks of 128x128.
func nativeFP8(norm string) bool {
	for _, p := range []string{"minimax-m2", "kimi-k2-instruct", "kimi-k2-base"} {
		if strings.Contains(norm, p) {
			return !strings.Contains(norm, "bf16")
		}
	}
	return (strings.Contains(norm, "deepseek-v3") || strings.Contains(norm, "deepseek-v4") || strings.Contains(norm, "deepseek-r1")) &&
		!strings.Contains(norm, "distill") && !strings.Contains(norm, "qwen3") && !strings.Contains(norm, "bf16")
}

func normaliseName(name string) string {
	name, remark, _ := strings.Cut(strings.ToLower(strings.TrimSpace(name)), " (")
	if remark = strings.Trim(remark, ") "); !strings.ContainsAny(remark, " /") && remark != "" {
		name += "-" + remark // "(GGUF)", "(7B)"
	}
	name = name[strings.LastIndex(name, "/")+1:]
	return strings.NewReplacer("_", "-", " ", "-", ":", "-").Replace(name)
}

// matchName reports whether the parts of pattern, split at "*", stand in s in order. A part that ends in a digit is not
// continued by another digit, and one that ends in "b" after a digit not by a letter: "-7b" is not "-72b".
func matchName(s, pattern string) bool {
	pattern = strings.ReplaceAll(pattern, "_", "-")
	from := 0
	for _, part := range strings.Split(pattern, "*") {
		for {
			i := strings.Index(s[from:], part)
			if i < 0 {
				return false
			}
			from += i + len(part)
			if from == len(s) || part == "" || !wordGoesOn(part, s[from]) {
				break
			}
		}
	}
	return true
}

func wordGoesOn(part string, next byte) bool {
	last := part[len(part)-1]
	digit := func(c byte) bool { return c >= '0' && c <= '9' }
	if digit(last) {
		return digit(next) || next == 'b' // "gemma-4" is not "gemma-4b"
	}
	return last == 'b' && len(part) > 1 && digit(part[len(part)-2]) && (next >= 'a' && next <= 'z' || digit(next))
}

// quantOfName reads how weights are stored from the words of a name.
func quantOfName(norm string) (method string, bits float64) {
	for _, q := range []struct {
		word, method string
		bits         float64
	}{
		{"nvfp4", "nvfp4", 4}, {"mxfp4", "mxfp4", 4}, {"fp4", "nvfp4", 4}, {"gguf", "gguf", 4.8}, {"bnb-4bit", "bitsandbytes", 4}, {"bnb", "bitsandbytes", 4},
		{"squeezellm", "squeezellm", 4}, {"awq", "awq", 4}, {"gptq-int8", "gptq", 8}, {"gptq-8bit", "gptq", 8}, {"gptq-int3", "gptq", 3}, {"gptq", "gptq", 4}, {"autoround", "auto-round", 4}, {"auto-round", "auto-round", 4}, {"aqlm", "aqlm", 2},
		{"w8a8", "compressed-tensors-int8", 8}, {"quantized.w8a8", "compressed-tensors-int8", 8}, {"fp8-w8a16", "compressed-tensors-fp8", 8}, {"w4a16", "compressed-tensors", 4}, {"w8a16", "compressed-tensors", 8}, {"fp8-dynamic", "compressed-tensors-fp8", 8}, {"fp8", "fp8", 8},
		{"int4", "int4", 4}, {"4bit", "int4", 4}, {"4-bit", "int4", 4}, {"int8", "int8", 8}, {"8bit", "int8", 8}, {"exl2", "exl2", 4},
	} {
		if strings.Contains(norm, q.word) {
			return q.method, q.bits
		}
	}
	return "", 16
}

// parametersOfName reads "72b", "0.6b", "8x7b", "30b-a3b", "135m": the whole, not the active part.
func parametersOfName(norm string) (int64, bool) {
	moe := false
	var total float64
	for _, w := range strings.FieldsFunc(norm, func(r rune) bool { return r == '-' || r == '_' }) {
		unit := 1e9
		num, ok := strings.CutSuffix(w, "b")
		if !ok {
			if num, ok = strings.CutSuffix(w, "m"); !ok {
				continue
			}
			unit = 1e6
		}
		if rest, isActive := strings.CutPrefix(num, "a"); isActive {
			if _, err := strconv.ParseFloat(rest, 64); err == nil {
				moe = true
			}
			continue
		}
		if n, per, ok := strings.Cut(num, "x"); ok {
			a, err1 := strconv.ParseFloat(n, 64)
			b, err2 := strconv.ParseFloat(per, 64)
			if err1 == nil && err2 == nil && total == 0 {
				total, moe = a*b*unit*0.83, true // shared attention: Mixtral 8x7B is 46.7 B, 8x22B 141 B
			}
			continue
		}
		if x, err := strconv.ParseFloat(num, 64); err == nil && x > 0 && x < 5000 && total == 0 {
			total = x * unit
		}
	}
	return int64(total), moe
}

// FamilyInTag finds the family that an image's tag names without the signs between its words: "deepseekv4-cu129" is
// "deepseek-v4"; "" when there is none.
func FamilyInTag(tag string) string {
	bare := strings.NewReplacer("-", "", ".", "", "_", "")
	squeezed := bare.Replace(strings.ToLower(tag))
	for _, f := range families {
		if !strings.Contains(f.pattern, "*") && len(f.pattern) > 4 && strings.HasPrefix(squeezed, bare.Replace(f.pattern)) {
			return f.pattern
		}
	}
	return ""
}

// ShapesDividing counts the well-known shapes whose heads can be split over a number of ranks, of all of them.
func ShapesDividing(ranks int) (divide, of int) {
	for _, s := range shapes {
		h, kv := s.shape.Heads, s.shape.KVHeads
		if h == 0 {
			continue
		}
		of++
		if h%ranks == 0 && (kv == 0 || kv%ranks == 0 || ranks%kv == 0) {
			divide++
		}
	}
	return divide, of
}
