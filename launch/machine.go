package launch

import (
	"justright/diagnose"
	"justright/problem"
)

// SameHere reports whether every plan on one machine meets a cause again: it lies in the machine, or in what it cannot
// reach. Where there is one machine only nothing further is to be tried, and what it teaches is true of nowhere else.
func SameHere(cause string) bool { return ofMachine(cause) || outOfReach(cause) }

// ofMachine reports whether a cause lies in the machine, not in the plan: its disk, its memory, its port, its Python.
func ofMachine(cause string) bool {
	switch diagnose.Code(cause) {
	case diagnose.DiskFull, diagnose.ImageDiskFull, diagnose.HostOOMKilled, diagnose.SHMTooSmall, diagnose.ThreadLimit, diagnose.PortInUse,
		diagnose.ExecNotFound, diagnose.ExecPermissionDenied, diagnose.PythonVersionUnsupported, diagnose.PythonVenvMissing:
		return true
	default:
		return false
	}
}

// outOfReach reports whether a cause is that something on the net does not answer.
func outOfReach(cause string) bool {
	switch diagnose.Code(cause) {
	case diagnose.HFUnreachable, diagnose.HFRateLimited, diagnose.PipDownloadTimeout, diagnose.ImageRegistryUnreachable, diagnose.ImagePullRateLimited:
		return true
	default:
		return false
	}
}

// exitOf is the exit status of a cause that no plan can cure.
func exitOf(cause string) problem.Exit {
	switch {
	case cause == string(diagnose.GatedRepo), cause == string(diagnose.HFUnauthorized):
		return problem.ExitCredentials
	case ofMachine(cause), outOfReach(cause), cause == string(diagnose.ProviderNoCapacity):
		return problem.ExitCapacity
	}
	return problem.ExitNotProven
}
