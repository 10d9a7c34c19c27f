package cli

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// A model that the catalog knows to be gated is not rented for without a token, and plan says so before.
func TestGatedModelOfTheCatalog(t *testing.T) {
	t.Parallel()
	const gemma = "google/gemma-3-12b-it"
	for _, c := range []struct {
		model string
		env   map[string]string
		wants bool
	}{{gemma, nil, true}, {gemma, map[string]string{"HF_TOKEN": "hf_x"}, false}, {"openai/gpt-oss-20b", nil, false}} {
		out, errs, status := resolverLine(t, t.TempDir(), c.env, "plan", c.model, "--json")
		var d struct {
			Plans []struct{ Unknowns []string }
		}
		if err := json.Unmarshal([]byte(out), &d); status != 0 || err != nil || len(d.Plans) == 0 {
			t.Fatalf("plan %s: exit %d, %v, %d plans: %s", c.model, status, err, len(d.Plans), errs)
		}
		for _, p := range d.Plans {
			if got := slices.ContainsFunc(p.Unknowns, func(u string) bool { return strings.Contains(u, "gated") }); got != c.wants {
				t.Errorf("plan %s with %v: unknowns %q", c.model, c.env, p.Unknowns)
			}
		}
	}
	out, _, status := resolverLine(t, t.TempDir(), map[string]string{"RUNPOD_API_KEY": "rpa_x"}, "up", gemma, "--yes", "--json")
	if status != 4 || !strings.Contains(out, `"gated_model"`) {
		t.Errorf("up without a token: exit %d, %s", status, out)
	}
}

// Where our middleware cannot be installed the plan says open, in both answers.
func TestOpenPlans(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		open bool
	}{{[]string{"--install", "wheels"}, false}, {[]string{"--install", "image"}, true}, {[]string{"--engine", "sglang==0.5.9", "--gpu", "L4"}, true}} {
		args := append([]string{"plan", "Qwen/Qwen3-4B"}, c.args...)
		text, _, _ := resolverLine(t, t.TempDir(), nil, args...)
		out, errs, status := resolverLine(t, t.TempDir(), nil, append(args, "--json")...)
		var d struct {
			Plans []struct{ Open, Guarded *bool }
		}
		if err := json.Unmarshal([]byte(out), &d); status != 0 || err != nil || len(d.Plans) == 0 {
			t.Fatalf("%v: exit %d, %v, %d plans: %s", args, status, err, len(d.Plans), errs)
		}
		for _, p := range d.Plans {
			if p.Open == nil || *p.Open != c.open {
				t.Errorf("%v: open %v", args, p.Open)
			}
		}
		if got := strings.Contains(text, ", open") && strings.Contains(text, "\nopen "); got != c.open {
			t.Errorf("%v says:\n%s", args, text)
		}
	}
}
