package diagnose

import (
	"regexp"
	"strings"
)

var (
	refusedChoice = regexp.MustCompile(`argument (\S+?)[:/][^:]*?:? ?invalid choice: (.{1,80}?) \(choose from (.{1,300}?)\)`)
	refusedJSON   = regexp.MustCompile(`argument (\S+?)[:/].*?Value (.{1,200}?) cannot be converted to <function loads`)
	refusedValue  = regexp.MustCompile(`argument (\S+?)[:/].*?invalid (\w+) value: (.{1,80})$`)
	unknownParser = regexp.MustCompile(`invalid (tool call|reasoning) parser: (\S+)`)
)

// valueRemedy names the flag, the value it was given and what it takes, where the message holds them.
func valueRemedy(text string, out *Remedy) {
	switch {
	case refusedChoice.MatchString(text):
		m := refusedChoice.FindStringSubmatch(text)
		out.Text = m[1] + " does not take " + m[2] + ": one of " + strings.ReplaceAll(m[3], "'", "") + "."
	case refusedJSON.MatchString(text):
		m := refusedJSON.FindStringSubmatch(text)
		out.Text = m[1] + " takes JSON, and " + m[2] + " is none: keys and strings in double quotes, the whole in single ones of the shell."
	case refusedValue.MatchString(text):
		m := refusedValue.FindStringSubmatch(text)
		out.Text = m[1] + " takes " + withArticle(strings.ReplaceAll(m[2], "_", " ")) + ", and " + m[3] + " is none."
	case unknownParser.MatchString(text):
		m := unknownParser.FindStringSubmatch(text)
		out.Text = "This release has no " + m[1] + " parser " + m[2] + ": one of those the message lists."
	}
}

// withArticle is a kind of value as a sentence names it.
func withArticle(kind string) string {
	switch kind {
	case "int":
		return "a whole number"
	case "float":
		return "a number"
	case "human readable int", "human readable int or auto":
		return "a whole number, with k or M after it if you like"
	}
	if strings.ContainsRune("aeiou", rune(kind[0])) {
		return "an " + kind
	}
	return "a " + kind
}

// killedText says what a death without a word mostly is. The log does not prove it, so no cause is named.
const killedText = "A process of the engine was killed by a signal and could not say why. Mostly that is the kernel, for memory: look for OOMKilled or in dmesg, and give the machine more memory."
