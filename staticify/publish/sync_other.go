//go:build !linux

package publish

import (
	"errors"
	"io/fs"
	"os"
	"strings"
)

// syncAll has the files of generations that are being made written to the disk, and all directories.
func syncAll(root *os.Root) error {
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() && (!d.Type().IsRegular() || !strings.Contains(name, ".new/")) {
			return err
		}
		f, err := root.Open(name)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
}
