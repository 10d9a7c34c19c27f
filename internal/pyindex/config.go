package pyindex

import (
	"bufio"
	"path/filepath"
	"strings"
)

// Configured finds the indexes the user's own tools ask, in order: UV_DEFAULT_INDEX, UV_INDEX_URL, PIP_INDEX_URL, pip's
// configuration files, else DefaultIndex; further ones of UV_INDEX, UV_EXTRA_INDEX_URL and PIP_EXTRA_INDEX_URL come after it.
// readFile returns a file's contents, or false when there is none; home is the user's home directory.
func Configured(env func(string) string, readFile func(path string) ([]byte, bool), home string) []string {
	var first string
	for _, name := range []string{"UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"} {
		if first == "" {
			first = bareIndex(env(name))
		}
	}
	var extra []string
	for _, path := range pipConfigs(env, home) {
		b, ok := readFile(path)
		if !ok {
			continue
		}
		url, more := pipConfig(string(b))
		if first == "" {
			first = url
		}
		extra = append(extra, more...)
	}
	for _, name := range []string{"UV_INDEX", "UV_EXTRA_INDEX_URL", "PIP_EXTRA_INDEX_URL"} {
		for _, u := range strings.Fields(env(name)) {
			extra = append(extra, bareIndex(u))
		}
	}
	if first == "" {
		first = DefaultIndex
	}
	return append([]string{first}, extra...)
}

// bareIndex drops the name uv allows before an index ("internal=https://…").
func bareIndex(s string) string {
	s = strings.TrimSpace(s)
	if name, u, ok := strings.Cut(s, "="); ok && !strings.ContainsAny(name, ":/") {
		return u
	}
	return s
}

// pipConfigs lists pip's configuration files, the one that wins first (https://pip.pypa.io/en/stable/topics/configuration/).
func pipConfigs(env func(string) string, home string) []string {
	if env("PIP_CONFIG_FILE") == "/dev/null" {
		return nil
	}
	var files []string
	if f := env("PIP_CONFIG_FILE"); f != "" {
		files = append(files, f)
	}
	if v := env("VIRTUAL_ENV"); v != "" {
		files = append(files, filepath.Join(v, "pip.conf"))
	}
	config := env("XDG_CONFIG_HOME")
	if config == "" && home != "" {
		config = filepath.Join(home, ".config")
	}
	if config != "" {
		files = append(files, filepath.Join(config, "pip", "pip.conf"))
	}
	if home != "" {
		files = append(files, filepath.Join(home, ".pip", "pip.conf"), filepath.Join(home, "Library", "Application Support", "pip", "pip.conf"))
	}
	return append(files, "/etc/pip.conf", "/etc/xdg/pip/pip.conf")
}

// pipConfig reads index-url and extra-index-url of the [global] and [install] sections.
func pipConfig(text string) (index string, extra []string) {
	section, key := "", ""
	sc := bufio.NewScanner(strings.NewReader(text))
	for sc.Scan() {
		line := sc.Text()
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';':
			continue
		case trimmed[0] == '[':
			section, key = strings.Trim(trimmed, "[]"), ""
			continue
		case line[0] != ' ' && line[0] != '\t':
			var value string
			i := strings.IndexAny(trimmed, "=:")
			if i < 0 {
				continue
			}
			key, value = strings.TrimSpace(trimmed[:i]), strings.TrimSpace(trimmed[i+1:])
			trimmed = value
		}
		if section != "global" && section != "install" {
			continue
		}
		switch strings.ReplaceAll(key, "_", "-") {
		case "index-url":
			if trimmed != "" {
				index = trimmed
			}
		case "extra-index-url":
			extra = append(extra, strings.Fields(trimmed)...)
		}
	}
	return index, extra
}
