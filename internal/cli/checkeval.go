package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"

	"justright/catalog"
	"justright/problem"
	"justright/solve"
)

// checkedIncident is one answered incident.
type checkedIncident struct {
	ID      string         `json:"id"`
	Losing  checkDocument  `json:"losing"`
	Winning *checkDocument `json:"winning"`
}

type unreadIncident struct {
	Line    int    `json:"line"`
	Problem string `json:"problem"`
}

// checkEval judges every line of a file of incidents. With labels and without --json it prints the score.
func checkEval(w *World, s *catalog.Snapshot, path string, asJSON bool) error {
	if !filepath.IsAbs(path) {
		path = filepath.Join(w.Dir, path)
	}
	f, err := os.Open(path)
	if err != nil {
		return problem.New(problem.ExitUsage, "unreadable_file", "cannot read %s", path).Wrap(err)
	}
	defer f.Close()
	j := solve.NewJudger(s)
	score := checkScore{byReason: map[string]*reasonScore{}, confused: map[[2]string]int{}}
	in := bufio.NewReaderSize(f, 1<<16)
	out := json.NewEncoder(w.Stdout)
	out.SetEscapeHTML(false)
	for n := 1; ; n++ {
		line, bad := readCaseLine(in)
		if errors.Is(bad, io.EOF) {
			break
		}
		if bad == nil && len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var i solve.Incident
		if bad == nil {
			i, bad = solve.ParseIncident(line)
		}
		if bad != nil {
			score.bad++
			if asJSON {
				if err := out.Encode(unreadIncident{n, bad.Error()}); err != nil {
					return err
				}
			} else {
				fmt.Fprintf(w.Stdout, "line %d: %s\n", n, bad)
			}
			continue
		}
		a := checkedIncident{ID: i.ID, Losing: checkDocument{"justright/check/1", j.Judge(i.LosingCase(solve.FindProfile))}}
		if c, ok := i.WinningCase(solve.FindProfile); ok {
			a.Winning = &checkDocument{"justright/check/1", j.Judge(c)}
		}
		if asJSON {
			if err := out.Encode(a); err != nil {
				return err
			}
		}
		score.add(i, a)
	}
	if !asJSON {
		score.print(w)
	}
	return nil
}

type reasonScore struct{ cases, right, wrong, undecided int }

type checkScore struct {
	cases, right, wrong, undecided, unlabelled, bad int
	winning, winningRefused                         int
	byReason                                        map[string]*reasonScore
	confused                                        map[[2]string]int
	notes                                           []string
}

func (s *checkScore) add(i solve.Incident, a checkedIncident) {
	s.cases++
	if a.Winning != nil {
		s.winning++
		if a.Winning.Outcome == solve.Refused {
			s.winningRefused++
			s.notes = append(s.notes, fmt.Sprintf("%s: the winning stack is refused: %s", i.ID, a.Winning.Code))
		}
	}
	if i.Reason == "" {
		s.unlabelled++
		return
	}
	r := s.byReason[i.Reason]
	if r == nil {
		r = &reasonScore{}
		s.byReason[i.Reason] = r
	}
	r.cases++
	switch {
	case a.Losing.Outcome != solve.Refused:
		s.undecided++
		r.undecided++
	case i.Reason == solve.CodeOther || a.Losing.Code == i.Reason:
		s.right++
		r.right++
	default:
		s.wrong++
		r.wrong++
		s.confused[[2]string{i.Reason, a.Losing.Code}]++
	}
}

func (s *checkScore) print(w *World) {
	out := w.Stdout
	decided := s.right + s.wrong
	fmt.Fprintf(out, "%d cases: %d refused for the labelled reason, %d for another, %d not decided by what is stated", s.cases, s.right, s.wrong, s.undecided)
	if s.unlabelled > 0 {
		fmt.Fprintf(out, ", %d without a label", s.unlabelled)
	}
	if s.bad > 0 {
		fmt.Fprintf(out, ", %d lines that are no case", s.bad)
	}
	fmt.Fprintln(out)
	if decided > 0 {
		fmt.Fprintf(out, "of the decided: %.1f %% right\n", 100*float64(s.right)/float64(decided))
	}
	if s.winning > 0 {
		fmt.Fprintf(out, "winning stacks: %d judged, %d not refused (%.1f %%)\n", s.winning, s.winning-s.winningRefused, 100*float64(s.winning-s.winningRefused)/float64(s.winning))
	}
	reasons := make([]string, 0, len(s.byReason))
	for r := range s.byReason {
		reasons = append(reasons, r)
	}
	sort.Strings(reasons)
	fmt.Fprintf(out, "\n%-40s %5s %5s %5s %9s\n", "reason", "cases", "right", "wrong", "undecided")
	for _, name := range reasons {
		r := s.byReason[name]
		fmt.Fprintf(out, "%-40s %5d %5d %5d %9d\n", name, r.cases, r.right, r.wrong, r.undecided)
	}
	pairs := make([][2]string, 0, len(s.confused))
	for p := range s.confused {
		pairs = append(pairs, p)
	}
	sort.Slice(pairs, func(a, b int) bool { return pairs[a][0]+pairs[a][1] < pairs[b][0]+pairs[b][1] })
	for _, p := range pairs {
		fmt.Fprintf(out, "confused: %s answered as %s, %d times\n", p[0], p[1], s.confused[p])
	}
	for _, n := range s.notes {
		fmt.Fprintln(out, n)
	}
}
