package probe

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"justright/internal/httpclient"
)

// health asks /health without a key, as load balancers and we ourselves do.
func (p *prover) health(ctx context.Context) verdict {
	_, err := p.e.get(ctx, "/health", httpclient.Secret{}, p.o.Limit)
	switch s := status(err); {
	case err == nil:
		return pass("/health answers 200")
	case s == 404 || s == 405:
		return skip("this server has no /health")
	case s == 401 || s == 403:
		return flunk("/health wants a key: probes of load balancers will fail").extra()
	default:
		return flunk("/health: %s", words(err))
	}
}

func (p *prover) architecture() verdict {
	want, seen := p.o.Expected.Architecture, p.o.Expected.SeenArchitecture
	switch {
	case want == "" || seen == "":
		return skip("an OpenAI endpoint does not tell it; the engine's own log does (verify a launch by its name)")
	case want != seen:
		return flunk("the engine resolved %s, the model's config says %s", seen, want)
	default:
		return pass("the engine resolved %s, as the model's config says", seen)
	}
}

func (p *prover) contextLength() verdict {
	if p.context == 0 {
		return skip("the model list does not state a context length")
	}
	n := p.context
	p.doc.Measured.ContextTokens = &n
	if want := p.o.Expected.Context; want > 0 && p.context < want {
		return flunk("the engine allows %d tokens, the plan promised %d", p.context, want)
	}
	return pass("%d tokens", p.context)
}

// answers finds the way this model is asked: chat, plain completion (a base model without a chat template), or
// embeddings. One of them must work.
func (p *prover) answers(ctx context.Context) {
	var seen []string
	for _, k := range []kind{chat, completion} {
		var ok bool
		p.check(string(k), func() verdict {
			if p.kind != "" {
				return skip("this model is judged by %s", p.kind)
			}
			r, took, err := p.e.generate(ctx, k, k.ask(p.e.Model, "Reply with the single word: ready", 24), p.o.Limit)
			if err != nil {
				seen = append(seen, string(k)+": "+words(err))
				if notOffered(k, err) {
					return skip("%s", words(err))
				}
				return flunk("%s", words(err))
			}
			if strings.TrimSpace(r.text()) == "" && r.finish() != "length" {
				return flunk("the answer is empty (finish_reason %q)", r.finish())
			}
			ok, p.reply = true, r.text()
			return pass("%q in %.2f s", httpclient.OneLine(r.text(), 60), took.Seconds())
		})
		if ok {
			p.kind = k
		}
	}
	p.check("embeddings", func() verdict {
		if p.kind != "" {
			return skip("this model generates text")
		}
		n, err := p.embed(ctx)
		if err != nil {
			seen = append(seen, "embeddings: "+words(err))
			if notOffered(embedding, err) {
				return skip("%s", words(err))
			}
			return flunk("%s", words(err))
		}
		p.kind = embedding
		return pass("a vector of %d finite numbers", n)
	})
	p.check("answers", func() verdict {
		if p.kind == "" {
			return flunk("no way of asking works: %s", strings.Join(seen, "; "))
		}
		return pass("this model is asked by %s", p.kind.path())
	})
}

// notOffered tells "this server has no such thing for this model" from a failure.
func notOffered(k kind, err error) bool {
	s, text := status(err), strings.ToLower(words(err))
	switch {
	case s == 404 && !strings.Contains(text, "does not exist"), s == 405, s == 501:
		return true
	case s != 400 && s != 422:
		return false
	case k == chat:
		return strings.Contains(text, "chat template") || strings.Contains(text, "chat_template") || strings.Contains(text, "not support")
	default:
		return strings.Contains(text, "not support")
	}
}

// embed asks for one embedding and returns its length.
func (p *prover) embed(ctx context.Context) (int, error) {
	res, err := p.e.post(ctx, embedding.path(), p.e.Key, embedding.ask(p.e.Model, "ready", 0), p.o.Limit)
	if err != nil {
		return 0, err
	}
	var doc struct {
		Data []struct {
			Embedding []float64 `json:"embedding"` // NaN and infinity are no JSON: they fail here
		} `json:"data"`
	}
	if err := json.Unmarshal(res.Body, &doc); err != nil {
		return 0, fmt.Errorf("the answer is no embedding: %w", err)
	}
	if len(doc.Data) != 1 || len(doc.Data[0].Embedding) == 0 {
		return 0, fmt.Errorf("the answer holds %d embeddings for one text", len(doc.Data))
	}
	for _, x := range doc.Data[0].Embedding {
		if x != 0 {
			return len(doc.Data[0].Embedding), nil
		}
	}
	return 0, fmt.Errorf("the embedding is all zeros")
}

// generates reports whether checks of generated text make sense; otherwise it is the verdict.
func (p *prover) generates() (verdict, bool) {
	switch p.kind {
	case chat, completion:
		return verdict{}, true
	case embedding:
		return skip("an embedding model generates no text"), false
	default:
		return skip("nothing answers to ask"), false
	}
}

func (p *prover) streaming(ctx context.Context) verdict {
	if v, ok := p.generates(); !ok {
		return v
	}
	s, err := p.e.stream(ctx, p.kind, p.kind.ask(p.e.Model, "Count from one to thirty in words.", 64), p.o.Limit)
	if err != nil {
		return flunk("%s", words(err))
	}
	if s.Chunks < 2 && s.Tokens != 1 {
		return flunk("%d tokens came in %d chunk: something on the way collects the stream", s.Tokens, s.Chunks)
	}
	first := seconds(s.First)
	p.doc.Measured.FirstTokenSeconds = &first
	if rest := s.Total - s.First; rest > 0 && s.Tokens > 1 {
		speed := float64(int(float64(s.Tokens-1)/rest.Seconds()*10)) / 10
		p.doc.Measured.TokensPerSecond = &speed
	}
	p.reply += s.Text
	return pass("%d tokens in %d chunks, the first after %.2f s, the last after %.2f s, [DONE] seen", s.Tokens, s.Chunks, first, s.Total.Seconds())
}

// saneText looks for the mark of broken kernels: logits that are not numbers decode to one character for ever.
func (p *prover) saneText(context.Context) verdict {
	if v, ok := p.generates(); !ok {
		return v
	}
	t := []rune(strings.Join(strings.Fields(p.reply), ""))
	if len(t) < 16 {
		return skip("too little text to judge (%d characters)", len(t)).extra()
	}
	for _, r := range t[1:] {
		if r != t[0] {
			return pass("%d characters, not all the same", len(t)).extra()
		}
	}
	return flunk("the whole answer is %q repeated: logits that are not numbers look like this", string(t[0])).extra()
}

// jsonSchema asks for an answer bound to a schema whose every value is finite.
func (p *prover) jsonSchema(ctx context.Context) verdict {
	if p.kind != chat {
		return skip("only chat models are asked for schemas")
	}
	body := chat.ask(p.e.Model, "Name one of the colours red, green or blue, and say whether you like it. Answer as JSON.", 160)
	body["response_format"] = map[string]any{"type": "json_schema", "json_schema": map[string]any{"name": "colour", "strict": true, "schema": map[string]any{
		"type": "object", "additionalProperties": false, "required": []any{"colour", "liked"},
		"properties": map[string]any{"colour": map[string]any{"type": "string", "enum": []any{"red", "green", "blue"}}, "liked": map[string]any{"type": "boolean"}}}}}
	r, took, err := p.e.generate(ctx, chat, body, p.o.Limit)
	if err != nil {
		if s := status(err); s >= 400 && s < 500 {
			return skip("the engine takes no schema: %s", words(err))
		}
		return flunk("%s", words(err)).extra()
	}
	content := ""
	if len(r.Choices) > 0 {
		content = r.Choices[0].Message.Content
	}
	var doc map[string]any
	if err := json.Unmarshal([]byte(content), &doc); err != nil {
		return flunk("no JSON: %q%s", httpclient.OneLine(content, 60), cutNote(r)).extra()
	}
	colour, _ := doc["colour"].(string)
	_, liked := doc["liked"].(bool)
	if len(doc) != 2 || !liked || (colour != "red" && colour != "green" && colour != "blue") {
		return flunk("JSON, but not of the schema: %s", httpclient.OneLine(content, 80)).extra()
	}
	return pass("%s in %.2f s", httpclient.OneLine(content, 60), took.Seconds()).extra()
}

func cutNote(r reply) string {
	if r.finish() == "length" {
		return " (cut at the token limit)"
	}
	return ""
}

// longPrompt sends many tokens at once: what a first user does, and what a too small KV cache dies of.
func (p *prover) longPrompt(ctx context.Context) verdict {
	if v, ok := p.generates(); !ok {
		return v
	}
	want := p.o.LongTokens
	if p.context > 0 {
		want = min(want, p.context*3/4-32)
	}
	if want < 64 {
		return skip("a context of %d tokens has no room for a long prompt", p.context)
	}
	for try := 0; ; try++ {
		// " one", " two", ...: about one token each in every common vocabulary
		var b strings.Builder
		for i := 0; i < want; i++ {
			b.WriteString([]string{"one ", "two ", "three ", "four ", "five "}[i%5])
		}
		r, took, err := p.e.generate(ctx, p.kind, p.kind.ask(p.e.Model, b.String()+"\nWhat comes next?", 4), p.o.Limit)
		if err != nil {
			text := strings.ToLower(words(err))
			if s := status(err); (s == 400 || s == 413 || s == 422) && try < 3 && want > 128 &&
				(strings.Contains(text, "context") || strings.Contains(text, "length") || strings.Contains(text, "token")) {
				want /= 2 // this vocabulary needs more tokens for a word
				continue
			}
			return flunk("a prompt of about %d tokens: %s", want, words(err))
		}
		if len(r.Choices) == 0 {
			return flunk("a prompt of about %d tokens is answered without a choice", want)
		}
		if r.Usage == nil || r.Usage.Prompt == 0 {
			return pass("about %d tokens in %.2f s (the server does not count them)", want, took.Seconds())
		}
		n := r.Usage.Prompt
		p.doc.Measured.LongestPromptTokens = &n
		if n < want/4 {
			return flunk("%d words were sent, and the server counted %d tokens: the prompt was cut", want, n)
		}
		return pass("%d tokens in %.2f s", n, took.Seconds())
	}
}

// unstreamedLimit says how long an answer without streaming may take on the way to this address.
func (p *prover) unstreamedLimit(context.Context) verdict {
	u, err := url.Parse(p.e.BaseURL)
	if err != nil || !strings.HasSuffix(strings.ToLower(u.Hostname()), ".proxy.runpod.net") {
		return skip("no limit is known of the way to this address").extra()
	}
	limit := 100 // docs.runpod.io/pods/configuration/expose-ports: 524 when nothing comes for 100 s
	p.doc.Measured.UnstreamedSeconds = &limit
	if s := p.doc.Measured.TokensPerSecond; s != nil {
		n := int(*s * float64(limit))
		p.doc.Measured.UnstreamedMaxTokens = &n
		return pass("RunPod's proxy cuts an answer that has not begun after 100 s: stream whatever may be longer than about %d tokens", n).extra()
	}
	return pass("RunPod's proxy cuts an answer that has not begun after 100 s: stream long ones").extra()
}

// alive asks again at the end: an engine that died of the questions above did not pass them.
func (p *prover) alive(ctx context.Context) verdict {
	var err error
	for range 2 {
		if _, err = p.e.models(ctx, p.e.Key, min(p.o.Limit, 20*time.Second)); err == nil {
			return pass("still answers after the proof")
		}
	}
	return flunk("no longer answers after the proof: %s", words(err))
}
