package diagnose

// Step is what a launch does after a failure.
type Step string

// The steps.
const (
	NoStep     Step = "none"       // nothing is broken
	WaitLonger Step = "wait"       // read on: the log does not decide yet
	RetrySame  Step = "retry_same" // the same plan on the same kind of machine, once
	NextHost   Step = "next_host"  // the same plan, but not on this host, data centre or address
	NextPlan   Step = "next_plan"  // the lesson changes the plan: solve again
	StopLaunch Step = "stop"       // no plan can help: the cause is shared by all
)

// NextStep is what to do after a failure of this cause. A cause nobody knows is tried once more with the next plan,
// since repeating an unexplained failure costs the same again.
func NextStep(c Code) Step {
	info, ok := Of(c)
	if !ok {
		return NextPlan
	}
	return info.Next
}
