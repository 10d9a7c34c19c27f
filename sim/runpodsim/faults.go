package runpodsim

import (
	"net/http"
	"strings"
	"time"
)

// FaultKind names something that goes wrong.
type FaultKind string

// What can go wrong with a call. Op of the fault names the call.
const (
	LostReply   FaultKind = "lost_reply"   // it is done, the answer never arrives
	LostRequest FaultKind = "lost_request" // the connection breaks before it is done
	ErrorAfter  FaultKind = "error_after"  // it is done, the answer is an error (Status, Detail)
	ErrorBefore FaultKind = "error_before" // it is not done, the answer is an error
	SlowAnswer  FaultKind = "slow_answer"  // Delay before it is done
	Throttled   FaultKind = "rate_limit"   // 429, Retry-After of Delay; none when Delay is 0
	CutBody     FaultKind = "cut_body"     // the answer breaks off after Bytes bytes; for a log stream, each connection
	Ignored     FaultKind = "ignored"      // answered with success, not done (deletePod, podAction)
)

// What can go wrong with a world. Op is not read; Match picks the pods.
const (
	ListLag    FaultKind = "list_lag"    // pods younger than Delay are missing from lists
	GetLag     FaultKind = "get_lag"     // pods younger than Delay answer 404
	WrongPrice FaultKind = "wrong_price" // pods cost Factor times the catalog's price
	DeadHost   FaultKind = "dead_host"   // pods never get a container and their platform log falls silent
	SlowPull   FaultKind = "slow_pull"   // pulling takes Factor times as long
	StuckPull  FaultKind = "stuck_pull"  // pulling never ends
	CrashLoop  FaultKind = "crash_loop"  // containers exit with Status after Delay
	PullDenied FaultKind = "pull_denied" // the registry wants a credential
	NoStock    FaultKind = "no_stock"    // creates find no machine
)

// Fault is one switch. It strikes Count times (0: until removed) on calls or pods that match.
type Fault struct {
	Kind   FaultKind     `json:"kind"`
	Op     string        `json:"op,omitempty"`    // operation id of the v2 document ("createPod"), "v1:createPod", "graphql:podStop", "proxy"; empty or "*": any
	Match  string        `json:"match,omitempty"` // part of the pod's name or its id; empty: any
	Count  int           `json:"count,omitempty"`
	After  int           `json:"after,omitempty"` // let that many matching calls pass first
	Status int           `json:"status,omitempty"`
	Detail string        `json:"detail,omitempty"`
	Delay  time.Duration `json:"delay,omitempty"` // nanoseconds
	Bytes  int           `json:"bytes,omitempty"`
	Factor float64       `json:"factor,omitempty"`
}

type fault struct {
	Fault
	left int // strikes left when Count > 0
	seen int
	hits int
}

// AddFault switches a fault on.
func (s *Server) AddFault(f Fault) {
	s.lock()
	defer s.unlock()
	s.faults = append(s.faults, &fault{Fault: f, left: f.Count})
}

// ClearFaults switches all faults off.
func (s *Server) ClearFaults() {
	s.lock()
	defer s.unlock()
	s.faults = nil
}

// Skew shifts the clock that the answers' Date header shows.
func (s *Server) Skew(d time.Duration) {
	s.lock()
	defer s.unlock()
	s.skew = d
}

// strike finds the first live fault of one of the kinds that matches, and counts it. The caller holds the lock.
func (s *Server) strike(op string, p *pod, kinds ...FaultKind) *fault {
	for _, f := range s.faults {
		ok := false
		for _, k := range kinds {
			ok = ok || f.Kind == k
		}
		if !ok || op != "" && f.Op != "" && f.Op != "*" && f.Op != op || f.Count > 0 && f.left == 0 {
			continue
		}
		if f.Match != "" && (p == nil || p.id != f.Match && !strings.Contains(p.name, f.Match)) {
			continue
		}
		f.seen++
		if f.seen <= f.After {
			continue
		}
		f.left--
		f.hits++
		return f
	}
	return nil
}

// standing is strike without the counting, for faults that are a state of the world.
func (s *Server) standing(p *pod, kind FaultKind) *fault {
	for _, f := range s.faults {
		if f.Kind == kind && (f.Match == "" || p != nil && (p.id == f.Match || strings.Contains(p.name, f.Match))) {
			f.hits++
			return f
		}
	}
	return nil
}

// error is the refusal a fault answers with.
func (f *fault) error() *apiError {
	if f.Kind == Throttled {
		e := refuse(http.StatusTooManyRequests, "rate limit exceeded for the minute window")
		e.retry = int(f.Delay / time.Second)
		return e
	}
	status, detail := f.Status, f.Detail
	if status == 0 {
		status = http.StatusInternalServerError
	}
	if detail == "" {
		detail = "Something went wrong. Please try again later or contact support."
	}
	return refuse(status, detail)
}

// abort breaks the connection without an answer.
func abort() { panic(http.ErrAbortHandler) }

// cutWriter lets n bytes of body through and then breaks the connection.
type cutWriter struct {
	http.ResponseWriter
	left int
}

func (c *cutWriter) Write(b []byte) (int, error) {
	if len(b) < c.left {
		c.left -= len(b)
		return c.ResponseWriter.Write(b)
	}
	_, _ = c.ResponseWriter.Write(b[:c.left])
	c.left = 0
	c.Flush()
	abort()
	return 0, http.ErrAbortHandler
}

// Flush passes on to the connection.
func (c *cutWriter) Flush() {
	if f, ok := c.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// Unwrap lets http.ResponseController reach the connection.
func (c *cutWriter) Unwrap() http.ResponseWriter { return c.ResponseWriter }
