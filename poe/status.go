package poe

import (
	"fmt"
	"math"
	"slices"
	"strconv"
)

// Admin is whether a port may feed a device (pethPsePortAdminEnable). The
// numbers are those of RFC 3621; the zero value is not known.
type Admin int

// The admin states of RFC 3621.
const (
	AdminEnabled  Admin = 1
	AdminDisabled Admin = 2
)

var adminNames = []string{"unknown", "enabled", "disabled"}

func (a Admin) String() string { return nameOf(adminNames, int(a)) }

// MarshalText writes what String does.
func (a Admin) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (a *Admin) UnmarshalText(text []byte) error {
	i, err := indexOf(adminNames, "admin state", text)
	*a = Admin(i)
	return err
}

// Detection is the state of a port's PD detection (pethPsePortDetectionStatus).
// The numbers are those of RFC 3621; the zero value is not known.
type Detection int

// The detection states of RFC 3621, in the words of IEEE 802.3's state diagram.
const (
	DetectionDisabled   Detection = 1 // DISABLED
	DetectionSearching  Detection = 2 // none of the others
	DetectionDelivering Detection = 3 // POWER_ON
	DetectionFault      Detection = 4 // TEST_ERROR
	DetectionTest       Detection = 5 // TEST_MODE
	DetectionOtherFault Detection = 6 // IDLE, for an error condition
)

var detectionNames = []string{"unknown", "disabled", "searching", "deliveringPower", "fault", "test", "otherFault"}

func (d Detection) String() string { return nameOf(detectionNames, int(d)) }

// MarshalText writes what String does.
func (d Detection) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (d *Detection) UnmarshalText(text []byte) error {
	i, err := indexOf(detectionNames, "detection status", text)
	*d = Detection(i)
	return err
}

// Fault reports whether the port failed to feed a device.
func (d Detection) Fault() bool { return d == DetectionFault || d == DetectionOtherFault }

func nameOf(names []string, i int) string {
	if i < 0 || i >= len(names) {
		return names[0]
	}
	return names[i]
}

func indexOf(names []string, what string, text []byte) (int, error) {
	i := slices.Index(names, string(text))
	if i < 0 {
		return 0, fmt.Errorf("poe: %s %q: want one of %q", what, text, names)
	}
	return i, nil
}

// Class is a device's power class plus one, as pethPsePortPowerClassifications
// counts: 1 is class 0. The zero value is not known: a class is valid only
// while power is delivered.
type Class int

// classWatts is what a PSE must be able to deliver for each class: IEEE Std
// 802.3-2022 table 33-7 for the classes to 4, clause 145 for the others.
var classWatts = [...]float64{0, 15.4, 4, 7, 15.4, 30, 45, 60, 75, 90}

// ClassOf returns the class with the number n, 0 to 8.
func ClassOf(n int) Class {
	if n < 0 || n+1 >= len(classWatts) {
		return 0
	}
	return Class(n + 1)
}

// String returns the class's number, and "-" when it is not known.
func (c Class) String() string {
	if c < 1 || int(c) >= len(classWatts) {
		return "-"
	}
	return strconv.Itoa(int(c) - 1)
}

// MarshalText writes what String does.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (c *Class) UnmarshalText(text []byte) error {
	if string(text) == "-" {
		*c = 0
		return nil
	}
	n, err := strconv.Atoi(string(text))
	if *c = ClassOf(n); err != nil || *c == 0 {
		return fmt.Errorf("poe: class %q: want 0 to 8, or -", text)
	}
	return nil
}

// Watts returns what the PSE must be able to deliver to a device of the class,
// and 0 when it is not known.
func (c Class) Watts() float64 {
	if c < 1 || int(c) >= len(classWatts) {
		return 0
	}
	return classWatts[c]
}

// Status is what a PSE says of a port.
type Status struct {
	Port      PortID    `json:"port"`      // that it is about
	Admin     Admin     `json:"admin"`     // zero when it is not known
	Detection Detection `json:"detection"` // zero when it is not known
	Class     Class     `json:"class"`     // zero when no device is fed
	Watts     float64   `json:"watts"`     // drawn now; 0 unless Metered
	Metered   bool      `json:"metered"`   // whether the PSE measures it
}

// Delivering reports whether the port feeds a device. With no detection status,
// the admin state is believed: a backend leaves the one out only where the
// operator has said that his equipment cannot tell.
func (s Status) Delivering() bool {
	if s.Detection == 0 {
		return s.Admin == AdminEnabled
	}
	return s.Admin != AdminDisabled && s.Detection == DetectionDelivering
}

// residualWatts is what a meter may still show of a port without power.
const residualWatts = 0.5

// Dark reports whether the port feeds nothing: it is disabled, the detection
// agrees, and so does the meter.
func (s Status) Dark() bool {
	agrees := s.Detection == 0 || s.Detection == DetectionDisabled || s.Detection.Fault()
	return s.Admin == AdminDisabled && agrees && math.Abs(s.Watts) < residualWatts
}

func (s Status) String() string {
	text := fmt.Sprintf("%s %s, %s", s.Port, s.Admin, s.Detection)
	if s.Class != 0 {
		text += ", class " + s.Class.String()
	}
	if s.Metered {
		text += fmt.Sprintf(", %.1f W", s.Watts)
	}
	return text
}

// Counters are a port's faults since the switch started (RFC 3621). They wrap,
// and a restart sets them to zero.
type Counters struct {
	MPSAbsent        uint32 `json:"mps_absent"`        // the device stopped drawing power
	InvalidSignature uint32 `json:"invalid_signature"` // what is connected is no PD
	PowerDenied      uint32 `json:"power_denied"`      // the budget was spent
	Overload         uint32 `json:"overload"`          // the device drew more than it may
	Short            uint32 `json:"short"`             // a short circuit
}

// Since returns by how much each counter moved from an earlier reading. It
// returns false when one has fallen: the switch has restarted, which sets them
// to zero. That a counter has wrapped looks the same, and is far rarer.
func (c Counters) Since(earlier Counters) (moved Counters, ok bool) {
	if c.MPSAbsent < earlier.MPSAbsent || c.InvalidSignature < earlier.InvalidSignature ||
		c.PowerDenied < earlier.PowerDenied || c.Overload < earlier.Overload || c.Short < earlier.Short {
		return Counters{}, false
	}
	return Counters{
		c.MPSAbsent - earlier.MPSAbsent, c.InvalidSignature - earlier.InvalidSignature,
		c.PowerDenied - earlier.PowerDenied, c.Overload - earlier.Overload, c.Short - earlier.Short,
	}, true
}

// String names the counters that are not zero.
func (c Counters) String() string {
	var text string
	for _, f := range []struct {
		name string
		n    uint32
	}{{"MPS absent", c.MPSAbsent}, {"invalid signature", c.InvalidSignature}, {"power denied", c.PowerDenied}, {"overload", c.Overload}, {"short", c.Short}} {
		if f.n != 0 {
			text += fmt.Sprintf(", %s %d", f.name, f.n)
		}
	}
	if text == "" {
		return "none"
	}
	return text[2:]
}
