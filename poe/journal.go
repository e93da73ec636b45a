package poe

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// maxJournal bounds the file that OpenJournal reads.
const maxJournal = 1 << 20

// Journal is the file in which stands, before a port's power is taken away,
// that it must come on again, when each port was last interrupted, and how one
// that is off for good was enabled. It
// holds one switch, and one process at a time holds it. Its methods are safe
// for concurrent use.
type Journal struct {
	path string
	lock io.Closer
	step func(string) // tests stop here

	mu    sync.Mutex
	state journalState
	held  map[PortID]bool // ports that somebody in this process is switching
}

type journalState struct {
	Version int                  `json:"version"`
	Dark    map[PortID]Intent    `json:"dark,omitempty"`
	Cut     map[PortID]time.Time `json:"cut,omitempty"`
	Modes   map[PortID]string    `json:"modes,omitempty"` // of ports that are off for good
}

const journalVersion = 1

// Intent is a port that must be switched on.
type Intent struct {
	Port  PortID    `json:"-"`              // that is, or may be, off
	Mode  string    `json:"mode,omitempty"` // as [ModeKeeper] names it
	Since time.Time `json:"since"`          // when it was written
}

// OpenJournal opens the journal in the file, and makes it when there is none;
// its directory must exist. An error wraps [ErrBusy] while another process has
// it open. Beside it a file with the suffix .lock stays.
func OpenJournal(path string) (*Journal, error) {
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, fmt.Errorf("poe: journal %s: %w", path, err)
	}
	j := &Journal{path: path, lock: lock, step: func(string) {}, held: map[PortID]bool{}}
	err = j.read()
	if err == nil {
		err = j.forgetFuture(time.Now())
	}
	if err != nil {
		lock.Close()
		return nil, err
	}
	return j, nil
}

// ReadJournal reads the journal in the file as it is now, for
// [Controller.Explain], [Controller.Check] and [Journal.Dark]. It makes no file
// and asks for no lock, and what would change the journal fails.
func ReadJournal(path string) (*Journal, error) {
	j := &Journal{path: path, step: func(string) {}, held: map[PortID]bool{}}
	return j, j.read()
}

// forgetFuture takes interruptions that are yet to come, which a wrong clock
// wrote, for ones of now: a port must not wait for years.
func (j *Journal) forgetFuture(now time.Time) error {
	later := maps.Clone(j.state.Cut)
	maps.DeleteFunc(later, func(_ PortID, cut time.Time) bool { return !cut.After(now) })
	if len(later) == 0 {
		return nil
	}
	return j.change(func(s *journalState) {
		for id := range later {
			s.Cut[id] = now
		}
	})
}

// Close lets another process open the journal. What is dark stays written.
func (j *Journal) Close() error {
	if j.lock == nil {
		return nil
	}
	return j.lock.Close()
}

// Dark returns the ports that must be switched on, in order.
func (j *Journal) Dark() []Intent {
	j.mu.Lock()
	defer j.mu.Unlock()
	var dark []Intent
	for _, id := range slices.SortedFunc(maps.Keys(j.state.Dark), PortID.Compare) {
		intent := j.state.Dark[id]
		intent.Port = id
		dark = append(dark, intent)
	}
	return dark
}

// dark returns whether the port must be switched on, and how.
func (j *Journal) dark(id PortID) (Intent, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	intent, ok := j.state.Dark[id]
	return intent, ok
}

// mode returns how a port was enabled that is off, "" when that is not known.
func (j *Journal) mode(id PortID) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	if intent, dark := j.state.Dark[id]; dark {
		return intent.Mode
	}
	return j.state.Modes[id]
}

// LastCut returns when the port's power was last taken away, zero for never.
func (j *Journal) LastCut(id PortID) time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.state.Cut[id]
}

// claim keeps everybody else in this process off the port until release.
func (j *Journal) claim(id PortID) (release func(), err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.held[id] {
		return nil, fmt.Errorf("poe: port %v: %w on it", id, ErrBusy)
	}
	j.held[id] = true
	return func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		delete(j.held, id)
	}, nil
}

// begin writes that the port, enabled in the mode, is about to go dark.
// mustReturn says whether it must come on again.
func (j *Journal) begin(id PortID, mode string, now time.Time, mustReturn bool) error {
	return j.change(func(s *journalState) {
		s.Cut[id] = now
		delete(s.Dark, id)
		delete(s.Modes, id)
		switch {
		case mustReturn:
			s.Dark[id] = Intent{Mode: mode, Since: now}
		case mode != "":
			s.Modes[id] = mode
		}
	})
}

// done writes that the port is on.
func (j *Journal) done(id PortID) error {
	if _, dark := j.dark(id); !dark && j.mode(id) == "" {
		return nil
	}
	return j.change(func(s *journalState) {
		delete(s.Dark, id)
		delete(s.Modes, id)
	})
}

// Forget takes a port off those that must be switched on: the operator's way
// out where that is not possible. It has no effect on the port.
func (j *Journal) Forget(id PortID) error { return j.done(id) }

// change writes the changed state before it becomes the journal's.
func (j *Journal) change(edit func(*journalState)) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.lock == nil {
		return fmt.Errorf("poe: journal %s: only read", j.path)
	}
	next := journalState{Version: journalVersion, Dark: maps.Clone(j.state.Dark), Cut: maps.Clone(j.state.Cut), Modes: maps.Clone(j.state.Modes)}
	edit(&next)
	if err := j.write(next); err != nil {
		return fmt.Errorf("poe: journal %s: %w", j.path, err)
	}
	j.state = next
	return nil
}

func (j *Journal) read() error {
	f, err := os.Open(j.path)
	if errors.Is(err, fs.ErrNotExist) {
		j.state, err = parseJournal(fmt.Appendf(nil, `{"version":%d}`, journalVersion))
		return err
	}
	if err != nil {
		return fmt.Errorf("poe: journal: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxJournal+1))
	if err == nil {
		j.state, err = parseJournal(text)
	}
	if err != nil {
		return fmt.Errorf("poe: journal %s: %w; switch on by hand what is off, then remove the file", j.path, err)
	}
	return nil
}

// parseJournal reads a journal's text.
func parseJournal(text []byte) (journalState, error) {
	var s journalState
	if len(text) > maxJournal {
		return s, fmt.Errorf("longer than %d bytes", maxJournal)
	}
	if len(text) == 0 {
		return s, errors.New("empty, which nobody wrote")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return s, err
	}
	if _, err := d.Token(); err != io.EOF {
		return s, errors.New("text after its end")
	}
	if s.Version != journalVersion {
		return s, fmt.Errorf("version %d, want %d", s.Version, journalVersion)
	}
	if s.Dark == nil {
		s.Dark = map[PortID]Intent{}
	}
	if s.Cut == nil {
		s.Cut = map[PortID]time.Time{}
	}
	if s.Modes == nil {
		s.Modes = map[PortID]string{}
	}
	for id := range s.Dark {
		if !id.IsValid() {
			return s, errors.New("a port without a number")
		}
	}
	return s, nil
}

// write replaces the file: written beside its place, synced, renamed, and the
// directory synced.
func (j *Journal) write(s journalState) error {
	text, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		return err
	}
	dir := filepath.Dir(j.path)
	f, err := os.CreateTemp(dir, filepath.Base(j.path)+".tmp") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	j.step("created")
	_, errWrite := f.Write(append(text, '\n'))
	if err := errors.Join(errWrite, f.Sync(), f.Close()); err != nil {
		return err
	}
	j.step("written")
	if err := os.Rename(f.Name(), j.path); err != nil {
		return err
	}
	j.step("renamed")
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
