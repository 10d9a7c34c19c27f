package store

// Clean has everything that is stored from now on pass through text, and what machines say through line: secrets are taken out
// before they are on a disk. A document must still be one afterwards. Call it before the journal is used.
func (s *Journal) Clean(text, line func(string) string) { s.clean, s.cleanLine = text, line }

func (s *Journal) cleaned(doc []byte) string {
	text := string(doc)
	if s.clean != nil {
		text = s.clean(text)
	}
	return s.dialect.storable(text)
}
