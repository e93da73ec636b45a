package keystore

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/wire"
)

// Write writes the files of a key: the private one first, so that no key is ever
// seen without it. Present files with other content of the same key are
// replaced; a key that the directory has without its private half stays so when
// Signer is nil. With a secret, the file that is not sealed is sealed and removed.
// Another key of the same name is an error.
func (d Dir) Write(key Key) error {
	name := key.Name()
	fail := func(err error) error {
		return fmt.Errorf("keystore: write %s: %w", filepath.Join(d.Path, name), err)
	}
	if err := os.MkdirAll(d.Path, 0o700); err != nil {
		return fail(err)
	}
	present, err := d.read(name)
	if errors.Is(err, ErrUnsealed) {
		if err = d.seal(name); err == nil {
			present, err = d.read(name)
		}
	}
	switch {
	case err == nil && !present.PublicKey.Equal(key.PublicKey):
		return fail(errors.New("there is another key with this name"))
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fail(err)
	}
	if key.Signer != nil {
		if err := d.writePrivate(name, key); err != nil {
			return fail(err)
		}
	}
	if key.State != nil {
		if err := d.replace(name+".state", 0o644, formatState(&key)); err != nil {
			return fail(err)
		}
	}
	if err := d.replace(name+".key", 0o644, formatPublic(&key)); err != nil {
		return fail(err)
	}
	return nil
}

func (d Dir) writePrivate(name string, key Key) error {
	text, err := formatPrivate(key.Algorithm, key.Signer, key.Timing)
	if err != nil {
		return err
	}
	if d.Secret == nil {
		return d.replace(name+".private", 0o600, text)
	}
	return d.writeSealed(name, text)
}

func (d Dir) writeSealed(name string, text []byte) error {
	random := d.Random
	if random == nil {
		random = rand.Reader
	}
	sealed, err := d.Secret.seal(random, name, text)
	if err != nil {
		return err
	}
	return d.replace(name+".private.sealed", 0o600, sealed)
}

// Unsealed lists the zone's keys, by the names of their files, whose private half
// is not sealed. A private file without its .key file, which is written last, is
// of no key.
func (d Dir) Unsealed(origin wire.Name) ([]string, error) {
	entries, err := os.ReadDir(d.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("keystore: %w", err)
	}
	var names []string
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), ".private")
		if !ok || !strings.HasPrefix(name, "K"+fileName(origin)+"+") {
			continue
		}
		if _, err := os.Stat(filepath.Join(d.Path, name+".key")); err == nil {
			names = append(names, name)
		}
	}
	return names, nil
}

// Seal seals the zone's private keys that are not, and removes the files that BIND
// could read, each once its sealed one is written and opens again. What a disk or
// a backup still has of them, it cannot know.
func (d Dir) Seal(origin wire.Name) error {
	names, err := d.Unsealed(origin)
	if err != nil {
		return err
	}
	if d.Secret == nil && len(names) > 0 {
		return fmt.Errorf("keystore: %s: no secret to seal keys with", d.Path)
	}
	var errs []error
	for _, name := range names {
		if err := d.seal(name); err != nil {
			errs = append(errs, fmt.Errorf("keystore: seal %s: %w", filepath.Join(d.Path, name+".private"), err))
		}
	}
	return errors.Join(errs...)
}

func (d Dir) seal(name string) error {
	if _, err := (Dir{Path: d.Path}).read(name); err != nil {
		return err // not a key, so nothing to remove
	}
	path := filepath.Join(d.Path, name)
	text, err := readSecret(path + ".private")
	if err != nil {
		return err
	}
	if err := d.writeSealed(name, text); err != nil {
		return err
	}
	sealed, err := readSecret(path + ".private.sealed")
	if err != nil {
		return err
	}
	if opened, err := d.Secret.open(name, sealed); err != nil || !bytes.Equal(opened, text) {
		return errors.Join(errors.New("what was sealed does not open as it was"), err)
	}
	if err := os.Remove(path + ".private"); err != nil {
		return err
	}
	return d.sync()
}

// replace writes a file beside its place, syncs and renames it.
func (d Dir) replace(name string, mode fs.FileMode, content []byte) error {
	f, err := os.CreateTemp(d.Path, "."+name+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once renamed
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), filepath.Join(d.Path, name)); err != nil {
		return err
	}
	return d.sync()
}

func (d Dir) sync() error {
	directory, err := os.Open(d.Path)
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}

func formatPublic(key *Key) []byte {
	kind := "zone"
	if key.Flags&dnssec.FlagSEP != 0 {
		kind = "key"
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "; This is a %s-signing key, keyid %d, for %s\n", kind, key.Tag(), key.Origin)
	for _, at := range key.Timing.list() {
		if !at.time.IsZero() {
			fmt.Fprintf(&b, "; %s: %s\n", at.name, at.time.UTC().Format(timeLayout))
		}
	}
	fmt.Fprintf(&b, "%s ", key.Origin)
	if key.TTL > 0 {
		fmt.Fprintf(&b, "%d ", key.TTL)
	}
	fmt.Fprintf(&b, "IN DNSKEY %d 3 %d %s\n", key.Flags, key.Algorithm, base64.StdEncoding.EncodeToString(key.PublicKey.Key))
	return b.Bytes()
}

func formatState(key *Key) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "; This is the state of key %d, for %s\n", key.Tag(), key.Origin)
	for _, line := range key.Timing.stateWith(key.State) {
		fmt.Fprintf(&b, "%s: %s\n", line.Name, line.Value)
	}
	return b.Bytes()
}
