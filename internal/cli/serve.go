package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"justright/internal/httpclient"
	"justright/money"
	"justright/problem"
)

// serveFlags are the flags of serve itself; those of its models are up's.
type serveFlags struct {
	listen, models, keyFile string
	origins                 []string
	public, quiet, reset    bool
	hold, drain, lease      time.Duration
	maxBody                 int
	model                   servedFlags
}

// serveDocument is the first line of `serve --json`: justright/serve/1.
type serveDocument struct {
	Schema  string   `json:"schema"`
	URL     string   `json:"url"`
	BaseURL string   `json:"base_url"` // for OPENAI_BASE_URL
	KeyFile string   `json:"key_file"`
	PID     int      `json:"pid"`
	Models  []string `json:"models"` // that are woken on request
}

func newServeCommand(w *World) *cobra.Command {
	var f serveFlags
	c := &cobra.Command{
		Use:   "serve [MODEL...] [up's flags] [-- engine flags]",
		Short: "One OpenAI base URL and key for all models, woken on request and removed when idle",
		Long: `serve is a gateway before every launch of this journal. Its base URL and its one key work for all models; a request goes to the
launch that serves the model it names (by hub id, served name or launch), to the one with the least to do where there are
several, and to another one when the first cannot be reached. Answers stream through as they come.

A MODEL that is given, or that stands in the file of --models, is woken by a request that names it while nothing serves it: by
the same steps as up, with up's flags. The file has one model a line, as after "justright up":
  openai/gpt-oss-20b --budget 3 --idle 20m --daily-budget 12
  Qwen/Qwen3-8B --gpu "RTX 4090" --as qwen -- --max-model-len 16384

Money. One wake costs at most --budget, all wakes of a model at most --daily-budget a day (of UTC, its other launches included);
three machines in a row that fail to boot (so --attempts is at most 3 here), or justright down, stop waking until told otherwise: by --reset, by the
dashboard, or by an up that succeeds. Idle launches are removed after their --idle without a request, never while one is
under way; so are those whose engine has died. --replicas lets a model have more than one machine: a further one is woken after half a
minute with more than --load requests under way for each, within the same budgets. serve also looks after all launches: what has passed a limit is ended, what vanished is settled.

Waiting. A request waits up to --hold for its model, then gets 503 with Retry-After; "Prefer: wait=SECONDS" says otherwise, 0
at once. A stream is told every 10 s that it waits.

The dashboard is at the same address, for whoever has the key. Prometheus finds /metrics, with the key. SIGTERM and Ctrl-C let
running answers end; machines with an armed guard stay up, a boot without one is torn down.

Exit status: 0 ended by a signal; 2 usage or unknown model; 3 nothing can serve a model; 4 credentials; 5 the address is taken; 7 not
confirmed.`,
		Example: `  justright serve
  justright serve openai/gpt-oss-20b --budget 2 --daily-budget 10 --idle 15m --yes
  justright serve --models models.txt --listen 127.0.0.1:8484`,
		RunE: func(c *cobra.Command, args []string) error {
			asJSON, _ := c.Flags().GetBool("json")
			var after []string
			if d := c.ArgsLenAtDash(); d >= 0 {
				args, after = args[:d], args[d:]
			}
			f.model.up.given = map[string]bool{}
			c.Flags().Visit(func(x *pflag.Flag) { f.model.up.given[x.Name] = true })
			return w.serve(c.Context(), args, after, f, asJSON)
		},
	}
	fl := c.Flags()
	fl.StringVar(&f.listen, "listen", "127.0.0.1:8484", "`ADDRESS` to serve on")
	fl.BoolVar(&f.public, "public", false, "allow an address that is not loopback: the key then travels in the clear unless something before it speaks TLS")
	fl.StringVar(&f.models, "models", "", "`FILE` of models to wake, one a line")
	fl.StringSliceVar(&f.origins, "allow-origin", nil, "`ORIGIN` of pages whose browsers may ask, like https://chat.example; * allows all")
	fl.StringVar(&f.keyFile, "key-file", "", "`FILE` with the gateway's key (default: made once and kept beside the journal)")
	fl.DurationVar(&f.hold, "hold", 90*time.Second, "how long a request waits for its model to wake")
	fl.DurationVar(&f.drain, "drain", time.Minute, "how long running answers may take after SIGTERM")
	fl.DurationVar(&f.lease, "lease", 0, "a machine that was woken ends itself when the gateway has been gone for so long; 0: when it is idle")
	fl.IntVar(&f.maxBody, "max-body", 64, "most `MiB` of one request")
	fl.BoolVar(&f.reset, "reset", false, "forget failed boots: the models may be woken again")
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "no line for each request")
	f.model.add(fl)
	return c
}

func (w *World) serve(ctx context.Context, args, after []string, f serveFlags, asJSON bool) error {
	if err := checkListen(f); err != nil {
		return err
	}
	journal, err := w.openJournal(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = journal.Close() }()
	models, err := w.serveModels(ctx, args, after, f)
	if err != nil {
		return err
	}
	key, keyFile, err := w.serveKey(f.keyFile)
	if err != nil {
		return err
	}
	s := newServer(w, journal, models, f, asJSON)
	if f.reset {
		if err := s.forgiveAll(ctx); err != nil {
			return err
		}
	}
	if err := s.agree(ctx, f.model.up.yes); err != nil {
		return err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", f.listen)
	if err != nil {
		return problem.New(problem.ExitCapacity, "port_taken", "cannot listen on %s", f.listen).Wrap(err).
			Try("take another port, or let the system choose", w.again("--listen", "127.0.0.1:0"))
	}
	url := "http://" + l.Addr().String()
	if err := s.build(httpclient.NewSecret(key), url, keyFile); err != nil {
		_ = l.Close()
		return err
	}
	doc := serveDocument{Schema: "justright/serve/1", URL: url, BaseURL: url + "/v1", KeyFile: keyFile, PID: os.Getpid(), Models: s.modelIDs()}
	if err := s.hello(doc); err != nil {
		_ = l.Close()
		return err
	}
	return s.run(ctx, l)
}

// checkListen refuses an address that others reach, unless that was asked for.
func checkListen(f serveFlags) error {
	host, _, err := net.SplitHostPort(f.listen)
	if err != nil {
		return problem.New(problem.ExitUsage, "usage", "--listen is HOST:PORT, not %q", f.listen)
	}
	if ip := net.ParseIP(host); !f.public && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return problem.New(problem.ExitUsage, "usage", "--listen %s is not a loopback address", f.listen).
			Because("the gateway speaks plain HTTP: its key would travel in the clear").
			Try("put something that speaks TLS before it, and allow it", "justright serve --public --listen "+f.listen)
	}
	if f.lease != 0 && f.lease < leaseLeast {
		return problem.New(problem.ExitUsage, "usage", "--lease is at least %s: shorter, a restart of the gateway ends what runs", leaseLeast)
	}
	if f.hold < 0 || f.drain < 0 || f.maxBody < 1 {
		return problem.New(problem.ExitUsage, "usage", "--hold and --drain are lengths of time like 90s, --max-body is a number of MiB")
	}
	return nil
}

// serveKey is the gateway's key: the file's that was given, else one that is made once and kept beside the journal.
func (w *World) serveKey(path string) (key, file string, err error) {
	if path != "" {
		s, err := w.readKey(path)
		if err != nil {
			return "", "", err
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(w.Dir, path)
		}
		if len(s.Reveal()) < 16 {
			return "", "", problem.New(problem.ExitUsage, "weak_key", "the key in %s has fewer than 16 characters", path).
				Because("whoever guesses it spends your money")
		}
		w.hide(s.Reveal())
		return s.Reveal(), path, nil
	}
	if file, err = w.keyFile("serve"); err != nil {
		return "", "", err
	}
	if key, err = w.readTaskKey("serve"); err == nil && key == "" {
		key = "jr-" + newSecret()
		err = w.makeTaskKey("serve", key)
	}
	if err != nil {
		return "", "", problem.New(problem.ExitUsage, "unreadable_file", "the gateway's key in %s cannot be kept", file).Wrap(err)
	}
	w.hide(key)
	return key, file, nil
}

// hello says where the gateway is.
func (s *server) hello(doc serveDocument) error {
	if s.asJSON {
		return s.line(doc)
	}
	if _, err := fmt.Fprintln(s.w.Stdout, doc.BaseURL); err != nil {
		return err
	}
	fmt.Fprintf(s.w.Stderr, "gateway    %s   key in %s\ndashboard  %s/\nuse it     export OPENAI_BASE_URL=%s OPENAI_API_KEY=\"$(cat %s)\"\n",
		doc.BaseURL, doc.KeyFile, doc.URL, doc.BaseURL, doc.KeyFile)
	return nil
}

// run serves until the context or a signal ends it.
func (s *server) run(ctx context.Context, l net.Listener) error {
	sigs := make(chan os.Signal, 4)
	signal.Notify(sigs, os.Interrupt, syscall.SIGHUP, syscall.SIGTERM)
	defer signal.Stop(sigs)
	srv := &http.Server{
		Handler: s.gw, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	keep, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	s.begin(keep)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		s.end(keep)
		stop()
		s.loops.Wait()
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	case <-sigs:
	}
	s.say("draining: no new requests; running answers have %s", s.f.drain)
	s.gw.Drain()
	s.interrupt()
	s.dash.Close()
	grace, cancel := context.WithTimeout(keep, s.f.drain)
	defer cancel()
	go func() { // a second signal is impatient
		select {
		case <-sigs:
			cancel()
		case <-grace.Done():
		}
	}()
	if err := srv.Shutdown(grace); err != nil {
		s.say("answers that were still running are cut off")
	}
	_ = srv.Close()
	s.end(grace)
	stop()
	s.loops.Wait()
	s.farewell(context.WithoutCancel(ctx))
	return nil
}

// log returns the writer for lines that hold nothing but ids, numbers and known names: they need no search for secrets.
func plainWriter(w io.Writer) io.Writer {
	if s, ok := w.(shielded); ok {
		return s.to
	}
	return w
}

// farewell says what goes on without the gateway.
func (s *server) farewell(ctx context.Context) {
	tasks, err := s.journal.Tasks(ctx)
	if err != nil {
		return
	}
	for _, t := range liveTasks(tasks) {
		if c := t.State.Current(); c != nil && c.PodID != "" {
			ends := "at its limits"
			if t.State.Idle > 0 && c.Armed {
				ends = "after " + t.State.Idle.String() + " without requests"
			}
			s.say("%s goes on at $%s/h and ends itself %s; justright down %s ends it now", t.State.Name, c.Hourly().Cents(), ends, t.State.Name)
		}
	}
}

// servedFlags are the flags of one model: up's, and what only a gateway has.
type servedFlags struct {
	up       upFlags
	daily    string
	replicas string
	load     int
	as       []string
}

// defaultDaily is what the wakes of one model may cost a day.
const defaultDaily = 10 * money.Dollar

func (f *servedFlags) add(fl *pflag.FlagSet) {
	f.up.add(fl)
	fl.StringVar(&f.daily, "daily-budget", defaultDaily.String(), "most `DOLLARS` that a model may cost a day")
	fl.StringVar(&f.replicas, "replicas", "1", "`MOST` machines for a model at a time, or LEAST..MOST: so many stand once one is woken, and while any is in use")
	fl.IntVar(&f.load, "load", 32, "`REQUESTS` at once, for each machine, above which a further one is woken")
	fl.StringSliceVar(&f.as, "as", nil, "further `NAME` by which clients may call the model")
	for _, name := range []string{"name", "verbose"} {
		_ = fl.MarkHidden(name)
	}
}

// servedModel is one that may be woken.
type servedModel struct {
	id       string
	daily    money.USD
	replicas replicas
	aliases  []string
	req      upRequest
}

func (s *server) modelIDs() []string {
	out := []string{}
	for _, m := range s.models {
		out = append(out, m.id)
	}
	return out
}

// serveModels reads the models of the command line and of the file.
func (w *World) serveModels(ctx context.Context, args, after []string, f serveFlags) ([]*servedModel, error) {
	var out []*servedModel
	add := func(m *servedModel, err error) error {
		if err != nil {
			return err
		}
		for _, o := range out {
			if o.id == m.id {
				return problem.New(problem.ExitUsage, "usage", "%s is named twice", m.id)
			}
		}
		out = append(out, m)
		return nil
	}
	if f.model.up.given["name"] {
		return nil, problem.New(problem.ExitUsage, "usage", "serve takes no --name: a launch that is woken is called by its model").
			Try("let clients call a model by another name", w.again("--as", "NAME"))
	}
	if len(args) > 1 && len(f.model.as) > 0 {
		return nil, problem.New(problem.ExitUsage, "usage", "--as names one model, and %d are given", len(args)).Try("write them into a file, one a line", "justright serve --models FILE")
	}
	for _, ref := range args {
		if err := add(w.servedModel(ctx, ref, after, f.model)); err != nil {
			return nil, err
		}
	}
	if len(args) == 0 && len(after) > 0 {
		return nil, problem.New(problem.ExitUsage, "usage", "flags of an engine are given, and no model")
	}
	if f.models == "" {
		return out, nil
	}
	path := f.models
	if !filepath.IsAbs(path) {
		path = filepath.Join(w.Dir, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, problem.New(problem.ExitUsage, "unreadable_file", "cannot read %s", path).Wrap(errors.Unwrap(err))
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		m, err := w.modelLine(ctx, line)
		if err = add(m, err); err != nil {
			p := problem.From(err)
			return nil, problem.New(p.Exit, p.Code, "%s:%d: %s", f.models, n, p.Summary).Because("%s", p.Cause)
		}
	}
	return out, nil
}

// servedModel reads one model with its flags.
func (w *World) servedModel(ctx context.Context, ref string, after []string, f servedFlags) (*servedModel, error) {
	daily, err := money.Parse(f.daily)
	if err != nil || daily <= 0 {
		return nil, problem.New(problem.ExitUsage, "usage", "--daily-budget %q is no amount of dollars", f.daily)
	}
	n, err := readReplicas(f.replicas, f.load)
	if err != nil {
		return nil, err
	}
	r, err := w.readUp(ctx, ref, after, f.up, true)
	if err != nil {
		return nil, err
	}
	r.yes = true // agreed to once, when the gateway starts
	m := &servedModel{id: r.wish.Model.ID, daily: daily, replicas: n, aliases: f.as, req: r}
	if name := servedName(r.wish); name != m.id {
		m.aliases = append(m.aliases, name)
	}
	return m, nil
}
