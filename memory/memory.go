// Package memory predicts the GPU memory a stack needs, term by term, the way vLLM accounts for it.
package memory
