package justright_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	mdLink    = regexp.MustCompile(`\]\(([^)\s]+)(?: "[^"]*")?\)`)
	mdHeading = regexp.MustCompile("(?m)^#+ +(.+?) *$")
	mdFence   = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	slugDrops = regexp.MustCompile(`[^\p{L}\p{N}_\- ]`)
)

// slug is the anchor that GitHub gives a heading.
func slug(heading string) string {
	return strings.ReplaceAll(slugDrops.ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}

// TestLinksResolve holds that every link of our pages to a file or a heading of this repository leads there.
func TestLinksResolve(t *testing.T) {
	pages, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir("docs", func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".md") {
			pages = append(pages, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	links := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range mdLink.FindAllStringSubmatch(mdFence.ReplaceAllString(string(text), ""), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			links++
			file, anchor, _ := strings.Cut(m[1], "#")
			target := page
			if file != "" {
				target = filepath.Join(filepath.Dir(page), file)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which is not there", page, m[1])
				continue
			}
			if anchor != "" && strings.HasSuffix(target, ".md") && !hasHeading(t, target, anchor) {
				t.Errorf("%s links to %s: no such heading", page, m[1])
			}
		}
	}
	if links == 0 {
		t.Error("no link was found in any page")
	}
}

func hasHeading(t *testing.T, page, anchor string) bool {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mdHeading.FindAllStringSubmatch(mdFence.ReplaceAllString(string(text), ""), -1) {
		if slug(m[1]) == anchor {
			return true
		}
	}
	return false
}
