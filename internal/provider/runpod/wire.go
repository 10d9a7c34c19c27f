package runpod

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"justright/money"
)

// The JSON of REST v2, as far as it is used (https://api.runpod.io/v2/openapi.json). Pointers tell null and absent
// from zero: a price of 0 would look free.

type podWire struct {
	ID           string            `json:"id"`
	Name         string            `json:"name"`
	Status       string            `json:"status"`
	Env          map[string]string `json:"env"`
	Ports        []string          `json:"ports"`
	GPU          *gpuWire          `json:"gpu"`
	DataCenterID *string           `json:"dataCenterId"`
	CUDAVersion  *string           `json:"cudaVersion"`
	Cost         *json.Number      `json:"cost"`
	Runtime      *runtimeWire      `json:"runtime"`
	CreatedAt    string            `json:"createdAt"`
	StartedAt    *string           `json:"startedAt"`
}

// UnmarshalJSON reads each field for itself: one that is not of the type it was promised to be is as good as absent, since a
// pod that cannot be read would hide all others of a list. Not so its id, and its environment, which tells whose it is.
func (w *podWire) UnmarshalJSON(b []byte) error {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	*w = podWire{}
	if err := json.Unmarshal(raw["id"], &w.ID); raw["id"] != nil && err != nil {
		return fmt.Errorf("id: %w", err)
	}
	var err error
	if w.Env, err = environment(raw["env"]); err != nil {
		return fmt.Errorf("env of %s: %w", w.ID, err)
	}
	for name, into := range map[string]any{
		"name": &w.Name, "status": &w.Status, "ports": &w.Ports, "gpu": &w.GPU, "dataCenterId": &w.DataCenterID, "cudaVersion": &w.CUDAVersion,
		"cost": &w.Cost, "runtime": &w.Runtime, "createdAt": &w.CreatedAt, "startedAt": &w.StartedAt,
	} {
		if raw[name] != nil && json.Unmarshal(raw[name], into) != nil {
			reflect.ValueOf(into).Elem().SetZero()
		}
	}
	return nil
}

// environment reads a pod's variables: an object, or the list of "K=V" that the older APIs answer.
func environment(raw json.RawMessage) (map[string]string, error) {
	if raw == nil {
		return nil, nil
	}
	var values map[string]any
	if json.Unmarshal(raw, &values) == nil {
		out := make(map[string]string, len(values))
		for k, v := range values {
			if s, ok := v.(string); ok {
				out[k] = s
			}
		}
		return out, nil
	}
	var list []string
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, err
	}
	out := make(map[string]string, len(list))
	for _, l := range list {
		if k, v, ok := strings.Cut(l, "="); ok {
			out[k] = v
		}
	}
	return out, nil
}

type gpuWire struct {
	ID    string `json:"id"`
	Count int    `json:"count"`
}

type runtimeWire struct {
	Uptime *json.Number      `json:"uptime"` // an integer in the document; read leniently
	GPUs   []json.RawMessage `json:"gpus"`
	Ports  []json.RawMessage `json:"ports"`
}

// createWire is the closed body of POST /v2/pods. Exactly one of Args and Entrypoint/Cmd is set.
type createWire struct {
	Name          string            `json:"name"`
	Image         string            `json:"image"`
	Entrypoint    []string          `json:"entrypoint,omitempty"`
	Cmd           []string          `json:"cmd,omitempty"`
	Args          string            `json:"args,omitempty"`
	Disk          int               `json:"disk,omitempty"`
	Env           map[string]string `json:"env,omitempty"`
	Ports         []string          `json:"ports,omitempty"`
	Registry      string            `json:"registry,omitempty"`
	Cloud         string            `json:"cloud,omitempty"`
	GPU           *createGPUWire    `json:"gpu,omitempty"`
	DataCenterIDs []string          `json:"dataCenterIds,omitempty"`
	Mounts        *mountsWire       `json:"mounts,omitempty"`
}

type createGPUWire struct {
	ID             string `json:"id"`
	Count          int    `json:"count"` // always sent: without it the scheduler matched nothing (runpod-mcp, 2026-08-04)
	MinCUDAVersion string `json:"minCudaVersion,omitempty"`
}

type mountsWire struct {
	Network []networkMountWire `json:"network"`
}

type networkMountWire struct {
	VolumeID string `json:"volumeId"`
	Path     string `json:"path"`
}

type gpuTypeWire struct {
	ID     string                  `json:"id"`
	Name   string                  `json:"name"`
	Maker  string                  `json:"manufacturer"`
	Memory int                     `json:"memory"`
	Secure bool                    `json:"secure"`
	Commun bool                    `json:"community"`
	Price  map[string]*json.Number `json:"price"`
	Max    map[string]int          `json:"maxCount"`
	Stock  string                  `json:"availability"`
	DCs    []struct {
		ID    string `json:"id"`
		Stock string `json:"availability"`
	} `json:"dataCenters"`
	CUDA []struct {
		Version   string `json:"version"`
		Available bool   `json:"available"`
	} `json:"cudaVersions"`
}

type volumeWire struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Size       int    `json:"size"`
	DataCenter string `json:"dataCenter"`
	Type       string `json:"type"`
}

type dataCenterWire struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	VolumeTypes []string `json:"networkVolumeTypes"`
	Global      bool     `json:"globalNetwork"`
}

type billingWire struct {
	Records []struct {
		Start string      `json:"startTime"`
		End   string      `json:"endTime"`
		PodID string      `json:"podId"`
		Total json.Number `json:"totalAmount"`
		GPU   json.Number `json:"gpuAmount"`
		Disk  json.Number `json:"diskAmount"`
	} `json:"records"`
}

type logWire struct {
	TS     string  `json:"ts"`
	Source string  `json:"source"`
	Line   *string `json:"line"`
}

// usd reads a JSON number exactly when it is a plain decimal.
func usd(n *json.Number) *money.USD {
	if n == nil || *n == "" {
		return nil
	}
	v, err := money.Parse(n.String())
	if err != nil {
		f, ferr := n.Float64()
		if ferr != nil {
			return nil
		}
		v = money.FromFloat(f)
	}
	return &v
}

// when reads a time; what cannot be read is the zero time. Live answers of older APIs had Go's own form too.
func when(s string) time.Time {
	s = strings.TrimSpace(s)
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999 -0700 MST"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}
