//go:build !unix

package publish

import (
	"errors"
	"os"
)

func lock(*os.Root) (unlock func(), err error) { return nil, errors.ErrUnsupported }
