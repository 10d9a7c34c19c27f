// Package probe asks an endpoint the questions its user will ask, through the address its user will use: Prove
// collects what may be believed of it, Bench how fast it is.
package probe

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"justright/internal/httpclient"
	"justright/money"
)

// ProofSchema names the document.
const ProofSchema = "justright/proof/1"

// Check is one question and its answer. Passed of a check that does not apply is true, so that a reader who counts
// failures counts right; Applies says that it proves nothing.
type Check struct {
	Name     string  `json:"name"` // kebab case
	Passed   bool    `json:"passed"`
	Detail   string  `json:"detail"`
	Required bool    `json:"required"` // the proof fails with it
	Applies  bool    `json:"applies"`
	Seconds  float64 `json:"seconds"`
}

// Proof is what was seen of one endpoint. Passed: every required check passed.
type Proof struct {
	Schema    string    `json:"schema"`
	Passed    bool      `json:"passed"`
	BaseURL   string    `json:"base_url"`
	Model     string    `json:"model"`
	At        time.Time `json:"at"`
	Seconds   float64   `json:"seconds"`
	Checks    []Check   `json:"checks"`
	OpenDoors []string  `json:"open_doors"` // paths that answered without a key
	Measured  Measured  `json:"measured"`
	// Stranger is what answers under the address in the model's place; empty when the model does.
	Stranger string `json:"stranger,omitempty"`
	// ToolFault is how calls of tools came, where they did not come as calls.
	ToolFault *ToolFault `json:"tool_fault,omitempty"`
	Expected  Expected   `json:"expected"`
}

// Measured are the times of the proof's own requests; null where nothing was measured.
type Measured struct {
	FirstTokenSeconds   *float64   `json:"first_token_seconds"`
	TokensPerSecond     *float64   `json:"tokens_per_second"`     // one request, after its first token
	UnstreamedSeconds   *int       `json:"unstreamed_seconds"`    // longest an answer without streaming may take; null: no limit known
	UnstreamedMaxTokens *int       `json:"unstreamed_max_tokens"` // about how many tokens that is
	ContextTokens       *int       `json:"context_tokens"`        // as the engine states it
	LongestPromptTokens *int       `json:"longest_prompt_tokens"` // as it was asked and counted
	HourlyPrice         *money.USD `json:"price_per_hour,omitempty"`
}

// Expected is what the caller knows from the plan; empty fields are not checked.
type Expected struct {
	Model            string `json:"model,omitempty"`             // served name
	Root             string `json:"root,omitempty"`              // what the engine loaded: hub id or path
	Architecture     string `json:"architecture,omitempty"`      // from the model's config
	SeenArchitecture string `json:"seen_architecture,omitempty"` // from the engine's own log
	Context          int    `json:"context,omitempty"`
	Tools            bool   `json:"tools,omitempty"`       // a tool parser was started: the tool call becomes required
	ToolParser       string `json:"tool_parser,omitempty"` // its name, where that is known
	DoorsShut        bool   `json:"doors_shut,omitempty"`  // the plan promises a key on every path: an open door fails the proof
}

// Options of a proof.
type Options struct {
	Expected   Expected
	LongTokens int           // of the long prompt; 0: 2000, less where the context is shorter
	Limit      time.Duration // of one request; 0: 100 s, what RunPod's proxy allows
	// Each is called after every check, in order; may be nil.
	Each func(Check)
}

// ErrUnreachable and ErrKeyRefused are why there is no proof at all.
var (
	ErrUnreachable = errors.New("nothing answers")
	ErrKeyRefused  = errors.New("the key is refused")
)

// errNoList is an answer to the question for the models that no engine gives.
var errNoList = errors.New("/v1/models answers, but not with a model list")

// Prove asks everything and returns what it saw. An error means that nothing could be asked: ErrUnreachable or
// ErrKeyRefused, wrapped with what was seen, or the context's own.
func Prove(ctx context.Context, e Endpoint, o Options) (Proof, error) {
	if o.Limit == 0 {
		o.Limit = 100 * time.Second
	}
	if o.LongTokens == 0 {
		o.LongTokens = 2000
	}
	p := &prover{e: e, o: o, doc: Proof{Schema: ProofSchema, BaseURL: e.BaseURL, At: e.Now().UTC().Truncate(time.Second),
		OpenDoors: []string{}, Checks: []Check{}, Expected: o.Expected}}
	if o.Expected.Model == "" {
		p.o.Expected.Model = e.Model
	}
	err := p.run(ctx)
	if err == nil {
		err = ctx.Err()
	}
	p.doc.Model = p.e.Model
	p.doc.Seconds = seconds(e.Now().Sub(p.doc.At))
	p.doc.Passed = err == nil && len(p.doc.Checks) > 0
	for _, c := range p.doc.Checks {
		if c.Required && !c.Passed {
			p.doc.Passed = false
		}
	}
	return p.doc, err
}

// prover is one proof being made.
type prover struct {
	e       Endpoint
	o       Options
	doc     Proof
	kind    kind
	context int // max_model_len; 0 unknown
	reply   string
}

// verdict is what a check found.
type verdict struct {
	passed, applies, required bool
	detail                    string
}

func pass(format string, a ...any) verdict {
	return verdict{true, true, true, fmt.Sprintf(format, a...)}
}
func flunk(format string, a ...any) verdict {
	return verdict{false, true, true, fmt.Sprintf(format, a...)}
}

// skip is a check that does not apply.
func skip(format string, a ...any) verdict {
	return verdict{true, false, false, "does not apply: " + fmt.Sprintf(format, a...)}
}

// extra makes a verdict informational.
func (v verdict) extra() verdict { v.required = false; return v }

func (p *prover) check(name string, f func() verdict) {
	start := p.e.Now()
	v := f()
	c := Check{Name: name, Passed: v.passed, Detail: v.detail, Required: v.required, Applies: v.applies, Seconds: seconds(p.e.Now().Sub(start))}
	p.doc.Checks = append(p.doc.Checks, c)
	if p.o.Each != nil {
		p.o.Each(c)
	}
}

// run asks in the order in which an answer makes the next question meaningful.
func (p *prover) run(ctx context.Context) error {
	if err := p.first(ctx); err != nil {
		return err
	}
	p.check("health", func() verdict { return p.health(ctx) })
	p.check("architecture", p.architecture)
	p.check("context", p.contextLength)
	p.answers(ctx)
	for _, c := range []struct {
		name string
		f    func(context.Context) verdict
	}{
		{"streaming", p.streaming}, {"sane-text", p.saneText}, {"tool-call", p.toolCall}, {"json-schema", p.jsonSchema},
		{"long-prompt", p.longPrompt}, {"wrong-key-refused", p.wrongKey}, {"other-doors", p.otherDoors},
		{"unstreamed-limit", p.unstreamedLimit}, {"alive-afterwards", p.alive},
	} {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		p.check(c.name, func() verdict { return c.f(ctx) })
	}
	return nil
}

// first finds out whether anything answers, whether the key is taken, and what is served.
func (p *prover) first(ctx context.Context) error {
	list, err := p.e.models(ctx, p.e.Key, p.o.Limit)
	if err != nil {
		switch s := status(err); {
		case ctx.Err() != nil:
			return ctx.Err()
		case s == 401 || s == 403:
			return fmt.Errorf("%w: %s/v1/models says %s", ErrKeyRefused, p.e.BaseURL, words(err))
		case s == 0 && isHTTP(err), s == 502, s == 503, s == 504, s == 521, s == 522, s == 523, s == 524, s == 530:
			return fmt.Errorf("%w: %s/v1/models: %s", ErrUnreachable, p.e.BaseURL, words(err))
		}
	}
	p.check("model-list", func() verdict {
		if err != nil {
			if errors.Is(err, errNoList) {
				p.doc.Stranger = err.Error()
			}
			return flunk("%s", words(err))
		}
		var ids []string
		var mine *listedModel
		for i, m := range list {
			ids = append(ids, m.ID)
			if m.ID == p.o.Expected.Model || (p.o.Expected.Model == "" && i == 0) {
				mine = &list[i]
			}
		}
		if mine == nil {
			p.doc.Stranger = "a server of " + strings.Join(ids, ", ")
			if len(ids) == 0 {
				p.doc.Stranger = "a server of no model"
			}
			return flunk("%q is not among the models served: %s", p.o.Expected.Model, strings.Join(ids, ", "))
		}
		p.e.Model, p.context = mine.ID, mine.MaxModelLen
		if r := p.o.Expected.Root; r != "" && mine.Root != "" && mine.Root != r && mine.Root != mine.ID {
			return flunk("%s is served from %q, not from %q", mine.ID, mine.Root, r)
		}
		return pass("%s", strings.Join(ids, ", "))
	})
	if p.e.Model == "" {
		p.e.Model = p.o.Expected.Model
	}
	return nil
}

func isHTTP(err error) bool {
	var e *httpclient.Error
	return errors.As(err, &e)
}

func seconds(d time.Duration) float64 {
	return float64(d.Round(time.Millisecond)) / float64(time.Second)
}
