// Package version holds the version schemes the resolver reasons about, each as a type of its own, so that a
// CUDA version can never be compared with a vLLM version: PEP 440 releases, CUDA, NVIDIA drivers, compute
// capabilities and glibc, and the algebra of sets over them.
package version
