package snmp

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/gosnmp/gosnmp"

	"github.com/berryrack/berryrack/poe"
)

// Switch is a conversation with a switch. It implements all interfaces of
// package poe; what this switch lacks returns an error that wraps
// [errors.ErrUnsupported]. It is safe for concurrent use, and asks one question
// at a time.
type Switch struct {
	config  Config
	session *session
	vendor  vendor

	mu    sync.Mutex
	ports []poe.PortID // known since the first look
}

// Dial begins a conversation with a switch, and asks whose it is.
func Dial(ctx context.Context, c Config) (*Switch, error) {
	s, err := open(ctx, c)
	if err != nil {
		return nil, err
	}
	v, err := s.identify(ctx)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return &Switch{config: c, session: s, vendor: v}, nil
}

// Close ends the conversation, once the question under way is answered.
func (s *Switch) Close() error { return s.session.close() }

// Vendor returns the switch's maker, "unknown" for one whose columns this
// package does not know.
func (s *Switch) Vendor() string { return s.vendor.name }

// few is up to how many ports are asked for by name.
const few = 8

// columns returns what a status is made of: admin, detection, class and power.
func (s *Switch) columns() []string {
	if s.vendor.readOnly {
		return []string{mikrotikStatus, mikrotikPower}
	}
	return append([]string{portAdmin, portDetection, portClass}, s.vendor.power...)
}

// Ports implements poe.PSE. The switch is asked once.
func (s *Switch) Ports(ctx context.Context) ([]poe.PortID, error) {
	s.mu.Lock()
	ports := slices.Clone(s.ports)
	s.mu.Unlock()
	if ports != nil {
		return ports, nil
	}
	_, err := s.Status(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ports), nil
}

// Status implements poe.PSE. Of up to 8 ports it asks in one round trip; of
// more, or of all, it reads the tables in bulk, 25 ports or as many as the
// switch fits into an answer at once.
func (s *Switch) Status(ctx context.Context, ports ...poe.PortID) ([]poe.Status, error) {
	if len(ports) > 0 && len(ports) <= few {
		return s.some(ctx, ports)
	}
	all, err := s.all(ctx)
	if err != nil {
		return nil, err
	}
	if len(ports) == 0 {
		ports = slices.SortedFunc(maps.Keys(all), poe.PortID.Compare)
		s.mu.Lock()
		s.ports = slices.Clone(ports)
		s.mu.Unlock()
	}
	answer := make([]poe.Status, 0, len(ports))
	for _, id := range ports {
		if all[id] == nil {
			return nil, s.noPort(id)
		}
		answer = append(answer, *all[id])
	}
	return answer, nil
}

func (s *Switch) noPort(id poe.PortID) error {
	return fmt.Errorf("poe/snmp: %s: port %v: %w", s.config.Address, id, poe.ErrNoPort)
}

// all reads the status of all ports.
func (s *Switch) all(ctx context.Context) (map[poe.PortID]*poe.Status, error) {
	all := map[poe.PortID]*poe.Status{}
	err := s.session.columns(ctx, s.columns(), func(column int, index string, pdu gosnmp.SnmpPDU) {
		id, ok := s.portID(index)
		if !ok {
			return
		}
		if all[id] == nil {
			if column != 0 {
				return // a maker's row of a port that has no PSE
			}
			all[id] = &poe.Status{Port: id}
		}
		s.fill(all[id], column, pdu)
	})
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("poe/snmp: %s: no PSE ports: no POWER-ETHERNET-MIB, or this user may not read it", s.config.Address)
	}
	for _, id := range slices.SortedFunc(maps.Keys(all), poe.PortID.Compare) {
		err = errors.Join(err, s.sound(*all[id]))
	}
	return all, err
}

// some reads the status of a few ports.
func (s *Switch) some(ctx context.Context, ports []poe.PortID) ([]poe.Status, error) {
	var oids []string
	columns := s.columns()
	for _, id := range ports {
		for _, column := range columns {
			oids = append(oids, column+"."+s.index(id))
		}
	}
	values, err := s.session.get(ctx, oids...)
	if err != nil {
		return nil, err
	}
	var answer []poe.Status
	for i, id := range ports {
		status := poe.Status{Port: id}
		for column, pdu := range values[i*len(columns) : (i+1)*len(columns)] {
			if column == 0 && !exists(pdu) {
				return nil, s.noPort(id)
			}
			s.fill(&status, column, pdu)
		}
		if err := s.sound(status); err != nil {
			return nil, err
		}
		answer = append(answer, status)
	}
	return answer, nil
}

// sound reports a status with a column that is missing or out of RFC 3621's
// range: it would confirm what nobody has seen.
func (s *Switch) sound(status poe.Status) error {
	switch {
	case status.Admin != poe.AdminEnabled && status.Admin != poe.AdminDisabled:
		return fmt.Errorf("poe/snmp: %s: port %v: pethPsePortAdminEnable is missing, or neither true nor false", s.config.Address, status.Port)
	case status.Detection < poe.DetectionDisabled || status.Detection > poe.DetectionOtherFault:
		return fmt.Errorf("poe/snmp: %s: port %v: pethPsePortDetectionStatus is missing, or not from 1 to 6", s.config.Address, status.Port)
	case status.Watts < 0:
		return fmt.Errorf("poe/snmp: %s: port %v: its meter reads %v W", s.config.Address, status.Port, status.Watts)
	}
	return nil
}

// index returns a port's row.
func (s *Switch) index(id poe.PortID) string {
	if s.vendor.readOnly && id.Group == 1 {
		return strconv.Itoa(id.Port)
	}
	return id.String() // which a table by ifIndex has not
}

// portID returns a row's port. MikroTik's rows are interfaces, of group 1.
func (s *Switch) portID(index string) (poe.PortID, bool) {
	if s.vendor.readOnly {
		index = "1." + index
	}
	id, err := poe.ParsePortID(index)
	return id, err == nil
}

func exists(pdu gosnmp.SnmpPDU) bool {
	switch pdu.Type {
	case gosnmp.NoSuchInstance, gosnmp.NoSuchObject, gosnmp.EndOfMibView, gosnmp.Null:
		return false
	}
	return true
}

func number(pdu gosnmp.SnmpPDU) int64 {
	if !exists(pdu) {
		return 0
	}
	return gosnmp.ToBigInt(pdu.Value).Int64()
}

// fill takes the value of one of the columns.
func (s *Switch) fill(status *poe.Status, column int, pdu gosnmp.SnmpPDU) {
	n := number(pdu)
	switch s.columns()[column] {
	case portAdmin:
		status.Admin = poe.Admin(n)
	case portDetection:
		status.Detection = poe.Detection(n)
	case portClass: // valid only while power is delivered (RFC 3621)
		if status.Detection == poe.DetectionDelivering {
			status.Class = poe.ClassOf(int(n) - 1)
		}
	case mikrotikStatus:
		status.Admin, status.Detection = mikrotikState(n)
	case mikrotikPower:
		status.Watts, status.Metered = float64(n)/10, exists(pdu)
	default:
		status.Watts, status.Metered = float64(n)/1000, exists(pdu)
	}
}

// mikrotikState says in the standard's words what mtxrPOEStatus does: disabled,
// waitingForLoad, poweredOn, and from 4 on kinds of fault.
func mikrotikState(n int64) (poe.Admin, poe.Detection) {
	switch n {
	case 1:
		return poe.AdminDisabled, poe.DetectionDisabled
	case 2:
		return poe.AdminEnabled, poe.DetectionSearching
	case 3:
		return poe.AdminEnabled, poe.DetectionDelivering
	}
	return poe.AdminEnabled, poe.DetectionOtherFault
}

// Counters implements poe.CounterReader.
func (s *Switch) Counters(ctx context.Context, ports ...poe.PortID) (map[poe.PortID]poe.Counters, error) {
	if s.vendor.readOnly {
		return nil, s.unsupported("counters")
	}
	columns := []string{portMPSAbsent, portInvalid, portDenied, portOverload, portShort}
	all := map[poe.PortID]poe.Counters{}
	add := func(column int, index string, pdu gosnmp.SnmpPDU) {
		if id, ok := s.portID(index); ok {
			c := all[id]
			*[]*uint32{&c.MPSAbsent, &c.InvalidSignature, &c.PowerDenied, &c.Overload, &c.Short}[column] = uint32(number(pdu))
			all[id] = c
		}
	}
	if len(ports) == 0 || len(ports) > few {
		if err := s.session.columns(ctx, columns, add); err != nil {
			return nil, err
		}
		return s.pick(all, ports)
	}
	var oids []string
	for _, id := range ports {
		for _, column := range columns {
			oids = append(oids, column+"."+id.String())
		}
	}
	values, err := s.session.get(ctx, oids...)
	if err != nil {
		return nil, err
	}
	for i, pdu := range values {
		if exists(pdu) {
			add(i%len(columns), ports[i/len(columns)].String(), pdu)
		}
	}
	return s.pick(all, ports)
}

// pick keeps the ports named, or all.
func (s *Switch) pick(all map[poe.PortID]poe.Counters, ports []poe.PortID) (map[poe.PortID]poe.Counters, error) {
	if len(ports) == 0 {
		return all, nil
	}
	picked := map[poe.PortID]poe.Counters{}
	for _, id := range ports {
		c, ok := all[id]
		if !ok {
			return nil, s.noPort(id)
		}
		picked[id] = c
	}
	return picked, nil
}

func (s *Switch) unsupported(what string) error {
	return fmt.Errorf("poe/snmp: %s (%s): %s: %w", s.config.Address, s.vendor.name, what, errors.ErrUnsupported)
}

// Supplies implements poe.Budgeter.
func (s *Switch) Supplies(ctx context.Context) ([]poe.Supply, error) {
	if s.vendor.readOnly {
		return nil, s.unsupported("supplies")
	}
	groups := map[int]poe.Supply{}
	err := s.session.columns(ctx, []string{mainPower, mainStatus, mainUsed, mainThreshold}, func(column int, index string, pdu gosnmp.SnmpPDU) {
		group, err := strconv.Atoi(index)
		if err != nil {
			return
		}
		supply, known := groups[group]
		n := number(pdu)
		supply.Group, supply.On = group, supply.On || !known // until the switch says otherwise
		switch column {
		case 0:
			supply.Watts = float64(n)
		case 1:
			supply.On = n == 1
		case 2:
			supply.Used = float64(n)
		case 3:
			supply.Threshold = int(n)
		}
		groups[group] = supply
	})
	if err == nil && len(groups) == 0 {
		err = s.unsupported("supplies")
	}
	var all []poe.Supply
	for _, group := range slices.Sorted(maps.Keys(groups)) {
		all = append(all, groups[group])
	}
	return all, err
}

// Stations implements poe.Learner.
func (s *Switch) Stations(ctx context.Context) ([]poe.Station, error) {
	ports, err := s.bridgePorts(ctx)
	if err != nil {
		return nil, err
	}
	for _, table := range []string{dot1qTpFdbPort, dot1dTpFdbPort} {
		var all []poe.Station
		err := s.session.columns(ctx, []string{table}, func(_ int, index string, pdu gosnmp.SnmpPDU) {
			if mac, ok := macOf(index); ok && number(pdu) != 0 {
				all = append(all, poe.Station{MAC: mac, Port: ports[int(number(pdu))]})
			}
		})
		if err != nil || len(all) > 0 {
			return all, err
		}
	}
	return nil, s.unsupported("learnt addresses")
}

// bridgePorts returns which PSE port each bridge port is.
func (s *Switch) bridgePorts(ctx context.Context) (map[int]poe.PortID, error) {
	ports, err := s.Ports(ctx)
	if err != nil {
		return nil, err
	}
	bridge := map[int]poe.PortID{}
	for _, id := range ports {
		if _, ok := s.config.BridgePorts[id]; !ok && id.Group == 1 {
			bridge[id.Port] = id
		}
	}
	for id, n := range s.config.BridgePorts {
		bridge[n] = id
	}
	return bridge, nil
}

// macOf returns the address that an index ends with.
func macOf(index string) ([]byte, bool) {
	arcs := strings.Split(index, ".")
	if len(arcs) < 6 {
		return nil, false
	}
	var mac []byte
	for _, arc := range arcs[len(arcs)-6:] {
		n, err := strconv.ParseUint(arc, 10, 8)
		if err != nil {
			return nil, false
		}
		mac = append(mac, byte(n))
	}
	return mac, true
}
