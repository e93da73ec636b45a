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
	// Reachable reports whether the Pi answers. One that was switched on has
	// five minutes until it does.
	Reachable func(context.Context) (bool, error)
	// PowerOff and PowerOn switch the Pi. After PowerOff there is always a
	// PowerOn, within two minutes whatever becomes of the caller's context.
	PowerOff, PowerOn func(context.Context) error
	// Reexport makes the NFS server forget the former tree: `exportfs -f`.
	Reexport func(context.Context) error
	// Serving returns once the NFS server answers for the root.
	Serving func(context.Context) error
	// Force swaps the root even of a Pi that is up, or that cannot be asked.
	Force bool
}

const (
	reachableEvery = time.Second     // between asking a Pi that boots whether it answers
	bootLimit      = 5 * time.Minute // for that Pi
	onLimit        = 2 * time.Minute // for PowerOn, which the end of ctx does not stop
)

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
	err = call(ctx, "export again", m.Reexport)
	if err == nil {
		err = call(ctx, "NFS server", m.Serving)
	}
	err = errors.Join(err, m.on(ctx)) // whatever has failed: no Pi stays dark
	if err == nil {
		err = call(ctx, "wait for the Pi", m.answers)
	}
	if err != nil {
		return fmt.Errorf("the new root is in place, but: %w", err)
	}
	return nil
}

// powerBack undoes a power off.
func (m Machine) powerBack(ctx context.Context) error {
	if m.PowerOff == nil {
		return nil
	}
	return m.on(ctx)
}

// on switches the Pi on, also when ctx has ended.
func (m Machine) on(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), onLimit)
	defer cancel()
	return call(ctx, "power on", m.PowerOn)
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
	ctx, cancel := context.WithTimeout(ctx, bootLimit)
	defer cancel()
	tick := time.NewTicker(reachableEvery)
	defer tick.Stop()
	for {
		up, err := m.Reachable(ctx)
		if up && err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("does not answer: %w", ctx.Err()), err)
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
	Dir         string `json:"dir"`         // the root's place
	Exists      bool   `json:"exists"`      // there is a root at Dir
	Old         int    `json:"old"`         // former roots that are kept
	Trash       int    `json:"trash"`       // runs whose replaced files are kept
	Interrupted bool   `json:"interrupted"` // a run was cut short: Recover, or any other, finishes it
	Locked      bool   `json:"locked"`      // a run is at work
}
