//go:build !linux

package vlan

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

func unsupported(what string) error {
	return fmt.Errorf("vlan: %s: rtnetlink is Linux's: %w", what, errors.ErrUnsupported)
}

// Current needs Linux.
func (n Namespace) Current(context.Context, ...string) (State, error) {
	return State{}, unsupported("read the kernel's state")
}

// Apply needs Linux.
func (n Namespace) Apply(context.Context, []Step) error { return unsupported("apply") }

// Watcher keeps a host as it is wanted.
type Watcher struct {
	Namespace Namespace     // as on Linux
	Interval  time.Duration // as on Linux
	Log       *slog.Logger  // as on Linux
}

// Watch needs Linux.
func (w Watcher) Watch(context.Context, Wanted) error { return unsupported("watch") }
