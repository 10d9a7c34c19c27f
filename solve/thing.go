package solve

import (
	"fmt"
	"strconv"
	"strings"

	"justright/catalog"
	"justright/problem"
	"justright/version"
)

// PutThing reads one word of why-not into a case: a GPU, an image, an engine version, a host's CUDA version or driver, or
// a Python. ok is false when it is none of them.
func PutThing(s *catalog.Snapshot, c *Case, thing string) bool {
	t := strings.TrimSpace(thing)
	low := strings.ToLower(t)
	if rest, ok := strings.CutPrefix(low, "cuda"); ok {
		if v, err := version.ParseCUDA(strings.TrimLeft(rest, " =>:-")); err == nil {
			c.HostCUDA = v
			return true
		}
	}
	if rest, ok := strings.CutPrefix(strings.TrimPrefix(low, "nvidia "), "driver"); ok {
		if v, err := version.ParseDriver(strings.TrimLeft(rest, " =>-")); err == nil {
			c.Driver = v
			return true
		}
	}
	if rest, ok := strings.CutPrefix(low, "python"); ok { // not "python:3.12", which is an image
		rest = strings.TrimLeft(rest, " =")
		if _, err := version.ParsePEP440(rest); err == nil && strings.Contains(rest, ".") {
			c.Python = rest
			return true
		}
	}
	if strings.HasPrefix(low, "cu") && len(low) == 5 {
		if v, err := version.ParseCUDA(low); err == nil {
			c.HostCUDA = v
			return true
		}
	}
	if n, card := cutCount(t); putCard(s, c, card) {
		if n > 0 {
			c.GPUs = n
		}
		return true
	}
	if strings.Contains(t, "/") || strings.Contains(t, ":") {
		c.Image = t
		return true
	}
	if e := ParseEngineRef("", t); e.Name != "" && (e.Stated() || e.Text == e.Name) {
		c.Pins.Engine = t
		return true
	}
	v, err := version.ParsePEP440(strings.TrimPrefix(low, "v"))
	if err != nil || !strings.Contains(low, ".") {
		return false
	}
	// "12.4" and "13.0" are CUDA versions; vLLM's own begin with 0.
	if r := v.Release(); len(r) == 2 && r[0] >= 11 {
		c.HostCUDA, err = version.ParseCUDA(low)
		return err == nil
	}
	c.Pins.Engine = catalog.VLLM + "==" + v.String()
	return true
}

// cutCount cuts the number off "2x RTX 4090" and "4 × A100"; 0 when there is none.
func cutCount(text string) (int, string) {
	digits := strings.TrimLeft(text, "0123456789")
	rest := strings.TrimLeft(digits, " ")
	n, err := strconv.Atoi(text[:len(text)-len(digits)])
	for _, times := range []string{"x", "X", "×", "*"} {
		if card, ok := strings.CutPrefix(rest, times); ok && err == nil && n > 0 {
			return n, strings.TrimSpace(card)
		}
	}
	return 0, text
}

// putCard takes a card that the whole text names: one of the catalog, or one that its name alone tells of.
func putCard(s *catalog.Snapshot, c *Case, text string) bool {
	if g, ok := s.FindGPU(text); ok {
		c.GPU = g.ID
		return true
	}
	if !catalog.NamesCard(text) {
		return false
	}
	c.GPU = text
	return true
}

// JudgeCard asks whether a model runs on a card at all: with any engine release, build and number of cards.
func JudgeCard(s *catalog.Snapshot, c Case) Verdict {
	j := NewJudger(s)
	r := Request{Model: *c.Profile, Target: "any", Pins: c.Pins, Concurrency: c.Concurrency}
	r.Pins.GPUs = 0
	if c.GPUs > 1 {
		r.Pins.GPUs = c.GPUs
	}
	res := j.Solve(r)
	if len(res.Plans) == 0 {
		v := Verdict{Outcome: Refused, Code: res.Conflict.Code, Reason: res.Conflict.Reason, Facts: res.Conflict.Facts, Hints: res.Conflict.Hints}
		return v.whole()
	}
	p := res.Plans[0]
	n := ""
	if p.GPU.Count > 1 {
		n = fmt.Sprintf("%d x ", p.GPU.Count)
	}
	v := Verdict{Outcome: Works, Code: "works", Reason: fmt.Sprintf("%s%s serves it with %s %s (CUDA %s) at %d tokens", n, p.GPU.ID, p.Engine.Name, p.Engine.Version, p.Engine.WheelCUDA, p.Context), Facts: p.Facts}
	if len(p.Unknowns) > 0 {
		v.Hints = append(v.Hints, problem.Hint{Text: "not known: " + strings.Join(p.Unknowns, "; ")})
	}
	return v.whole()
}
