package snmp

import (
	"context"
	"strings"

	"github.com/gosnmp/gosnmp"
)

// POWER-ETHERNET-MIB (RFC 3621): columns by group.port, and the main PSE's by
// group.
const (
	portAdmin     = "1.3.6.1.2.1.105.1.1.1.3"
	portDetection = "1.3.6.1.2.1.105.1.1.1.6"
	portMPSAbsent = "1.3.6.1.2.1.105.1.1.1.8"
	portClass     = "1.3.6.1.2.1.105.1.1.1.10"
	portInvalid   = "1.3.6.1.2.1.105.1.1.1.11"
	portDenied    = "1.3.6.1.2.1.105.1.1.1.12"
	portOverload  = "1.3.6.1.2.1.105.1.1.1.13"
	portShort     = "1.3.6.1.2.1.105.1.1.1.14"

	mainPower     = "1.3.6.1.2.1.105.1.3.1.1.2"
	mainStatus    = "1.3.6.1.2.1.105.1.3.1.1.3"
	mainUsed      = "1.3.6.1.2.1.105.1.3.1.1.4"
	mainThreshold = "1.3.6.1.2.1.105.1.3.1.1.5"
)

const (
	sysObjectID = "1.3.6.1.2.1.1.2.0"
	// The bridge port behind a learnt address: by VLAN and address in
	// Q-BRIDGE-MIB, by address in BRIDGE-MIB.
	dot1qTpFdbPort = "1.3.6.1.2.1.17.7.1.2.2.1.2"
	dot1dTpFdbPort = "1.3.6.1.2.1.17.4.3.1.2"
)

// mtxrPOETable (MIKROTIK-MIB), by ifIndex.
const (
	mikrotikStatus = "1.3.6.1.4.1.14988.1.1.15.1.1.3"
	mikrotikPower  = "1.3.6.1.4.1.14988.1.1.15.1.1.6" // tenths of a watt
)

// vendor is what a maker's switches have beside the standard's columns.
type vendor struct {
	name     string
	objectID string   // what sysObjectID begins with
	power    []string // columns of milliwatts by group.port; the first one that is there
	mode     string   // cpeExtPsePortEnable
	reset    string   // agentPethPortReset
	readOnly bool     // has mtxrPOETable, and no standard's
}

// vendors are asked in this order.
var vendors = []vendor{
	{name: "Cisco Small Business", objectID: "1.3.6.1.4.1.9.6.1", power: []string{"1.3.6.1.4.1.9.6.1.101.108.1.1.5"}},
	{name: "Cisco IOS", objectID: "1.3.6.1.4.1.9.1", power: []string{"1.3.6.1.4.1.9.9.402.1.2.1.9"}, mode: "1.3.6.1.4.1.9.9.402.1.2.1.1"},
	{name: "HP", objectID: "1.3.6.1.4.1.11", power: []string{"1.3.6.1.4.1.11.2.14.11.1.9.1.1.1.8", "1.3.6.1.4.1.11.2.14.11.1.9.1.1.1.3"}},
	{name: "Aruba CX", objectID: "1.3.6.1.4.1.47196", power: []string{"1.3.6.1.4.1.47196.4.1.1.3.8.1.1.1.7"}},
	{name: "Netgear", objectID: "1.3.6.1.4.1.4526", power: []string{"1.3.6.1.4.1.4526.10.15.1.1.1.2"}, reset: "1.3.6.1.4.1.4526.10.15.1.1.1.10"},
	{name: "Extreme", objectID: "1.3.6.1.4.1.1916", power: []string{"1.3.6.1.4.1.1916.1.27.2.1.1.6"}},
	{name: "MikroTik", objectID: "1.3.6.1.4.1.14988", readOnly: true},
}

// identify returns what the switch has, without the columns that it lacks.
func (s *session) identify(ctx context.Context) (vendor, error) {
	answer, err := s.get(ctx, sysObjectID)
	if err != nil {
		return vendor{}, err
	}
	objectID, _ := answer[0].Value.(string)
	v := vendorOf(strings.TrimPrefix(objectID, "."))
	columns := append([]string{v.mode, v.reset}, v.power...)
	there, err := s.have(ctx, columns)
	if err != nil {
		return vendor{}, err
	}
	var power []string
	for _, column := range v.power {
		if there[column] && len(power) == 0 {
			power = append(power, column)
		}
	}
	v.power = power
	if !there[v.mode] {
		v.mode = ""
	}
	if !there[v.reset] {
		v.reset = ""
	}
	return v, nil
}

func vendorOf(objectID string) vendor {
	for _, v := range vendors {
		if strings.HasPrefix(objectID+".", v.objectID+".") {
			return v
		}
	}
	return vendor{name: "unknown"}
}

// have asks which of the columns have a row.
func (s *session) have(ctx context.Context, columns []string) (map[string]bool, error) {
	var asked []string
	for _, column := range columns {
		if column != "" {
			asked = append(asked, column)
		}
	}
	if len(asked) == 0 {
		return nil, nil
	}
	answer, err := s.speak(ctx, attempts, func(g *gosnmp.GoSNMP) (*gosnmp.SnmpPacket, error) { return g.GetNext(asked) })
	if err != nil {
		return nil, err
	}
	there := map[string]bool{}
	for i, pdu := range answer {
		if i < len(asked) && pdu.Type != gosnmp.EndOfMibView && strings.HasPrefix(strings.TrimPrefix(pdu.Name, "."), asked[i]+".") {
			there[asked[i]] = true
		}
	}
	return there, nil
}
