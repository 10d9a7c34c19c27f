package solve

import (
	"justright/catalog"
	"justright/model"
	"justright/version"
)

// Case is one stack as somebody states it, whole or in part. What is not stated stays free: the verdict is about
// whether any completion of the case works.
type Case struct {
	Pins
	Engine  EngineRef // instead of Pins.Engine, which ParseEngineRef reads when this is empty
	ImageAs ImageRef  // instead of Pins.Image, likewise
	FlagsAs *Flags    // instead of Pins.Flags and Pins.Env, likewise
	Date    string    // YYYY-MM-DD: what "latest" and "today" mean; empty: the day the catalog was read
	Profile *model.Profile
	// Closed says that the case is one machine that exists: what is not stated is there but not known, rather than free to
	// choose, so that only a whole statement can be said to work.
	Closed bool

	Fragment    bool   // the flags are what somebody changed, not a whole command: without a word of the number of cards it is not known
	NominalGiB  int    // memory of one card as its name states it: tells the 16 GB from the 32 GB variant of a card
	Provider    string // where the host is: "GKE", "RunPod serverless"
	ARM         bool   // the host's CPU is aarch64
	AMX         *bool  // the host's CPU has AMX tiles; nil not known
	Concurrency int    // requests wanted at once; 0: 1

	// ImageCommand are the words before the first flag that a container is started with on top of the image's own
	// entrypoint: "vllm serve" after vllm/vllm-openai is handed to its server as arguments.
	ImageCommand string

	// What is known of the model when its name or config is not: names as in config.json.
	ModelName    string
	Architecture string
	ModelType    string

	Source string // where the statements come from; "stated" when empty
}

// gpu is what the case says about the cards.
type gpu struct {
	name       string
	card       catalog.Card
	full       *catalog.GPU // when the catalog has the whole card
	known      bool
	capability version.Capability
	bytes      int64 // of one card as the driver reports it; 0 unknown
	count      int   // 0 unknown
	consumer   bool
}
