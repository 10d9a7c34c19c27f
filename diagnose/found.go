package diagnose

import "bytes"

// take applies what one literal means.
func (r *Reader) take(h *hit, lit int32) {
	for _, u := range r.rules.uses[lit] {
		if u.mark != nil {
			if u.mark.act != nil && !u.mark.blind || u.mark.and != "" || u.mark.not != "" {
				h.fill()
			}
			if (u.mark.and == "" || hasAny(h.near, u.mark.and)) && (u.mark.not == "" || !hasAny(h.near, u.mark.not)) {
				r.mark(h, u.mark)
			}
			continue
		}
		if r.settled[u.id] == r.situation() {
			continue // it held before in this phase: the first time counts
		}
		h.fill()
		if !u.rule.matches(h) {
			continue
		}
		if h.leveled != h.col+1 {
			h.level = levelAt(h.raw, h.lower, h.col)
			h.leveled = h.col + 1
		}
		h.rule = u.rule
		code, t := u.rule.code, u.rule.tier
		if u.rule.refine != nil {
			if code, t = u.rule.refine(h); t == 0 {
				continue
			}
		}
		if r.found(h, code, t) && t >= u.rule.tier {
			r.settled[u.id] = r.situation()
		}
	}
}

// situation is a number for the attempt, its phase and whether it serves; never 0.
func (r *Reader) situation() uint32 {
	n := uint32(r.restarts)<<6 | uint32(r.now.current)<<1
	if r.now.ready {
		n |= 1
	}
	return n + 1
}

// found remembers a rule that held, and reports whether it is believed.
func (r *Reader) found(h *hit, code Code, t tier) bool {
	if h.level == levelQuiet && !h.rule.quiet {
		return false
	}
	if t == root && bytes.HasSuffix(h.lower[:h.col], []byte("raise ")) {
		t = soft // a line of source; the message follows
	}
	a := r.now
	if a.ready && h.level == levelQuiet && code != StoppedFromOutside && code != GPUHardwareError {
		return false // once a server serves, its informing lines quote what users write
	}
	key := findingKey{code, t, a.ready}
	first := a.found[key]
	if first != nil && (first.last != nil && first.last.phase == a.current || first.phase == a.current) {
		return true
	}
	a.sequence++
	f := &finding{
		rule: h.rule, code: code, tier: t, line: h.line, col: h.col, text: excerpt(h.raw, h.col), level: h.level,
		phase: a.current, after: a.ready, seq: a.sequence,
	}
	if first != nil { // said again after the launch went on: the first time was not the end
		first.last = f
		return true
	}
	a.found[key] = f
	switch {
	case code == StoppedFromOutside:
		if a.stop == nil {
			a.stop = f
		}
	case t == wrapper && code == GenericWrapperOnly:
		if a.death == nil || a.ready && !a.death.after {
			a.death = f
		}
	}
	return true
}

// excerpt is a line as evidence, cut around col when it is long.
func excerpt(raw []byte, col int) string {
	if len(raw) > maxText {
		from := max(0, min(col-80, len(raw)-maxText))
		raw = raw[from:min(len(raw), from+maxText)]
	}
	return string(bytes.ToValidUTF8(bytes.TrimSpace(raw), nil))
}

// note remembers where something of the context was seen.
func (r *Reader) note(name string, h *hit) { r.context[name] = h.line }

// recently reports whether a note was made in the last n lines.
func (h *hit) recently(name string, n int) bool {
	l, ok := h.r.context[name]
	return ok && h.line-l <= n
}

func lowerInto(dst, src []byte) []byte {
	n := len(dst)
	dst = append(dst, src...)
	for i := n; i < len(dst); i++ {
		if c := dst[i]; c-'A' <= 'Z'-'A' {
			dst[i] = c + ('a' - 'A')
		}
	}
	return dst
}

func containsString(b []byte, s string) bool {
	if len(s) > len(b) {
		return false
	}
	c := s[0]
	for i := 0; i+len(s) <= len(b); {
		j := bytes.IndexByte(b[i:len(b)-len(s)+1], c)
		if j < 0 {
			return false
		}
		i += j
		if string(b[i:i+len(s)]) == s {
			return true
		}
		i++
	}
	return false
}

func indexByteString(s string, c byte) int {
	for i := range len(s) {
		if s[i] == c {
			return i
		}
	}
	return -1
}
