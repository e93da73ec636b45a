package ethtool

import (
	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"

	"github.com/berryrack/berryrack/poe"
)

// The numbers of include/uapi/linux/ethtool_netlink.h and ethtool.h, as in
// Linux 6.1 for PoDL and the messages, and in Linux 6.12 for C33.
const (
	familyName = "ethtool" // ETHTOOL_GENL_NAME

	msgPSEGet      = 36 // ETHTOOL_MSG_PSE_GET
	msgPSESet      = 37 // ETHTOOL_MSG_PSE_SET
	msgPSEGetReply = 37 // ETHTOOL_MSG_PSE_GET_REPLY; answers are numbered apart

	attrHeaderDevName = 2 // ETHTOOL_A_HEADER_DEV_NAME

	attrHeader           = 1  // ETHTOOL_A_PSE_HEADER
	attrPoDLAdminState   = 2  // ETHTOOL_A_PODL_PSE_ADMIN_STATE
	attrPoDLAdminControl = 3  // ETHTOOL_A_PODL_PSE_ADMIN_CONTROL
	attrPoDLDetection    = 4  // ETHTOOL_A_PODL_PSE_PW_D_STATUS
	attrC33AdminState    = 5  // ETHTOOL_A_C33_PSE_ADMIN_STATE
	attrC33AdminControl  = 6  // ETHTOOL_A_C33_PSE_ADMIN_CONTROL
	attrC33Detection     = 7  // ETHTOOL_A_C33_PSE_PW_D_STATUS
	attrC33Class         = 8  // ETHTOOL_A_C33_PSE_PW_CLASS
	attrC33ActualPower   = 9  // ETHTOOL_A_C33_PSE_ACTUAL_PW, mW
	attrC33Limit         = 12 // ETHTOOL_A_C33_PSE_AVAIL_PW_LIMIT, mW
	attrC33LimitRanges   = 13 // ETHTOOL_A_C33_PSE_PW_LIMIT_RANGES

	attrLimitMin = 1 // ETHTOOL_A_C33_PSE_PW_LIMIT_MIN, mW
	attrLimitMax = 2 // ETHTOOL_A_C33_PSE_PW_LIMIT_MAX, mW

	adminDisabled = 2 // ETHTOOL_C33_PSE_ADMIN_STATE_DISABLED, and PoDL's
	adminEnabled  = 3 // ETHTOOL_C33_PSE_ADMIN_STATE_ENABLED, and PoDL's
)

// c33Detection is enum ethtool_c33_pse_pw_d_status in the words of RFC 3621.
var c33Detection = map[uint32]poe.Detection{
	2: poe.DetectionDisabled, 3: poe.DetectionSearching, 4: poe.DetectionDelivering,
	5: poe.DetectionTest, 6: poe.DetectionFault, 7: poe.DetectionOtherFault,
}

// podlDetection is enum ethtool_podl_pse_pw_d_status. Its sleep and idle are
// states without power that wait for the device, as searching is.
var podlDetection = map[uint32]poe.Detection{
	2: poe.DetectionDisabled, 3: poe.DetectionSearching, 4: poe.DetectionDelivering,
	5: poe.DetectionSearching, 6: poe.DetectionSearching, 7: poe.DetectionFault,
}

var adminStates = map[uint32]poe.Admin{adminDisabled: poe.AdminDisabled, adminEnabled: poe.AdminEnabled}

// reply is what ETHTOOL_MSG_PSE_GET answers. A kind that the interface lacks is
// all zero.
type reply struct {
	podl, c33 side
	class     uint32
	milliwatt uint32
	metered   bool
	limit     Limit
}

// side is the state of one kind of PSE.
type side struct{ admin, detection uint32 }

// request returns a message about an interface, with a control attribute if its
// number is not zero.
func request(command uint8, device string, attribute uint16, value uint32) (genetlink.Message, error) {
	e := netlink.NewAttributeEncoder()
	e.Nested(attrHeader, func(h *netlink.AttributeEncoder) error {
		h.String(attrHeaderDevName, device)
		return nil
	})
	if attribute != 0 {
		e.Uint32(attribute, value)
	}
	data, err := e.Encode()
	return genetlink.Message{Header: genetlink.Header{Command: command, Version: 1}, Data: data}, err
}

// parseReply reads an answer's attributes. Unknown ones are newer kernels'.
func parseReply(data []byte) (r reply, err error) {
	d, err := netlink.NewAttributeDecoder(data)
	if err != nil {
		return r, err
	}
	for d.Next() {
		switch d.Type() {
		case attrPoDLAdminState:
			r.podl.admin = d.Uint32()
		case attrPoDLDetection:
			r.podl.detection = d.Uint32()
		case attrC33AdminState:
			r.c33.admin = d.Uint32()
		case attrC33Detection:
			r.c33.detection = d.Uint32()
		case attrC33Class:
			r.class = d.Uint32()
		case attrC33ActualPower:
			r.milliwatt, r.metered = d.Uint32(), true
		case attrC33Limit:
			r.limit.Watts = float64(d.Uint32()) / 1000
		case attrC33LimitRanges:
			d.Nested(r.limit.addRange)
		}
	}
	return r, d.Err()
}

// Limit is how much power a port may deliver, and to which values that can be
// set.
type Limit struct {
	Watts  float64 // in force
	Ranges []Range // none when the kernel does not say
}

// Range is a range of watts from Min to Max, both included.
type Range struct{ Min, Max float64 }

func (l *Limit) addRange(d *netlink.AttributeDecoder) error {
	var r Range
	for d.Next() {
		switch d.Type() {
		case attrLimitMin:
			r.Min = float64(d.Uint32()) / 1000
		case attrLimitMax:
			r.Max = float64(d.Uint32()) / 1000
		}
	}
	l.Ranges = append(l.Ranges, r)
	return nil
}

// hasC33 reports whether the interface has a Clause 33 PSE.
func (r reply) hasC33() bool { return r.c33 != side{} }

// status returns what the answer says in the words of package poe.
func (r reply) status(id poe.PortID) poe.Status {
	s := poe.Status{Port: id, Admin: adminStates[r.podl.admin], Detection: podlDetection[r.podl.detection]}
	if r.hasC33() {
		s.Admin, s.Detection = adminStates[r.c33.admin], c33Detection[r.c33.detection]
	}
	// The kernel leaves class and power out when they are 0.
	delivering := r.hasC33() && s.Detection == poe.DetectionDelivering
	if delivering {
		s.Class = poe.ClassOf(int(r.class))
	}
	if r.metered {
		s.Watts, s.Metered = float64(r.milliwatt)/1000, true
	}
	return s
}
