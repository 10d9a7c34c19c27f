package runpodsim

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// Image is what a container image means for the host that starts it.
type Image struct {
	Ref        string
	Repo       string // "vllm/vllm-openai"
	Tag        string
	Entrypoint []string
	Cmd        []string
	Env        map[string]string
	Python     string  // "3.12"; empty when the image has none
	Engine     string  // version of the vLLM inside; empty when there is none
	Require    string  // its NVIDIA_REQUIRE_CUDA; empty when nothing is asked
	SizeGB     float64 // download size
	OS         string
	Private    bool // needs a registry credential
	Missing    bool // on no registry
	Known      bool // in the table; an unknown image is a plain one of 3 GB
}

//go:embed data/images.json
var imagesJSON []byte

type imageRule struct {
	Match    string   `json:"match"`
	Kind     string   `json:"kind"`
	Python   string   `json:"python"`
	Cmd      []string `json:"cmd"`
	SizeGB   float64  `json:"size_gb"`
	OS       string   `json:"os"`
	Releases []struct {
		From       string   `json:"from"`
		Gate       string   `json:"gate"`
		Entrypoint []string `json:"entrypoint"`
		SizeGB     float64  `json:"size_gb"`
		OS         string   `json:"os"`
	} `json:"releases"`
	re *regexp.Regexp
}

type imageTable struct {
	Latest map[string]string `json:"latest"`
	Rules  []imageRule       `json:"rules"`
}

var images = sync.OnceValue(func() *imageTable {
	var t imageTable
	if err := json.Unmarshal(imagesJSON, &t); err != nil {
		panic(fmt.Sprintf("embedded image table: %v", err))
	}
	for i := range t.Rules {
		t.Rules[i].re = regexp.MustCompile(t.Rules[i].Match)
	}
	return &t
})

// How tags of well-known images name Python and CUDA.
var (
	tagPython      = regexp.MustCompile(`py(3\.\d+)`)
	tagCUDADotted  = regexp.MustCompile(`(?:^|cuda|cu)(1[1-9])\.(\d+)`)
	tagCUDAShort   = regexp.MustCompile(`cu(1[1-9])(\d)`)
	tagPythonFirst = regexp.MustCompile(`^(3\.\d+)`)
	tagCUDAOld     = regexp.MustCompile(`cuda(\d+)\.(\d+)\.\d+`)
	tagCUDANew     = regexp.MustCompile(`cu(?:da)?(1[1-9])(\d)\d`)
)

// splitRef cuts an image reference into repository and tag; a digest counts as a tag.
func splitRef(ref string) (repo, tag string) {
	if r, d, ok := strings.Cut(ref, "@"); ok {
		if i := strings.LastIndex(r, ":"); i > strings.LastIndex(r, "/") {
			return r[:i], r[i+1:]
		}
		return r, d
	}
	if i := strings.LastIndex(ref, ":"); i > strings.LastIndex(ref, "/") {
		return ref[:i], ref[i+1:]
	}
	return ref, "latest"
}

// describe is DescribeImage in this world.
func (s *Server) describe(ref string) Image {
	img := DescribeImage(ref)
	if cuda, ok := s.opts.Gates[ref]; ok {
		img.setCUDA(cuda)
	}
	return img
}

// DescribeImage looks an image up in the built-in table.
func DescribeImage(ref string) Image {
	repo, tag := splitRef(ref)
	img := Image{Ref: ref, Repo: strings.TrimPrefix(repo, "docker.io/"), Tag: tag, SizeGB: 3, OS: "unknown", Cmd: []string{"/bin/sh"}, Env: map[string]string{}}
	t := images()
	for _, r := range t.Rules {
		if !r.re.MatchString(repo) {
			continue
		}
		img.Known = true
		img.Python, img.Cmd, img.SizeGB, img.OS = r.Python, r.Cmd, r.SizeGB, r.OS
		switch r.Kind {
		case "vllm":
			img.vllm(r, t.Latest["vllm/vllm-openai"])
		case "runpod":
			img.setCUDA(runpodTagCUDA(tag))
			if m := tagPython.FindStringSubmatch(tag); m != nil {
				img.Python = m[1]
			}
			if strings.Contains(tag, "ubuntu2404") {
				img.OS = "Ubuntu 24.04"
			}
		case "cuda":
			if m := tagCUDADotted.FindStringSubmatch(tag); m != nil {
				img.setCUDA(m[1] + "." + m[2])
			} else if m := tagCUDAShort.FindStringSubmatch(tag); m != nil {
				img.setCUDA(m[1] + "." + m[2])
			}
		case "plain":
			if img.Python == "tag" {
				img.Python = "3.12"
				if m := tagPythonFirst.FindStringSubmatch(tag); m != nil {
					img.Python = m[1]
				}
			}
		}
		break
	}
	return img
}

var vllmTag = regexp.MustCompile(`^v?(\d+\.\d+\.\d+(?:\.post\d+)?)((?:-[a-z0-9_]+)*)$`)

// vllm fills in a vllm/vllm-openai tag: version, gate by version and variant, entrypoint.
func (img *Image) vllm(r imageRule, latest string) {
	version, variant := latest, ""
	if m := vllmTag.FindStringSubmatch(img.Tag); m != nil {
		version, variant = m[1], m[2]
	} else if img.Tag != "latest" && !strings.HasPrefix(img.Tag, "sha256:") && !strings.HasPrefix(img.Tag, "nightly") {
		img.Missing = true // no such tag was ever pushed
	}
	if compareDotted(version, latest) > 0 {
		img.Missing = true
	}
	img.Engine = version
	if compareDotted(version, "0.6.1") < 0 {
		img.Python = "3.10"
	}
	gate := ""
	for _, rel := range r.Releases {
		if compareDotted(version, rel.From) >= 0 {
			gate, img.Entrypoint, img.SizeGB, img.OS = rel.Gate, rel.Entrypoint, rel.SizeGB, rel.OS
		}
	}
	switch {
	case strings.Contains(variant, "-cu129"):
		gate = "12.9"
	case strings.Contains(variant, "-cu130"):
		gate = "13.0"
	}
	img.setCUDA(gate)
}

// runpodTagCUDA reads the CUDA version out of a tag of RunPod's own images, new form (cu1281) or old (cuda12.1.1).
func runpodTagCUDA(tag string) string {
	if m := tagCUDAOld.FindStringSubmatch(tag); m != nil {
		return m[1] + "." + m[2]
	}
	if m := tagCUDANew.FindStringSubmatch(tag); m != nil {
		return m[1] + "." + m[2]
	}
	return ""
}

func (img *Image) setCUDA(v string) {
	if v == "" {
		return
	}
	img.Env["CUDA_VERSION"] = v
	img.Require = RequireCUDA(v)
	img.Env["NVIDIA_REQUIRE_CUDA"] = img.Require
}

// RequireCUDA is the NVIDIA_REQUIRE_CUDA of an nvidia/cuda base image: the version itself, or a data-center driver branch that
// can carry it with the forward-compatibility libraries. The branches are those read from the images of CUDA 12.8 to 13.0.
func RequireCUDA(v string) string {
	branches := []int{470, 535, 550}
	switch {
	case compareDotted(v, "13.0") >= 0:
		branches = []int{535, 550, 565, 570, 575}
	case compareDotted(v, "12.9") >= 0:
		branches = []int{535, 550, 560, 565, 570}
	case compareDotted(v, "12.8") < 0:
		branches = []int{470, 525, 535}
	}
	brands := []string{"unknown", "grid", "tesla", "nvidia", "quadro", "quadrortx", "nvidiartx", "vapps", "vpc", "vcs", "vws", "cloudgaming"}
	if compareDotted(v, "12.1") < 0 {
		brands = append(brands, "geforce", "geforcertx", "titan", "titanrtx")
	}
	words := []string{"cuda>=" + v}
	for _, b := range branches {
		for _, brand := range brands {
			words = append(words, fmt.Sprintf("brand=%s,driver>=%d,driver<%d", brand, b, b+1))
		}
	}
	return strings.Join(words, " ")
}

// unmet evaluates an NVIDIA_REQUIRE_CUDA expression (blank: or, comma: and) as legacy nvidia-container-cli does and returns the
// condition it complains about, or "" when the host will do.
func unmet(require string, cuda, driver, brand string) string {
	words := strings.Fields(require)
	if len(words) == 0 {
		return ""
	}
	first := ""
	for _, w := range words {
		bad := ""
		for _, c := range strings.Split(w, ",") {
			if !holds(c, cuda, driver, brand) {
				bad = c
				break
			}
		}
		if bad == "" {
			return ""
		}
		if first == "" {
			first = bad
		}
	}
	return first
}

var condition = regexp.MustCompile(`^(cuda|driver|brand|arch)(>=|<=|!=|=|<|>)(.+)$`)

func holds(c, cuda, driver, brand string) bool {
	m := condition.FindStringSubmatch(c)
	if m == nil {
		return false
	}
	var cmp int
	switch m[1] {
	case "brand":
		cmp = strings.Compare(brand, m[3])
	case "cuda":
		cmp = compareDotted(cuda, m[3])
	case "driver":
		cmp = compareDotted(driver, m[3])
	default:
		return true // arch: the fleet has no such old cards
	}
	switch m[2] {
	case ">=":
		return cmp >= 0
	case "<=":
		return cmp <= 0
	case "<":
		return cmp < 0
	case ">":
		return cmp > 0
	case "!=":
		return cmp != 0
	default:
		return cmp == 0
	}
}

// compareDotted compares versions of dotted numbers; missing parts are 0, a ".postN" part sorts after the release.
func compareDotted(a, b string) int {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(x), len(y)) {
		if p, q := dottedPart(x, i), dottedPart(y, i); p != q {
			if p < q {
				return -1
			}
			return 1
		}
	}
	return 0
}

func dottedPart(parts []string, i int) int {
	if i >= len(parts) {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimLeft(parts[i], "abcdefghijklmnopqrstuvwxyz"))
	if err != nil {
		return 0
	}
	return n
}
