// Package worlds scripts worlds that differ from what is known on paper: a simulated RunPod in each, with one trap. What is
// known on paper is the same for whoever launches there; how few paid attempts a world allows can be found by search.
package worlds

import (
	"encoding/json"
	"slices"

	"justright/catalog"
	"justright/sim/runpodsim"
)

// World is one such world. The zero value of every field is what is known on paper.
type World struct {
	Name   string
	Trap   string // in a sentence
	Model  string
	Record *catalog.ModelRecord // of the model; nil: the catalog's own
	Flags  []string             // what the user asks of the engine
	Engine string               // the release the user asks for; empty: any

	Fleet []runpodsim.MachineKind // what can be rented; nil: Usual
	Gates map[string]string       // image → the CUDA that it really asks its host for

	MinDiskGB       int      // a container disk below this runs full
	StallIn         string   // data centre whose hub connection stalls at 40 %
	NoKernelFor     string   // compute capability that no build has code for
	ProfileGiB      float64  // taken by the profile run unless batches are small
	RefusedFlag     string   // a flag that the newest releases dropped, though nobody noted it
	RefusedFrom     string   // the first release without it
	MinTransformers string   // what the model's type really needs
	Parsers         []string // the tool parsers that the releases really have; nil: the one asked for
	Reasoning       []string // likewise the reasoning parsers
	Speaks          string   // the tool parser that really reads the model's calls; empty: the one that runs
	WholeFrom       string   // the first release whose tool parsers leave streamed calls in the text; empty: none
	Gated           bool     // the hub gives the weights only to who brings a token whose owner has accepted the licence
	Licence         bool     // and the user's token is one

	CrashIn  string // data centre whose hosts end every container after a minute, for ever
	HangIn   string // data centre where the engine falls silent while it compiles
	BlindIn  string // data centre whose containers see no card, so that the engine takes the processor
	Intruder string // image with a server of its own on the engine's port; Gate fills it in

	Hopeless bool // no plan can end in an endpoint
}

func kind(gpu, dc, cuda, driver string) runpodsim.MachineKind {
	return runpodsim.MachineKind{GPU: gpu, DataCenter: dc, Cloud: "SECURE", CUDA: cuda, Driver: driver, Cards: 4, Count: 1, Mbps: 120}
}

// many is a place with most hosts of a kind: whoever asks again is likely to get one of them again.
func many(k runpodsim.MachineKind) runpodsim.MachineKind {
	k.Count = 9
	return k
}

const (
	d124 = "550.127.05"
	d128 = "570.172.08"
)

// Usual is the fleet of a world whose trap is not in its hosts: seven kinds of cards from $0.25 to $1.39 an hour.
func Usual() []runpodsim.MachineKind {
	return []runpodsim.MachineKind{
		many(kind("NVIDIA RTX A4500", "EU-SE-1", "12.8", d128)), kind("NVIDIA RTX A4500", "US-TX-3", "12.8", d128),
		kind("NVIDIA RTX A5000", "EU-RO-1", "12.8", d128), kind("NVIDIA RTX A5000", "CA-MTL-1", "12.8", d128),
		kind("NVIDIA L4", "EU-RO-1", "12.8", d128), kind("NVIDIA L4", "US-KS-2", "12.8", d128),
		kind("NVIDIA GeForce RTX 3090", "CA-MTL-1", "12.8", d128),
		kind("NVIDIA RTX A6000", "US-TX-1", "12.8", d128),
		kind("NVIDIA GeForce RTX 4090", "EUR-IS-1", "12.8", d128),
		kind("NVIDIA A100 80GB PCIe", "US-KS-2", "12.8", d128),
	}
}

// usualBut changes the machines of one card, or of all, in one data centre.
func usualBut(gpu, dc string, f func(*runpodsim.MachineKind)) []runpodsim.MachineKind {
	fleet := Usual()
	for i := range fleet {
		if (gpu == "" || fleet[i].GPU == gpu) && fleet[i].DataCenter == dc {
			f(&fleet[i])
		}
	}
	return fleet
}

const gptOSS = "openai/gpt-oss-20b"

// All are the twelve worlds that differ by their trap, in the order of a launch's stages, those whose trap no line of a log names,
// and those that differ by their model.
func All() []World { return slices.Concat(traps(), watched(), shapes()) }

// traps are twelve worlds of one model.
func traps() []World {
	return []World{
		{Name: "old-driver fleet", Trap: "every host's driver offers CUDA 12.4 and no more", Model: gptOSS,
			Fleet: []runpodsim.MachineKind{
				kind("NVIDIA GeForce RTX 3090", "CA-MTL-1", "12.4", d124), kind("NVIDIA GeForce RTX 4090", "EUR-IS-1", "12.4", d124),
				kind("NVIDIA A100 80GB PCIe", "US-KS-2", "12.4", d124),
			}},
		{Name: "image gate", Trap: "the image asks its host for CUDA 13.0, though its tag and all that was read say 12.8", Model: gptOSS,
			Fleet: []runpodsim.MachineKind{
				kind("NVIDIA GeForce RTX 3090", "CA-MTL-1", "12.8", d128), kind("NVIDIA GeForce RTX 4090", "EUR-IS-1", "12.8", d128),
				kind("NVIDIA GeForce RTX 5090", "EUR-IS-2", "12.8", d128),
			},
			Gates: map[string]string{}}, // filled by Gate: the image that the first plan takes
		{Name: "pull limit", Trap: "Docker Hub limits the addresses of one data centre", Model: gptOSS,
			Fleet: usualBut("", "EU-SE-1", func(k *runpodsim.MachineKind) { k.Limited = true })},
		{Name: "gated model", Trap: "the hub's licence was not accepted by the owner of the token", Model: "google/gemma-3-27b-it", Gated: true, Hopeless: true},
		{Name: "missing kernel", Trap: "no build has code for compute capability 8.6", Model: gptOSS, NoKernelFor: "8.6"},
		{Name: "OOM at profile", Trap: "the profile run takes 9 GiB more than was ever measured, unless batches are small", Model: gptOSS, ProfileGiB: 9},
		{Name: "full disk", Trap: "the model and its caches need 70 GB of container disk", Model: gptOSS, MinDiskGB: 70},
		{Name: "dead host", Trap: "the hosts of one data centre take pods and never start a container", Model: gptOSS,
			Fleet: usualBut("NVIDIA RTX A4500", "EU-SE-1", func(k *runpodsim.MachineKind) { k.Dead = true })},
		{Name: "stall at 40 %", Trap: "one data centre's way to the hub stalls at 40 % of the weights", Model: gptOSS, StallIn: "EU-SE-1"},
		{Name: "flag removed", Trap: "the newest releases dropped a flag that the user gives, and nobody noted it", Model: gptOSS,
			Flags: []string{"--async-scheduling"}, RefusedFlag: "--async-scheduling", RefusedFrom: "0.30.0"},
		{Name: "transformers too old", Trap: "the model's type needs a transformers newer than any that the newest releases admit", Model: gptOSS, MinTransformers: "5.21.0"},
		{Name: "tool parser wrong", Trap: "no release has the tool parser that the model's family is said to use", Model: gptOSS,
			Parsers: []string{"deepseek_v3", "hermes", "llama3_json", "mistral", "qwen3_coder"}},
	}
}

// watched are worlds whose trap has to be seen by what is not said, or by who answers.
func watched() []World {
	return []World{
		{Name: "crash loop", Trap: "the hosts of one data centre end every container after a minute and start it again", Model: gptOSS, CrashIn: "EU-SE-1"},
		{Name: "silence", Trap: "in one data centre the engine falls silent while it compiles, and says nothing more", Model: gptOSS, HangIn: "EU-SE-1"},
		{Name: "card not seen", Trap: "the containers of one data centre do not see their card, and the engine serves from the processor", Model: gptOSS, BlindIn: "EU-SE-1"},
		{Name: "another process", Trap: "the image has a server of its own on the engine's port, and the proxy reaches that", Model: gptOSS, Intruder: "?"},
	}
}

// qwenEmbedding is Qwen/Qwen3-Embedding-8B as its config.json states it (https://huggingface.co/Qwen/Qwen3-Embedding-8B).
func qwenEmbedding() *catalog.ModelRecord {
	return &catalog.ModelRecord{ID: "Qwen/Qwen3-Embedding-8B", Parameters: 7_567_295_488, CheckpointBytes: 15_134_590_976, Config: json.RawMessage(`{
		"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36,
		"num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 40960, "vocab_size": 151665,
		"torch_dtype": "bfloat16", "tie_word_embeddings": false}`)}
}

// shapes are worlds of models with another shape: gated, on several cards, quantised, of vectors, with thoughts, and three
// whose calls of tools are read by the wrong parser, which no start notices.
func shapes() []World {
	tools := func(parser string) []string {
		return []string{"--enable-auto-tool-choice", "--tool-call-parser", parser}
	}
	return []World{
		{Name: "gated, with a licence", Trap: "the hub gives the weights only to a machine that brings the user's token", Model: "google/gemma-3-4b-it",
			Gated: true, Licence: true},
		{Name: "several cards", Trap: "the profile run takes 16 GiB more of each card than was ever measured, unless batches are small",
			Model: "meta-llama/Llama-3.3-70B-Instruct", ProfileGiB: 16},
		{Name: "quantised", Trap: "no build has code for 4-bit weights on compute capability 8.6", Model: "Qwen/Qwen3-8B-AWQ", NoKernelFor: "8.6"},
		{Name: "vectors", Trap: "one data centre's way to the hub stalls at 40 % of the weights", Model: "Qwen/Qwen3-Embedding-8B", Record: qwenEmbedding(), StallIn: "EU-SE-1"},
		{Name: "thoughts", Trap: "no release has the reasoning parser that the model's family is said to use", Model: "Qwen/Qwen3-14B",
			Reasoning: []string{"deepseek_r1", "granite", "mistral"}},
		{Name: "another family's tool parser", Trap: "the user asks for a tool parser that takes every call for text", Model: "Qwen/Qwen3-8B",
			Flags: tools("llama3_json"), Speaks: "hermes"},
		{Name: "the family's tool parser", Trap: "the model writes its calls in another form than its family is said to", Model: "Qwen/Qwen3-30B-A3B-Instruct-2507",
			Speaks: "qwen3_coder"},
		{Name: "a tool parser of whole answers", Trap: "the newest releases' tool parser leaves streamed calls in the text", Model: "Qwen/Qwen2.5-14B-Instruct",
			WholeFrom: "0.31.0"},
	}
}
