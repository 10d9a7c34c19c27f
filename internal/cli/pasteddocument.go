package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/google/shlex"
	"sigs.k8s.io/yaml"

	"justright/problem"
	"justright/solve"
)

var documentStart = regexp.MustCompile(`^(?:---|\[|\{|- |[A-Za-z_][\w.-]*:(?:\s|$))`)

// readDocument reads a compose file, a Kubernetes manifest, or a part of one: a container, its command as a list. ok is false
// when text is none of these.
func readDocument(text string) (p pastedLine, ok bool, err error) {
	first := ""
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			first = line
			break
		}
	}
	if !documentStart.MatchString(first) {
		return p, false, nil
	}
	var found [][]string
	for _, part := range regexp.MustCompile(`(?m)^---.*$`).Split(text, -1) {
		raw, yerr := yaml.YAMLToJSON([]byte(part))
		if yerr != nil {
			return p, false, problem.New(problem.ExitUsage, "usage", "the pasted document is no YAML that can be read").Wrap(yerr).
				Try("give the engine's own line instead", "justright check -- vllm serve MODEL")
		}
		var doc any
		if err := json.Unmarshal(raw, &doc); err != nil {
			return p, false, err
		}
		found = append(found, commandsIn(doc)...)
	}
	for _, words := range found {
		// A service beside the engine, a database say, is a container as well.
		if line, known, err := solve.ParsePasted(words); known && err == nil && (line.Model != "" || line.Case.Pins.Engine != "" || solve.ParseImageRef(line.Case.Image).Engine.Name != "") {
			return pastedLine{words: words}, true, nil
		}
	}
	return p, false, problem.New(problem.ExitUsage, "usage", "the pasted document starts no engine that can be read").
		Because("an engine is looked for in the services of a compose file, the containers of a manifest, and a command written as a list").
		Try("give its line instead", "justright check -- docker run IMAGE --model MODEL")
}

// commandsIn are the containers of a document as lines of docker run, the outermost first.
func commandsIn(v any) [][]string {
	var out [][]string
	switch v := v.(type) {
	case []any:
		if words, ok := textList(v); ok && len(words) > 0 {
			return [][]string{words}
		}
		for _, x := range v {
			out = append(out, commandsIn(x)...)
		}
	case map[string]any:
		if words := containerWords(v); words != nil {
			return [][]string{words}
		}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			out = append(out, commandsIn(v[k])...)
		}
	}
	return out
}

// containerWords is a service of compose (entrypoint and command) or a container of Kubernetes (command and args); nil when c
// is neither.
func containerWords(c map[string]any) []string {
	image, _ := c["image"].(string)
	entrypoint, command := commandWords(c["entrypoint"]), commandWords(c["command"])
	if _, kube := c["args"]; kube {
		entrypoint, command = command, commandWords(c["args"])
	} else if _, kube := c["env"].([]any); kube {
		entrypoint, command = command, nil
	}
	if image == "" {
		return append(entrypoint, command...)
	}
	words := []string{"docker", "run"}
	for _, kv := range environmentOf(c) {
		words = append(words, "-e", kv)
	}
	if len(entrypoint) > 0 {
		words = append(words, "--entrypoint", entrypoint[0])
		command = append(slices.Clone(entrypoint[1:]), command...)
	}
	return append(append(words, image), command...)
}

// commandWords reads a command, which is a list or one text.
func commandWords(v any) []string {
	switch v := v.(type) {
	case string:
		if words, err := shlex.Split(v); err == nil {
			return words
		}
	case []any:
		if words, ok := textList(v); ok {
			return words
		}
	}
	return nil
}

// textList is a list of plain values; ok is false when one of them is not plain.
func textList(v []any) (out []string, ok bool) {
	for _, x := range v {
		switch x := x.(type) {
		case string:
			out = append(out, x)
		case float64, bool:
			out = append(out, fmt.Sprint(x))
		default:
			return nil, false
		}
	}
	return out, true
}

// environmentOf is a container's environment as NAME=VALUE: compose has a list or a mapping, Kubernetes a list of name and
// value.
func environmentOf(c map[string]any) []string {
	var out []string
	switch env := c["environment"].(type) {
	case []any:
		list, _ := textList(env)
		out = append(out, list...)
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(env)) {
			out = append(out, fmt.Sprintf("%s=%v", k, env[k]))
		}
	}
	list, _ := c["env"].([]any)
	for _, x := range list {
		if kv, ok := x.(map[string]any); ok && kv["value"] != nil {
			out = append(out, fmt.Sprintf("%v=%v", kv["name"], kv["value"]))
		}
	}
	return out
}
