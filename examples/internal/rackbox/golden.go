package rackbox

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

//go:embed golden
var golden embed.FS

// goldenDirs are the directories of the tree that hold nothing.
var goldenDirs = []string{"bin", "dev", "etc/network/if-up.d", "proc", "root", "run", "sbin", "sys", "tmp", "var/log"}

// goldenLinks are names of busybox that something else than its shell looks for.
var goldenLinks = map[string]string{
	"sbin/init": "../bin/busybox", "bin/sh": "busybox", "bin/ip": "busybox", "bin/run-parts": "busybox",
	"srv/www/boot": "/run/boot", "var/run": "/run",
}

// MakeGolden makes, in the directory dir, the small tree that roots are copies
// of when nobody names another: a system of nothing but the busybox at a path,
// which serves a page.
func MakeGolden(dir, busybox string) error {
	program, err := os.ReadFile(busybox)
	if err != nil {
		return err
	}
	errs := []error{copyGolden(dir)}
	for _, d := range goldenDirs {
		errs = append(errs, os.MkdirAll(filepath.Join(dir, d), 0o755))
	}
	errs = append(errs, os.WriteFile(filepath.Join(dir, "bin/busybox"), program, 0o755))
	for name, to := range goldenLinks {
		errs = append(errs, os.Symlink(to, filepath.Join(dir, name)))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("golden tree: %w", err)
	}
	return nil
}

// copyGolden copies the files that are built in. Those that begin with #! can
// be run.
func copyGolden(dir string) error {
	files, err := fs.Sub(golden, "golden")
	if err != nil {
		return err
	}
	return fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(dir, name)
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if strings.HasPrefix(string(data), "#!") {
			mode = 0o755
		}
		return os.WriteFile(to, data, mode)
	})
}
