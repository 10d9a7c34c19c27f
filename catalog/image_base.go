package catalog

import (
	"regexp"
	"strings"

	"justright/version"
)

// The forms of the tags of base images. Each names what it is.
var (
	tagCUDA   = regexp.MustCompile(`(?:cuda-?|cu)(\d{2})\.?(\d)(?:\.?\d)?(?:-|$)`)
	tagTorch  = regexp.MustCompile(`torch(\d)(\d{1,2}?)(\d)(?:-|$)`)
	tagPython = regexp.MustCompile(`py(\d)\.?(\d{1,2})(?:-|$)`)
	tagOS     = regexp.MustCompile(`ubuntu(\d{2})\.?(\d{2})`)
	tagLead   = regexp.MustCompile(`^(\d+\.\d+\.\d+)-`)
	tagToolk  = regexp.MustCompile(`^(\d{2})\.(\d)(?:\.\d+)?-`)
)

// baseImageByName reads what the tag of a well-known base image says.
func baseImageByName(img *Image) bool {
	tag := img.Tag
	switch img.Repository {
	case "runpod/pytorch", "runpod/base", "pytorch/pytorch":
		if m := tagCUDA.FindStringSubmatch(tag); m != nil {
			img.CUDA, _ = version.ParseCUDA(m[1] + "." + m[2])
		}
	case "nvidia/cuda":
		if m := tagToolk.FindStringSubmatch(tag); m != nil {
			img.CUDA, _ = version.ParseCUDA(m[1] + "." + m[2])
		}
	default:
		return plainImage(img)
	}
	if m := tagTorch.FindStringSubmatch(tag); m != nil {
		img.Torch, _ = version.ParsePEP440(m[1] + "." + m[2] + "." + m[3])
	} else if m := tagLead.FindStringSubmatch(tag); m != nil && img.Repository != "runpod/base" && img.Repository != "nvidia/cuda" {
		img.Torch, _ = version.ParsePEP440(m[1]) // runpod/pytorch:2.8.0-py3.11-…, pytorch/pytorch:2.3.0-cuda12.1-…
	}
	if m := tagPython.FindStringSubmatch(tag); m != nil {
		img.Python, _ = version.ParsePEP440(m[1] + "." + m[2])
	} else if strings.HasPrefix(img.Repository, "runpod/") && tagTorch.MatchString(tag) {
		img.Python = version.MustParsePEP440("3.12") // the newer images carry 3.9 to 3.13, 3.12 by default
	}
	if m := tagOS.FindStringSubmatch(tag); m != nil {
		img.OS = "ubuntu " + m[1] + "." + m[2]
	} else if img.Repository == "pytorch/pytorch" {
		img.OS = "ubuntu 22.04"
	}
	img.Devel = strings.Contains(tag, "devel") || strings.HasPrefix(img.Repository, "runpod/pytorch")
	img.RunsArgs = Present
	if strings.HasPrefix(img.Repository, "runpod/") {
		img.Cmd = []string{"/start.sh"}
	}
	img.source = "the tag's own form; https://hub.docker.com/r/" + img.Repository + "/tags"
	return !img.CUDA.IsZero() || !img.Torch.IsZero()
}

// plainImage knows distributions' and Python's own images, which put no condition on the host.
func plainImage(img *Image) bool {
	switch img.Repository {
	case "ubuntu", "debian":
		img.OS = img.Repository + " " + img.Tag
	case "python":
		m := regexp.MustCompile(`^(\d\.\d+)`).FindStringSubmatch(img.Tag)
		if m == nil {
			return false
		}
		img.Python, _ = version.ParsePEP440(m[1])
		for code, name := range map[string]string{"bookworm": "debian 12", "bullseye": "debian 11", "trixie": "debian 13"} {
			if strings.Contains(img.Tag, code) {
				img.OS = name
			}
		}
	default:
		return false
	}
	img.RunsArgs, img.RequireKnown = Present, true
	img.source = "https://hub.docker.com/_/" + img.Repository
	return true
}
