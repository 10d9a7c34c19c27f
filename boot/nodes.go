package boot

import (
	"fmt"
	"maps"
	"strings"

	"justright/problem"
)

// The variables of a Word that tell the nodes of one engine apart: the script reads them from what an indexed job or a
// LeaderWorkerSet tells each pod.
const (
	VarLeader Var = "JR_LEADER" // the address of the node that serves
	VarRank   Var = "JR_RANK"   // this node's number, from 0 on
)

// masterPort is where the nodes of one engine meet.
const masterPort = "29560"

// MasterPort is where the nodes of one engine meet on the one that serves. Nothing there asks for a key.
func MasterPort() string { return masterPort }

// OverNodes spreads an engine, planned for so many cards together, over nodes: tensor parallel within a node, pipeline parallel over
// them, by the engine's own executor. The CPU build has no cards, and was seen to answer with tensor parallel over nodes alone.
// All nodes start the same script.
func OverNodes(s Spec, cards, nodes int) (Spec, error) {
	refuse := func(why string, args ...any) (Spec, error) {
		return Spec{}, problem.New(problem.ExitUsage, "not_spreadable", "this plan cannot be spread over %d nodes", nodes).Because(why, args...)
	}
	cpu := strings.HasPrefix(s.Engine, "vllm-cpu")
	switch {
	case s.Install != "wheels":
		return refuse("an image that starts its own engine takes one command line for all nodes")
	case !strings.HasPrefix(s.Engine, "vllm"):
		return refuse("only vLLM's own executor over nodes is known here, and this one starts %s", s.Engine)
	case !cpu && cards%nodes != 0:
		return refuse("%d cards do not divide by %d", cards, nodes)
	}
	tensor, pipeline := max(1, cards/nodes), nodes
	if cpu {
		tensor, pipeline = nodes, 1
		s.EngineEnv = maps.Clone(s.EngineEnv)
		if s.EngineEnv == nil {
			s.EngineEnv = map[string]string{}
		}
		for k, v := range map[string]string{
			"VLLM_CPU_OMP_THREADS_BIND": "nobind", // it would count all nodes' processes against this node's memory banks
			"TORCHDYNAMO_DISABLE":       "1",      // a part that tensor parallel adds is compiled in eager mode too, by a compiler that images lack
		} {
			if s.EngineEnv[k] == "" {
				s.EngineEnv[k] = v
			}
		}
	}
	// Who does not serve is known to `vllm serve` alone.
	argv := []Word{{Text: "vllm"}, {Text: "serve"}, {Var: VarModel}}
	drop := map[string]bool{"--tensor-parallel-size": true, "--pipeline-parallel-size": true, "-tp": true, "-pp": true, "--model": true}
	flags := s.Argv[:0:0]
	for i := 0; i < len(s.Argv); i++ {
		name, _, joined := strings.Cut(s.Argv[i].Text, "=")
		switch {
		case !strings.HasPrefix(name, "-") && len(flags) == 0 || i > 0 && s.Argv[i-1].Text == "-m" || name == "-m": // the program, and a model without a flag
		case drop[name]:
			if !joined {
				i++
			}
		default:
			flags = append(flags, s.Argv[i])
		}
	}
	argv = append(argv, flags...)
	argv = append(argv, []Word{
		{Text: "--tensor-parallel-size"}, {Text: fmt.Sprint(tensor)}, {Text: "--pipeline-parallel-size"}, {Text: fmt.Sprint(pipeline)},
		{Text: "--nnodes"}, {Text: fmt.Sprint(nodes)}, {Text: "--master-addr"}, {Var: VarLeader}, {Text: "--master-port"}, {Text: masterPort},
		{Text: "--node-rank"}, {Var: VarRank},
	}...)
	s.Argv, s.Nodes, s.Forked = argv, nodes, false
	if cards > 0 {
		s.Preflight.GPUs = cards / nodes
	}
	return s, nil
}
