package kubernetes

// ParseMark is parseMark, for tests.
var ParseMark = parseMark
