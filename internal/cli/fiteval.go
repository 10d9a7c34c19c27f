package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"justright/catalog"
	"justright/memory"
	"justright/model"
	"justright/problem"
	"justright/version"
)

// memoryCase is one line of a file of published measurements. The measured fields are labels and may be missing.
type memoryCase struct {
	ID          json.RawMessage `json:"id"`
	Model       *string         `json:"model"`
	Revision    *string         `json:"revision"`
	Quant       *string         `json:"quant"`
	DType       *string         `json:"dtype"`
	TP          *int            `json:"tp"`
	PP          *int            `json:"pp"`
	GPU         *string         `json:"gpu"`
	VLLM        *string         `json:"vllm_version"`
	Flags       *string         `json:"flags"`
	Context     *int            `json:"max_model_len"`
	Utilization *float64        `json:"gpu_memory_utilization"`
	TotalGiB    *float64        `json:"gpu_total_gib"`
	FreeGiB     *float64        `json:"gpu_free_at_start_gib"`

	Weights  *float64 `json:"weights_gib"`
	Cache    *float64 `json:"kv_cache_gib"`
	Tokens   *float64 `json:"kv_tokens"`
	PerToken *float64 `json:"kv_bytes_per_token"`
	Fits     *bool    `json:"fits"`
	Failure  *string  `json:"failure"`
}

// maxLost is how often in a row a hub may fail to answer before the rest is answered without it.
const maxLost = 3

// maxCaseLine bounds a line of a case file.
const maxCaseLine = 4 << 20

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// use turns a case into what memory is asked.
func (c *memoryCase) use() memory.Use {
	u := memory.Use{TensorParallel: deref(c.TP), PipelineParallel: deref(c.PP), DType: deref(c.DType), Quantization: deref(c.Quant)}
	if v, err := version.ParsePEP440(deref(c.VLLM)); err == nil {
		u.Version = v
	}
	if g, ok := memory.CardOf(deref(c.GPU)); ok || c.GPU != nil {
		u.GPU = g
	}
	said := deref(c.Flags)
	u.ApplyFlags(statedFlags(said))
	fillDraft(&u)
	u.FirstEngine = u.FirstEngine || strings.Contains(said, "V0 engine") || strings.Contains(said, "VLLM_USE_V1=0")
	u.ExpertParallel = u.ExpertParallel || strings.Contains(said, "expert parallel")
	if c.Context != nil && *c.Context > 0 {
		u.Context = *c.Context
	}
	if c.Utilization != nil && *c.Utilization > 0 && *c.Utilization <= 1 {
		u.Utilization = *c.Utilization
	}
	if c.TotalGiB != nil && *c.TotalGiB > 0 {
		u.GPU.TotalBytes = int64(*c.TotalGiB * memory.GiB)
	}
	if c.FreeGiB != nil && *c.FreeGiB > 0 {
		u.FreeBytes = int64(*c.FreeGiB * memory.GiB)
	}
	return u
}

// statedFlags cuts what a case says of the flags into words, keeping JSON and quoted values whole, and reads the
// arguments of vLLM's Python class (max_num_seqs=8) as the flags they are.
func statedFlags(said string) []string {
	var words []string
	depth, quote, start := 0, rune(0), -1
	flush := func(end int) {
		if start >= 0 {
			words = append(words, strings.Trim(said[start:end], "'\""))
		}
		start = -1
	}
	for i, r := range said {
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			}
		case r == '\'' || r == '"' && depth == 0:
			quote = r
		case r == '{':
			depth++
		case r == '}':
			depth--
		case (r == ' ' || r == ',' || r == '\t') && depth <= 0:
			flush(i)
			continue
		}
		if start < 0 {
			start = i
		}
	}
	flush(len(said))
	for i, w := range words {
		if i > 0 && strings.HasPrefix(words[i-1], "--") && !strings.Contains(words[i-1], "=") {
			continue // a value
		}
		if name, _, given := strings.Cut(w, "="); given && !strings.HasPrefix(w, "-") && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") == "" {
			words[i] = "--" + w
		}
	}
	return words
}

// caseModels looks models up once each: the hub where HF_ENDPOINT names one, else what is embedded.
type caseModels struct {
	w     *World
	found map[string]*model.Profile
	lost  int // models in a row for which the hub did not answer; after a few it is not asked again
}

func (m *caseModels) profile(ctx context.Context, c *memoryCase) *model.Profile {
	ref := deref(c.Model)
	if r := deref(c.Revision); r != "" {
		ref += "@" + r
	}
	if p, ok := m.found[ref]; ok {
		return p
	}
	var out *model.Profile
	if m.w.Env("HF_ENDPOINT") != "" && m.lost < maxLost {
		p, err := m.w.lookupModel(ctx, ref, false)
		if err == nil {
			out = &p
		}
		var prob *problem.Problem
		if errors.As(err, &prob) && prob.Exit == problem.ExitCapacity {
			m.lost++
		} else {
			m.lost = 0
		}
	}
	if records := catalog.FindModels(deref(c.Model)); out == nil && len(records) == 1 {
		if p, err := model.FromRecord(records[0]); err == nil {
			out = &p
		}
	}
	if out == nil {
		out = kinProfile(c)
	}
	m.found[ref] = out
	return out
}

// kinProfile is the profile of the model that a case's model was made from, by its name; nil when the name tells none.
func kinProfile(c *memoryCase) *model.Profile {
	p, named, ok := kin(deref(c.Model))
	if !ok {
		return nil
	}
	asKin(&p, strings.ToLower(deref(c.Quant)), named)
	if q := named; p.Quant == nil && q != "" && (deref(c.Quant) == "" || deref(c.Quant) == "compressed-tensors") {
		c.Quant = &q // the name says what the format holds
	}
	p.Unknowns = append(p.Unknowns, "model: no profile of "+deref(c.Model)+"; the shape of "+p.ID+" is taken, as its name says")
	p.ID = deref(c.Model)
	return &p
}

// fitEval answers every case of a file.
func fitEval(ctx context.Context, w *World, path string, asJSON bool) error {
	if !filepath.IsAbs(path) {
		path = filepath.Join(w.Dir, path)
	}
	f, err := os.Open(path)
	if err != nil {
		return problem.New(problem.ExitUsage, "unreadable", "the cases cannot be read").Wrap(err)
	}
	defer f.Close()
	models := &caseModels{w: w, found: map[string]*model.Profile{}}
	score := &fitScore{}
	in := bufio.NewReaderSize(f, 1<<16)
	enc := json.NewEncoder(w.Stdout)
	enc.SetEscapeHTML(false)
	for n := 1; ; n++ {
		line, err := readCaseLine(in)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && len(strings.TrimSpace(string(line))) == 0 {
			continue
		}
		var c memoryCase
		if err == nil {
			err = decodeCase(line, &c)
		}
		if err != nil {
			score.bad++
			if asJSON {
				_ = enc.Encode(map[string]any{"line": n, "problem": err.Error()})
			} else {
				fmt.Fprintf(w.Stdout, "%4d  no case: %v\n", n, err)
			}
			continue
		}
		doc := evalCase(models.profile(ctx, &c), &c)
		score.add(n, &c, doc)
		if asJSON {
			out := evalLine{fitDocument: doc}
			if len(c.ID) > 0 && string(c.ID) != "null" {
				out.ID = c.ID
			} else {
				out.Line = n
			}
			if err := enc.Encode(out); err != nil {
				return err
			}
		}
	}
	if !asJSON {
		score.print(w.Stdout)
	}
	return nil
}

type evalLine struct {
	ID   json.RawMessage `json:"id,omitempty"`
	Line int             `json:"line,omitempty"`
	fitDocument
}

// readCaseLine reads one line and drops what is too long, so that one bad line costs neither memory nor the rest.
func readCaseLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	long := false
	for {
		piece, err := in.ReadSlice('\n')
		if len(line)+len(piece) > maxCaseLine {
			long = true
		} else {
			line = append(line, piece...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil && (!errors.Is(err, io.EOF) || len(line) == 0 && !long) {
			return nil, err
		}
		if long {
			return nil, fmt.Errorf("it is longer than %d bytes", maxCaseLine)
		}
		return line, nil
	}
}

func decodeCase(line []byte, c *memoryCase) error {
	if err := json.Unmarshal(line, c); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) && wrong.Field != "" {
			return fmt.Errorf("field %s is a %s", wrong.Field, wrong.Value)
		}
		return errors.New("it is not a JSON object")
	}
	if deref(c.Model) == "" {
		return errors.New("it names no model")
	}
	return nil
}

func evalCase(p *model.Profile, c *memoryCase) fitDocument {
	u := c.use()
	if p == nil {
		return unknownFit(deref(c.Model), u)
	}
	return fitAnswer(*p, u, memory.Estimate(*p, u))
}

// fitScore compares answers with labels.
type fitScore struct {
	cases, bad, unknown                int
	weights, tokens, perToken          []scored
	rightYes, rightNo, falseYes        int
	falseNo, undecidedYes, undecidedNo int
	confusions                         []string
}

type scored struct {
	line  int
	model string
	off   float64
}

func (s *fitScore) add(line int, c *memoryCase, d fitDocument) {
	s.cases++
	if d.WeightsBytes == nil && d.KVBytesPerToken == nil {
		s.unknown++
	}
	compare := func(to *[]scored, got *int64, want *float64, unit float64) {
		if got != nil && want != nil && *want > 0 {
			*to = append(*to, scored{line, deref(c.Model), float64(*got)/(*want*unit) - 1})
		}
	}
	compare(&s.weights, d.WeightsBytes, c.Weights, memory.GiB)
	compare(&s.tokens, d.KVTokens, c.Tokens, 1)
	compare(&s.perToken, d.KVBytesPerToken, c.PerToken, 1)
	if c.Fits == nil {
		return
	}
	switch {
	case d.Fits == nil && *c.Fits:
		s.undecidedYes++
	case d.Fits == nil:
		s.undecidedNo++
	case *d.Fits && *c.Fits:
		s.rightYes++
	case !*d.Fits && !*c.Fits:
		s.rightNo++
	case *d.Fits:
		s.falseYes++
		s.confusions = append(s.confusions, fmt.Sprintf("line %d %s: said it fits; %s: %s", line, deref(c.Model), deref(c.Failure), d.why()))
	default:
		s.falseNo++
		s.confusions = append(s.confusions, fmt.Sprintf("line %d %s: said it does not fit, it ran: %s", line, deref(c.Model), d.why()))
	}
}

func (s *fitScore) print(w io.Writer) {
	fmt.Fprintf(w, "%d cases, %d of unknown models, %d lines that are no case\n\n", s.cases, s.unknown, s.bad)
	fmt.Fprintf(w, "%-20s %5s %8s %8s %8s %9s\n", "", "n", "median", "p90", "worst", "within")
	s.row(w, "weights", s.weights, 0.03)
	s.row(w, "KV bytes per token", s.perToken, 0.03)
	s.row(w, "KV tokens", s.tokens, 0.10)
	fmt.Fprintf(w, "\n%-20s %8s %8s %10s\n", "", "fits", "does not", "undecided")
	fmt.Fprintf(w, "%-20s %8d %8d %10d\n", "it ran", s.rightYes, s.falseNo, s.undecidedYes)
	fmt.Fprintf(w, "%-20s %8d %8d %10d\n", "it failed", s.falseYes, s.rightNo, s.undecidedNo)
	for _, c := range s.confusions {
		fmt.Fprintf(w, "\n%s", c)
	}
	if len(s.confusions) > 0 {
		fmt.Fprintln(w)
	}
}

func (s *fitScore) row(w io.Writer, name string, l []scored, bound float64) {
	if len(l) == 0 {
		fmt.Fprintf(w, "%-20s %5d\n", name, 0)
		return
	}
	sort.Slice(l, func(a, b int) bool { return math.Abs(l[a].off) < math.Abs(l[b].off) })
	within := 0
	for _, x := range l {
		if math.Abs(x.off) <= bound {
			within++
		}
	}
	at := func(q float64) float64 { return 100 * l[int(q*float64(len(l)-1)+0.5)].off }
	fmt.Fprintf(w, "%-20s %5d %+7.1f%% %+7.1f%% %+7.1f%% %4d of ±%.0f%%\n", name, len(l), at(0.5), at(0.9), at(1), within, 100*bound)
	for _, x := range l {
		if math.Abs(x.off) > bound {
			fmt.Fprintf(w, "    %+7.1f%%  line %d %s\n", 100*x.off, x.line, x.model)
		}
	}
}
