package switchconf_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/berryrack/berryrack/internal/lab"
	"github.com/berryrack/berryrack/vlan"
	"github.com/berryrack/berryrack/vlan/switchconf"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const computers = 3

const networkd = "/lib/systemd/systemd-networkd"

// TestBridgeHolds and TestNetworkdHolds: with the configuration that was
// written, each computer has its own fileserver's address and the public VLAN,
// and whatever it forges ends nowhere else.
func TestBridgeHolds(t *testing.T) {
	lab.Need(t, "ip", "bridge", "busybox")
	if !lab.InGuest(t, "8021q", "veth", "bridge", "ipv6") {
		return
	}
	plan := wire(t)
	script, err := switchconf.Bridge(plan, "sw1")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "sw1.bridge")
	require.NoError(t, os.WriteFile(path, []byte(script), 0o755))
	lab.Run(t, "sh", path)
	was := lab.Run(t, "bridge", "vlan")
	lab.Run(t, "sh", path)
	require.Equal(t, was, lab.Run(t, "bridge", "vlan"), "it can be run again")
	holds(t, plan)
}

func TestNetworkdHolds(t *testing.T) {
	lab.Need(t, networkd, "ip", "bridge", "busybox")
	if !lab.InGuest(t, "8021q", "veth", "bridge", "ipv6") {
		return
	}
	plan := wire(t)
	files, err := switchconf.Networkd(plan, "sw1")
	require.NoError(t, err)
	dir := "/run/systemd/network"
	require.NoError(t, os.MkdirAll(dir, 0o755))
	for _, file := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, file.Name), []byte(file.Text), 0o644))
	}
	lab.Run(t, "mount", "-o", "remount,ro", "/sys") // or networkd waits for udev
	cmd := exec.CommandContext(t.Context(), networkd)
	cmd.Env = append(os.Environ(), "SYSTEMD_LOG_LEVEL=warning", "SYSTEMD_LOG_TARGET=console")
	log, err := os.Create("/run/networkd.log")
	require.NoError(t, err)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	require.NoError(t, cmd.Start())
	eventually(t, "the trunk's VLANs", func() bool {
		return strings.Contains(lab.Run(t, "bridge", "-c", "vlan", "show", "dev", "swp24"), "131") && len(lab.Run(t, "ip", "link", "show", "master", "br0", "up")) > 0 &&
			strings.Count(lab.Run(t, "ip", "-o", "link", "show", "master", "br0"), "state forwarding")+strings.Count(lab.Run(t, "ip", "-o", "link", "show", "master", "br0"), "state UP") == computers+1
	})
	holds(t, plan)
	warnings, err := os.ReadFile("/run/networkd.log")
	require.NoError(t, err)
	require.Empty(t, string(warnings))
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, 30*time.Second, 50*time.Millisecond, what)
}

// wire makes a namespace for each computer and for the fileserver, whose eth0
// is the other end of a port of the switch, and gives them their addresses: the
// computers' as the kernel and the host's files do, the fileserver's by Apply.
func wire(t *testing.T) vlan.Plan {
	t.Helper()
	plan := rack(computers, "swp%d")
	for _, port := range plan.Switches[0].Ports {
		lab.Run(t, "ip", "netns", "add", port.Description)
		lab.Run(t, "ip", "link", "add", port.Name, "type", "veth", "peer", "name", "eth0", "netns", port.Description)
		lab.Run(t, "ip", "-n", port.Description, "link", "set", "eth0", "up")
		lab.Run(t, "ip", "link", "set", port.Name, "up")
	}
	plan.Server.Interfaces[computers].Name = "public" // owned here, so that Apply makes it
	apply(t, "fs", vlan.Wanted{Parents: []string{"eth0"}, Owned: vlan.Numbering{First: 10}, Interfaces: plan.Server.Interfaces})
	for slot, host := range plan.Hosts {
		lab.Run(t, "ip", "-n", host.Name, "address", "add", fmt.Sprintf("%v/30", private(slot, 2)), "dev", "eth0")
		apply(t, host.Name, vlan.Wanted{Parents: []string{"eth0"}, Owned: vlan.Numbering{First: 131, Slots: 1}, Interfaces: host.Interfaces})
	}
	return plan
}

func apply(t *testing.T, namespace string, want vlan.Wanted) {
	t.Helper()
	fd, err := unix.Open("/run/netns/"+namespace, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	there := vlan.Namespace{FD: fd}
	have, err := there.Current(t.Context(), want.Parents...)
	require.NoError(t, err)
	changes, err := vlan.Diff(want, have)
	require.NoError(t, err)
	require.NoError(t, there.Apply(t.Context(), changes.Steps))
}

func pings(t *testing.T, from, to string) bool {
	t.Helper()
	output, _ := exec.CommandContext(t.Context(), "ip", "netns", "exec", from, "busybox", "ping", "-c", "1", "-W", "1", to).CombinedOutput()
	return strings.Contains(string(output), " 0% packet loss")
}

// holds checks who reaches whom, and what becomes of forged frames.
func holds(t *testing.T, plan vlan.Plan) {
	t.Helper()
	for slot, host := range plan.Hosts {
		eventually(t, host.Name+" reaches its fileserver", func() bool { return pings(t, host.Name, private(slot, 1).String()) })
		eventually(t, host.Name+" reaches the public VLAN", func() bool { return pings(t, host.Name, public(0).Addresses[0].Addr().String()) })
		for other := range plan.Hosts {
			if other == slot {
				continue
			}
			// As if the other one's network were its own.
			lab.Run(t, "ip", "-n", host.Name, "address", "add", fmt.Sprintf("%v/30", private(other, 2)), "dev", "eth0")
			require.False(t, pingsFrom(t, host.Name, private(other, 2), private(other, 1)), "%s in the private VLAN of slot %d", host.Name, other)
			lab.Run(t, "ip", "-n", host.Name, "address", "delete", fmt.Sprintf("%v/30", private(other, 2)), "dev", "eth0")
			require.True(t, pings(t, host.Name, public(other + 1).Addresses[0].Addr().String()), "all computers are in the public VLAN")
		}
	}
	forge(t, plan)
}

func pingsFrom(t *testing.T, from string, source, to netip.Addr) bool {
	t.Helper()
	output, _ := exec.CommandContext(t.Context(), "ip", "netns", "exec", from, "busybox", "ping", "-c", "1", "-W", "1", "-I", source.String(), to.String()).CombinedOutput()
	return strings.Contains(string(output), " 0% packet loss")
}

// tags are those of a forged frame, outer first.
type tags []uint16

// forge sends frames from pi1 with all pairs of tags that mean something to
// this switch, and checks where each was seen, and with which tag.
func forge(t *testing.T, plan vlan.Plan) {
	t.Helper()
	var forged []tags
	ids := []uint16{0, 1, 10, 11, 12, 131, 4094, 4095}
	forged = append(forged, tags{})
	for _, outer := range ids {
		forged = append(forged, tags{outer})
		for _, inner := range ids {
			forged = append(forged, tags{outer, inner})
		}
	}
	sightings := map[string]*sniffer{}
	for _, port := range plan.Switches[0].Ports {
		sightings[port.Description] = sniff(t, port.Description)
	}
	sender := packetSocket(t, "pi1")
	for n, tags := range forged {
		for _, protocol := range []uint16{unix.ETH_P_8021Q, unix.ETH_P_8021AD} {
			require.NoError(t, unix.Send(sender.fd, frame(n, protocol, tags), 0))
		}
	}
	// The last one is seen everywhere: what was sent before it has arrived.
	require.NoError(t, unix.Send(sender.fd, frame(len(forged), unix.ETH_P_8021Q, tags{131}), 0))
	for _, name := range []string{"fs", "pi2", "pi3"} {
		eventually(t, name+" sees the last frame", func() bool { return sightings[name].saw(len(forged), 131) })
		for _, seen := range sightings[name].all() {
			require.True(t, seen.vid == 131 || name == "fs" && seen.vid == 10,
				"%s saw frame %d of pi1, with tags %v, in VLAN %d", name, seen.frame, append(forged, tags{131})[seen.frame], seen.vid)
		}
	}
	require.True(t, sightings["fs"].saw(0, 10), "an untagged frame of pi1 is in its private VLAN")
	require.Greater(t, len(sightings["fs"].all()), len(sightings["pi2"].all()))
}

// experimental is the EtherType of forged frames (IEEE Std 802, local experimental 1).
const experimental = 0x88b5

const mark = "forged frame "

// frame returns a broadcast with the tags and the number n in it.
func frame(n int, protocol uint16, tags tags) []byte {
	b := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1}
	for i, tag := range tags {
		tpid := uint16(unix.ETH_P_8021Q)
		if i == 0 {
			tpid = protocol
		}
		b = binary.BigEndian.AppendUint16(b, tpid)
		b = binary.BigEndian.AppendUint16(b, tag)
	}
	b = binary.BigEndian.AppendUint16(b, experimental)
	return append(b, fmt.Sprintf("%s%04d%40s", mark, n, "")...)
}

// sighting is a forged frame on a wire, with the VLAN of its 802.1Q tag.
type sighting struct {
	frame int
	vid   uint16
}

type sniffer struct {
	fd   int
	mu   sync.Mutex
	seen []sighting
}

func (s *sniffer) all() []sighting {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]sighting(nil), s.seen...)
}

func (s *sniffer) saw(frame int, vid uint16) bool {
	for _, seen := range s.all() {
		if seen == (sighting{frame, vid}) {
			return true
		}
	}
	return false
}

// packetSocket opens a socket on eth0 in a namespace.
func packetSocket(t *testing.T, namespace string) *sniffer {
	t.Helper()
	type result struct {
		fd  int
		err error
	}
	opened := make(chan result)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its namespace
		fd, err := openPacketSocket(namespace)
		opened <- result{fd, err}
	}()
	r := <-opened
	require.NoError(t, r.err)
	t.Cleanup(func() { unix.Close(r.fd) })
	return &sniffer{fd: r.fd}
}

func openPacketSocket(namespace string) (int, error) {
	ns, err := unix.Open("/run/netns/"+namespace, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(ns)
	if err := unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
		return 0, err
	}
	const all = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8 // in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all)
	if err != nil {
		return 0, err
	}
	index, err := interfaceIndex(fd, "eth0")
	if err != nil {
		return 0, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1); err != nil {
		return 0, err
	}
	return fd, unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: index})
}

func interfaceIndex(fd int, name string) (int, error) {
	request, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	err = unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, request)
	return int(request.Uint32()), err
}

// sniff collects the forged frames that come in by a namespace's eth0.
func sniff(t *testing.T, namespace string) *sniffer {
	t.Helper()
	s := packetSocket(t, namespace)
	require.NoError(t, unix.SetsockoptTimeval(s.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100000}))
	done, stopped := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(done); <-stopped })
	go func() {
		defer close(stopped)
		for {
			select {
			case <-done:
				return
			default:
				s.receive()
			}
		}
	}()
	return s
}

// receive notes one frame, if it is a forged one that came in.
func (s *sniffer) receive() {
	b, control := make([]byte, 2048), make([]byte, 128)
	n, nc, _, from, err := unix.Recvmsg(s.fd, b, control, 0)
	if err != nil {
		return
	}
	at := bytes.Index(b[:n], []byte(mark))
	if link, ok := from.(*unix.SockaddrLinklayer); at < 0 || ok && link.Pkttype == unix.PACKET_OUTGOING {
		return
	}
	var number int
	if _, err := fmt.Sscanf(string(b[at+len(mark):at+len(mark)+4]), "%d", &number); err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, sighting{number, vid(b[:n], control[:nc])})
}

// vid returns the VLAN of a frame: the kernel takes the outer tag out of it.
func vid(b, control []byte) uint16 {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return 0
	}
	for _, message := range messages {
		// struct tpacket_auxdata of linux/if_packet.h: the tag is at 16, its
		// EtherType at 18.
		if d := message.Data; message.Header.Type == unix.PACKET_AUXDATA && len(d) >= 20 && binary.NativeEndian.Uint32(d)&unix.TP_STATUS_VLAN_VALID != 0 {
			if binary.NativeEndian.Uint16(d[18:]) == unix.ETH_P_8021Q {
				return binary.NativeEndian.Uint16(d[16:]) & 0xfff
			}
			return 0
		}
	}
	if binary.BigEndian.Uint16(b[12:]) == unix.ETH_P_8021Q {
		return binary.BigEndian.Uint16(b[14:]) & 0xfff
	}
	return 0
}
