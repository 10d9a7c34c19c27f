package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"justright/catalog"
	"justright/internal/httpclient"
	"justright/internal/provider"
	"justright/internal/provider/kubernetes"
	"justright/internal/provider/local"
	"justright/internal/provider/runpod"
	"justright/internal/provider/ssh"
	"justright/launch"
	"justright/money"
	"justright/problem"
)

// The words of --on that are reached from here.
const (
	onRunPod    = "runpod"
	onLocal     = "local"
	onRehearsal = "rehearsal"
)

// target is one place to launch on, reached through one address with one key.
type target struct {
	word     string
	provider provider.Provider
	address  string
	account  string // fingerprint of the key
	why      string // why this one, for the first line
	local    *local.Provider
	ssh      *ssh.Provider
	kube     *kubernetes.Provider
}

// rents reports whether machines of this target are another's and bill, if only on paper.
func (t target) rents() bool { return t.local == nil && t.ssh == nil }

// lacks refuses a start on a machine of one's own when it has not the programs for one, and in a cluster where the rights for one are
// missing. expose is the way to the endpoint that was asked for.
func (t target) lacks(ctx context.Context, expose string) error {
	if t.kube != nil {
		return t.mayLaunch(ctx, expose)
	}
	m, own, err := t.host(ctx)
	if err != nil {
		return providerProblem(err, t.word)
	}
	if !own || len(m.Lacks) == 0 {
		return nil
	}
	p := problem.New(problem.ExitCapacity, "tool_missing", "%s lacks what a start needs: %s", t.hostName(), strings.Join(m.Lacks, ", "))
	if t.ssh != nil {
		return p.Because("nothing was started").Try("install them there; another directory of the host is taken with", "--on "+t.word+"/DIRECTORY")
	}
	return p.Because("not found on PATH; nothing was started").
		Try("install them, or mend PATH, and look again", "justright doctor --on local")
}

// fingerprint tells keys apart without showing them.
func fingerprint(key string) string {
	sum := sha256.Sum256([]byte("justright account\x00" + key))
	return hex.EncodeToString(sum[:4])
}

// billed lets the runner ask runpod what a pod has cost.
type billed struct{ *runpod.Provider }

// BilledFor sums the provider's own records of one pod; ok is false while there are none.
func (b billed) BilledFor(ctx context.Context, podID string, since time.Time) (money.USD, bool, error) {
	bills, err := b.Billed(ctx, podID, since)
	for _, bill := range bills {
		if bill.PodID == podID {
			return bill.Total, true, err
		}
	}
	return 0, false, err
}

// runpodTarget is RunPod by the environment.
func (w *World) runpodTarget() (target, error) {
	cfg, err := runpod.FromEnv(w.Env)
	if err != nil {
		return target{}, err
	}
	if !cfg.Key.Set() {
		return target{}, runpod.KeyMissing(w.Env)
	}
	t, err := w.runpodAt(cfg)
	t.word, t.why = onRunPod, "key from RUNPOD_API_KEY"
	if !runpod.IsRunPod(cfg.BaseURL) {
		t.why += " · at " + cfg.BaseURL
	}
	return t, err
}

func (w *World) runpodAt(cfg runpod.Config) (target, error) {
	cfg.Transport, cfg.Now, cfg.GPU = w.Transport, w.Now, w.gpuID
	p, err := runpod.New(cfg)
	if err != nil {
		return target{}, err
	}
	return target{provider: billed{p}, address: p.BaseURL(), account: fingerprint(cfg.Key.Reveal())}, nil
}

// gpuID maps a provider's name of a GPU to the catalog's.
func (w *World) gpuID(providerID string) string {
	facts, err := w.facts()
	if err != nil {
		return ""
	}
	if g, ok := facts.FindGPU(providerID); ok {
		return g.ID
	}
	return ""
}

// localTarget is this machine.
func (w *World) localTarget() (target, error) {
	dir, err := w.stateDir()
	if err != nil {
		return target{}, err
	}
	p, err := local.New(local.Config{
		StateDir: dir, CacheDir: w.cacheDir(), Environ: w.Environ(), Now: w.Now, LookupGPU: w.gpuID,
	})
	if err != nil {
		return target{}, problem.New(problem.ExitCapacity, "local", "launches on this machine have no place").Wrap(err)
	}
	return target{word: onLocal, provider: p, local: p, address: "local:" + dir, account: "local" + w.here(), why: "this machine"}, nil
}

// rehearsalTarget is a simulator that runs as long as a pod of it does. start begins one when none runs.
func (w *World) rehearsalTarget(ctx context.Context, start bool) (target, error) {
	url, err := w.rehearsal(ctx, start)
	if err != nil {
		return target{}, err
	}
	t, err := w.simTarget(url)
	t.why = "a simulator; nothing is rented"
	return t, err
}

func (w *World) simTarget(url string) (target, error) {
	t, err := w.runpodAt(runpod.Config{Key: httpclient.NewSecret("rehearsal"), BaseURL: url})
	t.word, t.account = onRehearsal, fingerprint("rehearsal"+w.here())
	return t, err
}

// chooseTarget is the target of a new launch: what was asked for, else runpod when there is a key, else this machine
// when it can hold the model. fits asks the resolver.
func (w *World) chooseTarget(ctx context.Context, on string, fits func(target) error) (target, error) {
	switch on {
	case onRunPod:
		return w.runpodTarget()
	case onLocal:
		return w.localTarget()
	case onRehearsal:
		return w.rehearsalTarget(ctx, true)
	case "":
	default:
		if isSSH(on) {
			return w.sshTarget(on)
		}
		if isKubernetes(on) {
			return w.kubernetesTarget(on)
		}
		return target{}, problem.New(problem.ExitUsage, "unknown_target", "--on %q is no target of up", on).
			Try("the targets are --on runpod, local, rehearsal, kubernetes and ssh://user@host", "")
	}
	t, err := w.runpodTarget()
	if err == nil {
		return t, nil
	}
	noKey := problem.From(err)
	if noKey.Code != "no_credentials" {
		return target{}, err
	}
	t, err = w.localTarget()
	if err == nil {
		if err = fits(t); err == nil {
			t.why = "no RunPod key is set, and this machine can hold the model"
			return t, nil
		}
	}
	return target{}, problem.New(problem.ExitCredentials, "no_target", "there is nowhere to launch").
		Because("no RunPod key is set, and this machine cannot serve the model: %s", problem.From(err).Error()).
		Try("set a key of https://console.runpod.io/user/settings", "export RUNPOD_API_KEY=...").
		Try("or watch the whole road on a simulator, where nothing is rented", w.again("--on", "rehearsal"))
}

// targetOf is the door through which a task's machines were made, as far as it can be had now.
func (w *World) targetOf(ctx context.Context, s launch.State) (target, error) {
	switch s.Target {
	case onLocal:
		return w.localTarget()
	case onRehearsal:
		address := ""
		for _, a := range s.Attempts {
			address = a.Address
		}
		url, err := w.rehearsal(ctx, false)
		if err == nil && (address == "" || url == address) {
			return w.simTarget(url)
		}
		if w.sharedJournal() != "" && address != "" && answers(ctx, address) { // of another controller on this machine
			return w.simTarget(address)
		}
		// The simulator ends itself when no pod is left, and takes its pods with it when it is killed.
		return target{word: onRehearsal, provider: vanished{}, address: address, account: fingerprint("rehearsal" + w.here())}, nil
	default:
		if isSSH(s.Target) {
			return w.sshTarget(s.Target)
		}
		if isKubernetes(s.Target) {
			return w.clusterOf(s)
		}
		return w.runpodTarget()
	}
}

// vanished is a simulator that has ended: whatever it had is gone.
type vanished struct{}

var errVanished = errors.New("the rehearsal's simulator has ended")

func (vanished) Name() string { return onRehearsal }

func (vanished) Offers(context.Context) ([]catalog.Offer, error) { return nil, nil }

func (vanished) Create(context.Context, launch.Spec) (launch.Instance, error) {
	return launch.Instance{}, &provider.Error{Op: "create", Kind: launch.FailRejected, Err: errVanished}
}

func (vanished) Get(_ context.Context, id string) (launch.Instance, error) {
	return launch.Instance{ID: id, Status: launch.Gone}, nil
}

func (vanished) List(context.Context) ([]launch.Instance, error) { return nil, nil }

func (vanished) Delete(context.Context, string) error { return nil }

func (vanished) Logs(context.Context, string, string, func(launch.LogLine) error) error { return nil }
