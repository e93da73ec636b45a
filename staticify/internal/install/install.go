// Package install replaces files of a web server's configuration, and takes that back when the server refuses them.
package install

import (
	"bytes"
	"context"
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

// Files makes these the files in dir, in one step unless they are the first ones, runs the two commands, and puts the old
// files back when one of them fails. When the files are there already it does nothing, unless a process was killed before the server had taken
// them.
func Files(ctx context.Context, dir string, files map[string][]byte, test, reload []string) error {
	present, err := read(dir, files)
	if err != nil {
		return err
	}
	d := directory{dir, files}
	before, _ := d.target(beforeLink)
	if _, err := os.Stat(filepath.Join(dir, beforeLink)); err != nil { // no process was killed
		if maps.EqualFunc(present, files, bytes.Equal) {
			return nil
		}
		if before, err = d.keep(present); err != nil {
			return err
		}
	}
	next, err := d.replace(files)
	if err != nil {
		return errors.Join(err, d.settle(before))
	}
	refused := Run(ctx, test)
	if refused == nil {
		refused = Run(ctx, reload)
	}
	if refused == nil {
		return d.settle(next)
	}
	if err := d.settle(before); err != nil {
		return errors.Join(refused, err)
	}
	var e *staticify.ConfigError
	var exit *exec.ExitError // a command that could not be run says nothing of the files
	if errors.As(refused, &e) && errors.As(refused, &exit) {
		e.Foreign = Run(context.WithoutCancel(ctx), test) != nil
	}
	return refused
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
