package zonesign

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/berryrack/berryrack/dnssec/zone"
)

// writeFile writes a zone beside its place, syncs and renames it, so that the file
// is the old zone or the new one, whatever happens. It keeps the file's mode.
func writeFile(path string, z *zone.Zone) error {
	mode := fs.FileMode(0o644)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once renamed
	_, err = z.WriteTo(f)
	if err := errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
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
