package store

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"justright/catalog"
	"justright/launch"
)

// Memory is a journal that lasts as long as the process: for a server without a disk and for the chaos run. It
// passes the same suite as SQLite.
type Memory struct {
	mu       sync.Mutex // guards everything below
	owner    string
	order    []string
	tasks    map[string]*memoryTask
	leases   map[string]*memoryLease
	effects  []Effect
	answers  map[string][]launch.Instance
	logs     map[string][]LogLine
	events   map[string][]EventLine
	costs    map[string]Cost
	proofs   map[string][]byte
	lessons  []catalog.Lesson
	settings map[string]string
	lines    int64
}

type memoryTask struct {
	doc       []byte
	version   int64
	wanted    launch.Wanted
	wantedWhy string
	updated   time.Time
	name      string
	over      bool
}

type memoryLease struct {
	holder Holder
	token  int64
	until  time.Time
}

// NewMemory makes an empty journal.
func NewMemory() *Memory {
	return &Memory{
		owner: newID(), tasks: map[string]*memoryTask{}, leases: map[string]*memoryLease{},
		answers: map[string][]launch.Instance{}, logs: map[string][]LogLine{}, events: map[string][]EventLine{},
		costs: map[string]Cost{}, proofs: map[string][]byte{}, settings: map[string]string{},
	}
}

// Close does nothing.
func (m *Memory) Close() error { return nil }

// Owner is the journal's id.
func (m *Memory) Owner(context.Context) (string, error) { return m.owner, nil }

// Begin records a new task.
func (m *Memory) Begin(_ context.Context, st launch.State) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.begin(st)
}

// BeginAlone records a new task of a model that does not run on its target.
func (m *Memory) BeginAlone(_ context.Context, st launch.State) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range m.order {
		t, err := m.tasks[id].task()
		if err != nil {
			return err
		}
		if !m.tasks[id].over && t.Wanted != launch.WantGone && t.State.Model == st.Model && t.State.Target == st.Target {
			return &RunningError{id}
		}
	}
	return m.begin(st)
}

// begin is Begin for a holder of the lock.
func (m *Memory) begin(st launch.State) error {
	doc, err := json.Marshal(st)
	if err != nil {
		return err
	}
	for _, t := range m.tasks {
		if t.name == st.Name && !t.over {
			return ErrExists
		}
	}
	m.tasks[st.ID] = &memoryTask{doc, 1, st.Wanted, st.WantedWhy, st.Started, st.Name, st.Over()}
	m.order = append(m.order, st.ID)
	return nil
}

func (t *memoryTask) task() (Task, error) {
	out := Task{Version: t.version, Wanted: t.wanted, WantedWhy: t.wantedWhy, Updated: t.updated.UTC()}
	return out, json.Unmarshal(t.doc, &out.State)
}

// Task returns one task.
func (m *Memory) Task(_ context.Context, id string) (Task, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := m.tasks[id]
	if !ok {
		return Task{}, ErrNotFound
	}
	return t.task()
}

// Tasks lists all tasks.
func (m *Memory) Tasks(context.Context) ([]Task, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Task
	for _, id := range m.order {
		t, err := m.tasks[id].task()
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	slices.SortStableFunc(out, func(a, b Task) int { return a.State.Started.Compare(b.State.Started) })
	return out, nil
}

// Commit stores a step.
func (m *Memory) Commit(ctx context.Context, st Step) ([]int64, error) {
	ids, err := m.commit(st)
	if err != nil {
		return nil, err
	}
	return ids, m.Note(ctx, st.State.ID, st.Notes)
}

func (m *Memory) commit(st Step) ([]int64, error) {
	doc, err := json.Marshal(st.State)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.leases[st.Lease.Task]; l == nil || l.token != st.Lease.Token || l.until.IsZero() {
		return nil, ErrLost
	}
	t := m.tasks[st.State.ID]
	switch {
	case t == nil:
		return nil, ErrNotFound
	case t.version != st.Version:
		return nil, ErrMoved
	case t.wanted == launch.WantGone && st.creates():
		return nil, ErrGone
	}
	for _, e := range st.Effects {
		if e.Kind() == (launch.Create{}).Kind() && slices.ContainsFunc(m.effects, func(o Effect) bool {
			return o.Kind == e.Kind() && o.Attempt == e.Subject()
		}) {
			return nil, ErrMoved
		}
	}
	if st.State.Wanted == launch.WantGone && t.wanted != launch.WantGone {
		t.wanted, t.wantedWhy = launch.WantGone, st.State.WantedWhy
	}
	t.doc, t.version, t.updated, t.over = doc, t.version+1, st.At, st.State.Over()
	var ids []int64
	for _, e := range st.Effects {
		id := int64(len(m.effects) + 1)
		m.effects = append(m.effects, Effect{ID: id, Task: st.State.ID, Attempt: e.Subject(), Kind: e.Kind(), At: st.At.UTC()})
		ids = append(ids, id)
	}
	return ids, nil
}

// Done records the end of an effect.
func (m *Memory) Done(_ context.Context, effect int64, outcome string, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if effect >= 1 && int(effect) <= len(m.effects) {
		m.effects[effect-1].DoneAt, m.effects[effect-1].Outcome = at.UTC(), outcome
	}
	return nil
}

// Note stores notes.
func (m *Memory) Note(ctx context.Context, task string, n Notes) error {
	var errs []error
	for _, e := range n.Events {
		errs = append(errs, m.AppendEvent(ctx, task, e.At, e.JSON))
	}
	for _, d := range n.Done {
		errs = append(errs, m.Done(ctx, d.Effect, d.Outcome, d.At))
	}
	return errors.Join(errs...)
}

// Effects lists the effects of a task.
func (m *Memory) Effects(_ context.Context, task string) ([]Effect, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Effect
	for _, e := range m.effects {
		if e.Task == task {
			out = append(out, e)
		}
	}
	return out, nil
}

// WantGone commits the wish.
func (m *Memory) WantGone(_ context.Context, task, why string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := m.tasks[task]
	if !ok {
		return ErrNotFound
	}
	if t.wanted != launch.WantGone {
		t.wanted, t.wantedWhy = launch.WantGone, why
	}
	return nil
}

// Acquire takes a lease.
func (m *Memory) Acquire(_ context.Context, task string, h Holder, until, now time.Time, dead func(Holder) bool) (Lease, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.leases[task]; l != nil && !l.until.IsZero() && l.holder != h && now.Before(l.until) && (dead == nil || !dead(l.holder)) {
		return Lease{}, &HeldError{l.holder, l.until}
	}
	return m.take(task, h, until), nil
}

// Steal takes a lease.
func (m *Memory) Steal(_ context.Context, task string, h Holder, until time.Time) (Lease, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.take(task, h, until), nil
}

func (m *Memory) take(task string, h Holder, until time.Time) Lease {
	l := m.leases[task]
	if l == nil {
		l = &memoryLease{}
		m.leases[task] = l
	}
	l.holder, l.until, l.token = h, until, l.token+1
	return Lease{Task: task, Token: l.token}
}

// Renew moves the end of a lease.
func (m *Memory) Renew(_ context.Context, l Lease, until time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	cur := m.leases[l.Task]
	if cur == nil || cur.token != l.Token || cur.until.IsZero() {
		return ErrLost
	}
	cur.until = until
	return nil
}

// Release gives a lease back.
func (m *Memory) Release(_ context.Context, l Lease) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if cur := m.leases[l.Task]; cur != nil && cur.token == l.Token {
		cur.until = time.Time{}
	}
	return nil
}

// Leaseholder tells who holds a task.
func (m *Memory) Leaseholder(_ context.Context, task string) (Holder, time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.leases[task]
	if l == nil || l.until.IsZero() {
		return Holder{}, time.Time{}, ErrNotFound
	}
	return l.holder, l.until.UTC(), nil
}

// Answered notes which machine came of an intent.
func (m *Memory) Answered(_ context.Context, attempt string, in launch.Instance, _ time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.ContainsFunc(m.answers[attempt], func(o launch.Instance) bool { return o.ID == in.ID }) {
		m.answers[attempt] = append(m.answers[attempt], in)
	}
	return nil
}

// Answers lists the machines noted for an intent.
func (m *Memory) Answers(_ context.Context, attempt string) ([]launch.Instance, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.answers[attempt]), nil
}

// AppendLog adds lines.
func (m *Memory) AppendLog(_ context.Context, attempt string, lines []launch.LogLine) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range lines {
		if l.ID != "" && slices.ContainsFunc(m.logs[attempt], func(o LogLine) bool {
			return o.ID == l.ID && o.Source == l.Source && o.Text == l.Text
		}) {
			continue
		}
		m.lines++
		l.At = l.At.UTC()
		m.logs[attempt] = append(m.logs[attempt], LogLine{m.lines, l})
	}
	return nil
}

// LogMark is the mark of the last stored line.
func (m *Memory) LogMark(_ context.Context, attempt string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range slices.Backward(m.logs[attempt]) {
		if l.ID != "" {
			return l.ID, nil
		}
	}
	return "", nil
}

// Log returns lines.
func (m *Memory) Log(_ context.Context, attempt string, after int64, limit int) ([]LogLine, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []LogLine
	for _, l := range m.logs[attempt] {
		if l.N > after && len(out) < limit {
			out = append(out, l)
		}
	}
	return out, nil
}

// AppendEvent adds one event.
func (m *Memory) AppendEvent(_ context.Context, task string, at time.Time, event []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lines++
	m.events[task] = append(m.events[task], EventLine{m.lines, at.UTC(), slices.Clone(event)})
	return nil
}

// Events returns events.
func (m *Memory) Events(_ context.Context, task string, after int64, limit int) ([]EventLine, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []EventLine
	for _, e := range m.events[task] {
		if e.N > after && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, nil
}

// RecordCost records a cost.
func (m *Memory) RecordCost(_ context.Context, c Cost) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.costs[c.Attempt] = c
	return nil
}

// Costs lists the costs of a task.
func (m *Memory) Costs(_ context.Context, task string) ([]Cost, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Cost
	for _, c := range m.costs {
		if c.Task == task {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b Cost) int {
		switch {
		case a.N != b.N:
			return a.N - b.N
		case a.Attempt < b.Attempt:
			return -1
		default:
			return 1
		}
	})
	return out, nil
}

// SaveProof keeps a proof.
func (m *Memory) SaveProof(_ context.Context, task string, _ time.Time, doc []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.proofs[task] = slices.Clone(doc)
	return nil
}

// Proof returns the proof of a task.
func (m *Memory) Proof(_ context.Context, task string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, ok := m.proofs[task]
	if !ok {
		return nil, ErrNotFound
	}
	return slices.Clone(p), nil
}

// Teach records a lesson.
func (m *Memory) Teach(_ context.Context, l catalog.Lesson) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.lessons {
		if m.lessons[i].ID == l.ID {
			m.lessons[i] = l
			return nil
		}
	}
	m.lessons = append(m.lessons, l)
	return nil
}

// Lessons lists the lessons that count now.
func (m *Memory) Lessons(_ context.Context, now time.Time) ([]catalog.Lesson, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return unexpired(m.lessons, now), nil
}

// Forget removes a lesson.
func (m *Memory) Forget(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := len(m.lessons)
	m.lessons = slices.DeleteFunc(m.lessons, func(l catalog.Lesson) bool { return l.ID == id })
	if len(m.lessons) == n {
		return ErrNotFound
	}
	return nil
}

// Setting reads a remembered word.
func (m *Memory) Setting(_ context.Context, key string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.settings[key], nil
}

// SetSetting remembers a word.
func (m *Memory) SetSetting(_ context.Context, key, value string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settings[key] = value
	return nil
}
