package inpod

// become is for Unix systems: pods run nowhere else.
func (c *Call) become(program string, _ []string) int {
	c.err("%s: cannot be started here", program)
	return 126
}
