package launch

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"justright/catalog"
	"justright/diagnose"
	"justright/solve"
	"justright/version"
)

// LessonOf is what the failure of an attempt teaches the next plan: what the log asked for, sharpened by what is known of
// the stack and of the host. It is nil when the next plan cannot heed it.
func LessonOf(a Attempt, r diagnose.Result) *catalog.Lesson {
	var l catalog.Lesson
	if r.Lesson != nil {
		l = *r.Lesson
		l.Evidence, l.AddFlags, l.DropFlags = slices.Clone(l.Evidence), slices.Clone(l.AddFlags), slices.Clone(l.DropFlags)
	} else {
		l = catalog.Lesson{Cause: string(r.Cause), Source: a.PodName}
		if r.Remedy != nil {
			l.Remedy = string(r.Remedy.Kind)
		}
		for _, e := range r.Evidence {
			l.Evidence = append(l.Evidence, e.Text)
		}
	}
	if r.Next == diagnose.NextHost {
		return hostLesson(a, l, r.Cause)
	}
	if a.Stack == nil {
		return r.Lesson
	}
	st := *a.Stack
	if l.GPU != "" && st.GPU.Count > 1 {
		l.GPUs = st.GPU.Count
	}
	switch r.Cause {
	case diagnose.DiskFull, diagnose.ImageDiskFull:
		// How much is lacking no log says: as much again as there was.
		l.Model, l.Forbid, l.MoreDiskBytes = modelOf(l, st), false, max(20<<30, st.DiskBytes)
		return &l
	case diagnose.UnknownModelType, diagnose.TokenizerClassMissing:
		newerTransformers(&l, st)
	case diagnose.DriverTooOld, diagnose.DriverInsufficient, diagnose.PTXUnsupportedToolchain:
		// Every release built for this CUDA asks the driver for the same.
		if built, err := version.ParseCUDA(st.Engine.WheelCUDA); err == nil && st.Install == "wheels" && !l.MinHostCUDA.IsZero() {
			l.Engine, l.Image, l.WheelCUDA = st.Engine.Name, "", built
		}
	case diagnose.CUDAOOMProfile, diagnose.CUDAOOMCudagraph:
		if r.Lesson != nil && carries(st.Argv, l.AddFlags) { // it did not help
			l.AddFlags, l.MoreMemoryBytes, l.Remedy = nil, 1<<30, string(diagnose.OtherGPUMoreVRAM)
		}
	default: // as the log says
	}
	if r.Lesson == nil {
		return nil
	}
	return &l
}

// Dated gives a lesson its name, which is the same for the same lesson, and its end: what is about one host passes soon, what
// is about software and sizes lasts until releases have moved on.
func Dated(l catalog.Lesson, at At) *catalog.Lesson {
	now := time.Time(at).UTC()
	about := l
	about.ID, about.Source, about.Evidence, about.Created, about.Expires = "", "", nil, "", ""
	doc, err := json.Marshal(about)
	if err != nil {
		doc = []byte(l.Cause)
	}
	sum := sha256.Sum256(doc)
	l.ID, l.Created = hex.EncodeToString(sum[:4]), now.Format(time.RFC3339)
	days := 60
	if l.ExcludeHost != "" {
		days = 1
	}
	l.Expires = now.AddDate(0, 0, days).Format(time.RFC3339)
	return &l
}

// hostLesson is about the place alone: the same plan may work in the next. Where the machine itself is broken only its
// kind of card is avoided there; where its network is, everything.
func hostLesson(a Attempt, l catalog.Lesson, c diagnose.Code) *catalog.Lesson {
	if a.DataCenter == "" {
		return nil
	}
	out := catalog.Lesson{Cause: l.Cause, Remedy: string(diagnose.OtherRegion), Evidence: l.Evidence, Source: a.PodName, ExcludeHost: a.DataCenter}
	switch c {
	case diagnose.ImagePullRateLimited, diagnose.ImageRegistryUnreachable, diagnose.HFUnreachable, diagnose.HFRateLimited, diagnose.PipDownloadTimeout:
	default:
		if a.Stack != nil {
			out.GPU = a.Stack.GPU.ID
		}
	}
	return &out
}

func modelOf(l catalog.Lesson, st solve.Stack) string {
	if l.Model != "" {
		return l.Model
	}
	for i, w := range st.Argv {
		if w == "serve" && i+1 < len(st.Argv) || (w == "--model" || w == "--model-path") && i+1 < len(st.Argv) {
			return st.Argv[i+1]
		}
	}
	return ""
}

// newerTransformers: with wheels a newer transformers beside the same or an older engine may do; a newer engine brings
// its own.
func newerTransformers(l *catalog.Lesson, st solve.Stack) {
	l.Engine, l.Image = upTo(st.Engine), ""
	used, err := version.ParsePEP440(st.Engine.Transformers)
	if err != nil || st.Install != "wheels" {
		return
	}
	if next := above(used); next != "" {
		l.MinTransformers, l.Forbid = next, false
	}
}

// upTo names a release and all before it.
func upTo(e solve.Engine) string { return e.Name + "<=" + e.Version }

// above is the least release number that is greater than v: 4.57.1 becomes 4.57.2.
func above(v version.PEP440) string {
	parts := strings.Split(v.Public().String(), ".")
	for i := len(parts) - 1; i >= 0; i-- {
		if n, err := strconv.Atoi(parts[i]); err == nil {
			parts[i] = strconv.Itoa(n + 1)
			return strings.Join(parts[:i+1], ".")
		}
	}
	return ""
}

// carries reports whether a command line has the flags already, with the same values.
func carries(argv, flags []string) bool {
	have, want := solve.ParseFlags(argv), solve.ParseFlags(flags)
	for _, f := range want.List {
		if v, ok := have.Get(f.Name); !ok || v != f.Value {
			return false
		}
	}
	return len(want.List) > 0
}

// NextWords says to a person what happens after a failure.
func NextWords(step diagnose.Step, fatal bool, l *catalog.Lesson) string {
	if fatal && (step == diagnose.NextHost || step == diagnose.RetrySame || step == diagnose.NextPlan) {
		return "stop: another plan would meet it too"
	}
	if fatal {
		return "stop: no other plan can cure this"
	}
	learned := ""
	if l != nil {
		learned = "; learned: " + l.Words()
	}
	switch step {
	case diagnose.StopLaunch:
		return "stop: no other plan can cure this"
	case diagnose.NextHost:
		if l == nil {
			return "the same plan once more, on another host as far as the provider chooses one"
		}
		return "the same plan elsewhere" + learned
	case diagnose.RetrySame:
		return "the same plan once more" + learned
	default:
		if l == nil {
			return "the next plan"
		}
		return "the best plan that heeds it" + learned
	}
}
