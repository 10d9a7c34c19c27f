package launch

import "justright/catalog"

// Effect is something to do in the world. The state that asked for it is stored, with the effect, before it is
// performed. It is a sealed sum: the types of this file.
type Effect interface {
	effect()
	// Kind is a stable word for the journal.
	Kind() string
	// Subject is the attempt id it is about; empty for the whole task.
	Subject() string
}

// The effects.
type (
	// FindPlan asks the resolver for the next candidate, heeding Tried, Barren and Lessons of the state. Answers:
	// Planned, NoPlan.
	FindPlan struct{}
	// Create sends the one create call of an intent. Answers: Created, CreateFailed.
	Create struct{ Attempt string }
	// LookUp lists the account's machines to find an unanswered create. Answers: Listed, ListFailed.
	LookUp struct{ Attempt string }
	// Poll lists the account's machines once for all attempts. Answers: Listed, ListFailed.
	Poll struct{}
	// Follow follows a machine's logs from the last stored mark. Answers: Heard, GuardSaid, EngineReady, Failed,
	// Unfollowed.
	Follow struct{ Attempt, PodID string }
	// Prove proves the endpoint. Answer: Proved.
	Prove struct{ Attempt, BaseURL string }
	// SaveLogs fetches what the machine said before it is deleted. Answer: LogsSaved, always and soon.
	SaveLogs struct{ Attempt, PodID string }
	// Delete asks for removal. Answer: DeleteAnswered.
	Delete struct{ Attempt, PodID string }
	// Confirm asks whether a machine is still there. Answers: Denied, Present, Unsure.
	Confirm struct{ Attempt, PodID string }
	// Settle records the final cost of an attempt. No answer, or Billed.
	Settle struct{ Attempt string }
	// Learn records a lesson. No answer.
	Learn struct{ Lesson catalog.Lesson }
	// Tell says a change to the person. No answer.
	Tell struct{ Attempt, State, Detail string }
)

func (FindPlan) effect() {}
func (Create) effect()   {}
func (LookUp) effect()   {}
func (Poll) effect()     {}
func (Follow) effect()   {}
func (Prove) effect()    {}
func (SaveLogs) effect() {}
func (Delete) effect()   {}
func (Confirm) effect()  {}
func (Settle) effect()   {}
func (Learn) effect()    {}
func (Tell) effect()     {}
func (Stop) effect()     {}

func (FindPlan) Kind() string { return "find-plan" }
func (Create) Kind() string   { return "create" }
func (LookUp) Kind() string   { return "look-up" }
func (Poll) Kind() string     { return "poll" }
func (Follow) Kind() string   { return "follow" }
func (Prove) Kind() string    { return "prove" }
func (SaveLogs) Kind() string { return "save-logs" }
func (Delete) Kind() string   { return "delete" }
func (Confirm) Kind() string  { return "confirm" }
func (Settle) Kind() string   { return "settle" }
func (Learn) Kind() string    { return "learn" }
func (Tell) Kind() string     { return "tell" }
func (Stop) Kind() string     { return "stop" }

func (FindPlan) Subject() string   { return "" }
func (e Create) Subject() string   { return e.Attempt }
func (e LookUp) Subject() string   { return e.Attempt }
func (Poll) Subject() string       { return "" }
func (e Follow) Subject() string   { return e.Attempt }
func (e Prove) Subject() string    { return e.Attempt }
func (e SaveLogs) Subject() string { return e.Attempt }
func (e Delete) Subject() string   { return e.Attempt }
func (e Confirm) Subject() string  { return e.Attempt }
func (e Settle) Subject() string   { return e.Attempt }
func (Learn) Subject() string      { return "" }
func (e Tell) Subject() string     { return e.Attempt }
func (Stop) Subject() string       { return "" }
