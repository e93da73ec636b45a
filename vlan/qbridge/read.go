package qbridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/berryrack/berryrack/vlan"
	"github.com/gosnmp/gosnmp"
)

// Secret is a passphrase or a community. It prints as what it is not.
type Secret string

// String hides the secret.
func (Secret) String() string { return "[secret]" }

// GoString hides the secret.
func (Secret) GoString() string { return "[secret]" }

// LogValue hides the secret.
func (Secret) LogValue() slog.Value { return slog.StringValue("[secret]") }

// Target is a switch and who asks it.
type Target struct {
	// Address is a host, or host:port. The port is 161 without it.
	Address string
	// User is the user of SNMPv3, with authentication and privacy.
	User string
	// AuthProtocol is MD5, SHA, SHA224, SHA256, SHA384 or SHA512. Empty is SHA256.
	AuthProtocol   string
	AuthPassphrase Secret // at least 8 bytes
	// PrivProtocol is DES, AES, AES192 or AES256. Empty is AES, with 128 bits.
	PrivProtocol   string
	PrivPassphrase Secret // at least 8 bytes
	// Community is that of SNMPv2c, instead of a User. Whoever hears it can
	// ask, too.
	Community Secret
	// Timeout is for each answer. Zero is ten seconds.
	Timeout time.Duration
	// Retries is how often a question is asked again. Zero is not at all.
	Retries int
}

// Switch is what a switch says of its VLANs.
type Switch struct {
	// Ports are its bridge ports by number.
	Ports map[int]Port
	// VLANs are the names of its static VLANs that are active.
	VLANs map[vlan.ID]string
}

// Port is a bridge port.
type Port struct {
	// Index is its ifIndex, and Name and Description its ifName and ifDescr.
	Index             int
	Name, Description string
	// PVID is the VLAN of frames without a tag. Zero is none.
	PVID vlan.ID
	// Untagged and Tagged are the VLANs that it is a member of, in order.
	Untagged, Tagged []vlan.ID
	// Unfiltered says that frames of a VLAN that the port is no member of
	// are let in: dot1qPortIngressFiltering is false, or the switch does not tell.
	Unfiltered bool
}

// The columns that are read, without a dot in front.
const (
	sysObjectID       = "1.3.6.1.2.1.1.2.0"
	ifDescr           = "1.3.6.1.2.1.2.2.1.2"
	ifName            = "1.3.6.1.2.1.31.1.1.1.1"
	basePortIfIndex   = "1.3.6.1.2.1.17.1.4.1.2"
	staticName        = "1.3.6.1.2.1.17.7.1.4.3.1.1"
	staticEgress      = "1.3.6.1.2.1.17.7.1.4.3.1.2"
	staticUntagged    = "1.3.6.1.2.1.17.7.1.4.3.1.4"
	staticRowStatus   = "1.3.6.1.2.1.17.7.1.4.3.1.5"
	portPVID          = "1.3.6.1.2.1.17.7.1.4.5.1.1"
	portIngressFilter = "1.3.6.1.2.1.17.7.1.4.5.1.3"
	juniper           = "1.3.6.1.4.1.2636."
)

const (
	rowActive = 1 // RowStatus (RFC 2579)
	truthNo   = 2 // TruthValue (RFC 2579)
	// maxRows is more than any column can have that is read here.
	maxRows = 70000
	// bulk is how many rows one answer has: a PortList can be 512 octets long.
	bulk = 20
)

// Read asks the switch for its VLANs, one column of a table after another. What
// changes meanwhile can be in one column and not in the next.
func Read(ctx context.Context, target Target) (Switch, error) {
	session, err := target.session(ctx)
	if err != nil {
		return Switch{}, fmt.Errorf("qbridge: %w", err)
	}
	if err := session.Connect(); err != nil {
		return Switch{}, fmt.Errorf("qbridge: %s: %w", target.Address, err)
	}
	defer session.Close()
	s, err := read(session)
	if err != nil {
		return Switch{}, fmt.Errorf("qbridge: %s: %w", target.Address, err)
	}
	return s, nil
}

var (
	authProtocols = map[string]gosnmp.SnmpV3AuthProtocol{"": gosnmp.SHA256, "MD5": gosnmp.MD5, "SHA": gosnmp.SHA,
		"SHA224": gosnmp.SHA224, "SHA256": gosnmp.SHA256, "SHA384": gosnmp.SHA384, "SHA512": gosnmp.SHA512}
	privProtocols = map[string]gosnmp.SnmpV3PrivProtocol{"": gosnmp.AES, "DES": gosnmp.DES, "AES": gosnmp.AES,
		"AES192": gosnmp.AES192, "AES256": gosnmp.AES256}
)

// session returns what speaks to the switch, or all that is wrong with the target.
func (t Target) session(ctx context.Context) (*gosnmp.GoSNMP, error) {
	var problems []error
	host, port, err := splitPort(t.Address)
	if err != nil {
		problems = append(problems, fmt.Errorf("address %q: want a host, or host:port", t.Address))
	}
	session := &gosnmp.GoSNMP{
		Target: host, Port: port, Transport: "udp", Context: ctx,
		Timeout: t.Timeout, Retries: t.Retries, MaxOids: gosnmp.MaxOids, MaxRepetitions: bulk,
	}
	if session.Timeout <= 0 {
		session.Timeout = 10 * time.Second
	}
	switch {
	case (t.User == "") == (t.Community == ""):
		problems = append(problems, errors.New("want a user of SNMPv3, or else a community of SNMPv2c"))
	case t.Community != "":
		session.Version, session.Community = gosnmp.Version2c, string(t.Community)
	default:
		problems = append(problems, t.usm(session)...)
	}
	return session, errors.Join(problems...)
}

func splitPort(address string) (host string, port uint16, err error) {
	host, number, err := net.SplitHostPort(address)
	if err != nil {
		return strings.Trim(address, "[]"), 161, emptyError(address)
	}
	n, err := strconv.ParseUint(number, 10, 16)
	return host, uint16(n), errors.Join(err, emptyError(host))
}

func emptyError(host string) error {
	if host == "" {
		return errors.New("empty")
	}
	return nil
}

// usm sets the user-based security model (RFC 3414). Its passphrases have at
// least 8 characters (section 11.2).
func (t Target) usm(session *gosnmp.GoSNMP) []error {
	var problems []error
	auth, ok := authProtocols[t.AuthProtocol]
	if !ok {
		problems = append(problems, fmt.Errorf("authentication %q: want one of %q", t.AuthProtocol, slices.Sorted(maps.Keys(authProtocols))[1:]))
	}
	priv, ok := privProtocols[t.PrivProtocol]
	if !ok {
		problems = append(problems, fmt.Errorf("privacy %q: want one of %q", t.PrivProtocol, slices.Sorted(maps.Keys(privProtocols))[1:]))
	}
	if len(t.AuthPassphrase) < 8 || len(t.PrivPassphrase) < 8 {
		problems = append(problems, errors.New("a passphrase has fewer than 8 characters"))
	}
	session.Version, session.MsgFlags, session.SecurityModel = gosnmp.Version3, gosnmp.AuthPriv, gosnmp.UserSecurityModel
	session.SecurityParameters = &gosnmp.UsmSecurityParameters{
		UserName:               t.User,
		AuthenticationProtocol: auth, AuthenticationPassphrase: string(t.AuthPassphrase),
		PrivacyProtocol: priv, PrivacyPassphrase: string(t.PrivPassphrase),
	}
	return problems
}

// column is the values of a column by the last part of their OID.
type column map[int]gosnmp.SnmpPDU

// walk reads a column. gosnmp's own walk takes a switch's error for the column's
// end, and half a table for a whole one.
func walk(session *gosnmp.GoSNMP, oid string) (column, error) {
	rows := column{}
	for next := oid; ; {
		answer, err := session.GetBulk([]string{next}, 0, session.MaxRepetitions)
		switch {
		case err != nil:
			return nil, err
		case answer.Error != gosnmp.NoError:
			return nil, fmt.Errorf("%s: the switch answers %v", oid, answer.Error)
		case len(answer.Variables) == 0:
			return nil, fmt.Errorf("%s: the switch answers nothing", oid)
		}
		for _, pdu := range answer.Variables {
			name := strings.TrimPrefix(pdu.Name, ".")
			text, below := strings.CutPrefix(name, oid+".")
			if !below || pdu.Type == gosnmp.EndOfMibView {
				return rows, nil
			}
			index, err := strconv.Atoi(text)
			if err != nil {
				return nil, fmt.Errorf("%s is no row of %s", name, oid)
			}
			if _, again := rows[index]; again {
				return nil, fmt.Errorf("%s: row %d comes twice", oid, index)
			}
			rows[index] = pdu
			if len(rows) > maxRows {
				return nil, fmt.Errorf("%s has more than %d rows", oid, maxRows)
			}
			next = name
		}
	}
}

func octets(pdu gosnmp.SnmpPDU) []byte {
	b, _ := pdu.Value.([]byte)
	return b
}

func number(pdu gosnmp.SnmpPDU) int { return int(gosnmp.ToBigInt(pdu.Value).Int64()) }

// read reads all tables, one column after another.
func read(session *gosnmp.GoSNMP) (Switch, error) {
	columns := map[string]column{}
	for _, oid := range []string{basePortIfIndex, ifName, ifDescr, staticName, staticEgress, staticUntagged, staticRowStatus, portPVID, portIngressFilter} {
		rows, err := walk(session, oid)
		if err != nil {
			return Switch{}, err
		}
		columns[oid] = rows
	}
	if len(columns[basePortIfIndex]) == 0 || len(columns[staticEgress]) == 0 {
		return Switch{}, errors.New("it shows no bridge ports or no static VLANs: it lacks Q-BRIDGE-MIB, or the user its view")
	}
	system, err := session.Get([]string{sysObjectID})
	if err != nil {
		return Switch{}, err
	}
	junos := false
	if len(system.Variables) == 1 {
		id, _ := system.Variables[0].Value.(string)
		junos = strings.HasPrefix(strings.TrimPrefix(id, "."), juniper)
	}
	return build(columns, junos)
}

// build joins the columns.
func build(columns map[string]column, junos bool) (Switch, error) {
	s := Switch{Ports: map[int]Port{}, VLANs: map[vlan.ID]string{}}
	indices := map[int]int{}
	for n, pdu := range columns[basePortIfIndex] {
		index := number(pdu)
		indices[n] = index
		pvid := number(columns[portPVID][n])
		if n < 1 || pvid < 0 || pvid > int(vlan.MaxID) {
			return Switch{}, fmt.Errorf("port %d with PVID %d: there is no such port or VLAN", n, pvid)
		}
		filter, hasFilter := columns[portIngressFilter][n]
		s.Ports[n] = Port{
			Index: index,
			Name:  string(octets(columns[ifName][index])), Description: string(octets(columns[ifDescr][index])),
			PVID:       vlan.ID(pvid),
			Unfiltered: !hasFilter || number(filter) == truthNo,
		}
	}
	var ids []vlan.ID
	var lists [][]byte
	for _, id := range slices.Sorted(maps.Keys(columns[staticEgress])) {
		if status, ok := columns[staticRowStatus][id]; ok && number(status) != rowActive {
			continue
		}
		if id < 1 || id > int(vlan.MaxID) {
			return Switch{}, fmt.Errorf("there is no VLAN %d", id)
		}
		s.VLANs[vlan.ID(id)] = string(octets(columns[staticName][id]))
		ids = append(ids, vlan.ID(id))
		lists = append(lists, octets(columns[staticEgress][id]), octets(columns[staticUntagged][id]))
	}
	members, err := portLists(lists, indices, junos)
	if err != nil {
		return Switch{}, err
	}
	for i, id := range ids {
		s.join(id, members[2*i], members[2*i+1])
	}
	return s, nil
}

// join makes ports members of a VLAN.
func (s Switch) join(id vlan.ID, egress, untagged []int) {
	for _, n := range egress {
		port := s.Ports[n]
		if slices.Contains(untagged, n) {
			port.Untagged = append(port.Untagged, id)
		} else {
			port.Tagged = append(port.Tagged, id)
		}
		s.Ports[n] = port
	}
}
