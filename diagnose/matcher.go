package diagnose

import (
	"encoding/binary"
	"sort"
)

// window is how many bytes of each literal the search looks at; no literal is shorter. block is the part of the
// window that is hashed: a wrong block lets the search jump ahead by up to window-block+1 bytes.
const (
	window   = 8
	block    = 4
	hashBits = 15
)

// index finds many literals in one pass, whatever their case. It is the method of Wu and Manber ("A fast algorithm
// for multi-pattern searching", TR-94-17, University of Arizona, 1994): text without literals is mostly jumped over,
// so a noisy log costs less than one step a byte.
type index struct {
	shift [1 << hashBits]uint8 // how far to jump when this block ends the window
	heads [1 << hashBits]int32 // first entry of next with this block at the window's end, or -1
	next  []entry
	lits  []string
}

// entry is one literal in a chain of those that share the last block of their window.
type entry struct {
	lit    int32
	offset int32 // where in the literal its window begins
	next   int32
}

// fold makes letters small. It is exact for ASCII letters and leaves every other byte alone.
func fold(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// hashBlock hashes four bytes with the case bit set, so that it may be computed on text as it stands.
func hashBlock(v uint32) uint32 { return ((v | 0x20202020) * 0x9E3779B1) >> (32 - hashBits) }

// newIndex prepares the search for lits, which must be in lower case and at least window bytes long.
func newIndex(lits []string) *index {
	x := &index{lits: lits}
	for i := range x.shift {
		x.shift[i] = window - block + 1
		x.heads[i] = -1
	}
	for i, l := range lits {
		if len(l) < window {
			panic("diagnose: literal shorter than the search window: " + l)
		}
		off := rarestWindow(l)
		for p := 0; p+block <= window; p++ {
			h := hashBlock(binary.LittleEndian.Uint32([]byte(l[off+p : off+p+block])))
			if d := uint8(window - block - p); d < x.shift[h] {
				x.shift[h] = d
			}
		}
		h := hashBlock(binary.LittleEndian.Uint32([]byte(l[off+window-block : off+window])))
		x.next = append(x.next, entry{lit: int32(i), offset: int32(off), next: x.heads[h]})
		x.heads[h] = int32(len(x.next) - 1)
	}
	return x
}

// rarestWindow picks the window of a literal that a log is least likely to hold by chance: the one whose last block
// has the rarest letters.
func rarestWindow(l string) int {
	const byFrequency = "etaoinsrlcdu pmgf_.hby0:v-1w/2k34x5,6q'z=879\"()j" // in launch logs, most frequent first
	cost := func(c byte) int {
		for i := range len(byFrequency) {
			if byFrequency[i] == c {
				return i
			}
		}
		return len(byFrequency)
	}
	best, bestScore := 0, -1
	for off := 0; off+window <= len(l); off++ {
		score := 0
		for i := off + window - block; i < off+window; i++ {
			score += cost(l[i])
		}
		if score > bestScore {
			best, bestScore = off, score
		}
	}
	return best
}

// match is one literal found in a text.
type match struct {
	lit        int32
	start, end int
}

// scan appends to found every literal of buf[from:] in the order of their start.
func (x *index) scan(buf []byte, from int, found []match) []match {
	first := len(found)
	n := len(buf)
	for i := from + window; i <= n; {
		h := hashBlock(binary.LittleEndian.Uint32(buf[i-block : i]))
		if s := x.shift[h]; s > 0 {
			i += int(s)
			continue
		}
		for e := x.heads[h]; e >= 0; e = x.next[e].next {
			l := x.lits[x.next[e].lit]
			start := i - window - int(x.next[e].offset)
			if start < from || start+len(l) > n || !equalFold(buf[start:start+len(l)], l) {
				continue
			}
			found = append(found, match{x.next[e].lit, start, start + len(l)})
		}
		i++
	}
	if len(found)-first > 1 {
		tail := found[first:]
		sort.SliceStable(tail, func(a, b int) bool { return tail[a].start < tail[b].start })
	}
	return found
}

func equalFold(b []byte, lower string) bool {
	for i := range b {
		if fold(b[i]) != lower[i] {
			return false
		}
	}
	return true
}
