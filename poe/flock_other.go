//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package poe

import (
	"errors"
	"fmt"
	"io"
	"runtime"
)

func lockFile(string) (io.Closer, error) {
	return nil, fmt.Errorf("file locks on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
