package ethtool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/genetlink/genltest"
	"github.com/mdlayher/netlink"
	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/internal/lab"
	"github.com/berryrack/berryrack/poe"
	"github.com/berryrack/berryrack/poe/poetest"
)

var port1, port2 = poe.PortID{Group: 1, Port: 1}, poe.PortID{Group: 1, Port: 2}

// numbers is what the kernel calls each of our constants. Those of C33 are not
// in the header of Linux 6.1; they are from include/uapi/linux/ethtool_netlink.h
// and ethtool.h of Linux 6.12, and have been the same since 6.11.
var numbers = []struct {
	name   string
	number int
	in61   bool
}{
	{"ETHTOOL_MSG_PSE_GET", 36, true}, {"ETHTOOL_MSG_PSE_SET", 37, true}, {"ETHTOOL_MSG_PSE_GET_REPLY", 37, true},
	{"ETHTOOL_A_HEADER_DEV_NAME", 2, true}, {"ETHTOOL_A_PSE_HEADER", 1, true},
	{"ETHTOOL_A_PODL_PSE_ADMIN_STATE", 2, true}, {"ETHTOOL_A_PODL_PSE_ADMIN_CONTROL", 3, true}, {"ETHTOOL_A_PODL_PSE_PW_D_STATUS", 4, true},
	{"ETHTOOL_PODL_PSE_ADMIN_STATE_DISABLED", 2, true}, {"ETHTOOL_PODL_PSE_ADMIN_STATE_ENABLED", 3, true},
	{"ETHTOOL_PODL_PSE_PW_D_STATUS_DISABLED", 2, true}, {"ETHTOOL_PODL_PSE_PW_D_STATUS_SEARCHING", 3, true},
	{"ETHTOOL_PODL_PSE_PW_D_STATUS_DELIVERING", 4, true}, {"ETHTOOL_PODL_PSE_PW_D_STATUS_SLEEP", 5, true},
	{"ETHTOOL_PODL_PSE_PW_D_STATUS_IDLE", 6, true}, {"ETHTOOL_PODL_PSE_PW_D_STATUS_ERROR", 7, true},
	{"ETHTOOL_A_C33_PSE_ADMIN_STATE", 5, false}, {"ETHTOOL_A_C33_PSE_ADMIN_CONTROL", 6, false}, {"ETHTOOL_A_C33_PSE_PW_D_STATUS", 7, false},
	{"ETHTOOL_A_C33_PSE_PW_CLASS", 8, false}, {"ETHTOOL_A_C33_PSE_ACTUAL_PW", 9, false}, {"ETHTOOL_A_C33_PSE_EXT_STATE", 10, false},
	{"ETHTOOL_A_C33_PSE_EXT_SUBSTATE", 11, false}, {"ETHTOOL_A_C33_PSE_AVAIL_PW_LIMIT", 12, false}, {"ETHTOOL_A_C33_PSE_PW_LIMIT_RANGES", 13, false},
	{"ETHTOOL_A_C33_PSE_PW_LIMIT_MIN", 1, false}, {"ETHTOOL_A_C33_PSE_PW_LIMIT_MAX", 2, false},
	{"ETHTOOL_C33_PSE_ADMIN_STATE_DISABLED", 2, false}, {"ETHTOOL_C33_PSE_ADMIN_STATE_ENABLED", 3, false},
	{"ETHTOOL_C33_PSE_PW_D_STATUS_DISABLED", 2, false}, {"ETHTOOL_C33_PSE_PW_D_STATUS_SEARCHING", 3, false},
	{"ETHTOOL_C33_PSE_PW_D_STATUS_DELIVERING", 4, false}, {"ETHTOOL_C33_PSE_PW_D_STATUS_TEST", 5, false},
	{"ETHTOOL_C33_PSE_PW_D_STATUS_FAULT", 6, false}, {"ETHTOOL_C33_PSE_PW_D_STATUS_OTHERFAULT", 7, false},
}

func number(name string) int {
	for _, n := range numbers {
		if n.name == name {
			return n.number
		}
	}
	return -1
}

func TestNumbers(t *testing.T) {
	for name, ours := range map[string]int{
		"ETHTOOL_MSG_PSE_GET": msgPSEGet, "ETHTOOL_MSG_PSE_SET": msgPSESet, "ETHTOOL_MSG_PSE_GET_REPLY": msgPSEGetReply,
		"ETHTOOL_A_HEADER_DEV_NAME": attrHeaderDevName, "ETHTOOL_A_PSE_HEADER": attrHeader,
		"ETHTOOL_A_PODL_PSE_ADMIN_STATE": attrPoDLAdminState, "ETHTOOL_A_PODL_PSE_ADMIN_CONTROL": attrPoDLAdminControl,
		"ETHTOOL_A_PODL_PSE_PW_D_STATUS": attrPoDLDetection, "ETHTOOL_A_C33_PSE_ADMIN_STATE": attrC33AdminState,
		"ETHTOOL_A_C33_PSE_ADMIN_CONTROL": attrC33AdminControl, "ETHTOOL_A_C33_PSE_PW_D_STATUS": attrC33Detection,
		"ETHTOOL_A_C33_PSE_PW_CLASS": attrC33Class, "ETHTOOL_A_C33_PSE_ACTUAL_PW": attrC33ActualPower,
		"ETHTOOL_A_C33_PSE_AVAIL_PW_LIMIT": attrC33Limit, "ETHTOOL_A_C33_PSE_PW_LIMIT_RANGES": attrC33LimitRanges,
		"ETHTOOL_A_C33_PSE_PW_LIMIT_MIN": attrLimitMin, "ETHTOOL_A_C33_PSE_PW_LIMIT_MAX": attrLimitMax,
		"ETHTOOL_C33_PSE_ADMIN_STATE_DISABLED": adminDisabled, "ETHTOOL_C33_PSE_ADMIN_STATE_ENABLED": adminEnabled,
		"ETHTOOL_PODL_PSE_ADMIN_STATE_DISABLED": adminDisabled, "ETHTOOL_PODL_PSE_ADMIN_STATE_ENABLED": adminEnabled,
	} {
		require.Equal(t, number(name), ours, name)
	}
	for detection, name := range map[poe.Detection]string{
		poe.DetectionDisabled: "DISABLED", poe.DetectionSearching: "SEARCHING", poe.DetectionDelivering: "DELIVERING",
		poe.DetectionTest: "TEST", poe.DetectionFault: "FAULT", poe.DetectionOtherFault: "OTHERFAULT",
	} {
		require.Equal(t, detection, c33Detection[uint32(number("ETHTOOL_C33_PSE_PW_D_STATUS_"+name))])
	}
	for name, detection := range map[string]poe.Detection{
		"DISABLED": poe.DetectionDisabled, "SEARCHING": poe.DetectionSearching, "DELIVERING": poe.DetectionDelivering,
		"SLEEP": poe.DetectionSearching, "IDLE": poe.DetectionSearching, "ERROR": poe.DetectionFault,
	} {
		require.Equal(t, detection, podlDetection[uint32(number("ETHTOOL_PODL_PSE_PW_D_STATUS_"+name))])
	}
}

// TestNumbersOfTheHeader lets a C compiler say what Debian's header calls them.
func TestNumbersOfTheHeader(t *testing.T) {
	lab.Need(t, "gcc")
	var source strings.Builder
	source.WriteString("#include <stdio.h>\n#include <linux/ethtool.h>\n#include <linux/ethtool_netlink.h>\nint main(void) {\n")
	want := ""
	for _, n := range numbers {
		if n.in61 {
			fmt.Fprintf(&source, "printf(\"%s %%d\\n\", %s);\n", n.name, n.name)
			want += fmt.Sprintf("%s %d\n", n.name, n.number)
		}
	}
	source.WriteString("return 0; }\n")
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "n.c"), []byte(source.String()), 0o600))
	lab.Run(t, "gcc", "-o", filepath.Join(dir, "n"), filepath.Join(dir, "n.c"))
	got, err := exec.CommandContext(t.Context(), filepath.Join(dir, "n")).Output()
	require.NoError(t, err)
	require.Equal(t, want, string(got))
}

// kernel is a stand-in for the kernel's side, with interfaces of either kind.
type kernel struct {
	mu     sync.Mutex
	admin  map[string]uint32
	podl   bool
	refuse syscall.Errno
	limit  uint32
}

func (k *kernel) dial(t *testing.T) *PSE {
	conn := genltest.Dial(genltest.ServeFamily(genetlink.Family{ID: 21, Version: 1, Name: familyName}, k.serve))
	pse, err := newPSE(conn, map[poe.PortID]string{port1: "lan1", port2: "lan2", {Group: 1, Port: 9}: "gone"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pse.Close()) })
	return pse
}

func (k *kernel) serve(m genetlink.Message, _ netlink.Message) ([]genetlink.Message, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	d, err := netlink.NewAttributeDecoder(m.Data)
	if err != nil {
		return nil, err
	}
	var device string
	controls := map[uint16]uint32{}
	for d.Next() {
		if d.Type() == attrHeader {
			d.Nested(func(h *netlink.AttributeDecoder) error {
				for h.Next() {
					device = h.String()
				}
				return nil
			})
			continue
		}
		controls[d.Type()] = d.Uint32()
	}
	if d.Err() != nil || k.admin[device] == 0 {
		return nil, genltest.Error(int(syscall.ENODEV))
	}
	if m.Header.Command == msgPSEGet {
		return k.get(device)
	}
	if k.refuse != 0 {
		return nil, genltest.Error(int(k.refuse))
	}
	for attribute, value := range controls {
		switch {
		case attribute == attrC33Limit:
			k.limit = value
		case (attribute == attrPoDLAdminControl) == k.podl:
			k.admin[device] = value
		default:
			return nil, genltest.Error(int(syscall.EINVAL))
		}
	}
	return []genetlink.Message{{}}, nil // the stand-in has no other way to acknowledge
}

func (k *kernel) get(device string) ([]genetlink.Message, error) {
	e := netlink.NewAttributeEncoder()
	on := k.admin[device] == adminEnabled
	detection := map[bool]uint32{true: 4, false: 2}[on]
	if k.podl {
		e.Uint32(attrPoDLAdminState, k.admin[device])
		e.Uint32(attrPoDLDetection, detection)
	} else {
		e.Uint32(attrC33AdminState, k.admin[device])
		e.Uint32(attrC33Detection, detection)
		if on {
			e.Uint32(attrC33Class, 4)
			e.Uint32(attrC33ActualPower, 6500)
		}
		e.Uint32(attrC33Limit, k.limit)
		e.Nested(attrC33LimitRanges, func(r *netlink.AttributeEncoder) error {
			r.Uint32(attrLimitMin, 1000)
			r.Uint32(attrLimitMax, 30000)
			return nil
		})
		e.Uint32(99, 1) // a newer kernel's
	}
	data, err := e.Encode()
	return []genetlink.Message{{Header: genetlink.Header{Command: msgPSEGetReply}, Data: data}}, err
}

func newKernel(podl bool) *kernel {
	return &kernel{admin: map[string]uint32{"lan1": adminEnabled, "lan2": adminEnabled}, podl: podl, limit: 15400}
}

func TestConform(t *testing.T) {
	for _, podl := range []bool{false, true} {
		k := newKernel(podl)
		pse := k.dial(t)
		delete(pse.interfaces, poe.PortID{Group: 1, Port: 9})
		require.NoError(t, poetest.Conform(t.Context(), poetest.Subject{PSE: pse, Port: port1, Other: port2}))
	}
}

func TestStatus(t *testing.T) {
	pse := newKernel(false).dial(t)
	all, err := pse.Status(t.Context(), port1)
	require.NoError(t, err)
	require.Equal(t, []poe.Status{{Port: port1, Admin: poe.AdminEnabled, Detection: poe.DetectionDelivering, Class: poe.ClassOf(4), Watts: 6.5, Metered: true}}, all)
	require.Equal(t, "ethtool --set-pse lan1 c33-pse-admin-control disable", pse.Explain(poe.Step{Port: port1, Admin: poe.AdminDisabled}))
	podl := newKernel(true).dial(t)
	all, err = podl.Status(t.Context(), port2)
	require.NoError(t, err)
	require.Contains(t, podl.Explain(poe.Step{Port: port2, Admin: poe.AdminDisabled}), " podl-pse-admin-control disable")
	require.Equal(t, []poe.Status{{Port: port2, Admin: poe.AdminEnabled, Detection: poe.DetectionDelivering}}, all)
}

func TestErrors(t *testing.T) {
	k := newKernel(false)
	pse := k.dial(t)
	_, err := pse.Status(t.Context(), poe.PortID{Group: 1, Port: 9})
	require.ErrorIs(t, err, poe.ErrNoPort)
	require.ErrorContains(t, err, "no interface gone")
	k.refuse = syscall.EPERM
	err = pse.Set(t.Context(), port1, poe.AdminDisabled)
	require.ErrorIs(t, err, poe.ErrRefused)
	require.ErrorContains(t, err, "CAP_NET_ADMIN")
	_, err = Dial(map[poe.PortID]string{port1: "a name that is too long"})
	require.ErrorContains(t, err, "up to 15 bytes")
}

func TestLimit(t *testing.T) {
	k := newKernel(false)
	pse := k.dial(t)
	limit, err := pse.Limit(t.Context(), port1)
	require.NoError(t, err)
	require.Equal(t, Limit{Watts: 15.4, Ranges: []Range{{1, 30}}}, limit)
	require.NoError(t, pse.SetLimit(t.Context(), port1, 25.5))
	require.EqualValues(t, 25500, k.limit)
	for _, watts := range []float64{0, -1, 31, 1e12} {
		require.ErrorIs(t, pse.SetLimit(t.Context(), port1, watts), poe.ErrRefused)
	}
	_, err = newKernel(true).dial(t).Limit(t.Context(), port1)
	require.ErrorIs(t, err, errors.ErrUnsupported)
}

// TestKernelWithoutPSE asks this machine's kernel about an interface that has
// none: a named error, and at once.
func TestKernelWithoutPSE(t *testing.T) {
	if !lab.Isolated(t) {
		return
	}
	lab.Run(t, "ip", "link", "add", "veth0", "type", "veth", "peer", "name", "veth1")
	pse, err := Dial(map[poe.PortID]string{port1: "veth0", port2: "absent"})
	if err != nil {
		require.ErrorIs(t, err, ErrNoPSE)
		t.Log(err)
		return
	}
	defer pse.Close()
	_, err = pse.Status(t.Context(), port1)
	require.ErrorIs(t, err, ErrNoPSE)
	t.Log(err)
	require.ErrorIs(t, pse.Set(t.Context(), port1, poe.AdminDisabled), ErrNoPSE)
	_, err = pse.Status(t.Context(), port2)
	require.ErrorIs(t, err, poe.ErrNoPort)
	t.Log(err)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = pse.Status(ended, port1)
	require.ErrorIs(t, err, context.Canceled)
}

func FuzzParseReply(f *testing.F) {
	messages, err := newKernel(false).get("lan1")
	require.NoError(f, err)
	f.Add(messages[0].Data)
	f.Add([]byte{8, 0, 5, 0, 3, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseReply(data)
		if err == nil {
			require.GreaterOrEqual(t, r.status(port1).Watts, 0.0)
		}
	})
}
