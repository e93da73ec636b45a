//go:build !linux

package rootfs

import (
	"context"
	"time"
)

type node struct{}

// Clone is only for Linux.
func Clone(context.Context, string, []Root, func(Progress)) error { return ErrUnsupported }

// Personalise is only for Linux.
func Personalise(context.Context, string, Identity) ([]Edit, error) { return nil, ErrUnsupported }

// PlanPersonalise is only for Linux.
func PlanPersonalise(string, Identity) ([]Edit, error) { return nil, ErrUnsupported }

// PlanSync is only for Linux.
func PlanSync(context.Context, string, []Root) ([]Plan, error) { return nil, ErrUnsupported }

// PlanPush is only for Linux.
func PlanPush(context.Context, Push) ([]Plan, error) { return nil, ErrUnsupported }

// Apply is only for Linux.
func Apply(context.Context, []Plan, func(Progress)) error { return ErrUnsupported }

// Watch is only for Linux.
func Watch(context.Context, Push, time.Duration, func([]Plan, error)) error { return ErrUnsupported }

// Rebuild is only for Linux.
func Rebuild(context.Context, string, Root, Machine, func(Progress)) error { return ErrUnsupported }

// Rollback is only for Linux.
func Rollback(context.Context, string, Machine) error { return ErrUnsupported }

// Recover is only for Linux.
func Recover(context.Context, string) error { return ErrUnsupported }

// EmptyTrash is only for Linux.
func EmptyTrash(context.Context, string, time.Time) error { return ErrUnsupported }

// DiscardOld is only for Linux.
func DiscardOld(context.Context, string) error { return ErrUnsupported }

// Look is only for Linux.
func Look(dir string) (Status, error) { return Status{Dir: dir}, ErrUnsupported }

// Device is only for Linux.
func Device(string) (uint64, error) { return 0, ErrUnsupported }
