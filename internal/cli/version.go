package cli

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// versionDocument is the justright/version/1 document. Null is not known: a program that was not built from a
// checkout has no revision.
type versionDocument struct {
	Schema   string  `json:"schema"`
	Version  *string `json:"version"`
	Revision *string `json:"revision"`
	Time     *string `json:"time"`
	Modified *bool   `json:"modified"` // built from a tree with changes that are not committed
	Go       string  `json:"go"`
	Facts    string  `json:"facts"` // the day the facts about engines were read
}

func newVersionCommand(w *World) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Which build this is, and from when its facts are", Args: cobra.NoArgs,
		Long: "version says which build this is, and of which day its facts about engines are.\n\nExit status: 0 always.",
		RunE: func(c *cobra.Command, _ []string) error {
			d := w.version()
			if asJSON, _ := c.Flags().GetBool("json"); asJSON {
				return w.printJSON(d)
			}
			fmt.Fprint(w.Stdout, w.fitted(fmt.Sprintln(d)))
			return nil
		},
	}
}

// version reads what the linker wrote down.
func (w *World) version() versionDocument {
	d := versionDocument{Schema: "justright/version/1"}
	if b, ok := debug.ReadBuildInfo(); ok {
		d.Go = b.GoVersion
		if v := b.Main.Version; v != "" && v != "(devel)" {
			d.Version = &v
		}
		for _, s := range b.Settings {
			switch s.Key {
			case "vcs.revision":
				d.Revision = &s.Value
			case "vcs.time":
				d.Time = &s.Value
			case "vcs.modified":
				changed := s.Value == "true"
				d.Modified = &changed
			}
		}
	}
	if s, err := w.facts(); err == nil {
		d.Facts = s.NewestEngineRead("vllm")
	}
	return d
}

func (d versionDocument) String() string {
	text := "justright"
	switch {
	case d.Version != nil:
		text += " " + *d.Version
	case d.Revision != nil:
		text += " " + *d.Revision
	default:
		text += " (a build without a version)"
	}
	if d.Modified != nil && *d.Modified && d.Version == nil {
		text += " with changes"
	}
	return text + ", " + d.Go + ", facts of " + d.Facts
}
