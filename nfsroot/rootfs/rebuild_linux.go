package rootfs

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Rebuild makes a new root beside the old one, then has the Pi switched off,
// swaps the two by one rename, and has the Pi switched on again. The former
// root is kept for [Rollback] until [DiscardOld]. Nothing of it is carried
// over: not the Pi's logs, homes or SSH host keys either.
//
// It refuses with [ErrRunning] while the Pi is up, before and after it has made
// the new root, unless m.Force. Until the swap every error, also the end of
// ctx, leaves the old root as it was; after it the error says that the new root
// is in place.
func Rebuild(ctx context.Context, golden string, root Root, m Machine, progress func(Progress)) error {
	if err := m.idle(ctx); err != nil {
		return fmt.Errorf("rootfs: %s: %w", root.Dir, err)
	}
	sides, err := openSides([]Root{root})
	if err != nil {
		return err
	}
	defer closeAll(sides)
	s := sides[0]
	targets, err := build(ctx, golden, []Root{root}, sides, progress)
	if err != nil {
		return err
	}
	if err := targets[0].err; err != nil {
		return err
	}
	if err := m.around(ctx, s.exchange); err != nil {
		return errors.Join(fmt.Errorf("rootfs: %s: %w", root.Dir, err), s.recover())
	}
	return nil
}

// exchange puts the stage in the root's place, and keeps the former root.
func (s *side) exchange() error {
	_, next, err := s.numbered(oldName)
	if err != nil {
		return err
	}
	return s.swapIn(stageName, path.Join(oldName, strconv.Itoa(next)))
}

// swapIn swaps a tree of the side directory and the root, which goes where
// retire says.
func (s *side) swapIn(from, retire string) error {
	st, err := lstat(s.dir, from)
	if err != nil {
		return err
	}
	j := journal{Swap: st.Ino, From: from, Retire: retire}
	if err := s.writeJournal(j); err != nil {
		return err
	}
	return s.swap(j)
}

// Rollback puts the former root of the last Rebuild back, and moves the one
// that it takes the place of to the trash. Without one it is [ErrNoOld]. The
// Pi is handled as by Rebuild.
func Rollback(ctx context.Context, dir string, m Machine) error {
	s, err := openSide(dir)
	if err != nil {
		return err
	}
	defer s.close()
	if err := m.around(ctx, s.restore); err != nil {
		return errors.Join(fmt.Errorf("rootfs: %s: %w", dir, err), s.recover())
	}
	return nil
}

// restore swaps the newest former root with the root.
func (s *side) restore() error {
	numbers, _, err := s.numbered(oldName)
	if err != nil {
		return err
	}
	if len(numbers) == 0 {
		return ErrNoOld
	}
	_, next, err := s.numbered(trashName)
	if err != nil {
		return err
	}
	old := path.Join(oldName, strconv.Itoa(slices.Max(numbers)))
	return s.swapIn(old, path.Join(trashName, strconv.Itoa(next)))
}

// Recover finishes what a run that was cut short has left, as every other
// function here does first. A swap of roots that had not happened is given up:
// the Pi may be up by now.
func Recover(ctx context.Context, dir string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s, err := openSide(dir)
	if err != nil {
		return err
	}
	s.close()
	return nil
}

// EmptyTrash removes what has been in the trash since before the Pi booted
// last, when no program of it can have it open any more.
func EmptyTrash(ctx context.Context, dir string, booted time.Time) error {
	return discard(ctx, dir, trashName, func(st unix.Stat_t) bool { return time.Unix(st.Ctim.Unix()).Before(booted) })
}

// DiscardOld removes the former roots of a root: there is no way back then.
func DiscardOld(ctx context.Context, dir string) error {
	return discard(ctx, dir, oldName, func(unix.Stat_t) bool { return true })
}

// discard removes the numbered directories that which picks.
func discard(ctx context.Context, dir, kind string, which func(unix.Stat_t) bool) error {
	s, err := openSide(dir)
	if err != nil {
		return err
	}
	defer s.close()
	numbers, _, err := s.numbered(kind)
	for _, n := range numbers {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := path.Join(kind, strconv.Itoa(n))
		st, statErr := lstat(s.dir, p)
		if statErr == nil && which(st) {
			statErr = s.remove(p)
		}
		err = errors.Join(err, statErr)
	}
	if err != nil {
		return fmt.Errorf("rootfs: %s: %w", dir, err)
	}
	return nil
}

// Look returns what is known of a root. It changes nothing.
func Look(dir string) (Status, error) {
	status := Status{Dir: dir}
	parent, err := unix.Open(filepath.Dir(filepath.Clean(dir)), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return status, fmt.Errorf("rootfs: %s: %w", dir, err)
	}
	s := &side{path: dir, name: filepath.Base(dir), parent: parent, dir: -1, lock: -1}
	defer s.close()
	if status.Exists, err = s.exists(); err != nil {
		return status, fmt.Errorf("rootfs: %s: %w", dir, err)
	}
	s.dir, err = openDir(parent, path.Join(sideDir, s.name))
	if missing(err) {
		return status, nil
	}
	if err == nil {
		err = s.look(&status)
	}
	if err != nil {
		err = fmt.Errorf("rootfs: %s: %w", dir, err)
	}
	return status, err
}

func (s *side) look(status *Status) error {
	old, _, err := s.numbered(oldName)
	if err != nil {
		return err
	}
	trash, _, err := s.numbered(trashName)
	if err != nil {
		return err
	}
	status.Old, status.Trash = len(old), len(trash)
	for _, name := range []string{journalName, stageName} {
		if _, err := lstat(s.dir, name); err == nil {
			status.Interrupted = true
		}
	}
	if status.Locked, err = s.locked(); status.Locked {
		status.Interrupted = false
	}
	return err
}
