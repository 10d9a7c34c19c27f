package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"justright/internal/httpclient"
	"justright/internal/provider/runpod"
	"justright/internal/redact"
)

// configDocument is justright/config/1.
type configDocument struct {
	Schema   string    `json:"schema"`
	Settings []setting `json:"settings"`
}

// setting is one thing that can be told to the program, and what holds here and now.
type setting struct {
	Name   string   `json:"name"`  // of the variable, or --flag
	Value  optional `json:"value"` // null: nothing is set and there is no default; a secret is [set]
	Origin string   `json:"origin"`
	Text   string   `json:"text"`
}

// Where a value comes from.
const (
	fromEnvironment = "environment"
	fromFile        = "file"
	fromDefault     = "default"
	fromNowhere     = "unset"
)

func newConfigCommand(w *World) *cobra.Command {
	show := func(c *cobra.Command, _ []string) error {
		asJSON, _ := c.Flags().GetBool("json")
		return w.config(asJSON)
	}
	long := `config show lists every variable of the environment that this program honours and the defaults of up's flags: the value that
holds here, and whether it comes from the environment, a file or is the default. There is no file of settings: flags win over
the environment, the environment over defaults. Of secrets it says only that they are set. Whether they work is doctor's question.

Exit status: 0; 2 usage.`
	c := &cobra.Command{Use: "config", Short: "What is set in this environment, and the defaults", Long: long, RunE: show}
	c.AddCommand(&cobra.Command{Use: "show", Short: "Every setting, its value and where it comes from", Long: long, Args: cobra.NoArgs, RunE: show})
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return noCommand(c, args[0])
		}
		return nil
	}
	return c
}

func (w *World) config(asJSON bool) error {
	doc := configDocument{"justright/config/1", w.settings()}
	if asJSON {
		return w.printJSON(doc)
	}
	rows := [][]string{{"setting", "value", "from", "what it is"}}
	for _, s := range doc.Settings {
		value := string(s.Value)
		if value == "" {
			value = "-"
		}
		if long := []rune(value); len(long) > 48 { // a PATH; the document has it whole
			value = string(long[:47]) + "…"
		}
		rows = append(rows, []string{s.Name, value, s.Origin, s.Text})
	}
	if w.Width == 0 || tableWidth(rows, 2) <= w.Width {
		printColumns(w.Stdout, rows)
		return nil
	}
	for _, r := range rows[1:] { // below each other where the table is wider than the terminal
		fmt.Fprintf(w.Stdout, "%s = %s (%s)\n", r[0], r[1], r[2])
		fmt.Fprintf(w.Stdout, "    %s\n", w.wrapped(4, 4, r[3]))
	}
	return nil
}

// settings is everything that can be set, in the order in which a newcomer meets it.
func (w *World) settings() []setting {
	var out []setting
	add := func(name, value, otherwise, text string) {
		s := setting{Name: name, Value: optional(redact.Redactor{}.Text(value)), Origin: fromEnvironment, Text: text}
		if value == "" {
			s.Value, s.Origin = optional(otherwise), fromDefault
			if otherwise == "" {
				s.Origin = fromNowhere
			}
		}
		out = append(out, s)
	}
	plain := func(name, otherwise, text string) { add(name, strings.TrimSpace(w.Env(name)), otherwise, text) }
	secret := func(name, text string) {
		value := ""
		if w.Env(name) != "" {
			value = "[set]"
		}
		add(name, value, "", text)
	}
	address := func(name, otherwise, text string) {
		value := strings.TrimSpace(w.Env(name))
		if value != "" {
			value = httpclient.RedactURL(value)
		}
		add(name, value, otherwise, text)
	}

	secret("RUNPOD_API_KEY", "the account at RunPod; inside a pod it is that pod's own and not used")
	secret("JUSTRIGHT_RUNPOD_API_KEY", "the account's key where RUNPOD_API_KEY is a pod's own; wins over it")
	address("RUNPOD_API_BASE_URL", runpod.DefaultBaseURL, "RunPod's API, or a simulator's (justright sim)")
	plain("JUSTRIGHT_RUNPOD_PROXY", "", "where a pod's port is found, with {pod} and {port}; RunPod's proxy when not set")
	plain("RUNPOD_POD_ID", "", "set by RunPod in its pods: this program runs in one and never touches it")

	address("HF_ENDPOINT", "https://huggingface.co", "the model hub")
	secret("HF_TOKEN", "for gated models; goes to the machine for those alone")
	plain("HF_TOKEN_PATH", "", "the file of the token, where HF_TOKEN is not set")
	plain("HF_HOME", "", "else the token is $HF_HOME/token, or ~/.cache/huggingface/token")
	if strings.TrimSpace(w.Env("HF_TOKEN")) == "" && w.hubToken() != "" {
		for i := range out {
			if out[i].Name == "HF_TOKEN" {
				out[i].Value, out[i].Origin = "[set]", fromFile
			}
		}
	}
	plain("HF_HUB_OFFLINE", "", "1: the hub is not asked")

	for _, name := range []string{"UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"} {
		address(name, "", "package index; the first of the three that is set, else pip's own files, else https://pypi.org/simple/")
	}
	for _, name := range []string{"UV_INDEX", "UV_EXTRA_INDEX_URL", "PIP_EXTRA_INDEX_URL"} {
		add(name, redact.Redactor{}.Text(w.Env(name)), "", "further package indexes")
	}
	plain("PIP_CONFIG_FILE", "", "pip's file that names an index")
	plain("VIRTUAL_ENV", "", "its pip.conf may name an index")
	plain("XDG_CONFIG_HOME", "", "its pip/pip.conf may name an index; ~/.config when not set")

	state, err := w.stateDir()
	if err != nil {
		state = ""
	}
	plain("JUSTRIGHT_STATE_DIR", state, "journal and keys of launches; without it justright below XDG_STATE_HOME or ~/.local/state")
	address("JUSTRIGHT_JOURNAL", "", "a journal in PostgreSQL that several controllers share: postgres://user@host/database; without it a file in the state directory")
	plain("XDG_STATE_HOME", "", "see JUSTRIGHT_STATE_DIR")
	plain("JUSTRIGHT_CACHE_DIR", w.cacheDir(), "environments, weights and refreshed facts of this machine; without it justright below XDG_CACHE_HOME or ~/.cache")
	plain("XDG_CACHE_HOME", "", "see JUSTRIGHT_CACHE_DIR")
	plain("HOME", "", "where the directories above begin")
	plain("PATH", "", "where uv, python3 and nvidia-smi are looked for")

	plain("JUSTRIGHT_SSH", "", "the ssh client of --on ssh://, with arguments; ssh when not set")
	plain("XDG_RUNTIME_DIR", "", "where connections of ssh that are shared have their sockets; a directory of the user's own below /tmp when not set")
	plain("KUBECONFIG", "", "clusters of --on kubernetes; ~/.kube/config when not set")
	plain("KUBERNETES_SERVICE_HOST", "", "set inside a cluster: its own account is used where there is no KUBECONFIG")
	secret("VLLM_API_KEY", "the key that verify and bench send to an address")
	for _, name := range []string{"HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"} {
		if w.Env(name) == "" {
			add(name, redact.Redactor{}.Text(w.Env(strings.ToLower(name))), "", "proxy for what is asked over the network, also in small letters")
			continue
		}
		add(name, redact.Redactor{}.Text(w.Env(name)), "", "proxy for what is asked over the network, also in small letters")
	}
	plain("NO_COLOR", "", "no colours")
	plain("TERM", "", "dumb: no colours")
	plain("GOGC", "", "how often memory is collected, as in every Go program")

	flag := func(name, value, text string) {
		s := setting{Name: name, Value: optional(value), Origin: fromDefault, Text: text}
		if value == "" {
			s.Origin = fromNowhere
		}
		out = append(out, s)
	}
	flag("up --budget", defaultBudget.String(), "most dollars of one task, failed attempts included")
	flag("up --idle", strings.TrimSuffix(defaultIdle.String(), "0s"), "a machine ends itself after so long without requests")
	flag("up --ttl", "", "longest life of a machine; without it the budget ends it")
	flag("up --on", "", "runpod when a key is set, else local when this machine can hold the model, else it stops")
	return out
}
