package runpodsim

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"justright/money"
)

// status is a pod's status in the words of v2.
type status string

const (
	provisioning status = "PROVISIONING"
	starting     status = "STARTING"
	running      status = "RUNNING"
	exited       status = "EXITED"
	terminated   status = "TERMINATED"
)

// The waits of a pod's life before DelayScale, near what was reported of live pods (sources in docs/simulator.md).
const (
	scheduleWait = 1 * time.Second
	cachedWait   = 3 * time.Second
	startWait    = 3 * time.Second
	deniedWait   = 4 * time.Second
	restartWait  = 5 * time.Second
	gateRetry    = 10 * time.Second
	staleRuntime = 5 * time.Second
	// However fast the rest goes, a container that dies at once must not eat this machine.
	shortestRestart = 500 * time.Millisecond
)

// podSpec is what was asked for, after a template was merged in.
type podSpec struct {
	name       string
	image      string
	args       string   // as v2 shows it
	entrypoint []string // exec form; nil unless given
	cmd        []string
	disk       int
	env        map[string]string
	ports      []string
	registry   string
	cloud      string
	gpu        string
	gpuCount   int
	cpu        string
	vcpu       int
	demand     demand
	dcs        []string
	persistent *persistentMount
	network    *networkMount
	globalNet  bool
	startSSH   bool
	startJup   bool
	locked     bool
	bid        money.USD // spot price per GPU; 0 for on-demand
}

type persistentMount struct {
	Size int    `json:"size"`
	Path string `json:"path"`
}

type networkMount struct {
	VolumeID string `json:"volumeId"`
	Path     string `json:"path"`
}

// pod is one rented machine.
type pod struct {
	podSpec
	id        string
	account   string
	key       string // the pod's own API key
	sshSuffix string
	status    status
	machine   *machine // kept while stopped; nil for a CPU pod
	cpuDC     string
	img       Image
	price     money.USD // per hour, all cards
	created   time.Time
	started   time.Time // last rental or resume
	changed   time.Time
	note      string // why the status changed, in RunPod's words
	gpusHeld  int    // cards taken on the machine now
	gone      time.Time

	box    *Container         // the running container; nil before and after
	gen    int                // grows with everything that makes planned steps void
	open   map[int]publicPort // ports of the running container
	stale  *staleView
	logs   logBook
	meter  meter
	faults map[FaultKind]*fault
	member *membership // of a cluster
}

type publicPort struct {
	public int
	ip     string
	local  int // where this machine listens, when a process runs
}

// staleView is the runtime of before a stop, which the API keeps showing for a while after a start.
type staleView struct {
	until  time.Time
	uptime int
	ports  map[int]publicPort
}

// actions is what may be asked of the pod now.
func (p *pod) actions() []string {
	switch p.status {
	case running:
		return []string{"stop", "restart", "terminate"}
	case exited:
		return []string{"start", "terminate"}
	case provisioning, starting:
		return []string{"stop", "terminate"}
	default:
		return []string{}
	}
}

// set changes the status and the bill with it. The caller holds the lock.
func (s *Server) set(p *pod, st status, note string) {
	p.status, p.changed = st, s.now()
	if note != "" {
		p.note = fmt.Sprintf("%s: %s", note, s.now().UTC().Format("Mon Jan 02 2006 15:04:05 GMT+0000"))
	}
	s.reprice(p)
	s.note("pod %s %s is %s", p.id, p.name, st)
}

// reprice sets the meter to what the pod costs in its present state.
func (s *Server) reprice(p *pod) {
	var r rates
	switch p.status {
	case provisioning, starting, running:
		if p.cpu != "" {
			r.cpu = p.price
		} else {
			r.gpu = p.price
		}
		r.disk = perHour(containerDiskMonth, p.disk)
		if p.persistent != nil {
			r.disk += perHour(volumeRunningMonth, p.persistent.Size)
		}
	case exited:
		if p.persistent != nil {
			r.disk = perHour(volumeStoppedMonth, p.persistent.Size)
		}
	case terminated:
	}
	p.meter.set(s.now(), r)
}

// rent finds a machine for p and starts its life. The caller holds the lock; p is not yet listed.
func (s *Server) rent(p *pod) *apiError {
	if p.cpu == "" {
		m := s.place(p.demand)
		if m == nil {
			return badRequest(noCapacity)
		}
		m.free -= p.gpuCount
		p.machine, p.gpusHeld = m, p.gpuCount
	} else {
		p.cpuDC = s.cpuPlace(p.dcs)
	}
	p.id, p.key = s.newID(14), podKeyPrefix+strings.ToUpper(s.newID(40))
	p.sshSuffix = fmt.Sprintf("%08x", s.rng.Uint32())
	p.created, p.started = s.now(), s.now()
	p.faults = map[FaultKind]*fault{}
	for _, k := range []FaultKind{DeadHost, SlowPull, StuckPull, CrashLoop, PullDenied, WrongPrice} {
		if f := s.strike("", p, k); f != nil {
			p.faults[k] = f
		}
	}
	if f := p.faults[WrongPrice]; f != nil {
		p.price = money.FromFloat(p.price.Float() * f.Factor)
	}
	s.pods[p.id] = p
	s.order = append(s.order, p.id)
	s.podKeys[p.key] = p.id
	s.set(p, provisioning, "Rented by User")
	s.begin(p)
	return nil
}

// place finds a host with free cards: the first that fits, or a random one when Seed is set.
func (s *Server) place(d demand) *machine {
	var fit []*machine
	for _, m := range s.machines {
		if m.free >= d.count && m.fits(s.fleet, d) {
			fit = append(fit, m)
		}
	}
	if len(fit) == 0 {
		return nil
	}
	if s.opts.Seed != 0 {
		return fit[s.rng.IntN(len(fit))]
	}
	return fit[0]
}

func (s *Server) cpuPlace(dcs []string) string {
	if len(dcs) > 0 {
		return dcs[0]
	}
	return s.fleet.DataCenters[0].ID
}

// dataCenter is where the pod is, "" before it is anywhere.
func (p *pod) dataCenter() string {
	if p.machine != nil {
		return p.machine.DataCenter
	}
	return p.cpuDC
}

// release gives the cards back.
func (p *pod) release() {
	if p.machine != nil {
		p.machine.free += p.gpusHeld
		p.gpusHeld = 0
	}
}

// stop ends the container, keeps the machine's name and the volume, and frees the cards.
func (s *Server) stop(p *pod, note string) {
	if p.box != nil {
		p.stale = &staleView{uptime: p.uptime(s.now()), ports: p.open}
	}
	s.killContainer(p)
	p.release()
	p.open = nil
	s.set(p, exited, note)
}

// resume starts a stopped pod on the same host, if its cards are still free.
func (s *Server) resume(p *pod) *apiError {
	if p.machine != nil {
		if p.machine.free < p.gpuCount {
			return badRequest(noCardToWake)
		}
		p.machine.free -= p.gpuCount
		p.gpusHeld = p.gpuCount
	}
	if p.stale != nil {
		p.stale.until = s.now().Add(s.wait(staleRuntime))
	}
	p.started = s.now()
	s.set(p, provisioning, "Resumed by User")
	s.begin(p)
	return nil
}

// terminate ends the pod for good. What it said is gone with it.
func (s *Server) terminate(p *pod, note string) {
	s.killContainer(p)
	p.release()
	p.open = nil
	p.logs.close()
	delete(s.podKeys, p.key)
	p.gone = s.now()
	s.set(p, terminated, note)
}

// restart starts the container anew in place; the container disk is wiped.
func (s *Server) restart(p *pod) {
	s.killContainer(p)
	p.started = s.now()
	s.systemLog(p, "stop container "+p.id)
	s.systemLog(p, "remove container")
	gen := p.gen
	s.once(s.wait(startWait), func() {
		if p.gen == gen && p.status == running {
			s.startContainer(p)
		}
	})
}

// visible tells whether the API still knows the pod.
func (s *Server) visible(p *pod) bool {
	return p != nil && (p.status != terminated || s.now().Sub(p.gone) < s.opts.Linger)
}

// find looks a pod up for a caller. The caller holds the lock.
func (s *Server) find(c caller, id string) (*pod, *apiError) {
	p := s.pods[id]
	if !s.visible(p) || p.account != c.account {
		return nil, notFound("pod")
	}
	if f := s.standing(p, GetLag); f != nil && s.now().Sub(p.created) < f.Delay {
		return nil, notFound("pod")
	}
	return p, nil
}

// list is all pods of an account that the API shows, oldest first.
func (s *Server) list(c caller, withMembers bool) []*pod {
	var out []*pod
	for _, id := range s.order {
		p := s.pods[id]
		if !s.visible(p) || p.account != c.account || p.member != nil && !withMembers {
			continue
		}
		if f := s.standing(p, ListLag); f != nil && s.now().Sub(p.created) < f.Delay {
			continue
		}
		out = append(out, p)
	}
	return out
}

// act performs one of the four actions of v2.
func (s *Server) act(p *pod, action string) *apiError {
	if !slices.Contains(p.actions(), action) {
		return refuse(http.StatusConflict, fmt.Sprintf("action %q is not valid for pod status %s", action, p.status))
	}
	if p.locked && (action == "stop" || action == "restart") {
		return refuse(http.StatusConflict, "pod is locked")
	}
	switch action {
	case "start":
		return s.resume(p)
	case "stop":
		s.stop(p, "Exited by User")
	case "restart":
		s.restart(p)
	case "terminate":
		s.terminate(p, "Terminated by User")
	}
	return nil
}

// uptime is the age of the running container in whole seconds.
func (p *pod) uptime(now time.Time) int {
	if p.box == nil {
		return 0
	}
	return int(now.Sub(p.box.started) / time.Second)
}

// portSpec splits "8000/http".
func portSpec(s string) (port int, proto string, ok bool) {
	n, proto, _ := strings.Cut(s, "/")
	for _, c := range n {
		if c < '0' || c > '9' || port > 1_000_000 {
			return 0, "", false
		}
		port = port*10 + int(c-'0')
	}
	if n == "" || port == 0 {
		return 0, "", false
	}
	return port, proto, true
}

// declares tells whether the pod publishes the port under the protocol.
func (p *pod) declares(port int, proto string) bool {
	for _, s := range p.ports {
		if n, q, ok := portSpec(s); ok && n == port && q == proto {
			return true
		}
	}
	return false
}
