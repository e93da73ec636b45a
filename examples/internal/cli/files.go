package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ConfigFile returns the configuration of the named program: the file that its
// flag names or, with no such flag, /etc/berryrack/NAME.yaml or, where there is
// none, embedded. The name is for errors; with embedded it is "embedded NAME.yaml".
func ConfigFile(program, flag string, embedded []byte) (name string, data []byte, err error) {
	if flag != "" {
		data, err = os.ReadFile(flag)
		if err != nil {
			return flag, nil, &UsageError{err}
		}
		return flag, data, nil
	}
	name = filepath.Join("/etc/berryrack", program+".yaml")
	data, err = os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "embedded " + program + ".yaml", embedded, nil
	}
	if err != nil {
		return name, nil, &UsageError{err}
	}
	return name, data, nil
}

// secretLimit is the most that a secret may hold, in bytes.
const secretLimit = 1 << 16

// SecretOf returns what a *_file key of the configuration file config names. A
// name that is no absolute path is looked for under $CREDENTIALS_DIRECTORY, then
// beside the configuration. Otherwise it is as [Secret].
func SecretOf(config, path string) (string, error) {
	if filepath.IsAbs(path) {
		return Secret(path)
	}
	if dir := os.Getenv("CREDENTIALS_DIRECTORY"); dir != "" {
		if in := filepath.Join(dir, path); exists(in) {
			return Secret(in)
		}
	}
	return Secret(filepath.Join(filepath.Dir(config), path))
}

// Secret returns what a file holds, without the line feed at its end. A file that
// group or others can read is refused.
func Secret(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return "", fmt.Errorf("%s: group or others can read this secret (mode %04o): chmod 600 it", path, mode)
	}
	data, err := io.ReadAll(io.LimitReader(f, secretLimit+1))
	if len(data) > secretLimit {
		return "", fmt.Errorf("%s: a secret of more than %d bytes", path, secretLimit)
	}
	return strings.TrimSuffix(string(data), "\n"), err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
