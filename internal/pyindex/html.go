package pyindex

import (
	"fmt"
	"html"
	"net/url"
	"regexp"
	"strings"
)

// The page of PEP 503 is a list of anchors. Attributes may be quoted either way or not at all.
var (
	anchor    = regexp.MustCompile(`(?is)<a\s+([^>]*?)/?>(.*?)</a\s*>`)
	baseHref  = regexp.MustCompile(`(?is)<base\s+([^>]*?)/?>`)
	attribute = regexp.MustCompile(`(?s)([a-zA-Z][a-zA-Z0-9:-]*)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?`)
	tag       = regexp.MustCompile(`(?s)<[^>]*>`)
)

func parseHTML(base *url.URL, body []byte) ([]File, error) {
	text := string(body)
	if !strings.Contains(strings.ToLower(text[:min(len(text), 4096)]), "<") {
		return nil, fmt.Errorf("neither PEP 691 JSON nor PEP 503 HTML")
	}
	if m := baseHref.FindStringSubmatch(text); m != nil {
		if ref, err := url.Parse(attributes(m[1])["href"]); err == nil {
			base = base.ResolveReference(ref)
		}
	}
	var files []File
	for _, m := range anchor.FindAllStringSubmatch(text, -1) {
		// A specifier's > inside a quoted attribute ends the match early; take the attributes up to the real end.
		at := attributes(openingTag(m[0]))
		if at["href"] == "" {
			continue
		}
		name := strings.TrimSpace(html.UnescapeString(tag.ReplaceAllString(m[2], "")))
		if i := strings.LastIndexByte(name, '>'); i >= 0 {
			name = strings.TrimSpace(name[i+1:])
		}
		f, err := newFile(base, name, at["href"])
		if err != nil {
			return nil, err
		}
		f.RequiresPython = at["data-requires-python"]
		_, f.Yanked = at["data-yanked"]
		meta, has := at["data-core-metadata"]
		if !has {
			meta, has = at["data-dist-info-metadata"]
		}
		f.HasMetadata = has && meta != "false"
		f.MetadataSHA256 = strings.TrimPrefix(meta, "sha256=")
		if f.MetadataSHA256 == "true" || f.MetadataSHA256 == meta {
			f.MetadataSHA256 = ""
		}
		files = append(files, f)
	}
	return files, nil
}

// openingTag is the opening tag of an anchor, up to the first > outside quotes.
func openingTag(a string) string {
	var quote byte
	for i := 2; i < len(a); i++ {
		switch c := a[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			return a[2:i]
		}
	}
	return a
}

func attributes(s string) map[string]string {
	out := map[string]string{}
	for _, m := range attribute.FindAllStringSubmatch(s, -1) {
		out[strings.ToLower(m[1])] = html.UnescapeString(m[2] + m[3] + m[4])
	}
	return out
}
