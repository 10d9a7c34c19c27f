package export

import (
	"fmt"
	"strings"

	"justright/boot"
)

// secretRef is how RunPod fills a stored secret into a pod's environment
// (https://docs.runpod.io/pods/templates/secrets).
func secretRef(name string) string { return "{{ RUNPOD_SECRET_" + name + " }}" }

// podRequest is the body of POST /v2/pods, in the order a person reads it.
type podRequest struct {
	Name       string            `json:"name"`
	Image      string            `json:"image"`
	Entrypoint []string          `json:"entrypoint"`
	Cmd        []string          `json:"cmd"`
	GPU        podGPU            `json:"gpu"`
	Cloud      string            `json:"cloud"`
	Disk       int               `json:"disk"`
	Ports      []string          `json:"ports"`
	Env        map[string]string `json:"env"`
}

type podGPU struct {
	ID      string `json:"id"`
	Count   int    `json:"count"`
	MinCUDA string `json:"minCudaVersion,omitempty"`
}

func (p Plan) cloud() string {
	if p.Stack.Offer != nil && p.Stack.Offer.Cloud != "" {
		return p.Stack.Offer.Cloud
	}
	return "SECURE"
}

func (p Plan) podEnv() map[string]string {
	keys, values, secrets := p.env()
	env := map[string]string{}
	for _, k := range keys {
		env[k] = values[k]
	}
	for _, s := range secrets {
		env[s.Name] = secretRef(s.Name)
	}
	return env
}

// secretNotes tell how the secrets a RunPod export names come to be.
func (p Plan) secretNotes() []string {
	var out []string
	for _, s := range p.Script.Secrets() {
		out = append(out, fmt.Sprintf("make the RunPod secret %s first (https://console.runpod.io/user/secrets): %s", s.Name, s.Why))
	}
	return append(out, "RunPod bills from the create on until the pod is deleted: a container that exits is started again for ever. "+
		"The pod has no limits of its own here; justright up gives it a guard with ttl, idle time and a dollar cap")
}

func runpodJSON(p Plan) (string, []string) {
	start := p.Script.Start()
	body := podRequest{Name: p.Name, Image: p.Stack.Image, Entrypoint: start.Entrypoint, Cmd: start.Cmd,
		GPU: podGPU{ID: p.runpodID(), Count: max(1, p.Stack.GPU.Count)}, Cloud: p.cloud(), Disk: p.DiskGB,
		Ports: []string{fmt.Sprintf("%d/http", p.Port)}, Env: p.podEnv()}
	if !p.Stack.Host.MinCUDA.IsZero() {
		body.GPU.MinCUDA = p.Stack.Host.MinCUDA.String()
	}
	notes := []string{
		`send it: curl -fsS -X POST https://api.runpod.io/v2/pods -H "Authorization: Bearer $RUNPOD_API_KEY" -H "Content-Type: application/json" -H "User-Agent: curl" -d @FILE`,
		fmt.Sprintf("the endpoint is then https://POD-%d.proxy.runpod.net/v1", p.Port),
		`an API that does not know entrypoint and cmd answers 422 and creates nothing; then put the same into "args" as ` + `{"entrypoint":[…],"cmd":[…]} or quoted words`,
	}
	return encode(body, "  "), append(notes, p.secretNotes()...)
}

// runpodctl writes a script. runpodctl sends --docker-args as GraphQL's dockerArgs, which takes a JSON object with
// cmd and entrypoint as it is (https://docs.runpod.io/pods/templates/manage-templates), so no quoting of ours is
// split again on the way.
func runpodctl(p Plan) (string, []string) {
	start := p.Script.Start()
	args := compact(map[string][]string{"entrypoint": start.Entrypoint, "cmd": start.Cmd})
	env := compact(p.podEnv())
	words := []string{"runpodctl", "pod", "create",
		"--name", p.Name, "--image", p.Stack.Image,
		"--gpu-id", p.runpodID(), "--gpu-count", fmt.Sprint(max(1, p.Stack.GPU.Count)),
		"--cloud-type", p.cloud(), "--container-disk-in-gb", fmt.Sprint(p.DiskGB), "--volume-in-gb", "0",
		"--ports", fmt.Sprintf("%d/http", p.Port)}
	if !p.Stack.Host.MinCUDA.IsZero() {
		words = append(words, "--min-cuda-version", p.Stack.Host.MinCUDA.String())
	}
	words = append(words, "--env", env, "--docker-args", args)
	var b strings.Builder
	b.WriteString("#!/bin/sh\nset -eu\nexec")
	for i, w := range words {
		if strings.HasPrefix(w, "--") && i > 2 {
			b.WriteString(" \\\n ")
		}
		b.WriteString(" " + boot.Quote(w))
	}
	b.WriteString("\n")
	notes := []string{
		"needs runpodctl 2.7 or later with a key (runpodctl config --apiKey, or RUNPOD_API_KEY)",
		fmt.Sprintf("the endpoint is then https://POD-%d.proxy.runpod.net/v1; end it with: runpodctl pod delete POD", p.Port),
	}
	return b.String(), append(notes, p.secretNotes()...)
}

// script is the start script for a machine one already has.
func script(p Plan) (string, []string) {
	notes := []string{"run it on a machine with the card: VLLM_API_KEY=... sh FILE"}
	for _, s := range p.Script.Secrets() {
		notes = append(notes, fmt.Sprintf("needs %s in its environment: %s", s.Name, s.Why))
	}
	if p.Stack.Image != "" && p.Stack.Install == "image" {
		notes = append(notes, "the engine must be installed there already, as it is in "+p.Stack.Image)
	}
	return p.Script.Text, append(notes, fmt.Sprintf("it serves on port %d, and ends with Ctrl-C", p.Port))
}
