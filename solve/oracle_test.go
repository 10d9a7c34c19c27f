package solve

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"justright/catalog"
	"justright/model"
	"justright/money"
	"justright/version"
)

// universe is a random request over a few offers.
func universe(t *testing.T, r *rand.Rand) Request {
	t.Helper()
	models := []string{"openai/gpt-oss-20b", "Qwen/Qwen3-0.6B", "Qwen/Qwen3-32B", "meta-llama/Llama-3.3-70B-Instruct", "google/gemma-3-27b-it", "zai-org/GLM-4.5-Air", "Qwen/Qwen3-30B-A3B-FP8"}
	p := FindProfile(models[r.IntN(len(models))])
	if p == nil {
		t.Fatal("no profile")
	}
	q := Request{Model: *p, Target: "runpod"}
	gpus := facts().GPUs()
	for range 1 + r.IntN(3) {
		g := gpus[r.IntN(len(gpus))]
		if g.Vendor != "nvidia" {
			continue
		}
		price := money.USD(r.IntN(400)+10) * money.Dollar / 100
		o := catalog.Offer{Provider: "test", GPU: g.ID, ProviderID: g.Name, PricePerHour: &price, MaxCount: []int{1, 2, 4, 8}[r.IntN(4)], Source: "test"}
		if r.IntN(3) > 0 {
			o.HostCUDA = []version.CUDA{MatrixHosts()[r.IntN(9)]}
		}
		q.Offers = append(q.Offers, o)
	}
	if len(q.Offers) == 0 {
		return universe(t, r)
	}
	if r.IntN(3) == 0 {
		q.Pins.Engine = "vllm==" + []string{"0.6.3.post1", "0.8.5", "0.10.1", "0.11.0", "0.19.1", "0.20.0", "0.33.0"}[r.IntN(7)]
	}
	if r.IntN(4) == 0 {
		q.Pins.WheelCUDA = []string{"cu118", "cu126", "cu129", "cu130"}[r.IntN(4)]
	}
	if r.IntN(5) == 0 {
		q.Pins.Transformers = []string{"4.46.0", "4.51.3", "4.57.1", "5.16.1"}[r.IntN(4)]
	}
	if r.IntN(5) == 0 {
		q.Pins.Python = []string{"3.9", "3.12", "3.13"}[r.IntN(3)]
	}
	if r.IntN(4) == 0 {
		q.Pins.HostCUDA = MatrixHosts()[r.IntN(9)]
	}
	if r.IntN(4) == 0 {
		q.Context = []int{4096, 32768, 131072}[r.IntN(3)]
	}
	if r.IntN(4) == 0 {
		limit := money.USD(r.IntN(300)+10) * money.Dollar / 100
		q.MaxPrice = &limit
	}
	if r.IntN(5) == 0 {
		q.Pins.Install = []string{"image", "wheels"}[r.IntN(2)]
	}
	return q
}

// brute tries every choice on every machine with every count, by Judge alone.
func brute(q Request) (feasible bool, price money.USD) {
	j := judger()
	s := &search{j: j, r: q, seen: map[string]bool{}, weights: map[string]bool{}}
	first := true
	for _, p := range j.places(q) {
		for _, c := range j.choices(q, p.gpu == nil) {
			if c.lookup != "" && !c.fillImage(j) {
				continue
			}
			for _, n := range []int{1, 2, 4, 8} {
				if n > p.offer.MaxCount {
					continue
				}
				total := *p.offer.PricePerHour * money.USD(n)
				if q.MaxPrice != nil && total > *q.MaxPrice || !first && total >= price {
					continue
				}
				if j.Judge(s.caseFor(c, nil, 0, pinnedHost(q))).Outcome == Refused || j.Judge(s.caseFor(c, &p, n, p.host)).Outcome == Refused {
					continue
				}
				feasible, price, first = true, total, false
			}
		}
	}
	return feasible, price
}

// Solve agrees with trying everything: feasible or not, and the cheapest guarded plan costs what the cheapest costs.
func TestSolveAgreesWithBruteForce(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	plans, conflicts := 0, 0
	for i := range 60 {
		q := universe(t, r)
		q.All = true
		res := judger().Solve(q)
		want, price := brute(q)
		if got := len(res.Plans) > 0; got != want {
			t.Fatalf("universe %d: solve says %v, trying everything says %v: %+v", i, got, want, describe(q))
		}
		if !want {
			conflicts++
			continue
		}
		plans++
		cheapest := *res.Plans[0].PricePerHour
		for _, p := range res.Plans {
			cheapest = min(cheapest, *p.PricePerHour)
		}
		if cheapest != price {
			t.Errorf("universe %d: the cheapest plan costs %s, trying everything finds %s: %s", i, cheapest, price, describe(q))
		}
		if res.Conflict != nil {
			t.Errorf("universe %d: plans and a conflict", i)
		}
	}
	if plans < 10 || conflicts < 10 {
		t.Errorf("the universes do not try both: %d with plans, %d without", plans, conflicts)
	}
}

func describe(q Request) string {
	q.Model = model.Profile{ID: q.Model.ID}
	b, err := json.Marshal(q)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// Every statement of the user's that a conflict cites is needed: without it there is a plan, or the others alone
// conflict no more.
func TestConflictIsMinimal(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	cited := 0
	for range 60 {
		q := universe(t, r)
		s := &search{j: judger(), r: q, seen: map[string]bool{}, weights: map[string]bool{}}
		if judger().feasible(q) {
			continue
		}
		all := s.labels()
		kept := s.minimise(all)
		if len(kept) == 0 {
			continue // nothing that was asked for is to blame
		}
		others := q
		for _, l := range all {
			if !slices.ContainsFunc(kept, func(k label) bool { return k.fact.ID == l.fact.ID }) {
				l.drop(&others)
			}
		}
		if judger().feasible(others) {
			t.Errorf("what is cited does not conflict by itself: %s", describe(q))
		}
		for _, k := range kept {
			cited++
			without := others
			k.drop(&without)
			if !judger().feasible(without) {
				t.Errorf("%s is cited, and leaving it out changes nothing: %s", k.fact.ID, describe(q))
			}
		}
	}
	if cited < 10 {
		t.Errorf("only %d citations were tried", cited)
	}
}

// More to choose from never takes a plan away.
func TestMoreOffersNeverHurt(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	gpus := facts().GPUs()
	for range 40 {
		q := universe(t, r)
		before := judger().feasible(q)
		more := q
		price := money.USD(r.IntN(400)+10) * money.Dollar / 100
		g := gpus[r.IntN(len(gpus))]
		more.Offers = append(slices.Clone(q.Offers), catalog.Offer{Provider: "test", GPU: g.ID, ProviderID: "more " + g.Name, PricePerHour: &price, MaxCount: 8, Source: "test"})
		if before && !judger().feasible(more) {
			t.Errorf("an offer of %s took the plan away: %s", g.ID, describe(q))
		}
	}
}

// Equal input gives equal bytes.
func TestSolveIsDeterministic(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 10 {
		q := universe(t, r)
		a, err := json.Marshal(judger().Solve(q))
		if err != nil {
			t.Fatal(err)
		}
		s, err := catalog.Embedded()
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(Solve(s, q))
		if err != nil {
			t.Fatal(err)
		}
		if string(a) != string(b) {
			t.Fatalf("two answers to %s", describe(q))
		}
	}
}

// A lesson is respected, and forgetting it brings the stack back.
func TestLessons(t *testing.T) {
	q := Request{Model: *FindProfile("openai/gpt-oss-20b"), Target: "runpod", Pins: Pins{HostCUDA: version.CUDA{Major: 12, Minor: 8}}}
	plain := judger().Solve(q)
	first := plain.Plans[0]
	q.Lessons = []catalog.Lesson{{ID: "l1", Cause: "import_error", Evidence: []string{"a line"}, Engine: first.Engine.Name + "==" + first.Engine.Version, Forbid: true, Source: "test", Created: "2026-11-25"}}
	for _, p := range judger().Solve(q).Plans {
		if p.Engine.Version == first.Engine.Version {
			t.Errorf("plan %d repeats what a lesson forbids", p.Rank)
		}
	}
	q.Lessons[0] = catalog.Lesson{ID: "l2", Cause: "cuda", MinEngine: "999", Source: "test"}
	res := judger().Solve(q)
	if res.Conflict == nil || !slices.ContainsFunc(res.Conflict.Facts, func(f catalog.Fact) bool { return f.ID == "lesson/l2" }) {
		t.Errorf("the lesson that leaves nothing is not cited: %+v", res.Conflict)
	}
}

func FuzzJudgeIncident(f *testing.F) {
	for _, engine := range []string{"latest as of 2025-05-31", "0.9.1", "<0.6", "main", ""} {
		for _, flags := range []string{"--tensor-parallel-size 3 --task embed", "TP 2, V1 on", "quantization=awq;;("} {
			f.Add(engine, "vllm/vllm-openai:latest (2025-05-31)", flags, "RTX 5090", "Qwen/Qwen3-4B-AWQ", "4.54.1", "2.7.0+cu126", "Ubuntu 20.04")
		}
	}
	f.Fuzz(func(t *testing.T, engine, image, flags, gpu, name, transformers, torch, os string) {
		i := Incident{ID: "fuzz", Date: "2025-06-01", Engine: "vllm", Model: name,
			Losing: incidentStack{EngineVersion: engine, Image: image, Flags: flags, Transformers: transformers, Torch: torch},
			Host:   incidentHost{GPU: gpu, GPUCount: 1, OSGlibc: os}}
		v := judger().Judge(i.LosingCase(FindProfile))
		if v.Outcome == Refused && len(v.Facts) == 0 {
			t.Errorf("refused without a fact: %s", v.Code)
		}
		if v.Outcome == "" || v.Reason == "" {
			t.Errorf("an empty answer: %+v", v)
		}
	})
}

func FuzzPasted(f *testing.F) {
	f.Add("docker run --gpus all -e A=b img:tag --model x && pip install vllm[flashinfer]==1 ; sh -c 'y'")
	f.Add("vllm serve --model= ; docker")
	f.Fuzz(func(t *testing.T, line string) {
		var words []string
		for w := range fields(line) {
			words = append(words, w)
		}
		p, ok, err := ParsePasted(words)
		if ok && err == nil {
			judger().Judge(p.Case)
		}
	})
}

func fields(s string) func(func(string) bool) {
	return func(yield func(string) bool) {
		start := -1
		for i, r := range s + " " {
			if r == ' ' {
				if start >= 0 && !yield(s[start:min(i, len(s))]) {
					return
				}
				start = -1
			} else if start < 0 {
				start = i
			}
		}
	}
}

func ExampleSolve() {
	s, err := catalog.Embedded()
	if err != nil {
		panic(err)
	}
	res := Solve(s, Request{Model: *FindProfile("openai/gpt-oss-20b"), Target: "runpod", Pins: Pins{HostCUDA: version.CUDA{Major: 12, Minor: 4}}})
	fmt.Println(res.Refused[0].Candidate.Image, res.Refused[0].Code)
	fmt.Println(res.Refused[1].Candidate.Image, res.Refused[1].Code)
	fmt.Println(res.Plans[0].Install, res.Plans[0].Guarded, res.Plans[0].Host.MinCUDA)
	// Output:
	// vllm/vllm-openai:v0.6.3.post1 architecture_unknown_to_engine
	// vllm/vllm-openai:latest image_cuda_gate
	// wheels true 12.4
}
