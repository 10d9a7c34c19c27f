package catalog

import "strings"

// gatedFamilies are repositories of huggingface.co whose files want a licence accepted and a token, by how their ids begin.
// Gemma 4 is not among them.
var gatedFamilies = []struct{ prefix, statement, source string }{
	{"meta-llama/", "Meta's repositories on huggingface.co give their files to accounts alone whose request for access was granted", "https://huggingface.co/meta-llama"},
	{"google/gemma-2b", "", ""}, {"google/gemma-7b", "", ""}, {"google/gemma-1.1-", "", ""}, {"google/gemma-2-", "", ""}, {"google/gemma-3-", "", ""}, {"google/gemma-3n-", "", ""},
	{"google/codegemma-", "", ""}, {"google/shieldgemma-", "", ""},
}

// Gated reports whether a hub id is known to need an accepted licence and a token, and says where that is from. Of other ids it is
// not known here; the hub says it when it is asked.
func Gated(id string) (Fact, bool) {
	low := strings.ToLower(id)
	for _, g := range gatedFamilies {
		if !strings.HasPrefix(low, g.prefix) {
			continue
		}
		if g.statement == "" {
			g.statement, g.source = "Google's Gemma up to 3n on huggingface.co wants its licence accepted before its files can be read", "https://huggingface.co/google/gemma-2-9b-it, https://huggingface.co/google/gemma-3n-E2B"
		}
		return Fact{ID: FactID("model/" + id + "/gated"), Statement: g.statement, Source: g.source, Date: ModelsDate, Standing: Reported}, true
	}
	return Fact{}, false
}
