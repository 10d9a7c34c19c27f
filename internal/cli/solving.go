package cli

import "justright/solve"

// solve asks the resolver.
func (w *World) solve(r solve.Request) (solve.Result, error) {
	s, err := w.facts()
	if err != nil {
		return solve.Result{}, err
	}
	return solve.Solve(s, r), nil
}
