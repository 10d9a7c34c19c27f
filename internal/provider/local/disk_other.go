//go:build !unix

package local

func diskFree(string) int64 { return 0 }
