package runpodsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// gqlCall is one GraphQL request on its way.
type gqlCall struct {
	s   *Server
	who caller
}

// gqlError is an error of GraphQL: it travels in a 200.
type gqlError struct{ message, code string }

func (e *gqlError) Error() string { return e.message }

func gqlRefuse(format string, args ...any) error {
	return &gqlError{fmt.Sprintf(format, args...), "RUNPOD"}
}

// fromAPI turns a refusal of v2 into one of GraphQL.
func fromAPI(e *apiError) error {
	if e == nil {
		return nil
	}
	return &gqlError{e.detail, "RUNPOD"}
}

// fields is an object: values, or functions for fields that take arguments or are not to be made for nothing.
type fields map[string]any

type resolver func(args map[string]any) (any, error)

// graphql answers POST /graphql, and GET for queries. A bad key is 401; everything else is 200, errors in the body.
func (s *Server) graphql(w http.ResponseWriter, r *http.Request) {
	if s.agentRefused(w, r) {
		return
	}
	var q struct {
		Query     string         `json:"query"`
		Variables map[string]any `json:"variables"`
		Operation string         `json:"operationName"`
	}
	if r.Method == http.MethodGet {
		q.Query = r.URL.Query().Get("query")
	} else {
		b, err := io.ReadAll(io.LimitReader(r.Body, 8<<20))
		if err == nil {
			err = json.Unmarshal(b, &q)
		}
		if err != nil {
			writeJSON(w, http.StatusBadRequest, gqlFailure(&gqlError{"POST body is not a GraphQL request: " + err.Error(), "BAD_REQUEST"}))
			return
		}
	}
	doc, err := parseGraphQL(q.Query, q.Variables, q.Operation)
	if err != nil {
		writeJSON(w, http.StatusOK, gqlFailure(&gqlError{err.Error(), "GRAPHQL_PARSE_FAILED"}))
		return
	}
	status, answer, lost := s.runGraphQL(bearer(r, true), doc)
	if lost {
		abort()
	}
	writeJSON(w, status, answer)
}

func gqlFailure(err error) map[string]any {
	code := "INTERNAL_SERVER_ERROR"
	if e, ok := errors.AsType[*gqlError](err); ok {
		code = e.code
	}
	return map[string]any{"errors": []any{map[string]any{"message": err.Error(), "extensions": map[string]any{"code": code}}}, "data": nil}
}

// runGraphQL does the work under the lock.
func (s *Server) runGraphQL(key string, doc gqlDoc) (status int, answer any, lost bool) {
	s.lock()
	defer s.unlock()
	who, refused := s.identify(key)
	if refused != nil {
		return http.StatusUnauthorized, gqlFailure(&gqlError{"Unauthorized", "UNAUTHENTICATED"}), false
	}
	c := &gqlCall{s, who}
	root := c.queries()
	if doc.mutation {
		root = c.mutations()
	}
	for _, f := range doc.sel {
		op := "graphql:" + f.name
		s.counts[op]++
		if fl := s.strike(op, nil, ErrorBefore, Throttled); fl != nil {
			return http.StatusOK, gqlFailure(&gqlError{fl.error().detail, "INTERNAL_SERVER_ERROR"}), false
		}
	}
	data, err := project(root, map[bool]string{true: "Mutation", false: "Query"}[doc.mutation], doc.sel)
	for _, f := range doc.sel {
		if s.strike("graphql:"+f.name, nil, LostReply) != nil {
			return 0, nil, true
		}
	}
	if err != nil {
		return http.StatusOK, gqlFailure(err), false
	}
	return http.StatusOK, map[string]any{"data": data}, false
}

// project picks what was selected, in the order it was selected being of no importance to anybody.
func project(v any, kind string, sel []gqlField) (any, error) {
	switch x := v.(type) {
	case fields:
		if len(sel) == 0 {
			return nil, &gqlError{fmt.Sprintf("Field of type %q must have a selection of subfields.", kind), "GRAPHQL_VALIDATION_FAILED"}
		}
		out := map[string]any{}
		for _, f := range sel {
			if f.name == "__typename" {
				out[f.alias] = kind
				continue
			}
			got, ok := x[f.name]
			if !ok {
				return nil, &gqlError{fmt.Sprintf("Cannot query field %q on type %q.", f.name, kind), "GRAPHQL_VALIDATION_FAILED"}
			}
			if r, ok := got.(resolver); ok {
				var err error
				if got, err = r(f.args); err != nil {
					return nil, err
				}
			}
			sub, err := project(got, strings.ToUpper(f.name[:1])+f.name[1:], f.sel)
			if err != nil {
				return nil, err
			}
			out[f.alias] = sub
		}
		return out, nil
	case []fields:
		out := make([]any, 0, len(x))
		for _, e := range x {
			sub, err := project(e, kind, sel)
			if err != nil {
				return nil, err
			}
			out = append(out, sub)
		}
		return out, nil
	default:
		return v, nil
	}
}

func input(args map[string]any) map[string]any {
	m, _ := args["input"].(map[string]any)
	return m
}

func gqlStr(m map[string]any, k string) string {
	v, _ := m[k].(string)
	return v
}

func gqlInt(m map[string]any, k string) int {
	v, _ := m[k].(float64)
	return int(v)
}

func gqlList(m map[string]any, k string) []string {
	var out []string
	a, _ := m[k].([]any)
	for _, v := range a {
		if t, ok := v.(string); ok {
			out = append(out, t)
		}
	}
	return out
}

// queries are the roots that clients read.
func (c *gqlCall) queries() fields {
	return fields{
		"myself":      resolver(func(map[string]any) (any, error) { return c.myself() }),
		"pod":         resolver(func(a map[string]any) (any, error) { return c.pod(gqlStr(input(a), "podId")) }),
		"gpuTypes":    resolver(c.gpuTypes),
		"dataCenters": resolver(func(map[string]any) (any, error) { return c.dataCenters(), nil }),
		"cpuFlavors": resolver(func(map[string]any) (any, error) {
			out := []fields{}
			for _, t := range c.s.fleet.CPUs {
				out = append(out, fields{"id": t.ID, "groupId": t.ID, "groupName": t.Group, "displayName": t.Name, "minVcpu": t.Min, "maxVcpu": t.Max, "ramMultiplier": t.RAMPerVCPU})
			}
			return out, nil
		}),
		"podTemplates": resolver(func(a map[string]any) (any, error) { return c.podTemplates(input(a)), nil }),
		"podTemplate": resolver(func(a map[string]any) (any, error) {
			t, e := c.s.template(c.who, gqlStr(a, "id"))
			if e != nil {
				return nil, nil
			}
			return templateGQL(t), nil
		}),
		"serverlessGpuPools": resolver(func(map[string]any) (any, error) { return c.pools(), nil }),
	}
}

func (c *gqlCall) pools() []fields {
	by, order := map[string][]string{}, []string{}
	for _, g := range c.s.fleet.GPUs {
		if g.Pool == nil {
			continue
		}
		if by[*g.Pool] == nil {
			order = append(order, *g.Pool)
		}
		by[*g.Pool] = append(by[*g.Pool], g.ID)
	}
	out := []fields{}
	for _, p := range order {
		out = append(out, fields{"id": p, "gpuTypeIds": by[p]})
	}
	return out
}

// account refuses what a pod's own key may not see.
func (c *gqlCall) account() error {
	if c.who.pod != "" {
		return &gqlError{"Forbidden", "FORBIDDEN"}
	}
	return nil
}

func (c *gqlCall) myself() (any, error) {
	if err := c.account(); err != nil {
		return nil, err
	}
	return fields{
		"id": "user_sim", "email": "somebody@example.invalid", "pubKey": strings.Join(c.s.sshKeys, "\n"),
		"clientBalance": c.s.balance().Float(), "currentSpendPerHr": c.s.burn().Float(), "spendLimit": c.spendLimit(), "underBalance": c.s.balance() <= 0,
		"notifyPodsStale": false, "notifyPodsGeneral": false, "notifyLowBalance": false,
		"pods": resolver(func(map[string]any) (any, error) {
			out := []fields{}
			for _, p := range c.s.list(c.who, false) {
				out = append(out, c.podGQL(p))
			}
			return out, nil
		}),
		"networkVolumes": resolver(func(map[string]any) (any, error) {
			out := []fields{}
			for _, v := range c.s.volumes.all() {
				if v.account == c.who.account && !v.gone {
					out = append(out, volumeGQL(v))
				}
			}
			return out, nil
		}),
		"containerRegistryCreds": resolver(func(map[string]any) (any, error) {
			out := []fields{}
			for _, r := range c.s.regs.all() {
				if r.account == c.who.account {
					out = append(out, fields{"id": r.ID, "name": r.Name})
				}
			}
			return out, nil
		}),
		"podTemplates": resolver(func(map[string]any) (any, error) { return c.ownTemplates(), nil }),
		"endpoints":    []fields{},
		"secrets":      []fields{},
	}, nil
}

func (c *gqlCall) spendLimit() float64 {
	if c.s.opts.SpendLimit != nil {
		return c.s.opts.SpendLimit.Float()
	}
	return 80
}

func volumeGQL(v *volume) fields {
	return fields{"id": v.ID, "name": v.Name, "size": v.Size, "dataCenterId": v.DataCenter, "dataCenter": fields{"id": v.DataCenter, "name": v.DataCenter}}
}
