package cli

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"justright/problem"
	"justright/sim/runpodsim"
)

// place is an environment of its own with a simulated RunPod.
type place struct {
	t   *testing.T
	sim *runpodsim.Server
	env map[string]string
	dir string
}

func newPlace(t *testing.T, set ...func(*runpodsim.Options)) place {
	t.Helper()
	sim, url := simulated(t, set...)
	dir := t.TempDir()
	return place{t, sim, map[string]string{
		"RUNPOD_API_KEY": "rpa_PLANTED0KEY0OF0THE0ACCOUNT", "RUNPOD_API_BASE_URL": url, "JUSTRIGHT_STATE_DIR": filepath.Join(dir, "state"), "HOME": dir,
	}, dir}
}

// run runs one command with what the person types.
func (p place) run(typed string, args ...string) (code int, stdout, stderr string) {
	p.t.Helper()
	var out, errs bytes.Buffer
	w := realWorld(args, &out, &errs, p.env)
	if typed != "" {
		w.Stdin, w.StdinTTY = strings.NewReader(typed), true
	}
	code = Main(p.t.Context(), w)
	return code, out.String(), errs.String()
}

// answers runs a command that must end with a status.
func (p place) answers(want problem.Exit, args ...string) string {
	p.t.Helper()
	code, out, errs := p.run("", args...)
	if code != int(want) {
		p.t.Fatalf("%v exits %d, want %d\n%s%s", args, code, want, out, errs)
	}
	return out + errs
}

func (p place) nothingCreated() {
	p.t.Helper()
	if n := p.sim.Counts()["createPod"]; n != 0 {
		p.t.Errorf("%d creates were asked for", n)
	}
}

const tryModel = "openai/gpt-oss-20b"

func TestNothingIsRentedUnasked(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	out := p.answers(problem.ExitLimit, "up", tryModel)
	if !strings.Contains(out, "--yes") || !strings.Contains(out, "without requests") || !strings.Contains(out, "$2.00") {
		t.Errorf("the refusal does not say what was asked for and how to agree:\n%s", out)
	}
	if code, out, errs := p.run("n\n", "up", tryModel); code != int(problem.ExitLimit) || !strings.Contains(errs, "[y/N]") {
		t.Errorf("no at the terminal exits %d:\n%s%s", code, out, errs)
	}
	p.nothingCreated()
}

func TestWhereToLaunch(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	model := filepath.Join(p.dir, "model")
	if err := os.Mkdir(model, 0o755); err != nil {
		t.Fatal(err)
	}
	config := `{"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":64,"num_hidden_layers":2,"num_attention_heads":4,"vocab_size":100}`
	if err := os.WriteFile(filepath.Join(model, "config.json"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	if out := p.answers(problem.ExitUsage, "up", model, "--on", "runpod", "--yes"); !strings.Contains(out, "--on local") {
		t.Errorf("a local directory with a rented target:\n%s", out)
	}
	p.answers(problem.ExitUsage, "up", tryModel, "--on", "moon", "--yes")
	p.answers(problem.ExitUsage, "up", "no/such-model-anywhere", "--budget", "x")
	p.answers(problem.ExitUsage, "up")
	delete(p.env, "RUNPOD_API_KEY")
	if out := p.answers(problem.ExitCredentials, "up", "deepseek-ai/DeepSeek-V3", "--yes"); !strings.Contains(out, "RUNPOD_API_KEY") || !strings.Contains(out, "--on rehearsal") {
		t.Errorf("no key, and too big for this machine:\n%s", out)
	}
	p.answers(problem.ExitCredentials, "up", tryModel, "--on", "runpod", "--yes")
	p.nothingCreated()
}

func TestWhatIsFoundBeforeRenting(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	if out := p.answers(problem.ExitUsage, "up", tryModel, "--yes", "--volume", "none"); !strings.Contains(out, "no network volume") {
		t.Errorf("a volume that is not there:\n%s", out)
	}
	p.nothingCreated()
}

func TestInsideAPodItsKeyIsNoAccountKey(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.env["RUNPOD_POD_ID"] = "abc123"
	p.answers(problem.ExitCredentials, "up", tryModel, "--on", "runpod", "--yes")
	p.nothingCreated()
}

// The whole life of one launch, command by command.
func TestTheLifeOfALaunch(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.env["HF_TOKEN"] = "hf_PLANTEDTOKENOFTHEHUB"
	code, out, errs := p.run("y\n", "up", tryModel, "--ttl", "2h")
	if code != 0 {
		t.Fatalf("up exits %d\n%s%s", code, out, errs)
	}
	url := strings.TrimSpace(out)
	if !strings.HasPrefix(url, p.env["RUNPOD_API_BASE_URL"]+"/proxy/") || !strings.HasSuffix(url, "/v1") {
		t.Errorf("stdout is %q, want the base URL alone", out)
	}
	if !strings.Contains(errs, "✓ proof      architecture") {
		t.Errorf("the proof does not know what the engine's log says:\n%s", errs)
	}
	p.answers(problem.ExitUsage, "logs", "gpt-oss-20b", "--attempt", "9")
	for _, want := range []string{"curl ", "key ", "justright down gpt-oss-20b", "Until its guard reports", "armed"} {
		if !strings.Contains(errs, want) {
			t.Errorf("up does not say %q:\n%s", want, errs)
		}
	}
	var ps psDocument
	if err := json.Unmarshal([]byte(p.answers(0, "ps", "--json")), &ps); err != nil || len(ps.Launches) != 1 {
		t.Fatalf("ps: %v, %+v", err, ps)
	}
	l := ps.Launches[0]
	if l.State != "ready" || !l.Guarded || string(l.BaseURL) != url || l.PricePerHour == nil || l.Name != "gpt-oss-20b" || l.ID == "" {
		t.Errorf("ps shows %+v", l)
	}
	// A second up attaches: no second machine.
	code, out, _ = p.run("", "up", tryModel, "--json")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != 0 || !strings.Contains(lines[len(lines)-1], `"event":"end"`) || !strings.Contains(lines[len(lines)-1], url) {
		t.Errorf("a second up exits %d and ends with %s", code, lines[len(lines)-1])
	}
	if n := p.sim.Counts()["createPod"]; n != 1 {
		t.Errorf("%d creates for two ups of one model", n)
	}
	env := p.answers(0, "show", "gpt-oss-20b", "--env")
	_, key, ok := strings.Cut(env, "OPENAI_API_KEY=")
	key, _, _ = strings.Cut(key, "\n")
	if key = strings.Trim(key, "'"); !ok || len(key) != 32 || !strings.Contains(env, url) {
		t.Errorf("show --env prints %q", env)
	}
	p.keyIsKept()
	if out := p.answers(0, "logs", "gpt-oss-20b"); !strings.Contains(out, "status=armed") {
		t.Errorf("logs:\n%s", out)
	}
	bundle := filepath.Join(p.dir, "b.json")
	p.answers(0, "bundle", "gpt-oss-20b", "-o", bundle)
	p.answers(0, "verify", "gpt-oss-20b")

	var receipt receiptDocument
	if err := json.Unmarshal([]byte(p.answers(0, "down", "gpt-oss-20b", "--json")), &receipt); err != nil || len(receipt.Attempts) != 1 {
		t.Fatalf("down: %v, %+v", err, receipt)
	}
	if receipt.Attempts[0].ID != string(l.ID) || receipt.Attempts[0].Cause != "down" || receipt.Attempts[0].State != "gone" || receipt.Total <= 0 {
		t.Errorf("receipt %+v", receipt)
	}
	if p.sim.Ledger().Billing != 0 {
		t.Error("something bills after down")
	}
	if out := p.answers(0, "logs", tryModel); !strings.Contains(out, "status=armed") {
		t.Errorf("the logs did not outlive the machine:\n%s", out)
	}
	for _, args := range [][]string{{"events", "gpt-oss-20b"}, {"replay", bundle}} {
		if out := p.answers(0, args...); !strings.Contains(out, "ready") || !strings.Contains(out, "proof") {
			t.Errorf("%v shows\n%s", args, out)
		} else if i := strings.LastIndex(out, "stop it"); args[0] == "replay" && (i < 0 || strings.Contains(out[i:], " | ")) {
			t.Errorf("a replay goes on after its end:\n%s", out)
		}
	}
	if out := p.answers(0, "ps"); !strings.Contains(out, "nothing runs") {
		t.Errorf("ps:\n%s", out)
	}
	if out := p.answers(0, "gc"); !strings.Contains(out, "nothing is left over") {
		t.Errorf("gc:\n%s", out)
	}
	p.answers(problem.ExitUsage, "down", "never-heard-of")
	p.answers(0, "down", "gpt-oss-20b")
	p.noSecret(key)
}

// keyIsKept looks at the key's file.
func (p place) keyIsKept() {
	p.t.Helper()
	n := 0
	err := filepath.WalkDir(filepath.Join(p.dir, "state", "keys"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		n++
		if info, err := d.Info(); err != nil || info.Mode().Perm() != 0o600 {
			p.t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
		return nil
	})
	if err != nil || n != 1 {
		p.t.Errorf("%d key files, %v", n, err)
	}
}

// noSecret looks for the planted secrets and the endpoint's key in everything that was written, but the key's own file.
func (p place) noSecret(key string) {
	p.t.Helper()
	err := filepath.WalkDir(p.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.Contains(path, string(filepath.Separator)+"keys"+string(filepath.Separator)) {
			return err
		}
		raw, err := os.ReadFile(path)
		for _, s := range []string{p.env["RUNPOD_API_KEY"], p.env["HF_TOKEN"], key} {
			if bytes.Contains(raw, []byte(s)) {
				p.t.Errorf("%s holds the secret %.8s…", path, s)
			}
		}
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

// Two journals on one account: neither sees, adopts nor ends the other's machines; a lost journal still knows its own.
func TestJournalsDoNotTouchEachOther(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	q := p
	q.env = map[string]string{}
	for k, v := range p.env {
		q.env[k] = v
	}
	q.env["JUSTRIGHT_STATE_DIR"] = filepath.Join(p.dir, "other")
	p.answers(0, "up", tryModel, "--yes")
	q.answers(0, "up", tryModel, "--yes")
	if n := p.sim.Ledger().Billing; n != 2 {
		t.Fatalf("%d machines, want one for each journal", n)
	}
	p.answers(0, "down", "--all")
	if n := p.sim.Ledger().Billing; n != 1 {
		t.Fatalf("%d machines after the first journal's down --all, want the other's", n)
	}
	p.answers(0, "gc", "--remove")
	if n := p.sim.Ledger().Billing; n != 1 {
		t.Fatalf("gc took the other's machine")
	}
	for _, f := range []string{"journal.db", "journal.db-wal", "journal.db-shm"} {
		_ = os.Remove(filepath.Join(q.env["JUSTRIGHT_STATE_DIR"], f))
	}
	if out := q.answers(0, "ps"); !strings.Contains(out, "orphan") {
		t.Errorf("ps of a lost journal:\n%s", out)
	}
	q.answers(0, "gc")
	if out := q.answers(0, "ps"); !strings.Contains(out, "armed") {
		t.Errorf("a machine that gc took in, whose guard is armed:\n%s", out)
	}
	out := q.answers(0, "down", "--all")
	if n := p.sim.Ledger().Billing; n != 0 {
		t.Errorf("a lost journal's machine bills on:\n%s", out)
	}
}

func TestGCSettlesWhatEnded(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.answers(0, "up", tryModel, "--yes")
	id := p.sim.Ledger().Pods[0].ID
	// Somebody ends it at the console.
	w := realWorld(nil, new(bytes.Buffer), new(bytes.Buffer), p.env)
	tg, err := w.runpodTarget()
	if err != nil {
		t.Fatal(err)
	}
	if err := tg.provider.Delete(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if out := p.answers(0, "ps"); !strings.Contains(out, "gone") {
		t.Errorf("ps:\n%s", out)
	}
	time.Sleep(quickTiming().ConfirmAfter) // sooner a missing pod may be one that is not listed yet
	if out := p.answers(0, "gc"); !strings.Contains(out, "settled") {
		t.Errorf("gc:\n%s", out)
	}
	if out := p.answers(0, "ps"); !strings.Contains(out, "nothing runs") {
		t.Errorf("ps after gc:\n%s", out)
	}
	if n := p.sim.Counts()["createPod"]; n != 1 {
		t.Errorf("%d creates: a machine that somebody ended started another plan", n)
	}
}

// An account that cannot be asked for want of an address or a key that is one is not one that has no key.
func TestAnAccountThatCannotBeAskedIsSaid(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	key := p.env["RUNPOD_API_KEY"]
	for _, c := range []struct {
		name, value string
		exit        problem.Exit
	}{{"RUNPOD_API_BASE_URL", "ftp://x", problem.ExitUsage}, {"RUNPOD_API_KEY", key + " " + key, problem.ExitCredentials}} {
		old := p.env[c.name]
		p.env[c.name] = c.value
		for _, args := range [][]string{{"gc"}, {"gc", "--json"}, {"down", "--all"}, {"down", "--all", "--json"}} {
			if out := p.answers(c.exit, args...); strings.Contains(out, "is not set") {
				t.Errorf("%v with %s of %q:\n%s", args, c.name, c.value, out)
			}
		}
		if out := p.answers(0, "ps"); !strings.Contains(out, "runpod cannot be asked") {
			t.Errorf("ps with %s of %q:\n%s", c.name, c.value, out)
		}
		p.env[c.name] = old
	}
}

// A denial through another address is none, whatever that address says.
func TestDownThroughAnotherAddressIsUnknown(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.answers(0, "up", tryModel, "--yes")
	p.env["RUNPOD_API_BASE_URL"] = strings.Replace(p.env["RUNPOD_API_BASE_URL"], "127.0.0.1", "localhost", 1)
	p.answers(problem.ExitCredentials, "down", "--all")
	p.env["RUNPOD_API_BASE_URL"] = strings.Replace(p.env["RUNPOD_API_BASE_URL"], "localhost", "127.0.0.1", 1)
	p.answers(0, "down", "--all")
	if p.sim.Ledger().Billing != 0 {
		t.Error("still there")
	}
}

// An account that does not answer is not an empty one, least of all when the journal is lost.
func TestWhatCannotBeAskedIsNotGone(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.answers(0, "up", tryModel, "--yes")
	p.loseJournal()
	url := p.env["RUNPOD_API_BASE_URL"]
	p.env["RUNPOD_API_BASE_URL"] = "http://127.0.0.1:1"
	for _, args := range [][]string{{"down", "--all"}, {"down", "--all", "--json"}, {"gc"}, {"gc", "--json"}} {
		if out := p.answers(problem.ExitCapacity, args...); strings.Contains(out, "nothing") {
			t.Errorf("%v of an account out of reach:\n%s", args, out)
		}
	}
	p.env["RUNPOD_API_BASE_URL"] = url
	p.answers(0, "down", "--all")
	if p.sim.Ledger().Billing != 0 {
		t.Error("still there")
	}
}
