// Package boot turns a stack into the start script of its machine: POSIX sh, rendered from a typed value,
// byte-identical for equal input, with phases that print one parseable line at start and end.
package boot
