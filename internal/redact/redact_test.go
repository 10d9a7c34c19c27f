package redact

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestKnownSecretsInEveryForm(t *testing.T) {
	t.Parallel()
	const secret = `p@ss "w'ord\ 9/+`
	r := New(secret, "abc", "")
	for _, text := range []string{
		secret, inJSON(secret, false), inJSON(inJSON(secret, true), true), "https://u:p%40ss%20%22w%27ord%5C%209%2F+@h", "postgres://u:p%40ss%20%22w%27ord%5C%209%2F+@h", "ssh://u:p%40ss%20%22w%27ord%5C%209%2F+@h", "x=p%40ss+%22w%27ord%5C+9%2F%2B&y",
		`'p@ss "w'\''ord\ 9/+'`, "cEBzcyAidydvcmRcIDkvKw==", "cEBzcyAidydvcmRcIDkvKw", "cEBzcyAidydvcmRcIDkvKwo=",
	} {
		if got := r.Text("before " + text + " after"); strings.Contains(got, "ord") || strings.Contains(got, "cEBz") || !strings.HasPrefix(got, "before ") || !strings.Contains(got, Mark) {
			t.Errorf("%q becomes %q", text, got)
		}
	}
	if got := r.Text("abc is a word"); got != "abc is a word" {
		t.Errorf("a short secret eats words: %q", got)
	}
	doc, err := json.Marshal(map[string]string{"a": secret, "b": `ends in \`})
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]string
	if err := json.Unmarshal([]byte(r.Text(string(doc))), &m); err != nil || m["a"] != Mark {
		t.Errorf("a document is none afterwards: %v, %v", err, m)
	}
	for _, quoted := range []string{
		`{"a":"line\nhf_0123456789abcdefghij"}`, `{"a":"x\tsk-0123456789abcdefghij"}`, `{"u":"https://h/?a=1\u0026token=hf0123456789abcdefghij"}`, `{"a":"x\nBearer hf0123456789abcdefghij"}`,
	} {
		if got := r.Text(quoted); strings.Contains(got, "0123456789") || !json.Valid([]byte(got)) {
			t.Errorf("%s becomes %s", quoted, got)
		}
	}
	if got := New("a<b>&c=1").Text(`{"a":"a\u003cb\u003e\u0026c=1"}`); got != `{"a":"`+Mark+`"}` {
		t.Errorf("an escape hides a secret: %s", got)
	}
	half := New(`trailing\`) // its plain form is half of its escaped one
	if got := half.Text(`{"a":"trailing\\"}`); got != `{"a":"`+Mark+`"}` {
		t.Errorf("half of an escape stays: %s", got)
	}
}

func TestWhatIsNoSecretStays(t *testing.T) {
	t.Parallel()
	var r Redactor
	for _, s := range []string{
		"uv pip install hf_transfer hf-xet", "disk-space-of-a-machine task-id-0123456789abcdef", "basic functionality of a bearer of news",
		"max_tokens: 131072, num_tokens=4096000000", "eos_token: '<|endoftext|>'", "export HF_TOKEN=...", "https://huggingface.co/api/models/x?blobs=true",
		"vllm/vllm-openai@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "mail me@example.com, see https://example.com/a",
		"key in /home/me/.local/state/justright/keys/0123456789abcdef", "ValueError: Token id 151643 is out of vocabulary", "--api-key KEYFILE",
		"KeyError: 'layers.0.self_attn.qkv_proj.weight'", "Authorization: Bearer $VLLM_API_KEY", "token budget reached", "Generation throughput: 12.5 tokens/s",
		"https://cdn.example.com/file?Expires=1&v=2", "INFO tokenizer=deepseek-ai/DeepSeek-V3, tokenizer_mode=auto", "sha256-token-bucket", "--on ssh://root@10.0.0.7:2222 and ssh://user@host", "postgres://user@host/database",
	} {
		if got := r.Said(s); got != s {
			t.Errorf("%q becomes %q", s, got)
		}
	}
}

func TestAddress(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{
		{"https://u:p@h.example/a/b.whl", "https://h.example/a/b.whl"},
		{"https://token@h.example/a", "https://h.example/a"},
		{"https://h.example/a?x=1&api_key=k&Signature=s&sig=t", "https://h.example/a?x=1"},
		{"https://h.example/a?x=1", "https://h.example/a?x=1"},
	} {
		if got := Address(c[0]); got != c[1] {
			t.Errorf("%s becomes %s, want %s", c[0], got, c[1])
		}
	}
}

// FuzzText: a known secret of letters and digits never comes through, a document stays a document, and twice is once.
func FuzzText(f *testing.F) {
	f.Add("secret99", "https://u:secret99@h/?token=secret99 Bearer secret99")
	f.Add(`qu"ote\`, `{"a":"x"}`)
	f.Add("a\nbc\td\\e", `hf_0123456789abcdefghij`)
	f.Fuzz(func(t *testing.T, secret, text string) {
		r := New(secret)
		doc, err := json.Marshal(map[string]string{"k": text, "s": secret + text})
		if err != nil {
			t.Fatal(err)
		}
		clean := r.Text(string(doc))
		if s := strings.TrimSpace(secret); len(s) >= shortest && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789") == "" && !strings.Contains(Mark, s) && strings.Contains(clean, s) {
			t.Fatalf("%q is in %s", s, clean)
		}
		// A secret that begins as the digits of an escape end may be found inside one; no key does so by chance.
		inEscape := secret != "" && strings.ContainsRune("0123456789abcdef", rune(secret[0])) && strings.Contains(string(doc), `\u`)
		if !strings.ContainsAny(secret, `",:{}`) && !inEscape && !json.Valid([]byte(clean)) {
			t.Fatalf("%q makes %s of %s", secret, clean, doc)
		}
	})
}
