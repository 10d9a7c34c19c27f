package ssh

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"justright/boot"
	"justright/internal/provider/onhost"
	"justright/launch"
)

//go:embed host.sh
var hostScript string

// ofHost is the script without its comments, with the lists that Go holds put in.
func ofHost() string {
	var out []string
	for l := range strings.SplitSeq(hostScript, "\n") {
		if t := strings.TrimSpace(l); t != "" && !strings.HasPrefix(t, "#") {
			out = append(out, l)
		}
	}
	var drop []string
	for _, w := range onhost.SecretParts() {
		drop = append(drop, "*"+anyCase(w)+"*")
	}
	for _, w := range onhost.Misleading() {
		drop = append(drop, w+"*")
	}
	var query []string
	for _, w := range onhost.SMIQuery() {
		query = append(query, boot.Quote(w))
	}
	return strings.NewReplacer("@DROP@", strings.Join(drop, " | "), "@TOOLS@", strings.Join(onhost.Tools(), " "),
		"@PYTHONS@", strings.Join(onhost.Pythons(), " "), "@QUERY@", strings.Join(query, " ")).Replace(strings.Join(out, "\n"))
}

// anyCase is a shell pattern of a word in any letters.
func anyCase(word string) string {
	var b strings.Builder
	for _, r := range word {
		if r < 'A' || r > 'Z' {
			b.WriteRune(r)
			continue
		}
		b.WriteString("[" + string(r) + string(r+'a'-'A') + "]")
	}
	return b.String()
}

// compose is everything a call sends to the host's /bin/sh. The braces make the shell read all of it before any of it runs, and
// the marks set what we say apart from what a login prints.
func (p *Provider) compose(mark, action string, vars map[string]string, more string) string {
	var b strings.Builder
	b.WriteString("{\nprintf '\\n%s\\n' " + boot.Quote(mark+" begin") + "\n" + ofHost() + "\n")
	keys := make([]string, 0, len(vars))
	for k := range vars {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	b.WriteString("ASKED=" + boot.Quote(p.c.Target.Dir) + "\n")
	for _, k := range keys {
		b.WriteString(k + "=" + boot.Quote(vars[k]) + "\n")
	}
	b.WriteString(more + "places\ndo_" + action + "\nprintf '%s\\n' " + boot.Quote(mark+" end") + "\nexit 0\n}\n")
	return b.String()
}

// startScript defines what only a create has: the launch's own variables, secrets among them, which are in no argument and in no
// file, and its command.
func startScript(s launch.Spec, hold time.Duration) (string, error) {
	argv := slices.Concat(s.Start.Entrypoint, s.Start.Cmd)
	if len(argv) == 0 {
		return "", errors.New("no start command in exec form")
	}
	vars := onhost.Vars(s, hold)
	names := make([]string, 0, len(vars))
	for k, v := range vars {
		if !validName(k) || strings.ContainsRune(v, 0) {
			return "", fmt.Errorf("%q is no variable of an environment", k)
		}
		names = append(names, k)
	}
	slices.Sort(names)
	var b strings.Builder
	b.WriteString("own_vars() {\n:\n")
	for _, k := range names {
		b.WriteString("export " + k + "=" + boot.Quote(vars[k]) + "\n")
	}
	b.WriteString("}\nstarted() {\nlaunch \"$1/log\" /bin/sh -c " + boot.Quote(onhost.Note) + " sh \"$1/pid\"")
	for _, a := range argv {
		if strings.ContainsRune(a, 0) {
			return "", errors.New("an argument holds a NUL byte")
		}
		b.WriteString(" " + boot.Quote(a))
	}
	b.WriteString("\n}\n")
	return b.String(), nil
}

func validName(k string) bool {
	for i, c := range []byte(k) {
		if !(c == '_' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || i > 0 && c >= '0' && c <= '9') {
			return false
		}
	}
	return k != ""
}
