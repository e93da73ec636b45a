package vlan

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// ErrParent is that a parent is not as its VLANs need it: it is missing or
// down, or its MTU is smaller than theirs. That is not the plan's to change.
var ErrParent = errors.New("parent is not ready")

// Changes are what [Diff] found.
type Changes struct {
	// Steps lead from what there is to what is wanted. None: it is the same.
	Steps []Step
	// Unplanned names the links that are owned and not wanted. With Prune,
	// Steps delete them.
	Unplanned []string
}

// Diff returns the steps that lead from what a host has to what it is to have.
// It changes what the kernel can change and otherwise deletes and makes anew:
// parent, id, protocol and name of a link. On a wanted link, permanent
// addresses and static default routes that are not wanted are removed.
//
// It is an error if what is wanted has problems of its own, if it is not all
// owned, if a name that is wanted is that of a link that is not owned, if a VLAN
// link that stays and is not wanted has a subnet that is, or if a parent is not
// ready ([ErrParent]).
func Diff(want Wanted, have State) (Changes, error) {
	d := differ{want: want, have: have, parents: map[string]Parent{}, byTag: map[parentTag]Link{}, planned: map[string]bool{}}
	for _, parent := range have.Parents {
		d.parents[parent.Name] = parent
	}
	for _, link := range have.Links {
		d.byTag[parentTag{link.Parent, tag{link.Protocol, link.ID}}] = link
	}
	for _, i := range want.Interfaces {
		d.planned[i.IfName()] = true
	}
	if err := errors.Join(d.problems()...); err != nil {
		return Changes{}, err
	}
	d.links()
	return Changes{
		Steps:     slices.Concat(d.routesOut, d.linksOut, d.linksIn, d.settings, d.addressesOut, d.addressesIn, d.routesIn),
		Unplanned: d.unplanned,
	}, nil
}

// parentTag is what the kernel lets only one link have.
type parentTag struct {
	parent string
	tag
}

// differ collects steps in the order in which they can be done: what frees
// names and addresses first, and what needs a link after it.
type differ struct {
	want    Wanted
	have    State
	parents map[string]Parent
	byTag   map[parentTag]Link
	planned map[string]bool // names

	unplanned                                                                   []string
	routesOut, linksOut, linksIn, settings, addressesOut, addressesIn, routesIn []Step
}

func (d *differ) problems() []error {
	problems := Host{Interfaces: d.want.Interfaces}.problems()
	var places []place
	seen := map[string]bool{} // parents: one word about each is enough
	for _, i := range d.want.Interfaces {
		if _, ok := d.want.Owned.Slot(i.ID); !ok || !d.want.parent(i.Parent) {
			problems = append(problems, fmt.Errorf("%s: not owned: no slot has id %d, or VLANs on %s are not the plan's", i.IfName(), i.ID, i.Parent))
		}
		for _, prefix := range i.Addresses {
			places = append(places, place{prefix, "this host's", i.IfName(), tag{i.Protocol, i.ID}})
		}
		if err := d.parentProblem(i); err != nil && !seen[i.Parent] {
			problems = append(problems, err)
			seen[i.Parent] = true
		}
	}
	problems = append(problems, overlaps(places)...)
	names := map[string]Link{}
	for _, link := range d.have.Links {
		names[link.Name] = link
		if d.stays(link) {
			problems = append(problems, d.inTheWay(link)...)
		}
	}
	for _, i := range d.want.Interfaces {
		if link, ok := names[i.IfName()]; ok && !d.want.owns(link) {
			problems = append(problems, fmt.Errorf("%s: the name is that of a link that is not owned: VLAN %d on %q", link.Name, link.ID, link.Parent))
		}
	}
	for i, problem := range problems {
		problems[i] = fmt.Errorf("vlan: %w", problem)
	}
	return problems
}

// stays reports whether the link is not wanted, and stays all the same.
func (d *differ) stays(link Link) bool {
	if d.planned[link.Name] {
		return false
	}
	return !d.want.owns(link) || !d.want.Prune && !d.replaced(link)
}

// inTheWay reports subnets of a link that are wanted elsewhere: the kernel would
// accept both, and answer over the one that it has had for longer.
func (d *differ) inTheWay(link Link) []error {
	var problems []error
	for _, has := range link.Addresses {
		for _, i := range d.want.Interfaces {
			for _, wanted := range i.Addresses {
				if has.Overlaps(wanted) {
					problems = append(problems, fmt.Errorf("%s: %v overlaps %v on %s, which is not planned: ip link delete dev %[4]s", i.IfName(), wanted, has, link.Name))
				}
			}
		}
	}
	return problems
}

// parentProblem reports why the interface cannot be on its parent as that is.
func (d *differ) parentProblem(i Interface) error {
	if d.planned[i.Parent] {
		return nil // a VLAN on a VLAN that this makes
	}
	switch parent, ok := d.parents[i.Parent]; {
	case !ok:
		return fmt.Errorf("%s: %w: there is no %s", i.IfName(), ErrParent, i.Parent)
	case !parent.Up:
		return fmt.Errorf("%s: %w: %s is down: ip link set dev %[3]s up", i.IfName(), ErrParent, i.Parent)
	case i.MTU > parent.MTU:
		return fmt.Errorf("%s: %w: MTU %d is above the %d of %s", i.IfName(), ErrParent, i.MTU, parent.MTU, i.Parent)
	}
	return nil
}

// links compares each link that is wanted with the one that has its parent, id
// and protocol, and then looks at those that nothing was compared with.
func (d *differ) links() {
	kept := map[string]bool{}
	for _, i := range d.want.Interfaces {
		link, ok := d.byTag[parentTag{i.Parent, tag{i.Protocol, i.ID}}]
		if ok && link.Name == i.IfName() {
			kept[link.Name] = true
			d.change(i, link)
			continue
		}
		d.create(i, ok, link)
	}
	for _, link := range d.have.Links {
		switch {
		case !d.want.owns(link) || kept[link.Name]:
		case d.planned[link.Name]:
			d.remove(link, "another parent, id or protocol")
		case d.replaced(link):
			d.remove(link, "another name")
		default:
			d.unplanned = append(d.unplanned, link.Name)
			if d.want.Prune {
				d.remove(link, "not planned")
			}
		}
	}
}

// replaced reports whether the link is wanted under another name.
func (d *differ) replaced(link Link) bool {
	return slices.ContainsFunc(d.want.Interfaces, func(i Interface) bool {
		return i.ID == link.ID && i.Protocol == link.Protocol && i.Parent == link.Parent
	})
}

func (d *differ) remove(link Link, why string) {
	d.linksOut = append(d.linksOut, Step{do: op{verb: deleteLink, device: link.Name}, undo: link.create(), why: why})
}

func (d *differ) create(i Interface, renamed bool, old Link) {
	why := "missing"
	if renamed {
		why = "was " + old.Name
	}
	link := Link{Interface: i, Up: true}
	link.Name = i.IfName()
	for n, do := range link.create() {
		step := Step{do: do, undo: []op{do.inverse()}, why: why}
		switch {
		case n == 0:
			d.linksIn = append(d.linksIn, step)
		case do.verb == addAddress:
			d.addressesIn = append(d.addressesIn, step)
		default:
			d.routesIn = append(d.routesIn, step)
		}
	}
}

// inverse returns what takes back an op that adds something.
func (o op) inverse() op {
	switch o.verb {
	case addLink:
		return op{verb: deleteLink, device: o.device}
	case addAddress:
		o.verb = deleteAddress
	case deleteAddress:
		o.verb = addAddress
	case addRoute:
		o.verb = deleteRoute
	case deleteRoute:
		o.verb = addRoute
	case setUp:
		o.verb = setDown
	}
	return o
}

// change compares a link that can stay.
func (d *differ) change(i Interface, link Link) {
	mtu := i.MTU
	if mtu == 0 {
		mtu = d.parents[i.Parent].MTU
	}
	if mtu != 0 && mtu != link.MTU {
		d.settings = append(d.settings, Step{
			do:   op{verb: setMTU, device: link.Name, mtu: mtu},
			undo: []op{{verb: setMTU, device: link.Name, mtu: link.MTU}},
			why:  fmt.Sprintf("MTU is %d", link.MTU),
		})
	}
	if !link.Up {
		d.settings = append(d.settings, step(op{verb: setUp, device: link.Name}, "down"))
	}
	d.addresses(i, link)
}

func step(do op, why string) Step { return Step{do: do, undo: []op{do.inverse()}, why: why} }

// addresses compares addresses and gateways. Removing an IPv4 address takes
// more away than itself: with a primary one go its secondaries (unless
// promote_secondaries is set), and with the last one all routes. So then the
// static default route is taken out first, and everything wanted is put back.
func (d *differ) addresses(i Interface, link Link) {
	var out []netip.Prefix
	for _, prefix := range link.Addresses {
		if !slices.Contains(i.Addresses, prefix) || slices.Contains(link.Duplicates, prefix.Addr()) {
			out = append(out, prefix)
		}
	}
	out4 := slices.ContainsFunc(out, func(p netip.Prefix) bool { return p.Addr().Is4() })
	slices.Reverse(out) // the kernel lists secondaries last
	for _, prefix := range out {
		d.addressesOut = append(d.addressesOut, step(op{verb: deleteAddress, device: link.Name, prefix: prefix}, d.whyOut(link, prefix)))
	}
	for _, prefix := range i.Addresses {
		add := op{verb: addAddress, device: link.Name, prefix: prefix}
		switch has := slices.Contains(link.Addresses, prefix); {
		case !has || slices.Contains(out, prefix):
			d.addressesIn = append(d.addressesIn, step(add, "missing"))
		case out4 && prefix.Addr().Is4():
			// Undone it would be missing.
			d.addressesIn = append(d.addressesIn, Step{do: add, why: "may be gone with another one"})
		}
	}
	d.gateways(i, link, out4)
}

func (d *differ) whyOut(link Link, prefix netip.Prefix) string {
	if slices.Contains(link.Duplicates, prefix.Addr()) {
		return "another host has it"
	}
	return "not planned"
}

func (d *differ) gateways(i Interface, link Link, again4 bool) {
	for _, gateway := range link.Gateways {
		if wanted := slices.Contains(i.Gateways, gateway); !wanted || again4 && gateway.Is4() {
			d.routesOut = append(d.routesOut, step(op{verb: deleteRoute, device: link.Name, via: gateway}, "not planned, or in the way"))
		}
	}
	for _, gateway := range i.Gateways {
		if has := slices.Contains(link.Gateways, gateway); !has || again4 && gateway.Is4() {
			d.routesIn = append(d.routesIn, step(op{verb: addRoute, device: link.Name, via: gateway}, "missing"))
		}
	}
}
