package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"justright/money"
	"justright/problem"
)

// What no plan meets is worded by what is most useful to know, with a way on that can be pasted.
func TestARequestThatNothingMeets(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for _, c := range []struct {
		args []string
		exit problem.Exit
		want []string
	}{
		{[]string{"--max-price", "0.10"}, problem.ExitNoStack, []string{"costs at most $0.10/h", "with its disk", "hint: raise the limit: justright up openai/gpt-oss-20b --yes --max-price 0."}},
		{[]string{"--gpu", "T4"}, problem.ExitNoStack, []string{"compute capability 8.0"}},
		{[]string{"--data-center", "MARS-1"}, problem.ExitCapacity, []string{"nothing is offered in MARS-1", "there are offers in ", "EU-RO-1",
			"hint: leave the place open: justright up openai/gpt-oss-20b --yes\n"}},
		{[]string{"--context", "9000000"}, problem.ExitNoStack, []string{"131072 that the model's config allows", "shorter context: justright up openai/gpt-oss-20b --yes --context 131072"}},
		{[]string{"--transformers", "4.30.0", "--", "--swap-space", "4"}, problem.ExitNoStack, []string{"leave transformers open: justright up openai/gpt-oss-20b --yes -- --swap-space 4"}},
		{[]string{"--cloud", "moon"}, problem.ExitUsage, []string{"neither SECURE nor COMMUNITY", "hint: for example: justright up openai/gpt-oss-20b --yes --cloud SECURE"}},
	} {
		out := p.answers(c.exit, append([]string{"up", tryModel, "--yes"}, c.args...)...)
		_, said, _ := strings.Cut(out, "error: ")
		for _, want := range c.want {
			if !strings.Contains(said, want) {
				t.Errorf("%v does not say %q:\n%s", c.args, want, said)
			}
		}
	}
	p.nothingCreated()
	// The limit that is hinted at is enough.
	out := p.answers(problem.ExitNoStack, "up", tryModel, "--yes", "--max-price", "0.10")
	_, limit, _ := strings.Cut(out, "--yes --max-price ")
	limit, _, _ = strings.Cut(limit, "\n")
	if code, out, errs := p.run("n\n", "up", tryModel, "--max-price", limit); code != int(problem.ExitLimit) {
		t.Errorf("--max-price %q exits %d:\n%s%s", limit, code, out, errs)
	}
}

// The price that is asked about is the one that is billed: the disk is in it.
func TestThePriceAskedForHoldsTheDisk(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	_, _, errs := p.run("n\n", "up", tryModel)
	_, asked, _ := strings.Cut(errs, "Rent 1 at $")
	asked, rest, ok := strings.Cut(asked, "/h")
	if !ok || !strings.HasPrefix(rest, ", its disk included?") {
		t.Fatalf("the question:\n%s", errs)
	}
	out := p.answers(0, "up", tryModel, "--yes", "--json")
	planned := ""
	for l := range strings.Lines(out) {
		var e struct {
			Event string     `json:"event"`
			Price *money.USD `json:"price_per_hour"`
		}
		if json.Unmarshal([]byte(l), &e) == nil && e.Event == "plan" && e.Price != nil {
			planned = e.Price.Cents()
		}
	}
	var ps psDocument
	if err := json.Unmarshal([]byte(p.answers(0, "ps", "--json")), &ps); err != nil || len(ps.Launches) != 1 || ps.Launches[0].PricePerHour == nil {
		t.Fatalf("ps: %v", err)
	}
	if bills := ps.Launches[0].PricePerHour.Cents(); asked != bills || planned != bills {
		t.Errorf("asked for $%s/h, planned $%s/h, bills $%s/h", asked, planned, bills)
	}
	p.answers(0, "down", "--all")
}
