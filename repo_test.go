package justright_test

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "justright"

// pure are the rooms that reason and do no I/O. Each may import only the pure rooms before it in this list, and the
// standard library without the packages in impure.
var pure = []string{"problem", "money", "version", "catalog", "model", "memory", "solve", "boot", "diagnose", "launch", "report"}

// impure are what a pure room never imports directly (fmt itself reaches os, so the rule is about direct imports).
var impure = []string{
	"net", "net/http", "os", "os/exec", "os/signal", "database/sql", "syscall", "log", "log/slog",
	"math/rand", "math/rand/v2", "testing",
}

// embedders may read what is embedded in them.
var embedders = []string{"catalog", "boot", "diagnose"}

// adapters are islands: none imports another, the store, the command line or a sink.
var adapters = []string{"internal/provider/runpod", "internal/provider/local", "internal/provider/ssh", "internal/provider/kubernetes"}

type listed struct {
	ImportPath   string
	Dir          string
	GoFiles      []string
	Imports      []string
	Deps         []string
	TestGoFiles  []string
	XTestGoFiles []string
}

// packages runs go list once over the module.
func packages(t *testing.T) map[string]listed {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Dir,GoFiles,Imports,Deps,TestGoFiles,XTestGoFiles", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	all := map[string]listed{}
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		var p listed
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all[strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")] = p
	}
	return all
}

func TestDependencyRules(t *testing.T) {
	all := packages(t)

	for i, room := range pure {
		p, ok := all[room]
		if !ok {
			t.Errorf("the rule about %q names a room that does not exist", room)
			continue
		}
		for _, imp := range p.Imports {
			own, isOurs := strings.CutPrefix(imp, module+"/")
			switch {
			case isOurs && !slices.Contains(pure[:i], own):
				t.Errorf("%s imports %s: a pure room imports only the pure rooms before it", room, own)
			case isOurs, !strings.Contains(strings.SplitN(imp, "/", 2)[0], "."):
				if slices.Contains(impure, imp) {
					t.Errorf("%s imports %s: what reasons does no I/O", room, imp)
				}
				if (imp == "embed" || imp == "io/fs") && !slices.Contains(embedders, room) {
					t.Errorf("%s imports %s: only %v embed data", room, imp, embedders)
				}
			default:
				t.Errorf("%s imports %s: a pure room needs no other module", room, imp)
			}
		}
	}

	for _, room := range adapters {
		p, ok := all[room]
		if !ok {
			t.Errorf("the rule about %q names a room that does not exist", room)
			continue
		}
		for _, imp := range p.Imports {
			own, isOurs := strings.CutPrefix(imp, module+"/")
			if !isOurs {
				continue
			}
			if slices.Contains(adapters, own) || own == "internal/store" || own == "internal/cli" || own == "internal/runner" || strings.HasPrefix(own, "internal/ui") {
				t.Errorf("%s imports %s: adapters are islands", room, own)
			}
		}
	}

	for room, p := range all {
		inside := strings.HasPrefix(room, "internal/cli") || strings.HasPrefix(room, "cmd/") || strings.HasPrefix(room, "internal/tools")
		for _, imp := range p.Imports {
			own, _ := strings.CutPrefix(imp, module+"/")
			if slices.Contains(adapters, own) && !inside {
				t.Errorf("%s imports %s: only internal/cli wires concrete adapters", room, own)
			}
			if own == "internal/cli" && !strings.HasPrefix(room, "cmd/") && !inside {
				t.Errorf("%s imports internal/cli", room)
			}
		}
		if strings.HasPrefix(room, "cmd/") {
			for _, dep := range p.Deps {
				if dep == "testing" || dep == "net/http/httptest" {
					t.Errorf("%s reaches %s: no test code in binaries", room, dep)
				}
			}
		}
	}
}

func TestOneCommentPerPackage(t *testing.T) {
	for room, p := range packages(t) {
		if len(p.GoFiles) == 0 {
			continue
		}
		var with []string
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			if f.Doc != nil {
				with = append(with, name)
			}
		}
		if len(with) != 1 {
			t.Errorf("package %q has %d package comments %v, want one", room, len(with), with)
		}
	}
}

// TestClockAndExit holds two habits no linter is needed for: a pure room never asks the time, and only cmd exits.
func TestClockAndExit(t *testing.T) {
	for room, p := range packages(t) {
		isPure := slices.Contains(pure, room)
		isCommand := strings.HasPrefix(room, "cmd/") || strings.HasPrefix(room, "internal/tools")
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				s, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				x, ok := s.X.(*ast.Ident)
				if !ok {
					return true
				}
				call := x.Name + "." + s.Sel.Name
				if isPure && (call == "time.Now" || call == "time.Since") {
					t.Errorf("%s/%s calls %s: a pure room is told the time", room, name, call)
				}
				if !isCommand && (call == "os.Exit" || call == "os.Getenv" || call == "os.LookupEnv" || call == "os.Environ") {
					t.Errorf("%s/%s calls %s: only cmd may; the environment enters through cli.World", room, name, call)
				}
				return true
			})
		}
	}
}

// TestRequirements holds that each direct dependency is explained and none is replaced.
func TestRequirements(t *testing.T) {
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mod)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "replace") {
			t.Errorf("go.mod: %s", line)
		}
		line = strings.TrimPrefix(line, "require ")
		fields := strings.Fields(line)
		if len(fields) != 2 || !strings.HasPrefix(fields[1], "v") || strings.Contains(line, "//") {
			continue
		}
		if !strings.Contains(string(doc), "| "+fields[0]+" |") {
			t.Errorf("docs/dependencies.md has no line of reason for %s", fields[0])
		}
	}
}
