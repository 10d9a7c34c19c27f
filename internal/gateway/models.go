package gateway

import (
	"encoding/json"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// mean finds what a request's name stands for. vLLM takes a request without a name; so does the gateway while there is one model.
func (g *Gateway) mean(a asked) (meant, error) {
	if !a.Named {
		if m, ok := g.fleet.only(); ok {
			return m, nil
		}
		return meant{}, invalid("missing_required_parameter", "model", "the request names no model; there are: %s", strings.Join(g.names(), ", "))
	}
	if m, ok := g.fleet.find(a.Model); ok {
		return m, nil
	}
	there := "there is none"
	if names := g.names(); len(names) > 0 {
		there = "there are: " + strings.Join(names, ", ")
	}
	return meant{}, &Refusal{Status: http.StatusNotFound, Type: "invalid_request_error", Code: "model_not_found", Param: "model",
		Message: "The model " + strconv.Quote(shorten(a.Model)) + " does not exist; " + there}
}

func shorten(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}

// models answers /v1/models and /v1/models/{name}, which may have a slash in it, written as one or as %2F.
func (g *Gateway) models(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		(&Refusal{Status: http.StatusMethodNotAllowed, Type: "invalid_request_error", Code: "method_not_allowed", Message: r.URL.Path + " takes GET"}).write(w)
		return
	}
	var doc any = modelList{Object: "list", Data: g.modelCards()}
	if name := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/v1/models"), "/"); name != "" {
		m, err := g.mean(asked{Model: name, Named: true})
		if err != nil {
			refusalOf(err).write(w)
			return
		}
		for _, c := range g.modelCards() {
			if c.model == m.model {
				doc = c
			}
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(doc)
}

type modelList struct {
	Object string      `json:"object"`
	Data   []modelCard `json:"data"`
}

// modelCard is a model in OpenAI's form, with vLLM's max_model_len and what the gateway knows beside it.
type modelCard struct {
	ID          string   `json:"id"`
	Object      string   `json:"object"`
	Created     int64    `json:"created"`
	OwnedBy     string   `json:"owned_by"`
	MaxModelLen int      `json:"max_model_len,omitempty"`
	State       string   `json:"state"`    // ready, waking, asleep
	Replicas    int      `json:"replicas"` // that answer now
	Aliases     []string `json:"aliases,omitempty"`

	model string // hub id or directory
}

// modelCards are the models by their ids, those that may be woken first as they were given.
func (g *Gateway) modelCards() []modelCard {
	var out []modelCard
	at := map[string]int{}
	card := func(id string) *modelCard {
		if i, ok := at[id]; ok {
			return &out[i]
		}
		at[id] = len(out)
		name := id
		if directory(id) {
			name = path.Base(id)
		}
		out = append(out, modelCard{model: id, ID: name, Object: "model", Created: g.began.Unix(), OwnedBy: "justright", State: "asleep"})
		return &out[len(out)-1]
	}
	for _, m := range g.fleet.Models() {
		c := card(m.ID)
		if directory(m.ID) && len(m.Aliases) > 0 {
			c.ID = m.Aliases[len(m.Aliases)-1]
		}
		for _, a := range m.Aliases {
			if a != c.ID {
				c.Aliases = append(c.Aliases, a)
			}
		}
		if g.wakes.is(m.ID) {
			c.State = "waking"
		}
	}
	for _, r := range g.fleet.Status() {
		c := card(r.Model)
		c.State, c.Replicas = "ready", c.Replicas+1
		if directory(c.model) && c.ID == path.Base(c.model) {
			c.ID = r.Replica.Served
		}
		c.MaxModelLen = max(c.MaxModelLen, r.Context)
		if c.Replicas == 1 {
			c.Created = r.Since.Unix()
		}
	}
	return out
}

// Models lists the models that may be woken.
func (f *Fleet) Models() []Model { return f.models }

// directory reports whether a model is a directory of this machine, whose path is nobody's business: it goes by its last name.
func directory(id string) bool { return strings.HasPrefix(id, "/") || strings.HasPrefix(id, ".") }

// shown is a model's name as clients are told it.
func (g *Gateway) shown(model string) string {
	for _, c := range g.modelCards() {
		if c.model == model {
			return c.ID
		}
	}
	return path.Base(model)
}

// label is a model's name in figures and the log.
func (g *Gateway) label(model string) string {
	if !directory(model) {
		return model
	}
	return g.shown(model)
}

func (g *Gateway) names() []string {
	var out []string
	for _, c := range g.modelCards() {
		out = append(out, c.ID)
	}
	return out
}
