package solve

import (
	"encoding/json"
	"fmt"
	"strings"

	"justright/catalog"
	"justright/model"
	"justright/version"
)

// Incident is a reported failure: a stack that lost, why, and one that won. The fields that judge it (reason, title,
// error, confidence, winning.change) may be missing and are never read for an answer.
type Incident struct {
	ID           string         `json:"id"`
	SourceURL    string         `json:"source_url"`
	Date         string         `json:"date"`
	Model        string         `json:"model"`
	ModelType    string         `json:"model_type"`
	Architecture string         `json:"architecture"`
	Engine       string         `json:"engine"`
	Losing       incidentStack  `json:"losing"`
	Host         incidentHost   `json:"host"`
	Reason       string         `json:"reason"`
	Winning      map[string]any `json:"winning"`
}

type incidentStack struct {
	Engine        string `json:"engine"`
	EngineVersion string `json:"engine_version"`
	Image         string `json:"image"`
	Transformers  string `json:"transformers"`
	Python        string `json:"python"`
	Torch         string `json:"torch"`
	WheelCUDA     string `json:"wheel_cuda"`
	Install       string `json:"install"`
	Flags         string `json:"flags"`
}

type incidentHost struct {
	GPU               string  `json:"gpu"`
	GPUCount          int     `json:"gpu_count"`
	VRAMGB            float64 `json:"vram_gb"`
	ComputeCapability string  `json:"compute_capability"`
	Driver            string  `json:"driver"`
	CUDA              string  `json:"cuda"`
	OSGlibc           string  `json:"os_glibc"`
	Provider          string  `json:"provider"`
}

// ParseIncident reads one line of an incidents file.
func ParseIncident(line []byte) (Incident, error) {
	var i Incident
	if err := json.Unmarshal(line, &i); err != nil {
		return i, fmt.Errorf("no incident: %w", err)
	}
	if i.ID == "" {
		return i, fmt.Errorf("no incident: the field id is missing")
	}
	return i, nil
}

// stack is everything an incident states of one side, as text.
type sideText struct {
	stack             incidentStack
	host              incidentHost
	model, mtype, cls string
}

// Lookup finds a model's profile by a name as people write it; nil when it is not known.
type Lookup func(name string) *model.Profile

// LosingCase is the stack that lost.
func (i Incident) LosingCase(find Lookup) Case {
	st := i.Losing
	if st.Engine == "" {
		st.Engine = i.Engine
	}
	return i.caseOf(sideText{st, i.Host, i.Model, i.ModelType, i.Architecture}, find)
}

// WinningCase is the losing stack and its host overlaid by what the winning one states; flags are not inherited. ok is
// false when nothing stated differs: there is nothing to judge.
func (i Incident) WinningCase(find Lookup) (Case, bool) {
	if i.Winning == nil {
		return Case{}, false
	}
	t := sideText{i.Losing, i.Host, i.Model, i.ModelType, i.Architecture}
	if t.stack.Engine == "" {
		t.stack.Engine = i.Engine
	}
	before := t
	t.stack.Flags = ""
	text := func(key string, into *string) {
		if v, ok := i.Winning[key].(string); ok {
			*into = v
		}
	}
	for key, into := range map[string]*string{
		"engine": &t.stack.Engine, "engine_version": &t.stack.EngineVersion, "image": &t.stack.Image, "transformers": &t.stack.Transformers,
		"python": &t.stack.Python, "torch": &t.stack.Torch, "wheel_cuda": &t.stack.WheelCUDA, "install": &t.stack.Install, "flags": &t.stack.Flags,
		"gpu": &t.host.GPU, "compute_capability": &t.host.ComputeCapability, "driver": &t.host.Driver, "cuda": &t.host.CUDA,
		"os_glibc": &t.host.OSGlibc, "provider": &t.host.Provider, "model": &t.model, "model_type": &t.mtype, "architecture": &t.cls,
	} {
		text(key, into)
	}
	if n, ok := i.Winning["gpu_count"].(float64); ok {
		t.host.GPUCount = int(n)
	}
	if n, ok := i.Winning["vram_gb"].(float64); ok {
		t.host.VRAMGB = n
	}
	stated := func(key string) bool { _, ok := i.Winning[key]; return ok }
	if stated("engine_version") && !stated("image") && t.stack.EngineVersion != before.stack.EngineVersion {
		if t.stack.Image != "" && !stated("wheel_cuda") {
			t.stack.WheelCUDA = ""
		}
		t.stack.Image = "" // another version is another image
	}
	if stated("image") && !stated("engine_version") {
		t.stack.EngineVersion = ""
	}
	if (stated("engine_version") || stated("engine")) && t.stack.EngineVersion+t.stack.Engine != before.stack.EngineVersion+before.stack.Engine {
		if !stated("torch") {
			t.stack.Torch = "" // comes with the engine
		}
		if !stated("engine_version") {
			t.stack.EngineVersion = ""
		}
	}
	if stated("gpu") && t.host.GPU != before.host.GPU && !stated("compute_capability") {
		t.host.ComputeCapability = ""
		if !stated("vram_gb") {
			t.host.VRAMGB = 0
		}
	}
	if stated("model") {
		if !stated("model_type") {
			t.mtype = ""
		}
		if !stated("architecture") {
			t.cls = ""
		}
	}
	same := t
	same.stack.Flags = before.stack.Flags
	if same == before && (!stated("flags") || t.stack.Flags == before.stack.Flags) {
		return Case{}, false
	}
	c := i.caseOf(t, find)
	c.Fragment = stated("flags")
	return c, true
}

func (i Incident) caseOf(t sideText, find Lookup) Case {
	c := Case{Closed: true, Date: i.Date, Source: i.SourceURL, ModelName: t.model, ModelType: t.mtype, Architecture: t.cls, Provider: t.host.Provider}
	c.Engine = ParseEngineRef(t.stack.Engine, t.stack.EngineVersion)
	c.Image = t.stack.Image
	c.ImageAs = ParseImageRef(t.stack.Image)
	c.Install = t.stack.Install
	c.Transformers, c.Python, c.Torch, c.WheelCUDA = t.stack.Transformers, pythonOf(t.stack.Python), t.stack.Torch, t.stack.WheelCUDA
	f := ParseFlagText(t.stack.Flags)
	c.FlagsAs = &f
	if words := strings.Fields(t.stack.Flags); len(words) > 1 && words[0] == "serve" && c.Image != "" {
		c.ImageCommand = strings.Join(words[:2], " ")
	}
	c.GPU, c.GPUs, c.OS = t.host.GPU, t.host.GPUCount, t.host.OSGlibc
	c.VRAMBytes = int64(t.host.VRAMGB * (1 << 30))
	if t.host.VRAMGB == float64(int(t.host.VRAMGB)) && t.host.GPU != "" {
		c.VRAMBytes, c.NominalGiB = 0, int(t.host.VRAMGB) // a marketing figure: the card's own is better
		if _, ok := catalog.FindCard(t.host.GPU); !ok {
			c.VRAMBytes = int64(t.host.VRAMGB * 0.985 * (1 << 30))
		} else if card, _ := catalog.FindCard(t.host.GPU); card.MemoryGiB != int(t.host.VRAMGB) {
			c.VRAMBytes = int64(t.host.VRAMGB * 0.985 * (1 << 30))
		}
	}
	c.Capability, _ = version.ParseCapability(word(t.host.ComputeCapability))
	if d, err := version.ParseDriver(word(t.host.Driver)); err == nil {
		c.Driver = d
	}
	c.HostCUDA, _ = version.ParseCUDA(word(t.host.CUDA))
	if find != nil && t.model != "" {
		c.Profile = find(t.model)
	}
	return c
}

// pythonOf keeps the version of "3.10.12" or "Python 3.12 (conda)".
func pythonOf(s string) string {
	return word(strings.TrimPrefix(strings.ToLower(strings.TrimSpace(s)), "python"))
}

// word is the first word, without what clings to it.
func word(s string) string { return strings.Trim(firstField(s), ",;()") }
