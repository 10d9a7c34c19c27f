package diagnose

import (
	"bytes"
	"regexp"
)

// traceRules are errors whose words name nothing: what they mean is told by the function that raised them, some lines
// further up. All were seen in vLLM 0.29 and 0.32.
var traceRules = []rule{
	{code: SafetensorsCorrupt, tier: soft, lits: "memoryerror|struct.error: unpack requires|overflowerror: cannot fit|unicodedecodeerror: |jsondecodeerror: ", refine: raisedIn("weights_index", SafetensorsCorrupt), source: srcVLLM},
	{code: TokenizerLoadFailed, tier: soft, lits: "jsondecodeerror: ", refine: raisedIn("tokenizer_files", TokenizerLoadFailed), source: srcVLLM},
	{code: InvalidArgumentValue, tier: soft, lits: "socket.gaierror: ", refine: raisedIn("listen", InvalidArgumentValue), text: "The name to listen on has no address: --host 0.0.0.0.", source: srcVLLM},
	{code: QuantConfigMissing, tier: soft, lits: "config.__init__() missing ", and: "required positional argument", refine: raisedIn("quant_config", QuantConfigMissing), source: srcVLLM},
	{code: WeightsMissing, tier: root, lits: "no such file or directory: '", re: regexp.MustCompile(`filenotfounderror.{0,60}no such file or directory: '[^']*\.(?:safetensors|bin|pt|pth|gguf)'`), source: srcVLLM},
}

// traceMarks note the functions that traceRules look back for.
var traceMarks = []phaseMark{
	{lits: "parse_safetensors_file_metadata|filter_duplicate_safetensors_files", blind: true, act: noter("weights_index")},
	{lits: "/transformers/tokenization_|/vllm/tokenizers/", blind: true, act: noter("tokenizer_files")},
	{lits: "in create_server_socket|sock.bind(", blind: true, act: noter("listen")},
	{lits: "in get_quant_config", blind: true, act: noter("quant_config")},
	{lits: "detected platform cpu|cpu_worker.py|cpu_model_runner.py|cpu_attn", blind: true, act: noter("cpu")},
	{lits: "tensor_parallel_size=1,", blind: true, act: noter("one_gpu")},
	{lits: ", in <module>|in _run_module_as_main", act: noteUncaught},
	{lits: "struct.error: |zmqerror: |gaierror: |\nfatal: ", act: oddError},
	{lits: "terminate called |(core dumped)|ggml_assert|assertion `|assertion '|llvm error: |ggml_abort(", act: noteAborted},
	{lits: "died unexpectedly|failed core proc(s): ", act: noteKilled},
	{lits: "exited with code |exited with exit code |exited with status ", act: noteExit},
}

// raisedIn believes a text only within a traceback that has passed through the function noted under name.
func raisedIn(name string, code Code) func(*hit) (Code, tier) {
	return func(h *hit) (Code, tier) {
		if !h.recently(name, 24) {
			return "", 0
		}
		return code, soft
	}
}

// noteUncaught notes a traceback that begins in a program's own text: Python prints such a one when nothing caught the
// error, so that the program has ended. A process that another one started begins in "<string>".
func noteUncaught(r *Reader, h *hit) {
	before := bytes.TrimRight(h.history(), "\n")
	if bytes.HasSuffix(before, []byte("traceback (most recent call last):")) && !hasAny(h.lower, "\"<string>\"| error ") {
		r.now.uncaught = h.line
	}
}

var killedWordless = regexp.MustCompile(`worker proc \S+ died unexpectedly(?:, shutting| \(exit code: (?:none|-9)\))|failed core proc\(s\): \{[^}]*: -9\b`)

// noteKilled notes a process of the engine that a signal ended: it could not say why.
func noteKilled(r *Reader, h *hit) {
	if r.now.killed.line == 0 && killedWordless.Match(h.lower[max(0, h.col-40):]) {
		r.now.killed = place{h.line, h.col, excerpt(h.raw, h.col)}
	}
}

var exitedBadly = regexp.MustCompile(`^exited with (?:exit )?(?:code|status)[ :]+[1-9]`)

// noteExit notes that a container or a worker ended with an error, as compose and supervisors say it.
func noteExit(r *Reader, h *hit) {
	if exitedBadly.Match(h.lower[h.col:]) && !r.now.ready {
		r.now.aborted = position{h.line, h.col}
	}
}

// noteAborted notes what a program says that ends itself in the middle of its work, in words that name no cause.
func noteAborted(r *Reader, h *hit) {
	said := h.lower[h.col:min(len(h.lower), h.col+400)]
	if !hasAny(said, "terminate called |core dumped|failed|ggml_assert: |llvm error: |ggml_abort(") || hasAny(h.near, "prompt: ") || levelAt(h.raw, h.lower, h.col) == levelQuiet && !hasAny(said, "core dumped)") {
		return
	}
	r.now.aborted = position{h.line, h.col}
	oddError(r, h)
}

// shardOrShape: alone on its card, a tensor that is larger than its place is no matter of shards: the configuration and the weights
// disagree.
func shardOrShape(h *hit) (Code, tier) {
	if h.r.context["one_gpu"] > 0 && hasAny(h.near, "exceeds dimension size") {
		return WeightsNameMismatch, soft
	}
	return TPQuantGroupIndivisible, root
}

// ended reports whether the log's last word is an error that ended the program itself.
func (a *attempt) ended() bool {
	return a.aborted.line > 0 && a.aborted.after(position{a.mark.line, a.mark.at}) || a.uncaught > 0 && a.mark.line < a.uncaught && a.lastOdd > a.uncaught
}
