package manager

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/rollover"
	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
)

// Record is what is known of a zone for good.
type Record struct {
	// Version counts the times that it was saved.
	Version uint64
	State   rollover.State
	// Published is the serials under which the latest generations were first served.
	Published []Publication `json:",omitempty"`
	// Algorithm, when set, takes the place of the policy's.
	Algorithm dnssec.Algorithm `json:",omitempty"`
	// LastOrder is the last order that is in State.
	LastOrder string `json:",omitempty"`
}

// Publication is a generation of a zone's keys, and the serial of the zone that
// first had it.
type Publication struct {
	Generation uint64 // of rollover.State
	Serial     uint32 // of the zone as it is signed, not of its source
}

// maxPublications is how many generations are remembered: secondaries that are
// further behind serve none that counts.
const maxPublications = 16

// ErrConflict is wrapped when a record was saved by somebody else meanwhile.
var ErrConflict = errors.New("the state was changed by another process meanwhile")

// Store keeps what there is of each zone in a directory.
type Store struct {
	// Dir is that of the Manager: a zone has a directory in Dir/zones, made when it is
	// first written. Empty is the working directory.
	Dir string
	// point, in tests, is called between the steps of a write.
	point func()
}

func (s Store) pass() {
	if s.point != nil {
		s.point()
	}
}

// Names of the files of a zone.
const (
	stateFile  = "state.json"
	reportFile = "report.json"
	signedFile = "signed.zone"
	sourceFile = "source.zone"
	baseFile   = "base.zone"
	keysDir    = "keys"
	purgedDir  = "purged"
	ordersDir  = "orders"
)

// path returns a file or directory of a zone.
func (s Store) path(origin wire.Name, parts ...string) string {
	return filepath.Join(append([]string{s.Dir, "zones", dirName(origin)}, parts...)...)
}

// dirName writes a name so that it is safe as that of a directory: what is no
// letter, digit, hyphen, underscore or dot becomes % and two hexadecimal digits.
func dirName(origin wire.Name) string {
	if origin == wire.Root {
		return "@"
	}
	var b strings.Builder
	for at := 0; origin[at] != 0; at += 1 + int(origin[at]) {
		if at > 0 {
			b.WriteByte('.')
		}
		for _, c := range []byte(origin[at+1 : at+1+int(origin[at])]) {
			if c-'a' < 26 || c-'0' < 10 || c == '-' || c == '_' {
				b.WriteByte(c)
				continue
			}
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// Load reads the record of a zone. A zone without one has version 0.
func (s Store) Load(origin wire.Name) (Record, error) {
	record := Record{State: rollover.State{Zone: origin.String()}}
	path := s.path(origin, stateFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return record, nil
	}
	if err != nil {
		return record, fmt.Errorf("manager: %w", err)
	}
	if err := json.Unmarshal(text, &record); err != nil {
		return record, fmt.Errorf("manager: %s: %w: restore it from a backup, or move it away: then the keys are taken over as they are published", path, err)
	}
	if record.State.Zone != origin.String() {
		return record, fmt.Errorf("manager: %s: is of the zone %s", path, record.State.Zone)
	}
	return record, nil
}

// Save writes the record, if the one that is there has its version, and counts
// the version up.
func (s Store) Save(origin wire.Name, record *Record) error {
	present, err := s.Load(origin)
	if err != nil {
		return err
	}
	if present.Version != record.Version {
		return fmt.Errorf("manager: %s: %w", s.path(origin, stateFile), ErrConflict)
	}
	next := *record
	next.Version++
	text, err := json.MarshalIndent(next, "", "\t")
	if err != nil {
		return fmt.Errorf("manager: state of %s: %w", origin, err)
	}
	if err := s.replace(s.path(origin, stateFile), append(text, '\n'), true); err != nil {
		return err
	}
	record.Version = next.Version
	return nil
}

// replace writes a file beside its place and renames it; synced, so that a crash
// leaves the old one or the new one.
func (s Store) replace(path string, content []byte, synced bool) error {
	return s.write(path, synced, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

func (s Store) write(path string, synced bool, content func(io.Writer) error) error {
	if !synced {
		s.point = nil
	}
	err := func() error {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		s.pass()
		f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
		if err != nil {
			return err
		}
		defer os.Remove(f.Name()) // fails once renamed
		err = content(f)
		if err == nil && synced {
			err = f.Sync()
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
		s.pass()
		if err := os.Rename(f.Name(), path); err != nil || !synced {
			return err
		}
		s.pass()
		return syncDir(filepath.Dir(path))
	}()
	if err != nil {
		return fmt.Errorf("manager: write %s: %w", path, err)
	}
	return nil
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// saveZone writes a zone.
func (s Store) saveZone(z *zone.Zone, file string) error {
	return s.write(s.path(z.Origin, file), true, func(w io.Writer) error {
		_, err := z.WriteTo(w)
		return err
	})
}

// loadZone reads a zone that was written, nil when there is none.
func (s Store) loadZone(origin wire.Name, file string) (*zone.Zone, error) {
	z, _, err := zone.ReadFile(s.path(origin, file), origin)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return z, err
}

// order is an order that was left in a file.
type order struct {
	Order
	name string
}

// leave leaves an order for the process that runs the zone.
func (s Store) leave(origin wire.Name, o Order, now time.Time) (name string, err error) {
	text, err := json.Marshal(o)
	if err != nil {
		return "", err
	}
	pending, err := s.orders(origin)
	if err != nil {
		return "", err
	}
	record, err := s.Load(origin)
	if err != nil {
		return "", err
	}
	name = fmt.Sprintf("%020d.json", now.UnixNano())
	last := record.LastOrder
	if len(pending) > 0 {
		last = max(last, pending[len(pending)-1].name)
	}
	if name <= last { // the clock went back
		n := int64(0)
		_, _ = fmt.Sscanf(last, "%020d.json", &n)
		name = fmt.Sprintf("%020d.json", n+1)
	}
	return name, s.replace(s.path(origin, ordersDir, name), text, true)
}

// orders returns the orders that wait, oldest first.
func (s Store) orders(origin wire.Name) ([]order, error) {
	dir := s.path(origin, ordersDir)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var list []order
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		o := order{name: entry.Name()}
		text, readErr := os.ReadFile(filepath.Join(dir, entry.Name()))
		if readErr == nil {
			readErr = json.Unmarshal(text, &o.Order)
		}
		if readErr != nil {
			err = errors.Join(err, fmt.Errorf("manager: order %s: %w", filepath.Join(dir, entry.Name()), readErr))
			continue
		}
		list = append(list, o)
	}
	slices.SortFunc(list, func(a, b order) int { return strings.Compare(a.name, b.name) })
	return list, err
}

// purge moves the files of a key away.
func (s Store) purge(origin wire.Name, name string) error {
	from, to := s.path(origin, keysDir), s.path(origin, purgedDir)
	if err := os.MkdirAll(to, 0o700); err != nil {
		return fmt.Errorf("manager: %w", err)
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return fmt.Errorf("manager: %w", err)
	}
	for _, entry := range entries {
		if rest, ok := strings.CutPrefix(entry.Name(), name+"."); ok && rest != "" {
			if err := os.Rename(filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name())); err != nil {
				return fmt.Errorf("manager: %w", err)
			}
		}
	}
	return errors.Join(syncDir(to), syncDir(from))
}
