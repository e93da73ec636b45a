// Package install replaces files of a web server's configuration, and takes that back when the server refuses them.
package install

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/berryrack/berryrack/staticify"
)

// commandTimeout is what a server's test, or its reload, may take.
const commandTimeout = time.Minute

// intent is a file beside the others that holds what they were, from before they change until the server has taken
// them, or they are what they were.
const intent = ".before"

// Files makes these the files in dir, runs the two commands, and puts the old files back when one of them fails. When
// the files are there already it does nothing, unless a process was killed before the server had taken them.
func Files(ctx context.Context, dir string, files map[string][]byte, test, reload []string) error {
	present, err := read(dir, files)
	if err != nil {
		return err
	}
	before, killed := readIntent(dir)
	switch {
	case killed:
	case maps.EqualFunc(present, files, bytes.Equal):
		return nil
	default:
		before = present
		if err := writeIntent(dir, before); err != nil {
			return err
		}
	}
	if err := write(dir, files); err != nil {
		return errors.Join(err, restore(dir, before))
	}
	refused := Run(ctx, test)
	if refused == nil {
		refused = Run(ctx, reload)
	}
	if refused == nil {
		return os.Remove(filepath.Join(dir, intent))
	}
	if err := restore(dir, before); err != nil {
		return errors.Join(refused, err)
	}
	var e *staticify.ConfigError
	if errors.As(refused, &e) {
		e.Foreign = Run(context.WithoutCancel(ctx), test) != nil
	}
	return refused
}

// readIntent returns what the files were before a process began to change them that was killed.
func readIntent(dir string) (before map[string][]byte, killed bool) {
	text, err := os.ReadFile(filepath.Join(dir, intent))
	if err != nil || json.Unmarshal(text, &before) != nil {
		return nil, false
	}
	return before, true
}

func writeIntent(dir string, before map[string][]byte) error {
	text, err := json.Marshal(before)
	if err != nil {
		return err
	}
	return write(dir, map[string][]byte{intent: text})
}

// restore puts the old files back.
func restore(dir string, before map[string][]byte) error {
	if err := write(dir, before); err != nil {
		return err
	}
	return os.Remove(filepath.Join(dir, intent))
}

// Run runs a command of the server's. The error is a *[staticify.ConfigError].
func Run(ctx context.Context, command []string) error {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	output, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput()
	if err != nil {
		return &staticify.ConfigError{Command: command, Output: string(output[:min(len(output), 4096)]), Err: err}
	}
	return nil
}

// read returns the present ones of the files that are wanted; one that is missing is nil.
func read(dir string, wanted map[string][]byte) (map[string][]byte, error) {
	files := map[string][]byte{}
	for name := range wanted {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		files[name] = data
	}
	return files, nil
}

// write puts the files in their places, each in one step.
func write(dir string, files map[string][]byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, data := range files {
		if err := replace(filepath.Join(dir, name), data); err != nil {
			return err
		}
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// replace writes a file beside its place and renames it; nil data removes it.
func replace(path string, data []byte) error {
	if data == nil {
		if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err := errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
