package vlan

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// skipStats is RTEXT_FILTER_SKIP_STATS (linux/rtnetlink.h).
const skipStats = 1 << 3

// Current returns what the namespace has: all its VLAN links, with their
// addresses and default routes, their parents, and of the named parents those
// that there are. It asks the kernel for nothing else, so that it is fast
// beside thousands of other links.
func (n Namespace) Current(ctx context.Context, parents ...string) (State, error) {
	c, err := n.dial(0)
	if err != nil {
		return State{}, err
	}
	defer c.Close()
	state, err := c.current(ctx, parents)
	if err != nil {
		return State{}, fmt.Errorf("vlan: read the kernel's state: %w", err)
	}
	return state, nil
}

func (c conn) current(ctx context.Context, parents []string) (State, error) {
	devices, err := c.vlans(ctx)
	if err != nil {
		return State{}, err
	}
	var state State
	names := map[int]string{}
	for _, name := range parents {
		if err := c.parent(&state, names, name, 0); err != nil {
			return State{}, err
		}
	}
	for _, d := range devices {
		if _, ok := names[d.lower]; !ok && !d.foreign {
			if err := c.parent(&state, names, "", d.lower); err != nil {
				return State{}, err
			}
		}
	}
	at := map[int]int{} // a link's place by its index
	for _, d := range devices {
		at[d.index] = len(state.Links)
		link := d.link()
		if !d.foreign {
			link.Parent = names[d.lower]
		}
		state.Links = append(state.Links, link)
	}
	if len(state.Links) == 0 {
		return state, nil
	}
	if err := c.addresses(ctx, state.Links, at); err != nil {
		return State{}, err
	}
	return state, c.gateways(ctx, state.Links, at)
}

func (d device) link() Link {
	return Link{
		Interface: Interface{Name: d.name, ID: d.vlan.id, Protocol: d.vlan.protocol, MTU: d.mtu},
		Up:        d.flags&unix.IFF_UP != 0,
		running:   d.flags&unix.IFF_LOWER_UP != 0,
		index:     d.index,
	}
}

// linkFilter leaves statistics out of a dump, and all links of another kind.
func linkFilter(kind string) ([]byte, error) {
	return attributes(ifinfomsg(0, 0, 0), func(e *netlink.AttributeEncoder) {
		e.Uint32(unix.IFLA_EXT_MASK, skipStats)
		if kind != "" {
			e.Nested(unix.IFLA_LINKINFO, func(e *netlink.AttributeEncoder) error {
				e.String(unix.IFLA_INFO_KIND, kind)
				return nil
			})
		}
	})
}

// vlans returns all VLAN links.
func (c conn) vlans(ctx context.Context) ([]device, error) {
	devices, err := c.devices(ctx, "vlan")
	// The kernel filters by a kind only once it has had such a link.
	return slices.DeleteFunc(devices, func(d device) bool { return d.kind != "vlan" }), err
}

// devices returns the links of a kind: "" is of all kinds.
func (c conn) devices(ctx context.Context, kind string) ([]device, error) {
	body, err := linkFilter(kind)
	if err != nil {
		return nil, err
	}
	messages, err := c.dump(ctx, unix.RTM_GETLINK, body)
	if err != nil {
		return nil, err
	}
	devices := make([]device, 0, len(messages))
	for _, message := range messages {
		d, err := parseLink(message)
		if err != nil {
			return nil, err
		}
		devices = append(devices, d)
	}
	return devices, nil
}

// parent adds the link of that name, or else of that index, to the parents, if
// there is one, and its name to names.
func (c conn) parent(state *State, names map[int]string, name string, index int) error {
	d, err := c.device(name, index)
	if errors.Is(err, unix.ENODEV) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, ok := names[d.index]; !ok {
		state.Parents = append(state.Parents, Parent{Name: d.name, MTU: d.mtu, Up: d.flags&unix.IFF_UP != 0, index: d.index})
	}
	names[d.index] = d.name
	return nil
}

// device returns the link of that name, or if that is empty of that index.
func (c conn) device(name string, index int) (device, error) {
	body, err := attributes(ifinfomsg(index, 0, 0), func(e *netlink.AttributeEncoder) {
		e.Uint32(unix.IFLA_EXT_MASK, skipStats)
		if name != "" {
			e.String(unix.IFLA_IFNAME, name)
		}
	})
	if err != nil {
		return device{}, err
	}
	messages, err := c.Execute(netlink.Message{Header: netlink.Header{Type: unix.RTM_GETLINK, Flags: netlink.Request}, Data: body})
	if err != nil {
		return device{}, reason(err)
	}
	if len(messages) != 1 {
		return device{}, fmt.Errorf("%d answers about one link", len(messages))
	}
	return parseLink(messages[0])
}

// held returns the addresses of a family.
func (c conn) held(ctx context.Context, family uint8) ([]heldAddress, error) {
	header := make([]byte, unix.SizeofIfAddrmsg)
	header[0] = family
	messages, err := c.dump(ctx, unix.RTM_GETADDR, header)
	if err != nil {
		return nil, err
	}
	var all []heldAddress
	for _, message := range messages {
		if len(message.Data) > 0 && message.Data[0] != family {
			continue // of a kernel without IPv6
		}
		a, err := parseAddress(message)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

func (c conn) addresses(ctx context.Context, links []Link, at map[int]int) error {
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		all, err := c.held(ctx, family)
		if err != nil {
			return err
		}
		for _, a := range all {
			n, ok := at[a.index]
			if !ok || !a.permanent() {
				continue
			}
			links[n].Addresses = append(links[n].Addresses, a.prefix)
			if a.flags&unix.IFA_F_DADFAILED != 0 {
				links[n].Duplicates = append(links[n].Duplicates, a.prefix.Addr())
			}
		}
	}
	return nil
}

// gateways asks for the routes that an administrator set, of which there are
// few, and not for those that come with each address.
func (c conn) gateways(ctx context.Context, links []Link, at map[int]int) error {
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		for _, protocol := range []uint8{unix.RTPROT_BOOT, unix.RTPROT_STATIC} {
			messages, err := c.dump(ctx, unix.RTM_GETROUTE, rtmsg(family, protocol))
			if errors.Is(err, unix.ENOENT) {
				continue // the table is made with its first route
			}
			if err != nil {
				return err
			}
			for _, message := range messages {
				h, ok, err := parseDefault(message)
				if err != nil {
					return err
				}
				if n, known := at[h.index]; ok && known && !slices.Contains(links[n].Gateways, h.via) {
					links[n].Gateways = append(links[n].Gateways, h.via)
				}
			}
		}
	}
	return nil
}
