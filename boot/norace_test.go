//go:build !race

package boot_test

// raced says that the race detector is on.
const raced = false
