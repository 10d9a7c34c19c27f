package cli

import "github.com/spf13/cobra"

// commands lists every command. Wiring to concrete adapters happens in this file alone.
func commands(w *World) []*cobra.Command {
	return []*cobra.Command{
		newCatalogCommand(w),
		newPlanCommand(w),
		newCheckCommand(w),
		newWhyNotCommand(w),
		newDiagnoseCommand(w),
		newFitCommand(w),
		newDoctorCommand(w),
		newVerifyCommand(w),
		newBenchCommand(w),
		newSimCommand(w),
		newSimToolCommand(w),
	}
}
