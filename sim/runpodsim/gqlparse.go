package runpodsim

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// gqlField is one selected field: name, alias, arguments with variables already put in, and what is selected below it.
type gqlField struct {
	alias, name string
	args        map[string]any
	sel         []gqlField
}

// gqlDoc is the one operation of a request.
type gqlDoc struct {
	mutation bool
	sel      []gqlField
}

// gqlParser reads the part of GraphQL that clients use: operations, fragments, arguments, variables.
type gqlParser struct {
	src   string
	pos   int
	vars  map[string]any
	frags map[string][]gqlField
	depth int
}

// parseGraphQL reads a document and picks the operation called name, or the only one.
func parseGraphQL(src string, vars map[string]any, name string) (doc gqlDoc, err error) {
	defer func() {
		if v := recover(); v != nil {
			e, ok := v.(gqlSyntax)
			if !ok {
				panic(v)
			}
			err = e
		}
	}()
	p := &gqlParser{src: src, vars: vars, frags: map[string][]gqlField{}}
	// Fragments may stand behind their use: read them first.
	p.document(true)
	p.pos = 0
	for _, o := range p.document(false) {
		if name == "" || o.name == name {
			return o.doc, nil
		}
	}
	return doc, gqlSyntax("Must provide an operation.")
}

type gqlSyntax string

func (e gqlSyntax) Error() string { return string(e) }

type gqlOp struct {
	name string
	doc  gqlDoc
}

func (p *gqlParser) fail(format string, args ...any) {
	panic(gqlSyntax("Syntax Error: " + fmt.Sprintf(format, args...)))
}

func (p *gqlParser) document(first bool) []gqlOp {
	var ops []gqlOp
	for p.skip(); p.pos < len(p.src); p.skip() {
		if p.peek() == '{' {
			ops = append(ops, gqlOp{"", gqlDoc{sel: p.selection()}})
			continue
		}
		switch w := p.word(); w {
		case "query", "mutation", "subscription":
			op := gqlOp{doc: gqlDoc{mutation: w == "mutation"}}
			if p.skip(); isNameStart(p.peek()) {
				op.name = p.word()
			}
			p.variableDefinitions()
			p.directives()
			op.doc.sel = p.selection()
			ops = append(ops, op)
		case "fragment":
			name := p.word()
			if p.word() != "on" {
				p.fail("Expected \"on\"")
			}
			p.word()
			p.directives()
			sel := p.selection()
			if first {
				p.frags[name] = sel
			}
		default:
			p.fail("Unexpected Name %q.", w)
		}
	}
	return ops
}

// variableDefinitions takes over default values; types are not checked.
func (p *gqlParser) variableDefinitions() {
	if p.skip(); p.peek() != '(' {
		return
	}
	p.pos++
	for p.skip(); p.peek() != ')'; p.skip() {
		p.expect('$')
		name := p.word()
		p.expect(':')
		p.skip()
		for p.pos < len(p.src) && strings.ContainsRune("[]! ", rune(p.peek())) || isName(p.peek()) {
			p.pos++
		}
		if p.skip(); p.peek() == '=' {
			p.pos++
			v := p.value()
			if _, ok := p.vars[name]; !ok {
				if p.vars == nil {
					p.vars = map[string]any{}
				}
				p.vars[name] = v
			}
		}
	}
	p.pos++
}

func (p *gqlParser) directives() {
	for p.skip(); p.peek() == '@'; p.skip() {
		p.pos++
		p.word()
		p.arguments()
	}
}

func (p *gqlParser) selection() []gqlField {
	if p.depth++; p.depth > 40 {
		p.fail("Document is nested too deeply.")
	}
	defer func() { p.depth-- }()
	p.expect('{')
	var out []gqlField
	for p.skip(); p.peek() != '}'; p.skip() {
		if strings.HasPrefix(p.src[p.pos:], "...") {
			p.pos += 3
			out = append(out, p.spread()...)
			continue
		}
		f := gqlField{name: p.word()}
		f.alias = f.name
		if p.skip(); p.peek() == ':' {
			p.pos++
			f.name = p.word()
		}
		f.args = p.arguments()
		p.directives()
		if p.skip(); p.peek() == '{' {
			f.sel = p.selection()
		}
		out = append(out, f)
	}
	p.pos++
	return out
}

// spread reads what follows "...": an inline fragment, or a name.
func (p *gqlParser) spread() []gqlField {
	p.skip()
	if isNameStart(p.peek()) {
		w := p.word()
		if w != "on" {
			p.directives()
			return p.frags[w]
		}
		p.word()
	}
	p.directives()
	return p.selection()
}

func (p *gqlParser) arguments() map[string]any {
	args := map[string]any{}
	if p.skip(); p.peek() != '(' {
		return args
	}
	p.pos++
	for p.skip(); p.peek() != ')'; p.skip() {
		name := p.word()
		p.expect(':')
		args[name] = p.value()
	}
	p.pos++
	return args
}

// value reads a literal or a variable. Enum words become strings.
func (p *gqlParser) value() any {
	if p.depth++; p.depth > 60 {
		p.fail("Document is nested too deeply.")
	}
	defer func() { p.depth-- }()
	p.skip()
	switch c := p.peek(); {
	case c == '$':
		p.pos++
		return p.vars[p.word()]
	case c == '"':
		return p.text()
	case c == '[':
		p.pos++
		out := []any{}
		for p.skip(); p.peek() != ']'; p.skip() {
			out = append(out, p.value())
		}
		p.pos++
		return out
	case c == '{':
		p.pos++
		out := map[string]any{}
		for p.skip(); p.peek() != '}'; p.skip() {
			k := p.word()
			p.expect(':')
			out[k] = p.value()
		}
		p.pos++
		return out
	case c == '-' || c >= '0' && c <= '9':
		start := p.pos
		for p.pos < len(p.src) && strings.IndexByte("+-.eE0123456789", p.src[p.pos]) >= 0 {
			p.pos++
		}
		f, err := strconv.ParseFloat(p.src[start:p.pos], 64)
		if err != nil {
			p.fail("Invalid number %q.", p.src[start:p.pos])
		}
		return f
	default:
		switch w := p.word(); w {
		case "true":
			return true
		case "false":
			return false
		case "null":
			return nil
		default:
			return w
		}
	}
}

func (p *gqlParser) text() string {
	if strings.HasPrefix(p.src[p.pos:], `"""`) {
		end := strings.Index(p.src[p.pos+3:], `"""`)
		if end < 0 {
			p.fail("Unterminated string.")
		}
		s := p.src[p.pos+3 : p.pos+3+end]
		p.pos += end + 6
		return s
	}
	var b strings.Builder
	for p.pos++; ; p.pos++ {
		switch c := p.peek(); c {
		case 0, '\n', '\r':
			p.fail("Unterminated string.")
		case '"':
			p.pos++
			return b.String()
		case '\\':
			p.pos++
			p.escape(&b)
		default:
			b.WriteByte(c)
		}
	}
}

func (p *gqlParser) escape(b *strings.Builder) {
	switch c := p.peek(); c {
	case 'n':
		b.WriteByte('\n')
	case 't':
		b.WriteByte('\t')
	case 'r':
		b.WriteByte('\r')
	case 'b':
		b.WriteByte('\b')
	case 'f':
		b.WriteByte('\f')
	case '"', '\\', '/':
		b.WriteByte(c)
	case 'u':
		if p.pos+4 >= len(p.src) {
			p.fail("Invalid Unicode escape sequence.")
		}
		n, err := strconv.ParseUint(p.src[p.pos+1:p.pos+5], 16, 32)
		if err != nil || !utf8.ValidRune(rune(n)) {
			p.fail("Invalid Unicode escape sequence.")
		}
		b.WriteRune(rune(n))
		p.pos += 4
	default:
		p.fail("Invalid character escape sequence: \"\\%c\".", c)
	}
}

func (p *gqlParser) skip() {
	for p.pos < len(p.src) {
		switch p.src[p.pos] {
		case ' ', '\t', '\n', '\r', ',':
			p.pos++
		case '#':
			for p.pos < len(p.src) && p.src[p.pos] != '\n' {
				p.pos++
			}
		default:
			return
		}
	}
}

func (p *gqlParser) peek() byte {
	if p.pos >= len(p.src) {
		return 0
	}
	return p.src[p.pos]
}

func (p *gqlParser) expect(c byte) {
	p.skip()
	if p.peek() != c {
		p.fail("Expected %q, found %q.", string(c), string(p.peek()))
	}
	p.pos++
}

func (p *gqlParser) word() string {
	p.skip()
	start := p.pos
	if !isNameStart(p.peek()) {
		p.fail("Expected Name, found %q.", string(p.peek()))
	}
	for isName(p.peek()) {
		p.pos++
	}
	return p.src[start:p.pos]
}

func isNameStart(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func isName(c byte) bool { return isNameStart(c) || c >= '0' && c <= '9' }
