package cli

import (
	"os"
	"strings"
	"testing"
)

// What README shows of a command is what the command prints, line by line; "..." stands for lines left out.
func TestReadmeIsTrue(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	shown, printed, command := 0, "", ""
	for line := range strings.Lines(string(raw)) {
		text, block := strings.CutPrefix(strings.TrimRight(line, "\n"), "    ")
		typed, starts := strings.CutPrefix(text, "$ justright ")
		switch {
		case !block:
			printed = ""
		case starts:
			command = typed
			out, errs, _ := resolverLine(t, t.TempDir(), nil, strings.Fields(typed)...)
			printed = out + errs + "\n"
		case printed != "" && strings.TrimSpace(text) != "" && strings.TrimSpace(text) != "...":
			shown++
			if !strings.Contains(printed, text+"\n") {
				t.Errorf("justright %s does not print\n%q, but\n%s", command, text, printed)
			}
		}
	}
	if shown < 10 {
		t.Errorf("%d lines of output were found in README", shown)
	}
}
