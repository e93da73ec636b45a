package poetest

import (
	"math"
	"slices"

	"github.com/berryrack/berryrack/poe"
)

// Vendor is whose columns the agent has beside the standard's.
type Vendor string

// The vendors whose columns the agent knows.
const (
	Standard Vendor = ""
	CiscoIOS Vendor = "cisco-ios"
	CiscoSB  Vendor = "cisco-sb"
	HP       Vendor = "hp"
	HPOlder  Vendor = "hp-older"
	ArubaCX  Vendor = "aruba-cx"
	Netgear  Vendor = "netgear"
	Extreme  Vendor = "extreme"
	MikroTik Vendor = "mikrotik" // no standard's tables, and read-only
)

// maker is what a vendor's agent has of its own.
type maker struct {
	objectID string
	power    string // column of milliwatts, by group.port
	mode     string // column of Cisco IOS
	reset    string // column that power cycles when set to 1
}

var makers = map[Vendor]maker{
	Standard: {objectID: "1.3.6.1.4.1.8072.3.2.10"},
	CiscoIOS: {objectID: "1.3.6.1.4.1.9.1.1208", power: "1.3.6.1.4.1.9.9.402.1.2.1.9", mode: "1.3.6.1.4.1.9.9.402.1.2.1.1"},
	CiscoSB:  {objectID: "1.3.6.1.4.1.9.6.1.91.24.5", power: "1.3.6.1.4.1.9.6.1.101.108.1.1.5"},
	HP:       {objectID: "1.3.6.1.4.1.11.2.3.7.11.182", power: "1.3.6.1.4.1.11.2.14.11.1.9.1.1.1.8"},
	HPOlder:  {objectID: "1.3.6.1.4.1.11.2.3.7.11.50", power: "1.3.6.1.4.1.11.2.14.11.1.9.1.1.1.3"},
	ArubaCX:  {objectID: "1.3.6.1.4.1.47196.4.1.1.1.50", power: "1.3.6.1.4.1.47196.4.1.1.3.8.1.1.1.7"},
	Netgear:  {objectID: "1.3.6.1.4.1.4526.100.4.19", power: "1.3.6.1.4.1.4526.10.15.1.1.1.2", reset: "1.3.6.1.4.1.4526.10.15.1.1.1.10"},
	Extreme:  {objectID: "1.3.6.1.4.1.1916.2.141", power: "1.3.6.1.4.1.1916.1.27.2.1.1.6"},
	MikroTik: {objectID: "1.3.6.1.4.1.14988.1"},
}

const (
	sysDescr     = "1.3.6.1.2.1.1.1.0"
	sysObjectID  = "1.3.6.1.2.1.1.2.0"
	fdbPort      = "1.3.6.1.2.1.17.7.1.2.2.1.2" // dot1qTpFdbPort, by VLAN and address
	pethPort     = "1.3.6.1.2.1.105.1.1.1"      // pethPsePortEntry
	pethMain     = "1.3.6.1.2.1.105.1.3.1.1"    // pethMainPseEntry
	mikrotikPort = "1.3.6.1.4.1.14988.1.1.15.1.1"
)

// object is a variable of the agent. set returns an error-status of RFC 3416,
// and makes no change when it is told only to try.
type object struct {
	binding
	set func(tag byte, n int32, try bool) int
}

// mib returns all variables in order. The caller holds mu.
func (s *Switch) mib() []object {
	m := makers[s.config.Vendor]
	all := []object{
		octets(mustOID(sysDescr), "simulated switch"),
		{binding: binding{mustOID(sysObjectID), tagOID, encodeOID(mustOID(m.objectID))}},
	}
	for i, id := range s.order {
		p, status := s.ports[id], s.status(id)
		if status.Detection == poe.DetectionDelivering {
			name := mustOID(fdbPort, 1)
			for _, b := range p.device.MAC {
				name = append(name, uint32(b))
			}
			all = append(all, value(name, tagInteger, int64(i+1)))
		}
		if s.config.Vendor == MikroTik {
			all = append(all, mikrotikObjects(uint32(i+1), status)...)
			continue
		}
		all = append(all, s.pethObjects(id, p, status)...)
		all = append(all, s.makerObjects(m, id, p, status)...)
	}
	for group := 1; group <= s.config.Groups && s.config.Vendor != MikroTik; group++ {
		for column, n := range map[uint32]float64{2: s.config.Watts, 3: 1, 4: s.used(group), 5: float64(s.config.Threshold)} {
			all = append(all, value(mustOID(pethMain, column, uint32(group)), tagGauge32, int64(math.Round(n))))
		}
	}
	slices.SortFunc(all, func(a, b object) int { return slices.Compare(a.name, b.name) })
	return all
}

func value(name oid, tag byte, n int64) object { return object{binding: binding{name, tag, number(n)}} }

func octets(name oid, text string) object {
	return object{binding: binding{name, tagOctets, []byte(text)}}
}

// pethObjects returns a port's row of pethPsePortTable.
func (s *Switch) pethObjects(id poe.PortID, p *port, status poe.Status) []object {
	cell := func(column uint32) oid { return mustOID(pethPort, column, uint32(id.Group), uint32(id.Port)) }
	admin := value(cell(3), tagInteger, int64(status.Admin))
	admin.set = func(tag byte, n int32, try bool) int {
		return write(tag, n, 1, 2, try, func() { s.enable(p, n == 1) })
	}
	return []object{
		admin,
		value(cell(6), tagInteger, int64(status.Detection)),
		value(cell(8), tagCounter32, int64(p.counters.MPSAbsent)),
		octets(cell(9), ""),
		value(cell(10), tagInteger, int64(max(status.Class, 1))),
		value(cell(11), tagCounter32, int64(p.counters.InvalidSignature)),
		value(cell(12), tagCounter32, int64(p.counters.PowerDenied)),
		value(cell(13), tagCounter32, int64(p.counters.Overload)),
		value(cell(14), tagCounter32, int64(p.counters.Short)),
	}
}

// makerObjects returns what the maker has to say of a port.
func (s *Switch) makerObjects(m maker, id poe.PortID, p *port, status poe.Status) []object {
	var all []object
	cell := func(column string) oid { return mustOID(column, uint32(id.Group), uint32(id.Port)) }
	if m.power != "" {
		all = append(all, value(cell(m.power), tagGauge32, int64(math.Round(status.Watts*1000))))
	}
	if m.mode != "" {
		mode := int64(4) // disable
		if p.enabled {
			mode = int64(p.mode)
		}
		o := value(cell(m.mode), tagInteger, mode)
		o.set = func(tag byte, n int32, try bool) int {
			return write(tag, n, 1, 4, try, func() {
				s.enable(p, n != 4)
				if n != 4 {
					p.mode = int(n)
				}
			})
		}
		all = append(all, o)
	}
	if m.reset != "" {
		o := value(cell(m.reset), tagInteger, 0)
		o.set = func(tag byte, n int32, try bool) int {
			return write(tag, n, 1, 1, try, func() { s.reset(p) })
		}
		all = append(all, o)
	}
	return all
}

// mikrotikObjects returns a row of mtxrPOETable: its states, and tenths of a
// watt.
func mikrotikObjects(ifIndex uint32, status poe.Status) []object {
	cell := func(column uint32) oid { return mustOID(mikrotikPort, column, ifIndex) }
	state := map[poe.Detection]int64{poe.DetectionDisabled: 1, poe.DetectionSearching: 2, poe.DetectionDelivering: 3}[status.Detection]
	return []object{
		value(cell(3), tagInteger, max(state, 1)),
		value(cell(6), tagGauge32, int64(math.Round(status.Watts*10))),
	}
}

// Error-status values of RFC 3416 section 3.
const (
	errTooBig      = 1
	errWrongType   = 7
	errWrongValue  = 10
	errNoAccess    = 6
	errNotWritable = 17
)

// write checks a value's type and range, and makes the change unless it only
// tries.
func write(tag byte, n, low, high int32, try bool, change func()) int {
	switch {
	case tag != tagInteger:
		return errWrongType
	case n < low || n > high:
		return errWrongValue
	case !try:
		change()
	}
	return 0
}
