package runpodsim

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/google/shlex"
)

// StartCommand is the argv of a container: what replaces the image's entrypoint, and what is handed to it.
type StartCommand struct {
	Entrypoint []string // nil: the image's own
	Cmd        []string // nil: the image's own
}

// DecodeArgs turns the one string of v2 `args` and GraphQL `dockerArgs` into a command, by the rule that RunPod's people
// quoted from their backend (https://github.com/runpod/runpodctl/pull/314): a JSON object with cmd and entrypoint is taken as it
// is; anything else is split like a shell would, without a shell's expansions; and when that fails (a quote that is
// never closed), on white space. The empty string leaves the image's own command alone.
func DecodeArgs(s string) StartCommand {
	if strings.TrimSpace(s) == "" {
		return StartCommand{}
	}
	var form struct {
		Cmd        []string `json:"cmd"`
		Entrypoint []string `json:"entrypoint"`
	}
	if strings.HasPrefix(strings.TrimSpace(s), "{") {
		d := json.NewDecoder(bytes.NewReader([]byte(s)))
		d.DisallowUnknownFields()
		if d.Decode(&form) == nil && !d.More() {
			return StartCommand{Entrypoint: form.Entrypoint, Cmd: form.Cmd}
		}
	}
	words, err := shlex.Split(s)
	if err != nil {
		words = strings.Fields(s)
	}
	return StartCommand{Cmd: words}
}

// Argv is what the container's first process gets: entrypoint and command, each the image's own unless replaced. As in
// Docker, a replaced entrypoint drops the image's command.
func (c StartCommand) Argv(img Image) []string {
	entrypoint, cmd := img.Entrypoint, img.Cmd
	if len(c.Entrypoint) > 0 {
		entrypoint, cmd = c.Entrypoint, nil
	}
	if len(c.Cmd) > 0 {
		cmd = c.Cmd
	}
	return append(append([]string{}, entrypoint...), cmd...)
}
