//go:build !linux

package main

import (
	"context"

	"github.com/berryrack/berryrack/examples/internal/cli"
)

// boots is empty: only Linux has user-mode Linux.
type boots struct{}

func forward(context.Context, string, []string, cli.Streams) (status int, ok bool, err error) {
	return 0, false, nil
}
