//go:build !unix

package acme

import (
	"errors"
	"os"
)

func tryLock(*os.File) (held bool, err error) {
	return false, errors.ErrUnsupported
}
