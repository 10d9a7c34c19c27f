package runpodsim

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"justright/money"
)

// Entry is one pod in the ledger.
type Entry struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Status  string    `json:"status"`
	Billing bool      `json:"billing"` // it costs something now
	Cost    money.USD `json:"cost"`    // so far, disks included
	Rate    money.USD `json:"rate"`    // per hour now
	Env     string    `json:"attempt,omitempty"`
}

// VolumeEntry is one network volume in the ledger.
type VolumeEntry struct {
	ID   string    `json:"id"`
	Name string    `json:"name"`
	Size int       `json:"size"`
	Cost money.USD `json:"cost"`
}

// Ledger is what everything cost so far. Total counts pods only; volumes stand apart.
type Ledger struct {
	Pods         []Entry       `json:"pods"`
	Billing      int           `json:"billing"` // pods that cost something now
	Total        money.USD     `json:"total"`
	Volumes      []VolumeEntry `json:"volumes"`
	VolumesTotal money.USD     `json:"volumes_total"`
	At           time.Time     `json:"at"`
}

// Ledger lists every pod there ever was with its bill, the deleted ones too.
func (s *Server) Ledger() Ledger {
	s.lock()
	defer s.unlock()
	l := Ledger{Pods: []Entry{}, Volumes: []VolumeEntry{}, At: s.now().UTC()}
	for _, id := range s.order {
		p := s.pods[id]
		e := Entry{ID: p.id, Name: p.name, Status: string(p.status), Cost: p.meter.spent(s.now()), Rate: p.meter.rate.total(), Env: p.env["JUSTRIGHT_ATTEMPT"]}
		e.Billing = e.Rate > 0
		if e.Billing {
			l.Billing++
		}
		l.Total += e.Cost
		l.Pods = append(l.Pods, e)
	}
	for _, v := range s.volumes.all() {
		e := VolumeEntry{v.ID, v.Name, v.Size, v.meter.spent(s.now())}
		l.VolumesTotal += e.Cost
		l.Volumes = append(l.Volumes, e)
	}
	return l
}

// Counts tells how often each operation was called, by operation id.
func (s *Server) Counts() map[string]int {
	s.lock()
	defer s.unlock()
	out := make(map[string]int, len(s.counts))
	for k, v := range s.counts {
		out[k] = v
	}
	return out
}

// Idle tells for how long no pod has been alive and nobody has called; 0 while a pod is alive.
func (s *Server) Idle() time.Duration {
	s.lock()
	defer s.unlock()
	for _, id := range s.order {
		if s.pods[id].status != terminated {
			return 0
		}
	}
	return s.now().Sub(s.touched)
}

// SetStock changes the free cards of the machines that match; an empty word matches all.
func (s *Server) SetStock(gpu, dataCenter, cloud string, free int) int {
	s.lock()
	defer s.unlock()
	n := 0
	for _, m := range s.machines {
		if (gpu == "" || m.GPU == gpu) && (dataCenter == "" || m.DataCenter == dataCenter) && (cloud == "" || m.Cloud == cloud) {
			m.free = free
			n++
		}
	}
	return n
}

// Grant adds credit.
func (s *Server) Grant(u money.USD) {
	s.lock()
	defer s.unlock()
	s.granted += u
}

// Reclaim takes a spot pod's machine away, as a higher bid would.
func (s *Server) Reclaim(id string) bool {
	s.lock()
	defer s.unlock()
	p := s.pods[id]
	if p == nil || p.bid == 0 || p.status != running {
		return false
	}
	s.stop(p, "Outbid")
	return true
}

// control is the simulator's own API, outside RunPod's paths and without a key.
func (s *Server) control(w http.ResponseWriter, r *http.Request) {
	path := strings.Trim(strings.TrimPrefix(r.URL.Path, "/_sim"), "/")
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	switch r.Method + " " + path {
	case "GET ledger":
		writeJSON(w, http.StatusOK, s.Ledger())
	case "GET counts":
		writeJSON(w, http.StatusOK, s.Counts())
	case "GET clock":
		writeJSON(w, http.StatusOK, map[string]any{"now": s.now().UTC().Format(time.RFC3339Nano)})
	case "GET machines":
		writeJSON(w, http.StatusOK, s.machineList())
	case "GET faults":
		writeJSON(w, http.StatusOK, s.faultList())
	case "DELETE faults":
		s.ClearFaults()
		w.WriteHeader(http.StatusNoContent)
	case "POST clock", "POST stock", "POST faults", "POST balance", "POST skew", "POST reclaim":
		s.controlPost(w, path, body)
	default:
		writeJSON(w, http.StatusNotFound, map[string]any{"error": "no such control", "controls": []string{
			"GET ledger", "GET counts", "GET clock", "GET machines", "GET faults", "DELETE faults",
			`POST clock {"advance":"90s"}`, `POST stock {"gpu","data_center","cloud","free"}`, `POST faults {"kind","op","match","count",…}`,
			`POST balance {"add":"5.00"}`, `POST skew {"by":"30s"}`, `POST reclaim {"pod"}`,
		}})
	}
}

func (s *Server) controlPost(w http.ResponseWriter, path string, body []byte) {
	bad := func(err string) { writeJSON(w, http.StatusBadRequest, map[string]any{"error": err}) }
	var b struct {
		Advance    string    `json:"advance"`
		GPU        string    `json:"gpu"`
		DataCenter string    `json:"data_center"`
		Cloud      string    `json:"cloud"`
		Free       int       `json:"free"`
		Add        money.USD `json:"add"`
		By         string    `json:"by"`
		Pod        string    `json:"pod"`
	}
	if path == "faults" {
		var f struct {
			Fault
			Delay string `json:"delay"`
		}
		if err := json.Unmarshal(body, &f); err != nil {
			bad(err.Error())
			return
		}
		if f.Delay != "" {
			d, err := time.ParseDuration(f.Delay)
			if err != nil {
				bad(err.Error())
				return
			}
			f.Fault.Delay = d
		}
		if !knownFault(f.Kind) {
			bad("unknown kind of fault " + string(f.Kind))
			return
		}
		s.AddFault(f.Fault)
		writeJSON(w, http.StatusOK, s.faultList())
		return
	}
	if err := json.Unmarshal(body, &b); err != nil {
		bad(err.Error())
		return
	}
	switch path {
	case "clock":
		v, ok := s.clock.(*VirtualClock)
		d, err := time.ParseDuration(b.Advance)
		if !ok || err != nil || d < 0 {
			bad("only a virtual clock can be advanced, by a duration such as 90s")
			return
		}
		v.Advance(d)
		writeJSON(w, http.StatusOK, map[string]any{"now": s.now().UTC().Format(time.RFC3339Nano)})
	case "stock":
		writeJSON(w, http.StatusOK, map[string]any{"machines": s.SetStock(b.GPU, b.DataCenter, b.Cloud, b.Free)})
	case "balance":
		s.Grant(b.Add)
		w.WriteHeader(http.StatusNoContent)
	case "skew":
		d, err := time.ParseDuration(b.By)
		if err != nil {
			bad(err.Error())
			return
		}
		s.Skew(d)
		w.WriteHeader(http.StatusNoContent)
	case "reclaim":
		if !s.Reclaim(b.Pod) {
			bad("no running spot pod " + b.Pod)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

func knownFault(k FaultKind) bool {
	switch k {
	case LostReply, LostRequest, ErrorAfter, ErrorBefore, SlowAnswer, Throttled, CutBody, Ignored,
		ListLag, GetLag, WrongPrice, DeadHost, SlowPull, StuckPull, CrashLoop, PullDenied, NoStock:
		return true
	}
	return false
}

func (s *Server) faultList() []any {
	s.lock()
	defer s.unlock()
	out := []any{}
	for _, f := range s.faults {
		out = append(out, struct {
			Fault
			Hits int `json:"hits"`
		}{f.Fault, f.hits})
	}
	return out
}

func (s *Server) machineList() []any {
	s.lock()
	defer s.unlock()
	out := []any{}
	for _, m := range s.machines {
		out = append(out, struct {
			ID string `json:"id"`
			MachineKind
			Free int `json:"free"`
		}{m.id, m.MachineKind, m.free})
	}
	return out
}
