package worlds

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"justright/catalog"
	"justright/sim/runpodsim"
	"justright/sim/vllmsim"
	"justright/version"
)

// Options are the simulator's for this world: its fleet, its images, its containers.
func (w World) Options(seed uint64) runpodsim.Options {
	fleet := runpodsim.DefaultFleet()
	if fleet.Machines = w.Fleet; fleet.Machines == nil {
		fleet.Machines = Usual()
	}
	return runpodsim.Options{
		Fleet: fleet, Gates: w.Gates, Seed: seed, Runner: w.model(), RateLimit: &runpodsim.Unlimited, BaseURL: "http://sim.invalid",
	}
}

// ModelRecord is the model that is launched here.
func (w World) ModelRecord() (catalog.ModelRecord, bool) {
	if w.Record != nil {
		return *w.Record, true
	}
	m := catalog.FindModels(w.Model)
	if len(m) != 1 {
		return catalog.ModelRecord{}, false
	}
	return m[0], true
}

// model is play, and what befalls its containers from outside.
func (w World) model() runpodsim.Model {
	played := w.play().Model()
	return func(c *runpodsim.Container) {
		played(c)
		if w.CrashIn != "" && c.Env["RUNPOD_DC_ID"] == w.CrashIn {
			c.After(time.Minute, func() { c.Exit(137) })
		}
	}
}

// hang cuts a start off where it begins to compile.
func hang(s *vllmsim.Start) {
	for i, l := range s.Lines {
		if strings.Contains(l.Text, "Dynamo bytecode transform") {
			s.Lines = append(s.Lines[:i+1:i+1], vllmsim.Line{After: 1000 * time.Hour, Text: "never"})
			return
		}
	}
}

// play is what containers do here.
func (w World) play() runpodsim.Play {
	return runpodsim.Play{
		Begin: w.begin,
		Tune: func(c *runpodsim.Container, o *vllmsim.Options) {
			if w.Intruder != "" && c.Image.Ref == w.Intruder {
				o.Model, o.Served, o.Key = "nomic-ai/nomic-embed-text-v1.5", nil, "" // the port was taken when the engine came
			}
		},
		Stall: func(c *runpodsim.Container) bool { return w.StallIn != "" && c.Env["RUNPOD_DC_ID"] == w.StallIn },
		Fail:  w.fail,
	}
}

// fail ends a boot before the engine: what the real start script and its helper say there.
func (w World) fail(c *runpodsim.Container) (phase, cause, line string) {
	switch {
	case w.Gated && !(w.Licence && c.Env["HF_TOKEN"] != ""):
		return "weights", "gated_repo", fmt.Sprintf("Cannot access gated repo for url https://huggingface.co/%s/resolve/main/config.json.\n"+
			"Access to model %s is restricted and you are not in the authorized list. Visit https://huggingface.co/%s to ask for access.", w.Model, w.Model, w.Model)
	case w.MinDiskGB > 0 && c.DiskGB < w.MinDiskGB:
		return "weights", "disk_full", "OSError: [Errno 28] No space left on device: '/root/.cache/justright/models/openai--gpt-oss-20b/model-00002-of-00002.safetensors'"
	}
	return "", "", ""
}

// installed reads name==version pins.
func installed(requirements []string) map[string]string {
	out := map[string]string{}
	for _, r := range requirements {
		if name, v, ok := strings.Cut(r, "=="); ok {
			out[name] = v
		}
	}
	return out
}

// begin is how an engine starts here: as its release would by what is known of it, but for the trap.
func (w World) begin(c *runpodsim.Container, b runpodsim.Boot) vllmsim.Start {
	snap, err := catalog.Embedded()
	if err != nil {
		panic(err)
	}
	set := installed(b.Requirements)
	v := set["vllm"]
	if v == "" {
		v = c.Image.Engine
	}
	rel, err := version.ParsePEP440(v)
	if err != nil {
		return vllmsim.Refused("vllm", fmt.Errorf("ModuleNotFoundError: No module named 'vllm'"))
	}
	prog, args := "vllm", b.Argv
	switch {
	case len(args) > 2 && args[1] == "serve":
		args = args[2:]
	case len(args) > 2 && args[1] == "-m":
		prog, args = "api_server.py", args[3:]
	}
	cmd, err := vllmsim.Parse(prog, args, func(flag string) bool { return w.knows(snap, flag, rel) })
	if err != nil {
		return vllmsim.Refused(prog, err)
	}
	if think := cmd.Flags["--reasoning-parser"]; think != "" && w.Reasoning != nil && !slices.Contains(w.Reasoning, think) {
		return vllmsim.Start{Exit: 1, Lines: []vllmsim.Line{
			{After: 5 * time.Second, Text: "(APIServer pid=271) Traceback (most recent call last):"},
			{Text: `(APIServer pid=271)   File "/usr/local/lib/python3.12/dist-packages/vllm/entrypoints/openai/api_server.py", line 1902, in validate_api_server_args`},
			{Text: "(APIServer pid=271) KeyError: 'invalid reasoning parser: " + think + " (chose from { " + strings.Join(w.Reasoning, ",") + " })'"},
		}}
	}
	if cmd.ToolParser != "" && w.Parsers != nil && !slices.Contains(w.Parsers, cmd.ToolParser) {
		return vllmsim.Start{Exit: 1, Lines: []vllmsim.Line{
			{After: 5 * time.Second, Text: "(APIServer pid=271) Traceback (most recent call last):"},
			{Text: `(APIServer pid=271)   File "/usr/local/lib/python3.12/dist-packages/vllm/entrypoints/openai/api_server.py", line 1890, in validate_api_server_args`},
			{Text: `(APIServer pid=271)     raise KeyError(f"invalid tool call parser: {args.tool_call_parser} "`},
			{Text: "(APIServer pid=271) KeyError: 'invalid tool call parser: " + cmd.ToolParser + " (chose from { " + strings.Join(w.Parsers, ",") + " })'"},
		}}
	}
	s := vllmsim.Begin(cmd, w.host(snap, c, cmd, rel, set), c.Now())
	switch dc := c.Env["RUNPOD_DC_ID"]; {
	case w.HangIn != "" && dc == w.HangIn:
		hang(&s)
	case w.BlindIn != "" && dc == w.BlindIn:
		s.Lines = slices.Insert(s.Lines, 0, vllmsim.Line{Text: "INFO 11-25 12:00:00 [__init__.py:241] Automatically detected platform cpu."})
	}
	s.Options.Speaks = w.Speaks
	s.Options.WholeCallsOnly = w.WholeFrom != "" && rel.Compare(version.MustParsePEP440(w.WholeFrom)) >= 0
	return s
}

// knows tells whether a release has a flag, as the catalog dates it, but for the one that was dropped unnoted.
func (w World) knows(snap *catalog.Snapshot, flag string, rel version.PEP440) bool {
	if flag == w.RefusedFlag && w.RefusedFlag != "" && rel.Compare(version.MustParsePEP440(w.RefusedFrom)) >= 0 {
		return false
	}
	if _, dated := snap.Named(catalog.FlagNames, flag); dated {
		return snap.NameIn(catalog.FlagNames, flag, rel) != catalog.Absent
	}
	return vllmsim.Common(flag)
}

func (w World) host(snap *catalog.Snapshot, c *runpodsim.Container, cmd vllmsim.Command, rel version.PEP440, set map[string]string) vllmsim.Host {
	h := vllmsim.Host{
		Version: rel.String(), WheelCUDA: wheelCUDA(snap, rel, set), HostCUDA: c.CUDA, GPU: c.GPU.ID, GPUs: c.GPUCount,
		MemoryGiB: float64(c.GPU.MemoryGB) * 0.98, Capability: c.GPU.Capability, Pace: 70 * time.Second,
		KnowsArchitecture: func(name string) bool {
			a, ok := snap.Architecture(name)
			return !ok || a.Registered.At(rel) != catalog.Absent
		},
		KnowsType: func(t string) bool { return w.knowsType(snap, t, rel, set["transformers"]) },
	}
	if g, ok := snap.FindGPU(c.GPU.ID); ok && g.MemoryBytes > 0 {
		h.MemoryGiB = float64(g.MemoryBytes) / (1 << 30)
	}
	if m, ok := w.ModelRecord(); ok {
		if h.Config, h.WeightsBytes = m.Config, m.CheckpointBytes; h.WeightsBytes == 0 {
			h.WeightsBytes = m.Parameters * 2
		}
	}
	weights := float64(h.WeightsBytes) / (1 << 30) / float64(max(cmd.TP, 1)) // on each card
	h.Trouble = func(stage string) string {
		switch {
		case stage != "profile":
		case w.NoKernelFor != "" && c.GPU.Capability == w.NoKernelFor:
			return "torch.AcceleratorError: CUDA error: no kernel image is available for execution on the device"
		case w.ProfileGiB > 0 && cmd.Flags["--max-num-batched-tokens"] == "" && weights+w.ProfileGiB > h.MemoryGiB:
			return fmt.Sprintf("torch.OutOfMemoryError: CUDA out of memory occurred when warming up sampler with 256 dummy requests. "+
				"Please try lowering `max_num_seqs` or `gpu_memory_utilization` when initializing the engine. Tried to allocate %.2f GiB. GPU 0 has a total capacity of %.2f GiB", w.ProfileGiB, h.MemoryGiB)
		}
		return ""
	}
	return h
}

// knowsType: the engine's own table or its transformers, but for the type that needs a newer one.
func (w World) knowsType(snap *catalog.Snapshot, modelType string, rel version.PEP440, transformers string) bool {
	have, err := version.ParsePEP440(transformers)
	r, known := snap.Release(catalog.VLLM, rel)
	if err != nil && known {
		have = r.TransformersOnReleaseDay
	}
	if w.MinTransformers != "" {
		return have.Compare(version.MustParsePEP440(w.MinTransformers)) >= 0
	}
	for _, name := range snap.ArchitecturesOfType(modelType) {
		if a, ok := snap.Architecture(name); ok && a.ConfigInVLLM.At(rel) == catalog.Present {
			return true
		}
	}
	t, ok := snap.ModelType(modelType)
	return !ok || t.Never || t.OrEarlier || have.IsZero() || have.Compare(t.First) >= 0
}

// wheelCUDA is the CUDA of the installed build: the torch pin tells, else what the release publishes.
func wheelCUDA(snap *catalog.Snapshot, rel version.PEP440, set map[string]string) string {
	if _, local, ok := strings.Cut(set["torch"], "+cu"); ok && len(local) >= 3 {
		return local[:2] + "." + local[2:]
	}
	if len(set) == 0 {
		return "" // the image's own build: its gate has spoken
	}
	r, ok := snap.Release(catalog.VLLM, rel)
	if !ok {
		return ""
	}
	for _, v := range r.Variants {
		if v.Default {
			return v.CUDA.String()
		}
	}
	return ""
}
