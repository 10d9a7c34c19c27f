package diagnose

import (
	"bytes"
	"regexp"

	"justright/catalog"
)

// Engines check their settings in hundreds of places, each with words of its own. What they have in common: the check
// stands in the code of the configuration, and names the setting or says what it must be.

var (
	settingName = regexp.MustCompile(`--[a-z][a-z0-9-]+|\b[a-z][a-z0-9]*(?:_[a-z0-9]+)+\b`)
	// wrongValue is what is said of one setting's value.
	wrongValue = regexp.MustCompile(`\b(?:unknown|invalid|unrecognized|unsupported)\b|\bvalid \w+ are\b|\bsupported \w+(?: are|:)|expected (?:one of|to be)|` +
		`must be (?:one of|an? |in |between|at least|greater|non-|positive|non|>|<|=|'|\d)|must not be empty|must (?:only )?contain|cannot be 0|should be (?:one of|in )|greater than (?:or equal to )?(?:0|1|zero|one)\b|out of range|duplicates`)
	// twoSettings is what is said of settings that do not go together.
	twoSettings  = regexp.MustCompile(`\b(?:must|should|cannot|can not|can't|only|requires?|needs?|not supported|not (?:yet )?support|not compatible|incompatible|not allowed|without|unless|mutually|conflicts?|exceeds?|instead|disable|enable[ds]?|set to|removed|deprecated)\b`)
	choices      = regexp.MustCompile(`\b(?:supported|valid|available) \w+(?: are|:)|expected one of|must be one of|choose from`)
	checkingCode = regexp.MustCompile(`vllm/config|/config/\w+\.py|arg_utils\.py|cli_args\.py|server_args\.py|dp_supervisor\.py|api_server/entry\.py|args_validation|/platforms/\w+\.py`)
)

// elsewhere are topics of messages with causes of their own, or with none that a flag could cure.
const elsewhere = "architecture|checkpoint you are trying|does not recognize|tokenizer|chat template|chat_template|expecting value|no such file|permission|connect|repo id|repository|rope|json|out of memory|torch.|cuda error|hf_config|config.json|weight|attention heads|tensor parallel size|quantization config|quantization method|max_position_embeddings"

// settingCause tells a wrong value from settings that do not go together; empty when a message is about neither.
func settingCause(message []byte) Code {
	if hasAny(message, elsewhere) {
		return ""
	}
	names := map[string]bool{}
	named := message
	if i := choices.FindIndex(message); i != nil {
		named = message[:i[0]] // what may be chosen names no setting
	}
	for _, n := range settingName.FindAll(named, 8) {
		names[string(bytes.ReplaceAll(bytes.TrimLeft(n, "-"), []byte("-"), []byte("_")))] = true
	}
	switch wrong := wrongValue.Match(message); {
	case len(names) < 2 && wrong:
		return InvalidArgumentValue
	case twoSettings.Match(message), len(names) > 0 && wrong:
		return InvalidConfigCombination
	}
	return ""
}

// messageAt is what an exception says, without what pydantic appends.
func messageAt(h *hit, prefix string) []byte {
	m := h.lower[h.col:min(len(h.lower), h.col+600)]
	if _, rest, ok := bytes.Cut(m, []byte(prefix)); ok {
		m = rest
	}
	m, _, _ = bytes.Cut(m, []byte(" [type="))
	return m
}

// refusedSetting reads what pydantic was told by a configuration's own check.
func refusedSetting(h *hit) (Code, tier) {
	if c := settingCause(messageAt(h, ", ")); c != "" {
		return c, soft
	}
	return "", 0
}

// refusedByCheck reads an exception raised by code that checks settings: its frame is the last one.
func refusedByCheck(h *hit) (Code, tier) {
	if bytes.HasPrefix(h.lower, []byte("e   ")) || bytes.HasPrefix(h.lower, []byte("failed ")) && hasAny(h.lower[:h.col], "::") {
		return "", 0 // pytest's marks: a test's error
	}
	before := h.lower[:h.col]
	i := bytes.LastIndex(before, []byte(`file "`))
	if i < 0 {
		before = h.history()
		i = bytes.LastIndex(before, []byte(`file "`))
	}
	m := messageAt(h, ": ")
	if i < 0 && !namesFlag(m[:min(len(m), 80)]) || i >= 0 && !checkingCode.Match(before[i:min(len(before), i+200)]) {
		return "", 0
	}
	if c := settingCause(m); c != "" {
		return c, soft
	}
	return "", 0
}

// namesFlag looks for a flag of the engine: what an exception without any frame says is then about settings too.
func namesFlag(message []byte) bool {
	s := knowledge()
	if s == nil {
		return false
	}
	for _, n := range settingName.FindAll(message, 4) {
		if _, ok := s.Named(catalog.FlagNames, "--"+string(bytes.ReplaceAll(bytes.TrimLeft(n, "-"), []byte("_"), []byte("-")))); ok {
			return true
		}
	}
	return false
}
