package store

// Clean has everything that is stored from now on pass through text, and what machines say through line: secrets are taken out
// before they are on a disk. A document must still be one afterwards. Call it before the journal is used.
func (s *SQLite) Clean(text, line func(string) string) { s.clean, s.cleanLine = text, line }

func (s *SQLite) cleaned(doc []byte) string {
	if s.clean == nil {
		return string(doc)
	}
	return s.clean(string(doc))
}
