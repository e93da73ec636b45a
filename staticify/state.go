package staticify

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Snapshot is what a Site that Runs has written down last.
type Snapshot struct {
	Time      time.Time    `json:"time"`                 // when that was
	Pages     []PageStatus `json:"pages"`                // those that are files
	Refused   []Outcome    `json:"refused"`              // those that were asked for and are not for everybody
	Counters  Counters     `json:"counters"`             // since the process began
	LastError string       `json:"last_error,omitempty"` // and when it was
}

// PageStatus is a page that is served.
type PageStatus struct {
	Key      string        `json:"page"`     // path and query
	Rendered time.Time     `json:"rendered"` // nothing in it is older
	Took     time.Duration `json:"took"`     // nanoseconds
	Bytes    int           `json:"bytes"`    // of its body, not compressed
}

// ReadSnapshot returns what the Site with this state directory has written down last.
func ReadSnapshot(state string) (Snapshot, error) {
	var status Snapshot
	data, err := os.ReadFile(filepath.Join(state, "status.json"))
	if err == nil {
		err = json.Unmarshal(data, &status)
	}
	if err != nil {
		return Snapshot{}, fmt.Errorf("staticify: status: %w", err)
	}
	return status, nil
}

// Counters returns the present ones.
func (s *Site) Counters() Counters { return s.status(time.Now()).Counters }

// Published is how many pages are files.
func (s *Site) Published() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.store.served(time.Now(), s.maxAge()))
}

// status is what is written down.
func (s *Site) status(now time.Time) Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := Snapshot{Time: now, Counters: s.store.counters, LastError: s.store.lastError}
	status.Counters.Refusals = map[string]uint64{}
	for reason, n := range s.store.counters.Refusals {
		status.Counters.Refusals[reason] = n
	}
	for _, p := range s.store.served(now, s.maxAge()) {
		status.Pages = append(status.Pages, PageStatus{p.Key.String(), p.Rendered, p.Took, len(p.Body)})
	}
	for key, e := range s.store.entries {
		if e.refusal != nil {
			status.Refused = append(status.Refused, Outcome{key.String(), e.refusal.Reason, e.refusal.Detail})
		}
	}
	slices.SortFunc(status.Refused, func(a, b Outcome) int { return strings.Compare(a.Key, b.Key) })
	return status
}

// start makes the state directory, and reads what an earlier process has left there.
func (s *Site) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ready {
		return nil
	}
	if budget := s.budget(); budget.Interval <= 0 {
		return fmt.Errorf("staticify: MaxAge %v leaves no time to render in: want more than %v", s.maxAge(), s.maxAge()-budget.Interval)
	}
	s.wake = make(chan struct{}, max(s.Budget.Parallel, 4))
	if err := s.makeState(); err != nil {
		return err
	}
	if err := s.Restore(); err != nil {
		return err
	}
	s.ready = true
	return nil
}

// makeState makes the state directory. Others may pass through, to the pages below, and read nothing.
func (s *Site) makeState() error {
	if s.State == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Join(s.State, "purge"), 0o711); err != nil {
		return fmt.Errorf("staticify: state: %w", err)
	}
	return nil
}

// Restore reads what an earlier process had counted. RunOnce and Run begin with it.
func (s *Site) Restore() error {
	if s.State == "" || s.Ranker == nil {
		return nil
	}
	name := filepath.Join(s.State, "ranking")
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = s.Ranker.UnmarshalBinary(data)
	}
	if err != nil {
		return fmt.Errorf("staticify: %s: %w; remove it to count anew", name, err)
	}
	return nil
}

// saveEvery is how often what was counted is written down: a disk may be an SD card.
const saveEvery = time.Minute

// save writes down the status and, now and then and in the end, what outlives a restart: first what was counted, then
// how far the logs were read.
func (s *Site) save(now time.Time, end bool) error {
	if s.State == "" {
		return nil
	}
	status, err := json.Marshal(s.status(now))
	if err == nil {
		err = replaceFile(filepath.Join(s.State, "status.json"), append(status, '\n'), false)
	}
	if err != nil || !end && now.Sub(s.saved).Abs() < saveEvery {
		return err
	}
	if err := s.saveRanking(); err != nil {
		return err
	}
	s.saved = now
	var errs []error
	for _, log := range s.Logs {
		errs = append(errs, log.Save())
	}
	return errors.Join(errs...)
}

func (s *Site) saveRanking() error {
	if s.Ranker == nil {
		return nil
	}
	data, err := s.Ranker.MarshalBinary()
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(s.State, "ranking"), data, true)
}

// askPurge leaves word for the process that Runs.
func (s *Site) askPurge(keys []Key) error {
	if s.State == "" {
		return nil
	}
	if err := s.makeState(); err != nil {
		return err
	}
	data, err := json.Marshal(keys)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%d-%d.json", time.Now().UnixNano(), os.Getpid())
	return replaceFile(filepath.Join(s.State, "purge", name), data, false)
}

// purgeAsked does what other processes have asked for.
func (s *Site) purgeAsked() error {
	if s.State == "" {
		return nil
	}
	dir := filepath.Join(s.State, "purge")
	entries, err := os.ReadDir(dir)
	errs := []error{err}
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".json" {
			errs = append(errs, s.purgeFile(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

func (s *Site) purgeFile(name string) error {
	var keys []Key
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(data, &keys)
	}
	if err == nil {
		err = legal(keys)
	}
	if err == nil {
		s.forget(keys)
		err = s.Publisher.Withdraw(keys...)
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err != nil {
		return fmt.Errorf("staticify: purge: %w", err)
	}
	return nil
}

// legal reports the keys that no request can have.
func legal(keys []Key) error {
	var errs []error
	for _, key := range keys {
		if !strings.HasPrefix(key.Path, "/") {
			errs = append(errs, fmt.Errorf("path %q: want one that begins with a slash", key.Path))
		}
	}
	return errors.Join(errs...)
}

// replaceFile writes a file beside its place, and renames it. Only its owner can read it. Without sync a power cut may
// leave an older one.
func replaceFile(path string, data []byte, sync bool) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if sync {
		err = errors.Join(err, f.Sync())
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
