package diagnose

import (
	"regexp"
	"strconv"
	"strings"
)

// Phase is how far a launch has come, in the order in which engines do things.
type Phase uint8

// The phases.
const (
	PhaseNone      Phase = iota
	PhaseProvision       // the provider looks for a machine
	PhasePull            // the image is pulled
	PhaseContainer       // the container starts
	PhaseInstall         // packages are resolved, downloaded, installed
	PhaseImport          // the engine's program has started
	PhaseResolve         // it reads the model's configuration
	PhaseDownload        // weights come over the network
	PhaseLoad            // weights go to the device
	PhaseCompile         // profiling, compilation, autotuning
	PhaseCache           // the KV cache is laid out
	PhaseCapture         // CUDA graphs are captured
	PhaseServe           // the HTTP server starts
	PhaseReady
	phaseCount
)

var phaseNames = [phaseCount]string{
	"none", "provision", "pull", "container", "install", "import", "resolve", "download", "load", "compile", "cache",
	"capture", "serve", "ready",
}

func (p Phase) String() string {
	if p < phaseCount {
		return phaseNames[p]
	}
	return "none"
}

// stage is the stage of failures.md that a launch still in this phase is at.
func (p Phase) stage() Stage {
	switch p {
	case PhaseProvision:
		return StageProvision
	case PhasePull:
		return StageImagePull
	case PhaseContainer:
		return StageContainer
	case PhaseInstall:
		return StageInstall
	case PhaseImport:
		return StageImport
	case PhaseResolve:
		return StageModelResolve
	case PhaseDownload:
		return StageDownload
	case PhaseLoad:
		return StageWeights
	case PhaseCompile, PhaseCapture:
		return StageKernel
	case PhaseCache:
		return StageMemory
	case PhaseServe, PhaseReady:
		return StageServe
	default:
		return ""
	}
}

// Progress is where a launch is. Done and Total are 0 when the log does not tell; Unit says what they count.
type Progress struct {
	Phase Phase
	Line  int    // where the phase was last heard of
	Text  string // that line
	Done  int64
	Total int64
	Unit  string // "bytes", "shards", "graphs", "packages", "files", "percent"
}

// Progress tells where the launch is by the lines fed so far.
func (r *Reader) Progress() Progress {
	r.search()
	p := Progress{Phase: r.now.current, Line: r.now.mark.line, Text: r.now.mark.text()}
	if r.now.ready {
		p.Phase = PhaseReady
	}
	p.Done, p.Total, p.Unit = measure(p.Text)
	return p
}

var (
	shardBar   = regexp.MustCompile(`\|\s*(\d+)/(\d+)\s*\[`)
	byteBar    = regexp.MustCompile(`(?:\|\s*|^\s*|\s)(\d+(?:\.\d+)?)([kKMGT]?i?B?)/(\d+(?:\.\d+)?)([kKMGT]i?B?)\b`)
	percentBar = regexp.MustCompile(`(\d{1,3})%`)
	boundPair  = regexp.MustCompile(`\bdone=(\d+) total=(\d+) unit=(\w+)`)
)

// measure reads a progress bar: tqdm's "3/4 [", bytes as in "1.2G/4.9G", our own done= total=, or a percentage.
func measure(text string) (done, total int64, unit string) {
	if m := boundPair.FindStringSubmatch(text); m != nil {
		done, _ = strconv.ParseInt(m[1], 10, 64)
		total, _ = strconv.ParseInt(m[2], 10, 64)
		return done, total, m[3]
	}
	if m := lastSubmatch(byteBar, text); m != nil && m[4] != "" {
		u := m[2]
		if strings.Trim(u, "iB") == "" {
			u = m[4]
		}
		return sizeOf(m[1], u), sizeOf(m[3], m[4]), "bytes"
	}
	if m := lastSubmatch(shardBar, text); m != nil {
		done, _ = strconv.ParseInt(m[1], 10, 64)
		total, _ = strconv.ParseInt(m[2], 10, 64)
		low := strings.ToLower(text)
		switch {
		case strings.Contains(low, "captur"):
			unit = "graphs"
		case strings.Contains(low, "fetching"):
			unit = "files"
		case strings.Contains(low, "shard"):
			unit = "shards"
		default:
			unit = "steps"
		}
		return done, total, unit
	}
	if m := lastSubmatch(percentBar, text); m != nil {
		n, _ := strconv.ParseInt(m[1], 10, 64)
		if n <= 100 {
			return n, 100, "percent"
		}
	}
	return 0, 0, ""
}

func lastSubmatch(re *regexp.Regexp, s string) []string {
	all := re.FindAllStringSubmatch(s, -1)
	if len(all) == 0 {
		return nil
	}
	return all[len(all)-1]
}

// sizeOf reads 1.2 and "G" as decimal bytes, "Gi" as binary ones; tqdm writes decimal units.
func sizeOf(number, unit string) int64 {
	f, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0
	}
	base := 1000.0
	if strings.Contains(unit, "i") {
		base = 1024
	}
	for _, u := range []string{"k", "m", "g", "t"} {
		f *= base
		if strings.HasPrefix(strings.ToLower(unit), u) {
			return int64(f)
		}
	}
	f, _ = strconv.ParseFloat(number, 64)
	return int64(f)
}
