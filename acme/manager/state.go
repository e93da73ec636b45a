package manager

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/berryrack/berryrack/acme"
)

// state is what is known of a certificate between runs.
type state struct {
	Names         []string  `json:"names"`
	Origin        origin    `json:"origin,omitzero"` // of the certificate in place
	Suggested     *window   `json:"suggested,omitempty"`
	AskAgain      time.Time `json:"ask_again,omitzero"` // for renewal information
	RevokedSerial string    `json:"revoked_serial,omitempty"`
	ReloadDue     bool      `json:"reload_due,omitzero"`
	Access        string    `json:"access,omitempty"`    // to the private key, see Certificate.access
	Failures      int       `json:"failures,omitzero"`   // in a row
	NextTry       time.Time `json:"next_try,omitzero"`   // of Run
	NotBefore     time.Time `json:"not_before,omitzero"` // of anybody: the authority's wish
	LastError     string    `json:"last_error,omitempty"`
	LastErrorAt   time.Time `json:"last_error_at,omitzero"`
	Order         *pending  `json:"order,omitempty"`
	Presented     presented `json:"presented,omitzero"`
}

// origin says where a certificate came from. Of one that was not ordered here
// the serial number is all that is known.
type origin struct {
	Serial  string    `json:"serial,omitempty"`
	CA      string    `json:"ca,omitempty"`
	Account string    `json:"account,omitempty"` // its URL
	Profile string    `json:"profile,omitempty"`
	Ordered time.Time `json:"ordered,omitzero"`
}

// pending is an order whose certificate is not in place: it is fetched again
// after a failure or a crash, instead of ordering another one.
type pending struct {
	URL    string   `json:"url"`
	Names  []string `json:"names"`
	Key    []byte   `json:"key"` // PEM
	Origin origin   `json:"origin"`
}

// presented are the files of http-01 in a webroot, from before they are there
// until they are not.
type presented struct {
	Webroot string   `json:"webroot,omitempty"`
	Tokens  []string `json:"tokens,omitempty"`
}

// settle notes that the certificate of the pending order is in place.
func (s *state) settle(leaf *x509.Certificate) {
	s.Origin = s.Order.Origin
	s.Origin.Serial = serial(leaf)
	s.Order, s.RevokedSerial, s.Suggested, s.AskAgain = nil, "", nil, time.Time{}
}

// settled reports whether that happened just before a crash.
func (s *state) settled(leaf *x509.Certificate) bool {
	if s.Order == nil {
		return false
	}
	key, err := parseKey(s.Order.Key)
	return err == nil && belongs(leaf, key)
}

func (m *Manager) statePath(c Certificate) string {
	return filepath.Join(m.Dir, "state", c.ID()+".json")
}

// load returns what is known; that is nothing when the file is damaged, since
// all of it can be found out again.
func (m *Manager) load(c Certificate) state {
	var s state
	if err := m.readJSON(m.statePath(c), &s); err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.log().Warn("state is lost", "file", m.statePath(c), "error", err)
		return state{}
	}
	return s
}

func (m *Manager) save(c Certificate, s state) error {
	s.Names = c.names()
	return m.writeJSON(m.statePath(c), s)
}

// writeJSON writes a file. What cannot be written is remembered as long as the
// process lives: a full disk must not have us forget when to try again.
func (m *Manager) writeJSON(path string, value any) error {
	data, err := json.MarshalIndent(value, "", "\t")
	if err != nil {
		return fmt.Errorf("manager: %w", err)
	}
	if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
		err = writeFile(path, append(data, '\n'))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.unwritten, path)
	if err == nil {
		return nil
	}
	if m.unwritten == nil {
		m.unwritten = map[string][]byte{}
	}
	m.unwritten[path] = data
	return fmt.Errorf("manager: %w", err)
}

func (m *Manager) readJSON(path string, value any) error {
	m.mu.Lock()
	data, ok := m.unwritten[path]
	m.mu.Unlock()
	if !ok {
		var err error
		if data, err = os.ReadFile(path); err != nil {
			return err
		}
	}
	return json.Unmarshal(data, value)
}

// failedNames returns when validations of each name failed.
func (m *Manager) failedNames() map[string][]time.Time {
	failed := map[string][]time.Time{}
	if err := m.readJSON(m.failuresPath(), &failed); err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.log().Warn("failures are lost", "error", err)
	}
	return failed
}

// noteFailures adds to them, and forgets what is old.
func (m *Manager) noteFailures(ctx context.Context, names []string) error {
	unlock, err := (&acme.Journal{Dir: m.Dir}).Lock(ctx, "failures")
	if err != nil {
		return err
	}
	defer unlock()
	failed := m.failedNames()
	for _, name := range names {
		failed[name] = append(failed[name], m.now())
	}
	for name, times := range failed {
		if failed[name] = recentFailures(times, m.now()); len(failed[name]) == 0 {
			delete(failed, name)
		}
	}
	return m.writeJSON(m.failuresPath(), failed)
}

func (m *Manager) failuresPath() string { return filepath.Join(m.Dir, "failures.json") }

// mayTry returns a *WaitError while it is too early for an order; one who is not
// patient waits only where the authority would refuse.
func (m *Manager) mayTry(c Certificate, s state, patient bool) error {
	until, last := s.NotBefore, s.LastError
	if patient && s.NextTry.After(until) {
		until = s.NextTry
	}
	failed := m.failedNames()
	for _, name := range c.names() {
		// The authority validates a wildcard by the name below the asterisk.
		if at := nameLimit(failed[strings.TrimPrefix(name, "*.")], m.now()); at.After(until) {
			until = at
			if last == "" {
				last = fmt.Sprintf("%d failed validations of %s within an hour", failuresAnHour, name)
			}
		}
	}
	if due(until, m.now()) {
		return nil
	}
	return &WaitError{Name: c.ID(), Until: until, Last: last}
}

// accountDir is where the account at the authority is kept.
func (m *Manager) accountDir() string {
	sum := sha256.Sum256([]byte(m.ca()))
	host := strings.Map(func(r rune) rune {
		if r == '.' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' {
			return r
		}
		return '_'
	}, strings.ToLower(hostOf(m.ca())))
	return filepath.Join(m.Dir, "accounts", host+"-"+hex.EncodeToString(sum[:4]))
}

// writeFile replaces a file, with mode 0600, so that a crash leaves the old or
// the new content.
func writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Status is what can be said of a certificate.
type Status struct {
	Name      string    `json:"name"`                 // its ID
	Names     []string  `json:"names"`                // that it is for
	Expires   time.Time `json:"expires,omitzero"`     // zero when there is none yet
	Renewal   time.Time `json:"renewal,omitzero"`     // when the next is to be ordered
	Why       string    `json:"why"`                  // then
	Issuer    string    `json:"issuer,omitempty"`     // common name of the authority's certificate
	ReloadDue bool      `json:"reload_due,omitzero"`  // its reload commands have not yet succeeded
	LastError string    `json:"last_error,omitempty"` // of the last attempt that failed, until one succeeds
	ErrorAt   time.Time `json:"error_at,omitzero"`    // when that was
}

// Status returns that of all Certificates and of those that are on disk besides,
// by name.
func (m *Manager) Status() ([]Status, error) {
	all := slices.Clone(m.Certificates)
	files, err := os.ReadDir(filepath.Join(m.Dir, "state"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("manager: %w", err)
	}
	for _, file := range files {
		id, ok := strings.CutSuffix(file.Name(), ".json")
		if !ok || slices.ContainsFunc(all, func(c Certificate) bool { return c.ID() == id }) {
			continue
		}
		s := m.load(Certificate{Names: []string{id}})
		if len(s.Names) > 0 {
			all = append(all, Certificate{Names: s.Names})
		}
	}
	var status []Status
	for _, c := range all {
		status = append(status, m.statusOf(c))
	}
	slices.SortFunc(status, func(a, b Status) int { return strings.Compare(a.Name, b.Name) })
	return status, nil
}

func (m *Manager) statusOf(c Certificate) Status {
	s := m.load(c)
	status := Status{Name: c.ID(), Names: c.names(), ReloadDue: s.ReloadDue, LastError: s.LastError, ErrorAt: s.LastErrorAt}
	current, _ := m.current(c)
	if current != nil {
		status.Expires, status.Issuer = current.leaf.NotAfter, current.leaf.Issuer.CommonName
	}
	status.Renewal, status.Why = m.nextOrder(c, s, current)
	var wait *WaitError
	if errors.As(m.mayTry(c, s, true), &wait) && wait.Until.After(status.Renewal) {
		status.Renewal, status.Why = wait.Until, status.Why+"; the last attempt failed"
	}
	return status
}
