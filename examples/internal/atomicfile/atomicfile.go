// Package atomicfile replaces files so that a crash leaves the old one or the
// new one.
package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Write gives the file at path the contents that write writes: beside its
// place, synced, renamed, and the directory synced. On an error the file is
// as it was. The new file is 0600 unless write makes it something else.
func Write(path string, write func(*os.File) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once renamed
	if err := errors.Join(write(f), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	directory, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}

// WriteBytes is [Write] for contents in memory. The file has exactly this mode,
// whatever the umask.
func WriteBytes(path string, mode fs.FileMode, data []byte) error {
	return Write(path, func(f *os.File) error {
		_, err := f.Write(data)
		return errors.Join(err, f.Chmod(mode))
	})
}
