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

	"github.com/berryrack/berryrack/dnssec"
)

// Write writes the files of a key: the private one first, so that no key is ever
// seen without it. Present files with other content of the same key are
// replaced; a key that the directory has without its private half stays so when
// Signer is nil. Another key of the same name is an error.
func (d Dir) Write(key Key) error {
	name := key.Name()
	fail := func(err error) error {
		return fmt.Errorf("keystore: write %s: %w", filepath.Join(d.Path, name), err)
	}
	if err := os.MkdirAll(d.Path, 0o700); err != nil {
		return fail(err)
	}
	switch present, err := d.read(name); {
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
	for _, line := range key.State {
		fmt.Fprintf(&b, "%s: %s\n", line.Name, line.Value)
	}
	return b.Bytes()
}
