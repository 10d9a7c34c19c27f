package solve

import (
	"strings"

	"justright/catalog"
	"justright/model"
)

// FindProfile finds the profile of a model that the catalog has whole, by a name as people write it: an id, its last
// part, with a remark in brackets, or a sibling of the very same shape. nil when there is none.
func FindProfile(name string) *model.Profile {
	bare, _, _ := strings.Cut(strings.TrimSpace(name), " (")
	tries := []string{bare}
	if i := strings.LastIndexByte(bare, '/'); i >= 0 {
		tries = append(tries, bare[i+1:])
	}
	if n, _ := catalog.FindNamed(bare); n.SameShape != "" {
		tries = append(tries, n.SameShape)
	}
	for _, t := range tries {
		found := catalog.FindModels(t)
		if len(found) == 0 || t == "" {
			continue
		}
		if p, err := model.FromRecord(found[0]); err == nil {
			if t == bare && strings.Contains(bare, "/") {
				return &p
			}
			p.ID = bare
			if p.MaxPosition == 0 && p.ModelType == "deepseek_v2" {
				p.MaxPosition = 163840 // max_position_embeddings of every DeepSeek-V2 config.json
			}
			return &p
		}
	}
	return nil
}
