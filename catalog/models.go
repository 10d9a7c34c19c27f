package catalog

import (
	"bytes"
	_ "embed" // models.json
	"encoding/json"
	"fmt"
	"strings"
	"sync"
)

//go:embed data/models.json
var modelsJSON []byte

// ModelsDate is when the sources of the embedded models were read.
const ModelsDate = "2026-08-21"

// ModelRecord is what is known offline of one model: the fields of its config.json that decide serving, as
// published by Source, and counts derived from them. Package model turns it into a profile.
type ModelRecord struct {
	ID               string          `json:"id"`
	Config           json.RawMessage `json:"config"`
	HFQuantConfig    json.RawMessage `json:"hf_quant_config,omitempty"`
	Parameters       int64           `json:"parameters,omitempty"`
	CheckpointBytes  int64           `json:"checkpoint_bytes,omitempty"`
	CheckpointSource string          `json:"checkpoint_source,omitempty"`
	Source           string          `json:"source"`
	ShapeOf          string          `json:"shape_of,omitempty"` // the sibling whose shape fills what Source leaves out
	Filled           []string        `json:"filled,omitempty"`   // fields that Source leaves out, from the repository's published config as public code restates it
}

var embeddedModels = sync.OnceValues(func() ([]ModelRecord, error) {
	var m []ModelRecord
	err := json.Unmarshal(modelsJSON, &m)
	return m, err
})

// Models lists the embedded models in a fixed order. The slice is shared: do not change it.
func Models() []ModelRecord {
	m, err := embeddedModels()
	if err != nil {
		panic(fmt.Sprintf("catalog: embedded models.json: %v", err)) // a test decodes it; it cannot be bad at run time
	}
	return m
}

// modelByLine finds a record by its exact id without reading the others: each is one line of the file, and begins with
// its id. ok is false for whatever it does not find.
func modelByLine(id string) (m ModelRecord, ok bool) {
	name, err := json.Marshal(id)
	if err != nil {
		return m, false
	}
	_, line, found := bytes.Cut(modelsJSON, append([]byte("\n{\"id\":"), append(name, ',')...))
	if !found {
		return m, false
	}
	line, _, _ = bytes.Cut(line, []byte("\n"))
	line = append([]byte("{"), bytes.TrimSuffix(bytes.TrimSpace(line), []byte(","))...)
	if json.Unmarshal(line, &m) != nil {
		return ModelRecord{}, false
	}
	m.ID = id
	return m, true
}

// FindModels returns the records that ref may mean: one for an id (case does not matter), or all whose last path
// element is ref when it has no slash.
func FindModels(ref string) []ModelRecord {
	if m, ok := modelByLine(ref); ok {
		return []ModelRecord{m}
	}
	var short []ModelRecord
	for _, m := range Models() {
		if strings.EqualFold(m.ID, ref) {
			return []ModelRecord{m}
		}
		if i := strings.LastIndexByte(m.ID, '/'); i >= 0 && !strings.Contains(ref, "/") && strings.EqualFold(m.ID[i+1:], ref) {
			short = append(short, m)
		}
	}
	return short
}
