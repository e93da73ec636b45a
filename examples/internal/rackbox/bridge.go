package rackbox

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/berryrack/berryrack/vlan"
)

const (
	macBytes = 12 // destination and source
	tagBytes = 4
	// maxFrame is an Ethernet frame of 1500 bytes with two tags.
	maxFrame = macBytes + 2*tagBytes + 2 + 1500

	etherTypeVLAN = 0x8100 // IEEE 802.1Q, 9.4, table 9-1
)

// Limits of the address table: what one port may fill of it, so that a computer
// that makes up addresses floods no VLAN but its own, and the ageing time of
// IEEE 802.1Q, 8.8.3, table 8-6.
const (
	addressesPerPort = 256
	ageing           = 300 * time.Second
)

// mac is an Ethernet address.
type mac [6]byte

func (m mac) group() bool { return m[0]&1 == 1 }

// reserved reports whether a bridge keeps the address's frames to itself
// (IEEE 802.1Q, 8.6.3, table 8-1).
func (m mac) reserved() bool {
	return [5]byte(m[:5]) == [5]byte{0x01, 0x80, 0xc2, 0, 0} && m[5] <= 0x0f
}

// frame is an Ethernet frame of a VLAN, without the tag that said so.
type frame struct {
	dst, src mac
	vlan     vlan.ID
	priority uint16 // the tag's upper bits
	rest     []byte // from the EtherType on
}

// bytes appends the frame as it leaves a port, with a tag or without.
func (f frame) bytes(b []byte, tagged bool) []byte {
	b = append(b, f.dst[:]...)
	b = append(b, f.src[:]...)
	if tagged {
		b = binary.BigEndian.AppendUint16(b, etherTypeVLAN)
		b = binary.BigEndian.AppendUint16(b, f.priority|uint16(f.vlan))
	}
	return append(b, f.rest...)
}

// bridge decides where frames go, as IEEE 802.1Q, clause 8.6, says: it is a
// switch without its wires.
type bridge struct {
	ports map[int]*rules
	order []int
	now   func() time.Time

	mu      sync.Mutex
	learned map[station]place
	count   map[int]int       // addresses by port
	aged    map[int]time.Time // when a full port's were last looked through
}

// rules are what a port's VLANs let pass.
type rules struct {
	pvid             vlan.ID
	member, untagged map[vlan.ID]bool
}

// station is an address in a VLAN: each VLAN has a table of its own, or two
// computers could move each other's.
type station struct {
	vlan vlan.ID
	mac  mac
}

type place struct {
	port int
	seen time.Time
}

// newBridge returns a bridge that obeys a plan.
func newBridge(plan vlan.Switch, now func() time.Time) (*bridge, error) {
	b := &bridge{ports: map[int]*rules{}, now: now, learned: map[station]place{}, count: map[int]int{}, aged: map[int]time.Time{}}
	for _, p := range plan.Ports {
		if b.ports[p.Number] != nil {
			return nil, fmt.Errorf("switch %s: port %d twice", plan.Name, p.Number)
		}
		r := &rules{pvid: p.PVID, member: map[vlan.ID]bool{}, untagged: map[vlan.ID]bool{}}
		for _, id := range p.Untagged {
			r.member[id], r.untagged[id] = true, true
		}
		for _, id := range p.Tagged {
			r.member[id] = true
		}
		b.ports[p.Number] = r
		b.order = append(b.order, p.Number)
	}
	slices.Sort(b.order)
	return b, nil
}

// classify reads a frame that came in by a port. It is false for what the port
// does not let in: ingress filtering is always on (IEEE 802.1Q, 8.6.2).
func (b *bridge) classify(port int, raw []byte) (frame, bool) {
	r := b.ports[port]
	if r == nil || len(raw) < macBytes+2 || len(raw) > maxFrame {
		return frame{}, false
	}
	f := frame{dst: mac(raw[:6]), src: mac(raw[6:12]), rest: raw[macBytes:], vlan: r.pvid}
	if binary.BigEndian.Uint16(f.rest) == etherTypeVLAN {
		if len(f.rest) < tagBytes+2 {
			return frame{}, false
		}
		tci := binary.BigEndian.Uint16(f.rest[2:])
		f.priority, f.rest = tci&0xf000, f.rest[tagBytes:]
		if id := vlan.ID(tci & 0x0fff); id != 0 { // 0 is a priority alone
			f.vlan = id
		}
	}
	return f, f.vlan != 0 && r.member[f.vlan] && !f.dst.reserved() && !f.src.group()
}

// forward learns where the frame's sender is, and returns the ports that the
// frame leaves by, in order.
func (b *bridge) forward(in int, f frame) []int {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	b.learn(station{f.vlan, f.src}, in, now)
	if to, ok := b.learned[station{f.vlan, f.dst}]; ok && !f.dst.group() && now.Sub(to.seen) < ageing {
		if to.port == in {
			return nil
		}
		return []int{to.port}
	}
	var out []int
	for _, number := range b.order {
		if number != in && b.ports[number].member[f.vlan] {
			out = append(out, number)
		}
	}
	return out
}

// learn remembers the port that an address is behind. A port that has as many
// as it may have gets no more: frames to the others go to all of the VLAN.
func (b *bridge) learn(s station, port int, now time.Time) {
	before, known := b.learned[s]
	if !known || before.port != port {
		if b.count[port] >= addressesPerPort && !b.age(port, now) {
			return
		}
		b.count[port]++
		if known {
			b.count[before.port]--
		}
	}
	b.learned[s] = place{port, now}
}

// age forgets what of a port is old, and reports whether there was any. It
// looks once a second at most, however many addresses are made up.
func (b *bridge) age(port int, now time.Time) bool {
	if now.Sub(b.aged[port]) < time.Second {
		return false
	}
	b.aged[port] = now
	return b.forgetIf(func(p place) bool { return p.port == port && now.Sub(p.seen) >= ageing })
}

// forget forgets what is behind a port whose link is down.
func (b *bridge) forget(port int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forgetIf(func(p place) bool { return p.port == port })
}

func (b *bridge) forgetIf(condition func(place) bool) bool {
	some := false
	for s, p := range b.learned {
		if condition(p) {
			delete(b.learned, s)
			b.count[p.port]--
			some = true
		}
	}
	return some
}
