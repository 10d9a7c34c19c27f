package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/shlex"
	"github.com/spf13/pflag"

	"justright/internal/gateway"
	"justright/internal/httpclient"
	"justright/internal/store"
	"justright/internal/web"
	"justright/launch"
	"justright/problem"
)

// server is a running gateway: what it may wake, what runs, and what looks after it.
type server struct {
	w       *World
	journal *store.Journal
	models  []*servedModel
	f       serveFlags
	asJSON  bool
	log     *slog.Logger
	fleet   *gateway.Fleet
	gw      *gateway.Gateway
	dash    *web.Dashboard
	started time.Time

	poke  chan struct{} // the journal has changed
	doubt chan struct{} // a machine may be gone: look at the provider now
	loops sync.WaitGroup

	out      sync.Mutex // one line at a time
	adopting sync.Mutex // an older reading of the journal never comes after a newer one

	mu       sync.Mutex
	drives   map[string]*driven // tasks that this process drives, by id
	stopping bool
	doors    map[string]target    // by address
	known    map[string]knownTask // what never changes of a task, by id
	outlooks map[string]outlook   // of models that wake
	paused   map[string]string    // models that were taken down by somebody since the start, and why they are not woken
	downs    map[string]bool      // tasks that were wanted gone already when this process saw them first
	retryAt  map[string]time.Time // broken-off tasks that could not be taken up
	pressed  map[string]time.Time // since when a model has more to do than its machines take
	extraAt  map[string]time.Time // until when no further machine of a model is tried
	dollars  []gateway.Dollars    // by model
	tasks    []store.Task         // as last read
}

// driven is a task that this process drives.
type driven struct {
	signal chan bool
	done   chan struct{}
	err    error
}

// knownTask is what a replica's task needs beside its state.
type knownTask struct {
	key    httpclient.Secret
	served string
}

func newServer(w *World, journal *store.Journal, models []*servedModel, f serveFlags, asJSON bool) *server {
	s := &server{
		w: w, journal: journal, models: models, f: f, asJSON: asJSON, started: w.Now(), poke: make(chan struct{}, 1), doubt: make(chan struct{}, 1),
		drives: map[string]*driven{}, doors: map[string]target{}, known: map[string]knownTask{}, outlooks: map[string]outlook{}, paused: map[string]string{},
		downs: map[string]bool{}, retryAt: map[string]time.Time{}, pressed: map[string]time.Time{}, extraAt: map[string]time.Time{},
	}
	var h slog.Handler = slog.NewTextHandler(plainWriter(w.Stderr), nil)
	switch {
	case f.quiet:
		h = slog.DiscardHandler
	case asJSON:
		h = slog.NewJSONHandler(plainWriter(w.Stderr), nil)
	}
	s.log = slog.New(h)
	return s
}

// build makes the gateway and its dashboard.
func (s *server) build(key httpclient.Secret, url, keyFile string) error {
	var models []gateway.Model
	for _, m := range s.models {
		models = append(models, gateway.Model{ID: m.id, Aliases: m.aliases, Keep: m.replicas.least})
	}
	s.fleet = gateway.NewFleet(models, s.w.Now)
	door := gateway.NewDoor(key)
	v := &view{s: s, url: url, keyFile: keyFile, tracks: map[string]*track{}, heard: map[string]*track{}}
	var err error
	if s.dash, err = web.New(web.Options{Source: v, Opens: door.Opens, Secret: []byte(key.Reveal()), Now: s.w.Now}); err != nil {
		return err
	}
	o := gateway.Options{
		Web: s.dash, Door: door, Fleet: s.fleet, Waker: s, Now: s.w.Now, Log: s.log, Clean: s.clean, Dollars: s.spent,
		Doubt:  func(gateway.Replica) { nudge(s.doubt) },
		Limits: gateway.Limits{Body: int64(s.f.maxBody) << 20, Hold: s.f.hold}, Origins: s.f.origins,
	}
	if s.f.hold == 0 {
		o.Limits.Hold = time.Nanosecond
	}
	if s.w.Transport != nil {
		o.Transport = s.w.Transport
	}
	s.gw = gateway.New(o)
	return nil
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (s *server) clean(t string) string {
	if s.w.screen == nil {
		return t
	}
	return s.w.screen.text(t)
}

// Timing of what goes round.
const (
	adoptEvery = 2 * time.Second  // the journal, for what other processes do
	lookEvery  = 15 * time.Second // engines' counters, and idle launches
	roundEvery = 30 * time.Second // the provider's list
	billsEvery = 10 * time.Minute
)

// begin starts what goes round beside the requests.
func (s *server) begin(ctx context.Context) {
	s.adopt(ctx)
	s.loops.Go(func() { s.every(ctx, adoptEvery, s.poke, s.adopt) })
	s.loops.Go(func() { s.every(ctx, lookEvery, nil, s.lookAround) })
	s.loops.Go(func() { s.every(ctx, roundEvery, s.doubt, s.superviseOnce) })
	s.loops.Go(func() { s.every(ctx, billsEvery, nil, s.settleBills) })
	s.loops.Go(func() { s.every(ctx, extraEvery, nil, s.scale) })
	if s.f.lease > 0 {
		s.loops.Go(func() { s.every(ctx, s.f.lease/leaseParts, nil, s.renewLeases) })
	}
}

// every calls f now and then, at once when it is nudged, until the context ends.
func (s *server) every(ctx context.Context, d time.Duration, sooner <-chan struct{}, f func(context.Context)) {
	t := time.NewTicker(d / max(1, s.w.swift))
	defer t.Stop()
	for {
		f(ctx)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-sooner:
		}
	}
}

// end waits for what was begun. What this process drives has been told to detach or to tear down; a limit on that is the context's.
func (s *server) end(ctx context.Context) {
	for {
		s.mu.Lock()
		var d *driven
		for _, x := range s.drives {
			d = x
		}
		s.mu.Unlock()
		if d == nil {
			break
		}
		select {
		case <-d.done:
			continue
		case <-ctx.Done():
		}
		s.say("a boot that is being torn down is left: justright gc sees to it")
		break
	}
	s.gw.Close()
}

// interrupt tells what this process drives that it is about to stop: a machine with an armed guard goes on, another is torn down.
func (s *server) interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping = true
	for _, d := range s.drives {
		select {
		case d.signal <- true:
		default:
		}
	}
}

// say tells the person something.
func (s *server) say(format string, args ...any) {
	s.out.Lock()
	defer s.out.Unlock()
	if s.asJSON {
		_ = json.NewEncoder(s.w.Stdout).Encode(map[string]any{"event": "note", "at": s.w.Now().UTC(), "level": "info", "text": fmt.Sprintf(format, args...)})
		return
	}
	fmt.Fprintf(s.w.Stderr, "%s %s\n", s.w.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
}

// line prints one JSON document.
func (s *server) line(doc any) error {
	s.out.Lock()
	defer s.out.Unlock()
	return json.NewEncoder(s.w.Stdout).Encode(doc)
}

// model is one that may be woken; nil when it is none.
func (s *server) model(id string) *servedModel {
	for _, m := range s.models {
		if m.id == id {
			return m
		}
	}
	return nil
}

// adopt reads the journal: what is proven becomes a replica, whoever started it; what broke off and is ours to wake is taken up.
func (s *server) adopt(ctx context.Context) {
	s.adopting.Lock()
	defer s.adopting.Unlock()
	tasks, err := s.journal.Tasks(ctx)
	if err != nil {
		s.log.Error("the journal cannot be read", "err", s.clean(err.Error()))
		return
	}
	var replicas []gateway.Replica
	for _, t := range tasks {
		s.noteDown(t)
		if r, ok := s.replica(ctx, t); ok {
			replicas = append(replicas, r)
		}
	}
	s.fleet.Update(replicas)
	states := statesOf(tasks)
	var dollars []gateway.Dollars
	for _, id := range s.modelsOf(states) {
		d, _ := gateway.SpentOn(states, id, s.w.Now())
		dollars = append(dollars, d)
	}
	s.mu.Lock()
	s.tasks, s.dollars = tasks, dollars
	s.mu.Unlock()
	s.resume(ctx, tasks)
}

func statesOf(tasks []store.Task) []launch.State {
	out := make([]launch.State, 0, len(tasks))
	for _, t := range tasks {
		out = append(out, t.State)
	}
	return out
}

// modelsOf are the models there are, those that may be woken first.
func (s *server) modelsOf(states []launch.State) []string {
	out := s.modelIDs()
	for _, st := range states {
		if st.Model != "" && !slices.Contains(out, st.Model) {
			out = append(out, st.Model)
		}
	}
	return out
}

func (s *server) spent() []gateway.Dollars {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dollars
}

// replica is what a task's machine is to the gateway; false while it is not proven.
func (s *server) replica(ctx context.Context, t store.Task) (gateway.Replica, bool) {
	c := t.State.Current()
	if c == nil || c.Phase != launch.Ready || c.BaseURL == "" || t.Wanted == launch.WantGone {
		return gateway.Replica{}, false
	}
	k, ok := s.knownTask(ctx, t.State.ID, t.State.Model)
	if !ok {
		return gateway.Replica{}, false
	}
	r := gateway.Replica{
		ID: c.ID, Task: t.State.ID, Launch: t.State.Name, Model: t.State.Model, Served: k.served, Base: strings.TrimRight(c.BaseURL, "/"), Key: k.key,
		Price: c.Hourly(), Idle: t.State.Idle, Since: c.Created,
	}
	if u, err := url.Parse(r.Base); err == nil && (strings.HasPrefix(t.State.Target, "ssh://") || strings.HasPrefix(t.State.Target, "kubernetes")) {
		r.Tunnel = net.ParseIP(u.Hostname()).IsLoopback()
	}
	if m := s.model(t.State.Model); m != nil {
		r.Fill = m.replicas.fill()
	}
	if c.Stack != nil {
		r.Context = c.Stack.Context
	}
	return r, true
}

// knownTask reads a task's key and served name once.
func (s *server) knownTask(ctx context.Context, id, model string) (knownTask, bool) {
	s.mu.Lock()
	k, ok := s.known[id]
	s.mu.Unlock()
	if ok {
		return k, true
	}
	key, err := s.w.readTaskKey(id)
	if err != nil || key == "" { // made by another journal, or its key file is gone: nobody can ask it anything
		return k, false
	}
	x, err := readWish(ctx, s.journal, id)
	if err != nil {
		return k, false
	}
	s.w.hide(key)
	k = knownTask{key: httpclient.NewSecret(key), served: model}
	if x.Model.ID != "" {
		k.served = servedName(x)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known[id] = k
	return k, true
}

// noteDown heeds a down: a model that somebody takes down while the gateway runs stays down until told otherwise.
func (s *server) noteDown(t store.Task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was, known := s.downs[t.State.ID]
	gone := t.Wanted == launch.WantGone
	if known && gone == was {
		return
	}
	s.downs[t.State.ID] = gone
	if gone && (known || t.Updated.After(s.started)) && t.WantedWhy == launch.CauseDown && s.model(t.State.Model) != nil {
		s.paused[t.State.Model] = t.State.Name + " was taken down"
	}
}

// modelLine reads one line of a models file.
func (w *World) modelLine(ctx context.Context, line string) (*servedModel, error) {
	words, err := shlex.Split(line)
	if err != nil {
		return nil, problem.New(problem.ExitUsage, "usage", "%q cannot be split into words: %s", line, err)
	}
	var f servedFlags
	fl := pflag.NewFlagSet("model", pflag.ContinueOnError)
	fl.Usage = func() {}
	f.add(fl)
	if err := fl.Parse(words); err != nil {
		return nil, problem.New(problem.ExitUsage, "usage", "%s", err).Because("a line is a model and its flags, as after justright up")
	}
	args, after := fl.Args(), []string(nil)
	if d := fl.ArgsLenAtDash(); d >= 0 {
		args, after = args[:d], args[d:]
	}
	if len(args) != 1 {
		return nil, problem.New(problem.ExitUsage, "usage", "a line names one model; this one has %d", len(args))
	}
	f.up.given = map[string]bool{}
	fl.Visit(func(x *pflag.Flag) { f.up.given[x.Name] = true })
	if f.up.given["name"] {
		return nil, problem.New(problem.ExitUsage, "usage", "serve takes no --name; --as gives the model another name")
	}
	return w.servedModel(ctx, args[0], after, f)
}
