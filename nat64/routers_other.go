//go:build !linux

package nat64

import (
	"context"
	"errors"
)

func listenToRouters(context.Context, chan<- advertised) error {
	return errors.New("nat64: router advertisements are read on Linux only")
}
