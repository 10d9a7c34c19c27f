// Package runpodsim is a RunPod that fits on a loopback port: REST v2 in full, REST v1 and GraphQL as far as RunPod's own
// clients need them, the HTTP proxy, the logs, the bill. It rents machines that do not exist, checks what real hosts
// check, and really runs the start command (Shell) or a Go function in its place (Model), so that what goes wrong at
// RunPod goes wrong here: quoting mistakes, images that ask for a newer driver, containers that exit and are restarted
// for ever while they bill, answers that get lost.
//
// A Server is an http.Handler. It may be served on a socket, or called without one through Transport.
package runpodsim

import (
	crand "crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"justright/money"
)

// Options say how faithful, how fast and how hostile the simulator is. The zero value is a friendly RunPod in real
// time whose containers do nothing.
type Options struct {
	Clock  Clock  // nil: real time
	Runner Runner // what plays a container; nil: nothing, containers just stay up
	Fleet  *Fleet // nil: DefaultFleet

	// DelayScale stretches the waits of a pod's life (scheduling, pulling, starting, restarting). 0 means 1, as live;
	// NoDelay makes every wait vanish.
	DelayScale float64

	Keys        []Key             // accepted API keys; empty: any
	Balance     *money.USD        // credit at the start; nil: endless
	SpendLimit  *money.USD        // per hour, all pods together; nil: none
	RateLimit   *RateLimit        // nil: DefaultRateLimit; Unlimited switches it off, headers too
	Seed        uint64            // 0: random
	BaseURL     string            // where the server is reached, for pods and for URLs in answers; may be set later
	OpenAPI     []byte            // what /v2/openapi.json answers; nil: 404 (the document is RunPod's own text)
	AnyAgent    bool              // do not refuse Python's bare User-Agent with Cloudflare's error 1010
	RefuseExec  bool              // v2 create does not know entrypoint and cmd, as the document of August 2026
	ArgsPlain   bool              // v2 args is always split shell-style, the JSON form is not known there
	KnownImages bool              // refuse images that are not in the table
	Missing     []string          // image repositories that are on no registry
	Private     []string          // image repositories that need a credential
	Gates       map[string]string // by reference: the CUDA that an image asks its host for, whatever the table says
	SpecStatus  bool              // PROVISIONING, STARTING, RUNNING as the document says, instead of RUNNING from rental on
	Linger      time.Duration     // how long a deleted pod is still shown as TERMINATED
	PlainLogIDs bool              // log ids are timestamps alone, as the document's prose says
	PodKey      PodKeyRights
	Faults      []Fault
	Note        func(format string, args ...any) // told what happens, for an operator's screen; may be nil
}

// NoDelay is a DelayScale that leaves no wait at all.
const NoDelay = -1

// Key is an API key the simulator accepts.
type Key struct {
	Token    string `json:"token"`
	Account  string `json:"account,omitempty"` // keys of one account see the same things
	ReadOnly bool   `json:"read_only,omitempty"`
}

// PodKeyRights is what the key that RunPod puts into a pod may do.
type PodKeyRights string

// The rights of a pod's own key. RunPod documents none; OwnPod is what a live test saw.
const (
	OwnPod PodKeyRights = ""     // see and end its own pod by v2 and GraphQL
	NoPod  PodKeyRights = "none" // 403 everywhere
	SeePod PodKeyRights = "read" // look, but not end
)

// Server is one simulated RunPod.
type Server struct {
	opts  Options
	clock Clock
	fleet *Fleet

	mu       sync.Mutex
	todo     []func() // to be done once mu is free
	rng      *rand.Rand
	machines []*machine
	pods     map[string]*pod
	order    []string // pod ids in order of creation
	podKeys  map[string]string
	volumes  store[volume]
	regs     store[registry]
	delegs   store[delegation]
	temps    store[template]
	clusters store[cluster]
	serverls store[endpoint]
	sshKeys  []string
	public   map[string]bool // public template ids
	faults   []*fault
	limits   map[string]*windows
	requests uint64
	counts   map[string]int
	skew     time.Duration
	granted  money.USD // credit added later
	closed   bool
	touched  time.Time
}

// store keeps records of one kind in order of creation.
type store[T any] struct {
	by    map[string]*T
	order []string
}

func (s *store[T]) put(id string, v *T) {
	if s.by == nil {
		s.by = map[string]*T{}
	}
	if _, ok := s.by[id]; !ok {
		s.order = append(s.order, id)
	}
	s.by[id] = v
}

func (s *store[T]) drop(id string) {
	delete(s.by, id)
	s.order = slices.DeleteFunc(s.order, func(x string) bool { return x == id })
}

func (s *store[T]) all() []*T {
	out := make([]*T, 0, len(s.order))
	for _, id := range s.order {
		out = append(out, s.by[id])
	}
	return out
}

// New makes a simulator.
func New(o Options) *Server {
	if o.Clock == nil {
		o.Clock = NewRealClock(1)
	}
	if o.Fleet == nil {
		o.Fleet = DefaultFleet()
	}
	if o.DelayScale == 0 {
		o.DelayScale = 1
	}
	if o.DelayScale < 0 {
		o.DelayScale = 0
	}
	if o.RateLimit == nil {
		o.RateLimit = &DefaultRateLimit
	}
	seed := o.Seed
	if seed == 0 {
		var b [8]byte
		_, _ = crand.Read(b[:])
		seed = binary.LittleEndian.Uint64(b[:])
	}
	s := &Server{
		opts: o, clock: o.Clock, fleet: o.Fleet,
		rng:      rand.New(rand.NewPCG(seed, 0x6a757374)),
		machines: buildMachines(o.Fleet),
		pods:     map[string]*pod{}, podKeys: map[string]string{},
		limits: map[string]*windows{}, counts: map[string]int{}, public: map[string]bool{},
		touched: o.Clock.Now(),
	}
	for _, f := range o.Faults {
		s.faults = append(s.faults, &fault{Fault: f, left: f.Count})
	}
	s.addPublicTemplates()
	if o.Balance != nil {
		s.checkBalanceLater()
	}
	return s
}

// SetBaseURL tells the server where it is reached, once that is known.
func (s *Server) SetBaseURL(u string) {
	s.lock()
	defer s.unlock()
	s.opts.BaseURL = strings.TrimSuffix(u, "/")
}

// Close ends every container and refuses what comes after. It waits until the processes are gone.
func (s *Server) Close() {
	s.lock()
	s.closed = true
	for _, id := range s.order {
		s.killContainer(s.pods[id])
	}
	s.unlock()
	if s.opts.Runner != nil {
		s.opts.Runner.Close()
	}
}

func (s *Server) lock() { s.mu.Lock() }

// unlock frees the lock and then does what was put off because it may call back.
func (s *Server) unlock() {
	todo := s.todo
	s.todo = nil
	s.mu.Unlock()
	for _, f := range todo {
		f()
	}
}

// once plans f, under the lock, after d on the clock.
func (s *Server) once(d time.Duration, f func()) func() {
	return s.clock.AfterFunc(d, func() {
		s.lock()
		defer s.unlock()
		if !s.closed {
			f()
		}
	})
}

// wait is a simulated delay stretched by DelayScale.
func (s *Server) wait(d time.Duration) time.Duration {
	return time.Duration(float64(d) * s.opts.DelayScale)
}

func (s *Server) now() time.Time { return s.clock.Now() }

func (s *Server) note(format string, args ...any) {
	if s.opts.Note != nil {
		s.opts.Note(format, args...)
	}
}

const idLetters = "0123456789abcdefghijklmnopqrstuvwxyz"

// newID draws an id of n letters and digits, as RunPod's are.
func (s *Server) newID(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = idLetters[s.rng.IntN(len(idLetters))]
	}
	return string(b)
}

// ServeHTTP answers everything: the APIs by path, the proxy by path or by host, the control API under /_sim.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.lock()
	s.requests++
	id := fmt.Sprintf("sim-%08x", s.requests)
	w.Header().Set("Date", s.now().Add(s.skew).UTC().Format(http.TimeFormat))
	if !strings.HasPrefix(r.URL.Path, "/_sim/") {
		s.touched = s.now()
	}
	closed := s.closed
	s.unlock()
	w.Header().Set("x-request-id", id)
	if closed {
		http.Error(w, "the simulator is shutting down", http.StatusServiceUnavailable)
		return
	}
	if pod, port, ok := proxyHost(r.Host); ok {
		s.proxy(w, r, pod, port, r.URL.Path)
		return
	}
	switch p := r.URL.Path; {
	case p == "/_sim" || strings.HasPrefix(p, "/_sim/"):
		s.control(w, r)
	case strings.HasPrefix(p, "/proxy/"):
		s.proxyPath(w, r)
	case p == "/graphql":
		s.graphql(w, r)
	case p == "/v1" || strings.HasPrefix(p, "/v1/"):
		s.serveV1(w, r)
	case p == "/v2" || strings.HasPrefix(p, "/v2/"):
		s.serveV2(w, r)
	default:
		writeJSON(w, http.StatusNotFound, map[string]any{"simulator": "runpodsim", "paths": []string{"/v2", "/v1", "/graphql", "/proxy/{pod}/{port}", "/_sim"}})
	}
}

// writeJSON answers v.
func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("marshal answer: %v", err))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}
