package vllmsim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// alike are parsers that read the same form.
var alike = [][]string{{"qwen3_coder", "qwen3_xml"}, {"glm45", "glm47"}, {"llama3_json", "llama4_json"}, {"pythonic", "llama4_pythonic"}}

// reads reports whether a tool parser reads what a model writes whose own parser is another.
func reads(parser, speaks string) bool {
	return parser == speaks || slices.ContainsFunc(alike, func(g []string) bool { return slices.Contains(g, parser) && slices.Contains(g, speaks) })
}

// written is a call in the form that a parser's models write, as their chat templates have it; special tokens, which the
// engine leaves out of text, are not there.
func written(parser, name, args string) string {
	switch parser {
	case "hermes":
		return fmt.Sprintf("<tool_call>\n{\"name\": %q, \"arguments\": %s}\n</tool_call>", name, args)
	case "llama3_json", "llama4_json":
		return fmt.Sprintf(`{"name": %q, "parameters": %s}`, name, args)
	case "qwen3_coder", "qwen3_xml":
		return "<tool_call>\n<function=" + name + ">\n" + eachArgument(args, "<parameter=%s>\n%v\n</parameter>\n") + "</function>\n</tool_call>"
	case "glm45", "glm47":
		return "<tool_call>" + name + "\n" + eachArgument(args, "<arg_key>%s</arg_key>\n<arg_value>%v</arg_value>\n") + "</tool_call>"
	case "pythonic", "llama4_pythonic":
		return "[" + name + "(" + strings.TrimSuffix(eachArgument(args, "%s=%q, "), ", ") + ")]"
	case "kimi_k2":
		return "functions." + name + ":0" + args
	case "openai":
		return "commentary to=functions." + name + " json" + args
	case "deepseek_v3":
		return "function" + name + "\n```json\n" + args + "\n```"
	default:
		return fmt.Sprintf(`[{"name": %q, "arguments": %s}]`, name, args)
	}
}

// eachArgument formats the arguments of a call one by one, by name.
func eachArgument(args, format string) string {
	var m map[string]any
	if json.Unmarshal([]byte(args), &m) != nil {
		return ""
	}
	var names []string
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	var b strings.Builder
	for _, n := range names {
		fmt.Fprintf(&b, format, n, fmt.Sprint(m[n]))
	}
	return b.String()
}
