package vlan

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	// watchGroups are the changes that Watch hears of (linux/rtnetlink.h).
	watchGroups = unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR | unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_ROUTE
	// eventQueue is how many events wait. The kernel keeps more, and says so
	// when it had to drop some.
	eventQueue = 256
	// maxReasons is how many reasons a log line has.
	maxReasons = 8
	// maxRetry is the longest time until what failed is tried again.
	maxRetry = time.Minute
)

// Watcher keeps a host as it is wanted.
type Watcher struct {
	// Namespace is where.
	Namespace Namespace
	// Interval is the shortest time between two applies. Zero is one second.
	Interval time.Duration
	// Log gets a line for each apply, with why, and for each failure. Nil
	// is silent.
	Log *slog.Logger
}

// Watch applies what is wanted, and again whenever something else has changed
// it: when a parent was down, which takes IPv6 addresses and routes away for
// good, or when somebody deleted a link or an address. It returns an error
// if the plan cannot be applied to begin with, and else, when ctx is done, its
// cause. A parent that is not ready is waited for; what fails is tried again,
// after twice the time each time, up to a minute.
func (w Watcher) Watch(ctx context.Context, want Wanted) error {
	c, err := w.Namespace.dial(watchGroups)
	if err != nil {
		return err
	}
	defer c.Close()
	defer c.until(ctx)()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	events := make(chan event, eventQueue)
	listening := make(chan struct{})
	go func() {
		defer close(listening)
		cancel(c.listen(ctx, events))
	}()
	err = watch{Watcher: w, want: want, events: events}.run(ctx)
	cancel(err)
	_ = c.Close()
	<-listening
	return err
}

// event is a change: of a link, or of an address or route on one.
type event struct {
	kind   netlink.HeaderType
	device device
	what   string // the address or the gateway
}

// lost is the event that some were lost.
var lost = event{what: "events were lost"}

// listen sends what happens, until reading fails. That it always does at last:
// once ctx is done, or the conn is closed.
func (c conn) listen(ctx context.Context, events chan<- event) error {
	for {
		messages, err := c.Receive()
		var found []event
		switch {
		case errors.Is(err, unix.ENOBUFS):
			found = []event{lost}
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return fmt.Errorf("vlan: listen to the kernel: %w", err)
		}
		for _, message := range messages {
			if e, ok := parseEvent(message); ok {
				found = append(found, e)
			}
		}
		for _, e := range found {
			select {
			case events <- e:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
}

func parseEvent(message netlink.Message) (e event, ok bool) {
	e.kind = message.Header.Type
	var err error
	switch e.kind {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		if e.device, err = parseLink(message); err != nil {
			return event{}, false
		}
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		a, err := parseAddress(message)
		if err != nil || !a.permanent() {
			return event{}, false
		}
		e.device.index, e.what = a.index, a.prefix.String()
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		h, isDefault, err := parseDefault(message)
		if err != nil || !isDefault {
			return event{}, false
		}
		e.device.index, e.what = h.index, "default via "+h.via.String()
	default:
		return event{}, false
	}
	return e, true
}

// watch is one run of a Watcher.
type watch struct {
	Watcher
	want   Wanted
	events <-chan event
}

func (w watch) run(ctx context.Context) error {
	interval := w.Interval
	if interval <= 0 {
		interval = time.Second
	}
	retry := interval
	reasons := []string{"start"}
	for first := true; ; first = false {
		have, err := w.apply(ctx, reasons)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case first && errors.Is(err, errPlan):
			return err
		case err == nil || errors.Is(err, ErrParent):
			retry = interval
		default:
			retry = min(2*retry, maxRetry)
		}
		var again <-chan time.Time
		if err != nil && !errors.Is(err, ErrParent) {
			again = time.After(retry)
		}
		if reasons, err = w.wait(ctx, have, interval, again); err != nil {
			return err
		}
	}
}

// errPlan is that the plan cannot be applied to what there is.
var errPlan = errors.New("vlan: the plan cannot be applied")

// apply brings the kernel to the plan, and returns what there is then.
func (w watch) apply(ctx context.Context, reasons []string) (State, error) {
	log := w.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	have, err := w.Namespace.Current(ctx, w.want.Parents...)
	if err != nil {
		log.Error("cannot read the kernel's state", "why", reasons, "err", err)
		return State{}, err
	}
	changes, err := Diff(w.want, have)
	if err != nil {
		log.Error("cannot apply", "why", reasons, "err", err)
		if !errors.Is(err, ErrParent) {
			err = errors.Join(errPlan, err)
		}
		return have, err
	}
	if len(changes.Steps) == 0 {
		log.Debug("nothing to do", "why", reasons)
		return have, nil
	}
	for _, step := range changes.Steps {
		log.Debug("step", "command", step.String(), "why", step.Why())
	}
	if err := w.Namespace.Apply(ctx, changes.Steps); err != nil {
		log.Error("apply failed", "why", reasons, "err", err)
		return have, err
	}
	log.Info("applied", "why", reasons, "steps", len(changes.Steps), "first", changes.Steps[0].String())
	return w.Namespace.Current(ctx, w.want.Parents...)
}

// wait returns why to apply again, once the interval is over and there is a
// reason to.
func (w watch) wait(ctx context.Context, have State, interval time.Duration, again <-chan time.Time) ([]string, error) {
	early := time.After(interval)
	var reasons []string
	more := 0
	for {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-early:
			early = nil
		case <-again:
			reasons = append(reasons, "it failed before")
		case e := <-w.events:
			reason := w.why(e, have)
			if reason == "" || slices.Contains(reasons, reason) {
				continue
			}
			if len(reasons) < maxReasons {
				reasons = append(reasons, reason)
			} else {
				more++
			}
		}
		if early == nil && len(reasons) > 0 {
			if more > 0 {
				reasons = append(reasons, fmt.Sprintf("and %d more", more))
			}
			return reasons, nil
		}
	}
}

// why returns what an event means for the plan: "" is nothing.
func (w watch) why(e event, have State) string {
	if e == lost {
		return lost.what
	}
	name := e.device.name
	if name == "" {
		name = w.name(e.device.index, have)
	}
	parent := w.want.parent(name)
	planned := slices.ContainsFunc(w.want.Interfaces, func(i Interface) bool { return i.IfName() == name })
	if !parent && !planned {
		return ""
	}
	switch e.kind {
	case unix.RTM_NEWLINK:
		if e.device.flags&unix.IFF_UP == 0 {
			return name + " is down"
		}
		return name + " is up, or changed"
	case unix.RTM_DELLINK:
		return name + " was deleted"
	}
	if parent {
		return "" // its addresses and routes are not ours
	}
	if e.kind == unix.RTM_NEWADDR || e.kind == unix.RTM_NEWROUTE {
		return name + ": " + e.what + " was added"
	}
	return name + ": " + e.what + " was removed"
}

// name returns the name of the link that has the index, or had it.
func (w watch) name(index int, have State) string {
	for _, link := range have.Links {
		if link.index == index {
			return link.Name
		}
	}
	return ""
}
