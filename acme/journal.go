package acme

import (
	"context"
	"crypto/sha256"
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
)

// reapAfter is the age at which a record counts as left behind when nobody can
// tell whether its owner still runs.
const reapAfter = 24 * time.Hour

// lockPoll is how often a lock that another process holds is tried again.
const lockPoll = 20 * time.Millisecond

// A Journal remembers, in a directory, the records that are published, from
// before they are until they are not. What a crash left is so found and
// removed. Several processes and solvers may share a directory; several hosts as
// well, by a filesystem with locks that hold among them. What a crash left on
// another host is removed when it is a day old.
//
// Files: journal.json (mode 0600) and *.lock. The directory is made with mode
// 0700 when it is not there.
type Journal struct {
	Dir string // required
}

// entry is one published record.
type entry struct {
	Challenge string    `json:"challenge"` // the name before CNAME records
	Zone      string    `json:"zone"`
	Name      string    `json:"name"`
	Value     string    `json:"value"`
	KeyAuth   string    `json:"key_authorization,omitempty"`
	Since     time.Time `json:"since"`
	Owner     process   `json:"owner"`            // while it runs, the record is wanted
	Waiting   bool      `json:"waiting,omitzero"` // appended, but not yet waited for
	Done      bool      `json:"done,omitzero"`    // to be removed, whether or not its owner runs
}

func (e entry) record() Record {
	return Record{Zone: e.Zone, Name: e.Name, Value: e.Value, KeyAuthorization: e.KeyAuth}
}

func (e entry) same(other entry) bool {
	return e.Challenge == other.Challenge && e.Value == other.Value && e.Name == other.Name
}

// ledger is what the journal's file holds.
type ledger struct {
	Records []entry `json:"records"`
	// Undeployed lists certificates for which a reload command failed.
	Undeployed []string `json:"undeployed,omitempty"`
}

// orphaned reports whether nobody wants an entry's record, and nobody will come
// to remove it.
func (e entry) orphaned(now time.Time) bool {
	state := e.Owner.state()
	switch {
	case e.Done || state == ended:
		return true
	case state == running:
		return false
	}
	return now.Sub(e.Since) > reapAfter
}

// read returns what is published. The file may be read without a lock, as it is
// replaced whole.
func (j *Journal) read() (ledger, error) {
	var l ledger
	data, err := os.ReadFile(j.path())
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &l)
	}
	if err != nil {
		return l, fmt.Errorf("acme: journal %s: %w; it lists TXT records that may still be published: remove those by hand, then the file", j.path(), err)
	}
	return l, nil
}

// update changes the journal under its lock; nothing is written when change
// leaves it as it was.
func (j *Journal) update(ctx context.Context, change func(*ledger)) error {
	unlock, err := j.Lock(ctx, "journal")
	if err != nil {
		return err
	}
	defer unlock()
	l, err := j.read()
	if err != nil {
		return err
	}
	before, _ := json.Marshal(l)
	change(&l)
	after, err := json.MarshalIndent(l, "", "\t")
	if err != nil {
		return err
	}
	if compact, _ := json.Marshal(l); string(compact) == string(before) {
		return nil
	}
	if err := writeFile(j.path(), append(after, '\n')); err != nil {
		return fmt.Errorf("acme: journal: %w", err)
	}
	return nil
}

func (j *Journal) path() string { return filepath.Join(j.Dir, "journal.json") }

// add records entries before they are published.
func (j *Journal) add(ctx context.Context, entries []entry) error {
	err := j.update(ctx, func(l *ledger) {
		for _, e := range entries {
			if i := slices.IndexFunc(l.Records, e.same); i >= 0 {
				l.Records[i] = e
			} else {
				l.Records = append(l.Records, e)
			}
		}
	})
	if err != nil {
		return fmt.Errorf("%w; nothing was published", err)
	}
	return nil
}

// abandon notes that entries are to be removed: when that fails, whoever comes
// next tries again.
func (j *Journal) abandon(ctx context.Context, entries []entry) error {
	return j.update(ctx, func(l *ledger) {
		for i, e := range l.Records {
			l.Records[i].Done = e.Done || slices.ContainsFunc(entries, e.same)
		}
	})
}

// remove forgets entries whose records are gone.
func (j *Journal) remove(ctx context.Context, entries []entry) error {
	return j.update(ctx, func(l *ledger) {
		l.Records = slices.DeleteFunc(l.Records, func(e entry) bool { return slices.ContainsFunc(entries, e.same) })
	})
}

// Lock holds the lock of that name, which is a file in the directory, against
// other processes and goroutines, until unlock is called or the process ends.
func (j *Journal) Lock(ctx context.Context, name string) (unlock func(), err error) {
	if err := os.MkdirAll(j.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("acme: journal: %w", err)
	}
	path := filepath.Join(j.Dir, lockName(name))
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("acme: journal: %w", err)
	}
	for {
		held, err := tryLock(f)
		if err == nil && held {
			return func() { f.Close() }, nil
		}
		if err == nil {
			err = sleep(ctx, lockPoll)
		}
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("acme: lock %s: %w", path, err)
		}
	}
}

// maxLockName is the longest name that is a file's name as it is: 255 bytes are
// the limit of most filesystems.
const maxLockName = 200

// lockName makes a file's name of a zone's: a slash cannot be in one.
func lockName(name string) string {
	if len(name) > maxLockName {
		sum := sha256.Sum256([]byte(name))
		name = name[:maxLockName-2*len(sum)] + hex.EncodeToString(sum[:])
	}
	return strings.TrimSuffix(name, ".") + ".lock"
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// writeFile replaces a file so that a crash leaves the old or the new content.
func writeFile(path string, data []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
