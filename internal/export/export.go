// Package export writes one plan down for other tools: the same image, start script, flags, disk and floors, in the
// file each of them reads. It is pure: text in, text out, equal input gives equal bytes. No secret is ever in it: a
// key appears as the reference its tool resolves.
package export

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"time"

	"justright/boot"
	"justright/catalog"
	"justright/problem"
	"justright/solve"
)

// Plan is what is exported.
type Plan struct {
	Name    string // of the machine, service or deployment
	Model   string // as the user wrote it
	Stack   solve.Stack
	Script  boot.Script
	GPU     catalog.GPU // zero for a CPU plan, or a card the catalog does not know
	Port    int
	DiskGB  int
	Command string // the command line that made this, for the head of the file
	Cluster Cluster
}

// Document is what a format gives: the text, and what its user must know.
type Document struct {
	Schema string   `json:"schema"` // justright/export/1
	Format string   `json:"format"`
	Name   string   `json:"name"`
	Model  string   `json:"model"`
	Text   string   `json:"text"`
	Notes  []string `json:"notes"` // also in the text, as comments, where the format has comments
}

// Schema names the document.
const Schema = "justright/export/1"

// format is one output.
type format struct {
	name, what string
	write      func(Plan) (string, []string)
	// comment begins a comment line; empty: the format has none.
	comment string
}

func formats() []format {
	return []format{
		{"runpod-json", "body of RunPod's POST /v2/pods", runpodJSON, ""},
		{"runpodctl", "shell script around runpodctl pod create", runpodctl, "#"},
		{"script", "the start script itself, for any machine with the card", script, "#"},
		{"compose", "Docker Compose file", compose, "#"},
		{"kubernetes", "ConfigMap, Deployment and Service", kubernetes, "#"},
		{"skypilot", "SkyPilot task", skypilot, "#"},
		{"dstack", "dstack service", dstack, "#"},
	}
}

// Formats lists the names in the order of help, each with what it is.
func Formats() [][2]string {
	var out [][2]string
	for _, f := range formats() {
		out = append(out, [2]string{f.name, f.what})
	}
	return out
}

// Write renders the plan in a format.
func Write(name string, p Plan) (Document, error) {
	for _, f := range formats() {
		if f.name != name {
			continue
		}
		if err := p.check(name); err != nil {
			return Document{}, err
		}
		text, notes := f.write(p)
		if f.comment != "" {
			text = headed(text, f.comment, append(p.head(), notes...))
		}
		return Document{Schema: Schema, Format: name, Name: p.Name, Model: p.Model, Text: text, Notes: notes}, nil
	}
	var names []string
	for _, f := range formats() {
		names = append(names, f.name)
	}
	return Document{}, problem.New(problem.ExitUsage, "unknown_format", "--as %q is no format", name).Because("there are %s", strings.Join(names, ", "))
}

// check refuses what a format cannot carry.
func (p Plan) check(name string) error {
	refuse := func(why string, a ...any) error {
		return problem.New(problem.ExitUsage, "not_exportable", "this plan cannot be written as %s", name).Because(why, a...)
	}
	if !validName(p.Name) {
		return refuse("the name %q is not made of lower-case letters, digits and dashes", p.Name)
	}
	if (name == "runpod-json" || name == "runpodctl") && (p.Stack.GPU.ID == "" || p.runpodID() == "") {
		return refuse("RunPod rents no card that is known as %q", p.Stack.GPU.ID)
	}
	if name != "script" && p.Stack.Image == "" {
		return refuse("the plan names no image")
	}
	if p.Script.Spec().Model.Dir != "" && name != "script" {
		return refuse("the model is a directory of this machine, which the other one does not have")
	}
	for _, k := range sortedKeys(p.Script.Env()) {
		if strings.ContainsAny(p.Script.Env()[k], "\n\x00") {
			return refuse("the environment variable %s holds a line break", k)
		}
	}
	return nil
}

// validName is a DNS label, which every one of these tools takes.
func validName(s string) bool {
	for i, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z'
		if !letter && !(i > 0 && (c >= '0' && c <= '9' || c == '-')) {
			return false
		}
	}
	return s != "" && len(s) <= 50 && !strings.HasSuffix(s, "-")
}

// head says what the file is and where it came from.
func (p Plan) head() []string {
	e := p.Stack.Engine
	engine := e.Name + " " + e.Version
	if e.WheelCUDA != "" {
		engine += " (CUDA " + e.WheelCUDA + ")"
	}
	where := "CPU"
	if p.Stack.GPU.ID != "" {
		where = fmt.Sprintf("%d × %s", max(1, p.Stack.GPU.Count), p.gpuName())
	}
	lines := []string{p.Model + " · " + engine + " · " + p.Stack.Install + " · " + where}
	if p.Command != "" {
		lines = append(lines, "made by: "+p.Command)
	}
	if !p.Stack.Host.MinCUDA.IsZero() {
		lines = append(lines, "the host's driver must offer CUDA "+p.Stack.Host.MinCUDA.String()+" or later; the start script checks it before it downloads anything")
	}
	return lines
}

func (p Plan) gpuName() string {
	if p.GPU.Name != "" {
		return p.GPU.Name
	}
	return p.Stack.GPU.ID
}

// runpodID is the id RunPod wants for the plan's card.
func (p Plan) runpodID() string {
	if p.Stack.Offer != nil && p.Stack.Offer.Provider == "runpod" && p.Stack.Offer.ProviderID != "" {
		return p.Stack.Offer.ProviderID
	}
	if len(p.GPU.RunPodIDs) > 0 {
		return p.GPU.RunPodIDs[0]
	}
	return ""
}

// env is the environment without secrets, and the names of the secrets.
func (p Plan) env() (keys []string, values map[string]string, secrets []boot.SecretRef) {
	values = p.Script.Env()
	return sortedKeys(values), values, p.Script.Secrets()
}

// startWait is how long a start may take before somebody should look: twice the prediction, ten minutes at least.
func (p Plan) startWait() time.Duration {
	return max(10*time.Minute, 2*time.Duration(p.Stack.Ready.Seconds[1])*time.Second)
}

// headed puts comment lines at the top, behind a shebang if there is one.
func headed(text, comment string, lines []string) string {
	var b strings.Builder
	if rest, ok := strings.CutPrefix(text, "#!/bin/sh\n"); ok {
		b.WriteString("#!/bin/sh\n")
		text = rest
	}
	for _, l := range lines {
		b.WriteString(comment + " " + strings.Join(strings.Fields(l), " ") + "\n")
	}
	b.WriteString(text)
	return b.String()
}

// encode writes JSON without the escapes that only HTML wants. What is given here are strings, numbers, lists and maps
// of strings, which always encode.
func encode(v any, indent string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	if err := e.Encode(v); err != nil {
		panic("export: " + err.Error())
	}
	return b.String()
}

func compact(v any) string { return strings.TrimSuffix(encode(v, ""), "\n") }

// quote is a YAML (and JSON) double-quoted scalar.
func quote(s string) string { return compact(s) }

// literal is a YAML literal block of text, indented by n blanks, behind "key: ". Text that such a block cannot hold as
// it is becomes a quoted scalar.
func literal(text string, n int) string {
	for _, r := range text {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 || r == 0xfeff || r == 0xfffd {
			return quote(text)
		}
	}
	if text == "" || strings.HasPrefix(text, " ") || strings.HasPrefix(text, "\n") || strings.HasPrefix(text, "\t") {
		return quote(text)
	}
	style := "|"
	switch {
	case !strings.HasSuffix(text, "\n"):
		style = "|-"
	case strings.HasSuffix(text, "\n\n"):
		style = "|+"
	}
	pad := strings.Repeat(" ", n)
	var b strings.Builder
	b.WriteString(style + "\n")
	for _, l := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if l != "" {
			b.WriteString(pad + l)
		}
		b.WriteByte('\n')
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
