package cli

import "github.com/spf13/cobra"

// commands lists every command. Wiring to concrete adapters happens in this file alone.
func commands(w *World) []*cobra.Command {
	return []*cobra.Command{
		newCatalogCommand(w),
		newPlanCommand(w),
		newCheckCommand(w),
		newWhyNotCommand(w),
		newMatrixCommand(w),
		newDiagnoseCommand(w),
		newFitCommand(w),
		newDoctorCommand(w),
		newExportCommand(w),
		newVerifyCommand(w),
		newBenchCommand(w),
		newUpCommand(w),
		newPsCommand(w),
		newShowCommand(w),
		newLogsCommand(w),
		newEventsCommand(w),
		newDownCommand(w),
		newExtendCommand(w),
		newGCCommand(w),
		newLessonsCommand(w),
		newBundleCommand(w),
		newReplayCommand(w),
		newServeCommand(w),
		newSimCommand(w),
		newSimToolCommand(w),
		newTunnelCommand(w),
		newConfigCommand(w),
		newForwardCommand(w),
		newVersionCommand(w),
	}
}
