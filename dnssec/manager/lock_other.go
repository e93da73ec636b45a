//go:build !unix

package manager

import (
	"errors"
	"os"
)

func tryLock(*os.File) (held bool, err error) {
	return false, errors.ErrUnsupported
}
