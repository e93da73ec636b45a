package rootfs

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Machine is the hooks with which Rebuild and Rollback handle one Pi and the
// NFS server. A nil hook leaves its step out. Hooks end with their context.
type Machine struct {
	// Reachable reports whether the Pi answers.
	Reachable func(context.Context) (bool, error)
	// PowerOff and PowerOn switch the Pi.
	PowerOff, PowerOn func(context.Context) error
	// Reexport makes the NFS server forget the former tree: `exportfs -f`.
	Reexport func(context.Context) error
	// Serving returns once the NFS server answers for the root.
	Serving func(context.Context) error
	// Force swaps the root even of a Pi that is up, or that cannot be asked.
	Force bool
}

// reachableEvery is how often a Pi that boots is asked whether it answers.
const reachableEvery = time.Second

// idle makes sure that no running Pi loses its root.
func (m Machine) idle(ctx context.Context) error {
	if m.Force || m.Reachable == nil {
		return nil
	}
	up, err := m.Reachable(ctx)
	if err != nil {
		return fmt.Errorf("is the Pi up? %w", err)
	}
	if up {
		return ErrRunning
	}
	return nil
}

// around runs swap with the Pi off, and ends when the Pi answers again. When
// swap fails, the Pi gets its power back.
func (m Machine) around(ctx context.Context, swap func() error) error {
	if err := m.idle(ctx); err != nil {
		return err
	}
	if err := call(ctx, "power off", m.PowerOff); err != nil {
		return errors.Join(err, m.powerBack(ctx))
	}
	err := ctx.Err()
	if err == nil {
		err = swap()
	}
	if err != nil {
		return errors.Join(err, m.powerBack(ctx))
	}
	for _, step := range []struct {
		name string
		hook func(context.Context) error
	}{{"export again", m.Reexport}, {"NFS server", m.Serving}, {"power on", m.PowerOn}, {"wait for the Pi", m.answers}} {
		if err := call(ctx, step.name, step.hook); err != nil {
			return fmt.Errorf("the new root is in place, but: %w", err)
		}
	}
	return nil
}

// powerBack undoes a power off, also when ctx has ended.
func (m Machine) powerBack(ctx context.Context) error {
	if m.PowerOff == nil {
		return nil
	}
	return call(context.WithoutCancel(ctx), "power on", m.PowerOn)
}

func call(ctx context.Context, name string, hook func(context.Context) error) error {
	if hook == nil {
		return nil
	}
	if err := hook(ctx); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// answers waits until the Pi is reachable, when someone has switched it on.
func (m Machine) answers(ctx context.Context) error {
	if m.Reachable == nil || m.PowerOn == nil {
		return nil
	}
	tick := time.NewTicker(reachableEvery)
	defer tick.Stop()
	for {
		up, err := m.Reachable(ctx)
		if up && err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// steps describes what around does, in words.
func (m Machine) steps(swap ...string) []string {
	var steps []string
	add := func(hook bool, step string) {
		if hook {
			steps = append(steps, step)
		}
	}
	add(m.Reachable != nil && !m.Force, "make sure that the Pi is down")
	add(m.PowerOff != nil, "power off")
	steps = append(steps, swap...)
	add(m.Reexport != nil, "exportfs -f")
	add(m.Serving != nil, "wait for the NFS server")
	add(m.PowerOn != nil, "power on")
	add(m.PowerOn != nil && m.Reachable != nil, "wait for the Pi")
	return steps
}

// RebuildSteps returns what Rebuild does, for a dry run.
func RebuildSteps(golden string, root Root, m Machine) []string {
	steps := []string{fmt.Sprintf("copy %s beside %s", golden, root.Dir)}
	if root.Identity.Hostname != "" {
		steps[0] += ", as " + root.Identity.Hostname
	}
	return append(steps, m.steps("swap "+root.Dir+", keep the former root")...)
}

// RollbackSteps returns what Rollback does, for a dry run.
func RollbackSteps(dir string, m Machine) []string {
	return m.steps("swap " + dir + " with the former root, move it to the trash")
}

// Status is what is known of a root.
type Status struct {
	Dir         string
	Exists      bool
	Old         int  // former roots that are kept
	Trash       int  // runs whose replaced files are kept
	Interrupted bool // a run was cut short: Recover, or any other, finishes it
	Locked      bool // a run is at work
}
