package vlan

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	// batchSize is how many messages go to the kernel in one. Their answers
	// fit into a socket's default buffer even if all of them fail.
	batchSize = 128
	// dadTimeout is far more than duplicate address detection takes by
	// default: a random delay of at most 1 s, and 1 s for each probe (RFC
	// 4862, section 5.4.2).
	dadTimeout  = 15 * time.Second
	dadInterval = 100 * time.Millisecond
	// doomed is the group into which links are put to be deleted as one: one
	// by one the kernel takes some 40 ms for each.
	doomed = 0x62727279
)

// Apply does the steps in order, and then waits for the duplicate address
// detection of the addresses that it added, on links that have a carrier. If a
// step fails, another host has an address, or ctx is done, it takes back what
// it did in reverse order and returns an [*ApplyError]. It deletes no link that
// another one is on, unless that is deleted as well.
//
// Messages go to the kernel in batches, so that up to a hundred steps after one
// that fails are done and taken back, too. Nothing but the kernel's own state
// says how far it came: killed at any point, [Diff] finds what is left to do.
func (n Namespace) Apply(ctx context.Context, steps []Step) error {
	if len(steps) == 0 {
		return nil
	}
	c, err := n.dial(0)
	if err != nil {
		return err
	}
	defer c.Close()
	a := applier{conn: c, steps: steps, done: make([]bool, len(steps))}
	if err := a.checkStacked(ctx); err != nil {
		return fmt.Errorf("vlan: nothing changed: %w", err)
	}
	failed, err := a.run(ctx)
	if err == nil {
		failed, err = a.waitDAD(ctx)
	}
	if err == nil {
		return nil
	}
	// What is half done must be undone, whatever ctx says.
	return &ApplyError{Step: steps[failed], Err: err, NotUndone: a.undo(context.WithoutCancel(ctx))}
}

// applier does steps. What it knows of links is kept by name: those that it has
// made have no index until they are listed.
type applier struct {
	conn
	steps   []Step
	done    []bool
	parents map[string]int // of links to be made
	index   map[string]int
	running map[string]bool
}

// run does the steps, and returns the first one that failed.
func (a *applier) run(ctx context.Context) (failed int, err error) {
	ops := make([]op, len(a.steps))
	for i, step := range a.steps {
		ops[i] = step.do
	}
	for at := 0; at < len(ops); {
		if err := context.Cause(ctx); err != nil {
			return at, err
		}
		n, errs := a.some(ctx, ops[at:])
		failed := -1
		for i := range n {
			a.done[at+i] = errs[i] == nil
			if errs[i] != nil && failed < 0 {
				failed = at + i
			}
		}
		if failed >= 0 {
			return failed, errs[failed-at]
		}
		at += n
	}
	return 0, nil
}

// undo takes back what is done, as far as it can, and returns what it could not.
func (a *applier) undo(ctx context.Context) (left []Step) {
	ops, of := a.undoing()
	for at := 0; at < len(ops); {
		n, errs := a.some(ctx, ops[at:])
		for i := range n {
			gone := ops[at+i].verb == deleteLink && errors.Is(errs[i], unix.ENODEV)
			if step := a.steps[of[at+i]]; errs[i] != nil && !gone && !(len(left) > 0 && left[len(left)-1].do == step.do) {
				left = append(left, step)
			}
		}
		at += n
	}
	return left
}

// undoing returns what undoes the steps that are done, and the step of each.
// Links that were deleted are all made before their addresses are added, for
// which they must be listed.
func (a *applier) undoing() (ops []op, of []int) {
	var late []op
	var lateOf []int
	flush := func() {
		ops, of = append(ops, late...), append(of, lateOf...)
		late, lateOf = nil, nil
	}
	for i, step := range slices.Backward(a.steps) {
		if step.do.verb != deleteLink {
			flush()
		}
		if !a.done[i] {
			continue
		}
		for n, op := range step.undo {
			if step.do.verb == deleteLink && n > 0 {
				late, lateOf = append(late, op), append(lateOf, i)
				continue
			}
			ops, of = append(ops, op), append(of, i)
		}
	}
	flush()
	return ops, of
}

// some does the first of the ops, as many as can go to the kernel in one, and
// returns how many, and the error of each.
func (a *applier) some(ctx context.Context, ops []op) (n int, errs []error) {
	if !a.knows(ops[0]) {
		if err := a.list(ctx); err != nil {
			return 1, []error{err}
		}
		if !a.knows(ops[0]) {
			return 1, []error{fmt.Errorf("%s: %w", ops[0].needs(), unix.ENODEV)}
		}
	}
	deletes := ops[0].verb == deleteLink
	for n < len(ops) && a.knows(ops[n]) && (ops[n].verb == deleteLink) == deletes && (deletes || n < batchSize) {
		n++
	}
	if deletes && n > 1 {
		errs = a.deleteAll(ops[:n])
	} else {
		errs = a.send(ops[:n])
	}
	for i, op := range ops[:n] {
		if errs[i] == nil && (op.verb == deleteLink || op.verb == addLink) {
			delete(a.index, op.device) // not known, or not yet
		}
	}
	return n, errs
}

// needs returns the link whose index an op's message has.
func (o op) needs() string {
	if o.verb == addLink {
		return o.parent
	}
	return o.device
}

func (a *applier) knows(o op) bool {
	_, ok := a.index[o.needs()]
	return ok
}

// list learns the indices of all VLAN links and of the parents that are needed.
func (a *applier) list(ctx context.Context) error {
	devices, err := a.vlans(ctx)
	if err != nil {
		return err
	}
	if a.parents == nil {
		if a.parents, err = a.findParents(); err != nil {
			return err
		}
	}
	a.index, a.running = maps.Clone(a.parents), map[string]bool{}
	for _, d := range devices {
		a.index[d.name], a.running[d.name] = d.index, d.flags&unix.IFF_LOWER_UP != 0
	}
	return nil
}

// findParents returns the indices of the links that VLANs are made on, which
// are not VLANs that are yet to be made.
func (a *applier) findParents() (map[string]int, error) {
	parents := map[string]int{}
	for _, step := range a.steps {
		for _, op := range append([]op{step.do}, step.undo...) {
			if op.verb != addLink || parents[op.parent] != 0 {
				continue
			}
			parent, err := a.device(op.parent, 0)
			if err != nil && !errors.Is(err, unix.ENODEV) {
				return nil, fmt.Errorf("%s: %w", op.parent, err)
			}
			parents[op.parent] = parent.index
		}
	}
	maps.DeleteFunc(parents, func(_ string, index int) bool { return index == 0 })
	return parents, nil
}

// send has the kernel do ops, and returns the error of each.
func (a *applier) send(ops []op) []error {
	messages := make([]netlink.Message, len(ops))
	for i, op := range ops {
		var err error
		if messages[i], err = op.message(a.index); err != nil {
			return repeat(err, len(ops))
		}
	}
	return a.exchange(messages)
}

func repeat(err error, n int) []error { return slices.Repeat([]error{err}, n) }

// exchange sends messages in one, and returns the error of each. The kernel
// answers each that fails, and the last one in any case.
func (c conn) exchange(messages []netlink.Message) []error {
	last := len(messages) - 1
	messages[last].Header.Flags |= netlink.Acknowledge
	sent, err := c.SendMessages(messages)
	if err != nil {
		return repeat(err, len(messages))
	}
	errs := make([]error, len(messages))
	first := sent[0].Header.Sequence
	for {
		answers, err := c.Receive()
		var opError *netlink.OpError
		switch {
		case err == nil && len(answers) == 1 && answers[0].Header.Sequence == sent[last].Header.Sequence:
			return errs
		case err == nil:
			// An answer to something else: not to be expected.
		case errors.As(err, &opError) && opError.Sequence-first <= uint32(last):
			errs[opError.Sequence-first] = reason(err)
			if opError.Sequence == sent[last].Header.Sequence {
				return errs
			}
		default:
			// Answers are lost, and with them what was done.
			return repeat(err, len(messages))
		}
	}
}

// deleteAll deletes links as one, by way of a group of their own.
func (a *applier) deleteAll(ops []op) []error {
	var errs []error
	for chunk := range slices.Chunk(ops, batchSize) {
		errs = append(errs, a.setGroup(chunk, doomed)...)
	}
	failed := errors.Join(errs...)
	if failed == nil {
		failed = a.deleteGroup(doomed)
	}
	if failed == nil {
		return errs
	}
	for chunk := range slices.Chunk(ops, batchSize) {
		a.setGroup(chunk, 0)
	}
	for i := range errs {
		if errs[i] == nil {
			errs[i] = failed
		}
	}
	return errs
}

func (c conn) deleteGroup(group uint32) error {
	body, err := attributes(ifinfomsg(0, 0, 0), func(e *netlink.AttributeEncoder) { e.Uint32(unix.IFLA_GROUP, group) })
	if err != nil {
		return err
	}
	return c.exchange([]netlink.Message{{Header: netlink.Header{Type: unix.RTM_DELLINK, Flags: netlink.Request}, Data: body}})[0]
}

func (a *applier) setGroup(ops []op, group uint32) []error {
	messages := make([]netlink.Message, len(ops))
	for i, op := range ops {
		body, err := attributes(ifinfomsg(a.index[op.device], 0, 0), func(e *netlink.AttributeEncoder) { e.Uint32(unix.IFLA_GROUP, group) })
		if err != nil {
			return repeat(err, len(ops))
		}
		messages[i] = netlink.Message{Header: netlink.Header{Type: unix.RTM_NEWLINK, Flags: netlink.Request}, Data: body}
	}
	return a.exchange(messages)
}

// checkStacked refuses to delete a link that others are on, of any kind, which
// the kernel would delete with it, and one that is not the link any more that
// the steps mean. What an Apply that was killed has left in the doomed group,
// and is to stay, it takes out of it.
func (a *applier) checkStacked(ctx context.Context) error {
	deleted := map[string]op{} // and what they are, as what makes them again says
	deletes := false
	for _, step := range a.steps {
		deletes = deletes || step.do.verb == deleteLink
		if step.do.verb == deleteLink {
			deleted[step.do.device] = step.undo[0]
		}
		for _, op := range step.undo {
			deletes = deletes || op.verb == deleteLink
		}
	}
	if !deletes {
		return nil
	}
	devices, err := a.devices(ctx, "")
	if err != nil {
		return err
	}
	a.index = map[string]int{}
	names := map[int]string{}
	for _, d := range devices {
		names[d.index], a.index[d.name] = d.name, d.index
	}
	var problems []error
	for _, d := range devices {
		is, goes := deleted[d.name]
		lower := names[d.lower]
		_, lowerGoes := deleted[lower]
		switch {
		case goes && (d.kind != "vlan" || d.foreign || lower != is.parent || d.vlan != is.vlan):
			problems = append(problems, fmt.Errorf("%s is another link now", d.name))
		case !goes && lowerGoes && !d.foreign:
			problems = append(problems, fmt.Errorf("%s is on %s, and would be deleted with it", d.name, lower))
		case !goes && d.group == doomed:
			problems = append(problems, a.setGroup([]op{{device: d.name}}, 0)...)
		}
	}
	a.index = nil
	return errors.Join(problems...)
}

// waitDAD waits until the IPv6 addresses that were added are known to be no
// other host's (RFC 4862, section 5.4), and returns the step of one that is.
// Without a carrier nothing can be known.
func (a *applier) waitDAD(ctx context.Context) (failed int, err error) {
	type key struct {
		index int
		addr  netip.Addr
	}
	waiting := map[key]int{}
	if err := a.list(ctx); err != nil {
		return 0, err
	}
	for i, step := range a.steps {
		if op := step.do; op.verb == addAddress && op.prefix.Addr().Is6() && a.running[op.device] {
			waiting[key{a.index[op.device], op.prefix.Addr()}] = i
		}
	}
	if len(waiting) == 0 {
		return 0, nil
	}
	timeout := time.After(dadTimeout)
	tick := time.NewTicker(dadInterval)
	defer tick.Stop()
	for {
		all, err := a.held(ctx, unix.AF_INET6)
		tentative := -1
		for _, held := range all {
			i, ok := waiting[key{held.index, held.prefix.Addr()}]
			switch {
			case ok && held.flags&unix.IFA_F_DADFAILED != 0:
				return i, fmt.Errorf("another host has the address %v", held.prefix.Addr())
			case ok && held.flags&unix.IFA_F_TENTATIVE != 0:
				tentative = i
			}
		}
		switch {
		case err != nil:
			return 0, err
		case tentative < 0:
			return 0, nil
		}
		select {
		case <-ctx.Done():
			return tentative, context.Cause(ctx)
		case <-timeout:
			return tentative, fmt.Errorf("whether another host has the address is not known after %v", dadTimeout)
		case <-tick.C:
		}
	}
}
