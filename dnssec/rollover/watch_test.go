package rollover

import (
	"fmt"
	"time"
)

// change is a record of a key that got to a state. Keys are named by their role
// and by how many of it came before.
type change struct {
	key    string
	record Record
	state  RecordState
}

func (c change) String() string { return fmt.Sprintf("%s %s %s", c.key, c.record, c.state) }

// watch notes when records get to states.
type watch struct {
	changes map[change]time.Time
	names   map[string]string
	counts  map[Role]int
}

func newWatch() *watch {
	return &watch{map[change]time.Time{}, map[string]string{}, map[Role]int{}}
}

func (w *watch) name(id string, role Role) string {
	if w.names[id] == "" {
		w.counts[role]++
		w.names[id] = fmt.Sprintf("%s %d", role, w.counts[role])
	}
	return w.names[id]
}

func (w *watch) saw(key *Key, record Record, at time.Time) {
	w.note(w.name(key.ID.String(), key.Role), record, key.Records[record].State, at)
}

func (w *watch) note(key string, record Record, state RecordState, at time.Time) {
	if _, known := w.changes[change{key, record, Rumoured}]; state == Hidden && !known {
		return // not there yet
	}
	if c := (change{key, record, state}); w.changes[c].IsZero() {
		w.changes[c] = at
	}
}
