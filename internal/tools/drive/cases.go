package drive

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"justright/sim/hubsim"
)

// Case is one thing to show: Run returns what was seen that proves it.
type Case[B Bench] struct {
	Name string
	Run  func(context.Context, B) (string, error)
}

// Bench is the surroundings of cases: it tells what a case has left behind, and ends what one that failed has left.
type Bench interface {
	NothingLeft(context.Context) error
	Sweep()
}

// patience is how long a case may take. The program itself gives each start ten minutes, and a case makes two at most; a
// shared machine is slow now and then, and that is no fault of the program.
const patience = 25 * time.Minute

// Each runs the cases whose names are in only (none: all) one after the other, until ctx ends. It prints a line a case to w,
//
//	TOOL NAME ok|FAIL SECONDS EVIDENCE
//
// and returns how many failed. A case that leaves something behind has failed, and so has a name that no case has.
func Each[B Bench](ctx context.Context, w io.Writer, tool string, b B, cases []Case[B], only []string) (failed int) {
	for _, name := range only {
		if !slices.ContainsFunc(cases, func(c Case[B]) bool { return c.Name == name }) {
			failed++
			fmt.Fprintf(w, "%s %s FAIL 0 there is no such case\n", tool, name)
		}
	}
	for _, c := range cases {
		if len(only) > 0 && !slices.Contains(only, c.Name) || ctx.Err() != nil {
			continue
		}
		began := time.Now()
		one, cancel := context.WithTimeout(ctx, patience)
		seen, err := c.Run(one, b)
		cancel()
		word := "ok"
		if err == nil {
			err = b.NothingLeft(ctx)
		}
		if err != nil {
			word, seen = "FAIL", err.Error()
			failed++
			b.Sweep()
		}
		fmt.Fprintf(w, "%s %s %s %.0f %s\n", tool, c.Name, word, time.Since(began).Seconds(), strings.Join(strings.Fields(seen), " "))
	}
	return failed
}

// Names are the words of a comma-separated list; none of an empty one.
func Names(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}

// Hub serves a directory as the model id of a hub of its own at host (an address of this machine), until ctx ends. It returns
// what a program is told of it.
func Hub(ctx context.Context, host, id, dir string) (env []string, err error) {
	h := &hubsim.Hub{Redirect: true}
	if err := h.Add(id, hubsim.Repo{Dir: dir}); err != nil {
		return nil, err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, err
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = s.Close() })
	go func() { _ = s.Serve(l) }()
	return []string{"HF_ENDPOINT=http://" + l.Addr().String()}, nil
}
