package failover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/berryrack/berryrack/acme"
	"github.com/berryrack/berryrack/examples/internal/atomicfile"
)

// The state directory holds ttl.json (which TTLs were seen and when), answers.json
// (what the last check and load found), journal.json (the last flip) and lock.

// lock holds the state directory against other processes until unlock is called. It
// is held throughout a flip, and for moments otherwise: a flip waits for no check.
func (s *Site) lock(ctx context.Context) (unlock func(), err error) {
	return (&acme.Journal{Dir: s.state}).Lock(ctx, "failover")
}

// restore reads a file of the state directory, if it is there.
func (s *Site) restore(name string, into any) error {
	path := filepath.Join(s.state, name)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func (s *Site) save(name string, value any) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.state, 0o700); err != nil {
		return err
	}
	return atomicfile.WriteBytes(filepath.Join(s.state, name), 0o600, append(data, '\n'))
}

// remember keeps answers for a report, in place of older ones to the same questions.
func (s *Site) remember(ctx context.Context, answers []Answer) error {
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	all := map[string]Answer{}
	if err := s.restore("answers.json", &all); err != nil {
		return err
	}
	for _, a := range answers {
		all[a.Question] = a
	}
	return s.save("answers.json", all)
}

// Journal is what is known of the last flip. It is written before anything is
// changed, and after each step.
type Journal struct {
	Direction string    `json:"direction"` // "flip" or "flip-back"
	Started   time.Time `json:"started"`
	Finished  time.Time `json:"finished,omitzero"` // zero until all servers have it
	Names     []Move    `json:"names"`
}

// Move is what a flip does to a name.
type Move struct {
	Name   string    `json:"name"`
	Before Addresses `json:"before"` // the flip, which a flip-back restores
	After  Addresses `json:"after"`
	Set    time.Time `json:"set,omitzero"` // zero: the provider has not yet said that it is done
}

// Addresses are those of a name, of both types.
type Addresses struct {
	Addrs []netip.Addr `json:"addresses"`
	TTL   Seconds      `json:"ttl_seconds"`
}

const (
	flip     = "flip"
	flipBack = "flip-back"
)

// Done reports whether the flip has arrived everywhere.
func (j *Journal) Done() bool { return !j.Finished.IsZero() }

// away reports whether, for all that is known, the site is not where it was at first.
func (j *Journal) away() bool {
	return j != nil && len(j.Names) > 0 && !(j.Direction == flipBack && j.Done())
}

func (j *Journal) String() string {
	if j.Done() {
		return fmt.Sprintf("%s of %s, done at %s", j.Direction, j.names(), j.Finished.Format(time.RFC3339))
	}
	var unset []string
	for _, m := range j.Names {
		if m.Set.IsZero() {
			unset = append(unset, m.Name)
		}
	}
	detail := "set, but not seen everywhere"
	if unset != nil {
		detail = "perhaps not set: " + strings.Join(unset, ", ")
	}
	return fmt.Sprintf("%s of %s, begun at %s, has not ended (%s): run failover %s again, or failover %s",
		j.Direction, j.names(), j.Started.Format(time.RFC3339), detail, j.Direction, opposite(j.Direction))
}

func (j *Journal) names() string {
	var names []string
	for _, m := range j.Names {
		names = append(names, m.Name)
	}
	return strings.Join(names, ", ")
}

func opposite(direction string) string {
	if direction == flip {
		return flipBack
	}
	return flip
}

// move returns what is known of a name, nil for nothing.
func (j *Journal) move(name string) *Move {
	if i := slices.IndexFunc(j.Names, func(m Move) bool { return m.Name == name }); i >= 0 {
		return &j.Names[i]
	}
	return nil
}
