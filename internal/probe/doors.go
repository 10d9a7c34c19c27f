package probe

import (
	"context"
	"fmt"
	"strings"

	"justright/internal/httpclient"
)

// wrongKey asks for text with no key and with a wrong one.
func (p *prover) wrongKey(ctx context.Context) verdict {
	if !p.e.Key.Set() {
		return skip("no key was given; whoever reaches the address may use it")
	}
	k := p.kind
	if k == "" {
		k = chat
	}
	for _, try := range []struct {
		what string
		key  httpclient.Secret
	}{{"without a key", httpclient.Secret{}}, {"with a wrong key", httpclient.NewSecret("justright-wrong-key")}} {
		what := try.what
		_, err := p.e.post(ctx, k.path(), try.key, k.ask(p.e.Model, "x", 1), p.o.Limit)
		switch s := status(err); {
		case err == nil:
			return flunk("POST %s answers %s", k.path(), what)
		case s == 401 || s == 403:
		case s == 0:
			return flunk("POST %s %s: %s", k.path(), what, words(err))
		default:
			return flunk("POST %s %s is not refused with 401 or 403: %s", k.path(), what, words(err))
		}
	}
	return pass("POST %s without a key and with a wrong one: refused", k.path())
}

// door is a path of an engine beside /v1. acts: its POST changes something, so it is only looked at with GET: a
// guard refuses before the method is looked at, so 405 shows an open door without going through it.
type door struct {
	method, path string
	body         func(model string) any
	acts         bool
}

// doors are the paths that vLLM and SGLang serve outside the part their own key guards.
func doors() []door {
	empty := func(string) any { return map[string]any{} }
	return []door{
		{"POST", "/invocations", func(m string) any { return chat.ask(m, "x", 1) }, false},
		{"POST", "/tokenize", func(m string) any { return map[string]any{"model": m, "prompt": "x"} }, false},
		{"POST", "/detokenize", func(m string) any { return map[string]any{"model": m, "tokens": []int{1}} }, false},
		{"POST", "/pooling", empty, false},
		{"POST", "/classify", empty, false},
		{"POST", "/score", empty, false},
		{"POST", "/rerank", empty, false},
		{"POST", "/generative_scoring", empty, false},
		{"POST", "/generate", func(string) any {
			return map[string]any{"text": "x", "sampling_params": map[string]any{"max_new_tokens": 1}}
		}, false},
		{"GET", "/metrics", nil, false},
		{"GET", "/load", nil, false},
		{"GET", "/version", nil, false},
		{"GET", "/server_info", nil, false},
		{"GET", "/get_server_info", nil, false},
		{"GET", "/docs", nil, false},
		{"GET", "/openapi.json", nil, false},
		{"GET", "/scale_elastic_ep", nil, true},
		{"GET", "/sleep", nil, true},
		{"GET", "/reset_prefix_cache", nil, true},
		{"GET", "/collective_rpc", nil, true},
		{"GET", "/update_weights_from_disk", nil, true},
	}
}

// otherDoors tries them all without a key and names those that are open.
func (p *prover) otherDoors(ctx context.Context) verdict {
	if !p.e.Key.Set() {
		return skip("no key was given; whoever reaches the address may use it")
	}
	var open []string
	limit := p.o.Limit
	for _, d := range doors() {
		if ctx.Err() != nil {
			break
		}
		var err error
		if d.method == "POST" {
			_, err = p.e.post(ctx, d.path, httpclient.Secret{}, d.body(p.e.Model), limit)
		} else {
			_, err = p.e.get(ctx, d.path, httpclient.Secret{}, limit)
		}
		s := status(err)
		switch {
		case err == nil:
			open = append(open, d.method+" "+d.path)
		case s == 405 && d.acts:
			open = append(open, "POST "+d.path)
		case s == 400 || s == 422 || s == 500:
			open = append(open, d.method+" "+d.path) // it read the request before it asked who sends it
		}
	}
	p.doc.OpenDoors = append(p.doc.OpenDoors, open...)
	v := pass("no other path answers without the key")
	if len(open) > 0 {
		v = flunk("open without the key: %s", strings.Join(open, ", "))
		for _, d := range open {
			if d == "POST /invocations" || d == "POST /generate" {
				v.detail += fmt.Sprintf("; %s runs the model for anybody", d)
			}
		}
	}
	v.required = p.o.Expected.DoorsShut
	return v
}
