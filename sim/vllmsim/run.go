package vllmsim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// Run plays a start to the end on a real socket: it writes the log to out, then serves until ctx is done. It returns the
// exit code of the process it stands in for. key guards the server where the command line named none.
func (s Start) Run(ctx context.Context, out io.Writer, key string) int {
	for _, l := range s.Lines {
		if l.After > 0 {
			select {
			case <-time.After(l.After):
			case <-ctx.Done():
				return 0
			}
		}
		if s.Exit < 0 && l.Text == "INFO:     Application startup complete." {
			return s.serve(ctx, out, key)
		}
		_, _ = fmt.Fprintln(out, l.Text)
	}
	return max(s.Exit, 0)
}

func (s Start) serve(ctx context.Context, out io.Writer, key string) int {
	o := s.Options
	if o.Key == "" {
		o.Key = key
	}
	host := s.Host
	if host == "0.0.0.0" || host == "::" {
		host = "127.0.0.1" // the pods of a simulator share one machine: nobody outside may reach them but through the proxy
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(host, fmt.Sprint(s.Port)))
	if err != nil {
		_, _ = fmt.Fprintln(out, "OSError: [Errno 98] Address already in use")
		return 1
	}
	_, _ = fmt.Fprintln(out, "INFO:     Application startup complete.")
	srv := &http.Server{Handler: New(o), ReadHeaderTimeout: 30 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
		_, _ = fmt.Fprintln(out, err)
		return 1
	}
	_, _ = fmt.Fprintf(out, "INFO:     Finished server process [%d]\n", s.pid)
	return 0
}
