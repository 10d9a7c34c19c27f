package checkpoint

import (
	"encoding/json"
	"slices"
	"testing"
)

// TestUnpermute: GGUF keeps the two halves of a head's rows interleaved; row 2i+j goes back to row j*half+i.
func TestUnpermute(t *testing.T) {
	// Two heads of four rows and one column, as GGUF has them, each value telling its row in the original.
	interleaved := []float32{0, 2, 1, 3, 4, 6, 5, 7}
	if got, want := unpermute(interleaved, 8, 1, 2), []float32{0, 1, 2, 3, 4, 5, 6, 7}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestSentenceHasOneFollowerEach: a token that came twice would have two, and the answer no end.
func TestSentenceHasOneFollowerEach(t *testing.T) {
	seen := map[int]bool{}
	for _, token := range sentence {
		if seen[token] {
			t.Errorf("token %d comes twice", token)
		}
		seen[token] = true
	}
}

func TestRealIsWrittenWithAPoint(t *testing.T) {
	for v, want := range map[real]string{7: "7.0", 1e-5: "0.00001", 0.9: "0.9"} {
		if got, err := json.Marshal(v); err != nil || string(got) != want {
			t.Errorf("%s, %v, want %s", got, err, want)
		}
	}
}
