package vlan

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
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
	// settle is how long more reasons are waited for after the first.
	settle = 20 * time.Millisecond
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

// event is a change: of a link, or of an address or default route on one. The
// zero event is that some were lost.
type event struct {
	kind   netlink.HeaderType
	device device
	prefix netip.Prefix
	via    netip.Addr
}

func (e event) what() string {
	if e.via.IsValid() {
		return "default via " + e.via.String()
	}
	return e.prefix.String()
}

// listen sends what happens, until reading fails. That it always does at last:
// once ctx is done, or the conn is closed.
func (c conn) listen(ctx context.Context, events chan<- event) error {
	for {
		messages, err := c.Receive()
		var found []event
		switch {
		case errors.Is(err, unix.ENOBUFS):
			found = []event{{}}
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
		e.device.index, e.prefix = a.index, a.prefix
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		h, isDefault, err := parseDefault(message)
		if err != nil || !isDefault {
			return event{}, false
		}
		e.device.index, e.via = h.index, h.via
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
// reason to. One reason seldom comes alone.
func (w watch) wait(ctx context.Context, have State, interval time.Duration, again <-chan time.Time) ([]string, error) {
	due := time.After(interval)
	var reasons []string
	for {
		reason := ""
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-due:
			due = nil
			if len(reasons) > 0 {
				return reasons, nil
			}
		case <-again:
			reason = "it failed before"
		case e := <-w.events:
			reason = w.why(e, have)
		}
		if reason == "" || slices.Contains(reasons, reason) {
			continue
		}
		if due == nil && len(reasons) == 0 {
			due = time.After(settle)
		}
		switch len(reasons) {
		case maxReasons:
		case maxReasons - 1:
			reasons = append(reasons, "and more")
		default:
			reasons = append(reasons, reason)
		}
	}
}

// why returns what an event means for the plan: "" is nothing, as that of a
// change that made the kernel what it was known to be, or is to be.
func (w watch) why(e event, have State) string {
	if e.kind == 0 {
		return "events were lost"
	}
	if e.kind == unix.RTM_NEWLINK || e.kind == unix.RTM_DELLINK {
		return w.whyLink(e, have)
	}
	at := slices.IndexFunc(have.Links, func(link Link) bool { return link.index == e.device.index })
	if at < 0 {
		return ""
	}
	name := have.Links[at].Name
	i := slices.IndexFunc(w.want.Interfaces, func(i Interface) bool { return i.IfName() == name })
	if i < 0 {
		return ""
	}
	added := e.kind == unix.RTM_NEWADDR || e.kind == unix.RTM_NEWROUTE
	wanted := slices.Contains(w.want.Interfaces[i].Addresses, e.prefix) || slices.Contains(w.want.Interfaces[i].Gateways, e.via)
	switch what := e.what(); {
	case added == wanted:
		return ""
	case added:
		return name + ": " + what + " was added"
	default:
		return name + ": " + what + " was removed"
	}
}

// whyLink is why for the event of a link.
func (w watch) whyLink(e event, have State) string {
	name, up := e.device.name, e.device.flags&unix.IFF_UP != 0
	known := slices.ContainsFunc(have.Links, func(link Link) bool {
		return link.index == e.device.index && link.Name == name && link.Up == up && link.MTU == e.device.mtu
	}) || slices.ContainsFunc(have.Parents, func(parent Parent) bool {
		return parent.index == e.device.index && parent.Name == name && parent.Up == up && parent.MTU == e.device.mtu
	})
	planned := w.want.parent(name) || slices.ContainsFunc(w.want.Interfaces, func(i Interface) bool { return i.IfName() == name })
	switch {
	case !planned:
		return ""
	case e.kind == unix.RTM_DELLINK:
		return name + " was deleted"
	case known:
		return ""
	case !up:
		return name + " is down"
	}
	return name + " is up, or changed"
}
