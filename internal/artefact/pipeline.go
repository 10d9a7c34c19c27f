package artefact

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"justright/internal/pyindex"
	"justright/version"
)

// Pipeline is what the release pipeline inside vLLM's sdist builds. That it was built says not that it is online.
type Pipeline struct {
	Wheels    []Build // CUDA wheels, the default one first as far as the file tells
	Images    []Build // CUDA images of the plain Ubuntu
	Ubuntu    bool    // there are -ubuntu2404 images beside them
	ArchsX86  string  // TORCH_CUDA_ARCH_LIST of the default x86_64 wheel
	ArchsCU12 string  // of the CUDA 12 wheel where it differs
}

// Build is a CUDA version and the machine types it is built for.
type Build struct {
	CUDA      version.CUDA
	Platforms []string
}

// PipelineFile is the file of the sdist that ReadPipeline reads.
const PipelineFile = ".buildkite/release-pipeline.yaml"

// ReadPipeline reads the release pipeline out of a vLLM sdist; ok is false when the sdist does not hold it.
func ReadPipeline(ctx context.Context, c *pyindex.Client, sdist pyindex.File) (p Pipeline, ok bool, err error) {
	files, err := c.SdistFiles(ctx, sdist, PipelineFile)
	if err != nil || files[PipelineFile] == nil {
		return Pipeline{}, false, err
	}
	return parsePipeline(string(files[PipelineFile])), true, nil
}

var (
	wheelLabel = regexp.MustCompile(`label:\s*"(?::\w+:\s*)?Build wheel - (x86_64|aarch64) - CUDA (\d+\.\d+)"`)
	imageLabel = regexp.MustCompile(`label:\s*"(?::\w+:\s*)?Build release image - (x86_64|aarch64) - CUDA (\d+\.\d+)( - Ubuntu 24\.04)?"`)
	archX86    = regexp.MustCompile(`(?m)^\s*CUDA_ARCH_X86:\s*"([\d. +PTX]+)"`)
	archX86CU  = regexp.MustCompile(`(?m)^\s*CUDA_ARCH_X86_CU12\d:\s*"([\d. +PTX]+)"`)
)

func parsePipeline(yaml string) Pipeline {
	var p Pipeline
	for _, m := range wheelLabel.FindAllStringSubmatch(yaml, -1) {
		p.Wheels = addBuild(p.Wheels, m[2], m[1])
	}
	for _, m := range imageLabel.FindAllStringSubmatch(yaml, -1) {
		if m[3] != "" {
			p.Ubuntu = true
			continue
		}
		p.Images = addBuild(p.Images, m[2], m[1])
	}
	if m := archX86.FindStringSubmatch(yaml); m != nil {
		p.ArchsX86 = strings.TrimSpace(m[1])
	}
	if m := archX86CU.FindStringSubmatch(yaml); m != nil {
		p.ArchsCU12 = strings.TrimSpace(m[1])
	}
	return p
}

func addBuild(builds []Build, cuda, platform string) []Build {
	c, err := version.ParseCUDA(cuda)
	if err != nil {
		return builds
	}
	for i := range builds {
		if builds[i].CUDA == c {
			if !slices.Contains(builds[i].Platforms, platform) {
				builds[i].Platforms = append(builds[i].Platforms, platform)
				slices.Sort(builds[i].Platforms)
			}
			return builds
		}
	}
	return append(builds, Build{c, []string{platform}})
}
