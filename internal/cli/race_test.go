//go:build race

package cli

// raced: the race detector makes a plan ten times dearer, and the worlds' oracle tries two hundred one after another.
const raced = true
