package runpodsim

import "errors"

// process is a command to run, and who is told about it.
type process struct {
	program string
	argv    []string
	env     []string
	dir     string
	mark    string
	line    func(string)
	gone    func(code int)
}

// startProcess needs process groups.
func startProcess(process) (func(), error) {
	return nil, errors.New("start commands are run on Unix systems only")
}

func ownsPort(string, int) bool { return false }
