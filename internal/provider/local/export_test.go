package local

// DirOf is where an instance lives, for tests that look into it.
func DirOf(p *Provider, id string) string { return p.dir(id) }
