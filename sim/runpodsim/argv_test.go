package runpodsim_test

import (
	"fmt"
	"testing"

	"justright/sim/runpodsim"
)

// TestArgv: entrypoint and command of an image and of a pod make the argv as Docker does; a replaced entrypoint drops
// the image's command.
func TestArgv(t *testing.T) {
	t.Parallel()
	img := runpodsim.Image{Entrypoint: []string{"vllm", "serve"}, Cmd: []string{"default"}}
	for _, c := range []struct {
		start runpodsim.StartCommand
		want  string
	}{
		{runpodsim.StartCommand{}, "[vllm serve default]"},
		{runpodsim.StartCommand{Cmd: []string{"a"}}, "[vllm serve a]"},
		{runpodsim.StartCommand{Entrypoint: []string{"sh"}}, "[sh]"},
		{runpodsim.StartCommand{Entrypoint: []string{"sh", "-c"}, Cmd: []string{"x y"}}, "[sh -c x y]"},
		{runpodsim.DecodeArgs("  "), "[vllm serve default]"},
		{runpodsim.DecodeArgs(`{"cmd":["a"]}`), "[vllm serve a]"},
		{runpodsim.DecodeArgs(`{"cmd":["a"],"other":1}`), "[vllm serve {cmd:[a],other:1}]"},
	} {
		if got := fmt.Sprint(c.start.Argv(img)); got != c.want {
			t.Errorf("%+v: %s, want %s", c.start, got, c.want)
		}
	}
}

// TestDescribeImage: gate, entrypoint and Python of well-known tags, and tags that were never pushed.
func TestDescribeImage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ref, entrypoint, cuda, python, engine string
		missing                               bool
	}{
		{"vllm/vllm-openai:v0.6.3.post1", "[python3 -m vllm.entrypoints.openai.api_server]", "12.4", "3.12", "0.6.3.post1", false},
		{"vllm/vllm-openai:v0.8.5", "[python3 -m vllm.entrypoints.openai.api_server]", "12.4", "3.12", "0.8.5", false},
		{"docker.io/vllm/vllm-openai:v0.11.1", "[vllm serve]", "12.9", "3.12", "0.11.1", false},
		{"vllm/vllm-openai:v0.25.0-cu129", "[vllm serve]", "12.9", "3.12", "0.25.0", false},
		{"vllm/vllm-openai:v0.16.0-cu130", "[vllm serve]", "13.0", "3.12", "0.16.0", false},
		{"vllm/vllm-openai", "[vllm serve]", "13.0", "3.12", "0.33.0", false},
		{"vllm/vllm-openai:v99.0.0", "[vllm serve]", "13.0", "3.12", "99.0.0", true},
		{"vllm/vllm-openai:newest", "[vllm serve]", "13.0", "3.12", "0.33.0", true},
		{"runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404", "[]", "12.8", "3.12", "", false},
		{"runpod/pytorch:2.2.0-py3.10-cuda12.1.1-devel-ubuntu22.04", "[]", "12.1", "3.10", "", false},
		{"runpod/base:1.0.2-cuda1290-ubuntu2204", "[]", "12.9", "3.12", "", false},
		{"nvidia/cuda:13.0.2-base-ubuntu24.04", "[]", "13.0", "", "", false},
		{"python:3.11-slim", "[]", "", "3.11", "", false},
		{"ghcr.io/acme/thing@sha256:0123", "[]", "", "", "", false},
	} {
		img := runpodsim.DescribeImage(c.ref)
		if fmt.Sprint(img.Entrypoint) != c.entrypoint || img.Env["CUDA_VERSION"] != c.cuda || img.Python != c.python || img.Engine != c.engine || img.Missing != c.missing {
			t.Errorf("%s: %+v", c.ref, img)
		}
	}
}
