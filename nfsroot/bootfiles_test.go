package nfsroot

import (
	"errors"
	flags "flag"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flags.Bool("update", false, "write the golden files")

// golden compares text with a file below testdata.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), text)
}

func TestFormatCmdlineTxt(t *testing.T) {
	text, err := FormatCmdlineTxt(ParseCmdline("a  b=\"c d\"\n"))
	require.NoError(t, err)
	require.Equal(t, "a b=\"c d\"\n", text)
	_, err = FormatCmdlineTxt(ParseCmdline("a=\"b\nc\""))
	require.ErrorContains(t, err, "line break")
	_, err = FormatCmdlineTxt(ParseCmdline(strings.Repeat("x", 2048)))
	require.ErrorContains(t, err, "2048 fit")
	_, err = FormatCmdlineTxt(Cmdline{value("a", "\x00")})
	require.ErrorContains(t, err, "no command line can say it")
}

func TestFormatConfigTxt(t *testing.T) {
	text, err := FormatConfigTxt([]Setting{{"enable_uart", "1"}, {"dtoverlay", "disable-bt"}})
	require.NoError(t, err)
	require.Equal(t, "[all]\nenable_uart=1\ndtoverlay=disable-bt\n", text)
	_, err = FormatConfigTxt([]Setting{{"a b", "1"}, {"a", "1\n2"}, {"b", strings.Repeat("x", 97)}})
	for _, problem := range []string{`setting 1: "a b" is no key`, "setting 2, a: the value has a line break", "setting 3, b: 99 bytes"} {
		require.ErrorContains(t, err, problem)
	}
	_, err = FormatConfigTxt([]Setting{{"b", strings.Repeat("x", 96)}})
	require.NoError(t, err, "98 bytes fit")
}

func TestFormatEEPROM(t *testing.T) {
	link, err := mustPool(t, "10.46.189.0/27").Link(0)
	require.NoError(t, err)
	text, err := FormatEEPROM(link, 0)
	require.NoError(t, err)
	golden(t, "eeprom.txt", text)
	text, err = FormatEEPROM(link, BootSDThenNetwork)
	require.NoError(t, err)
	require.Contains(t, text, "BOOT_ORDER=0xf21\n")
	for order, problem := range map[BootOrder]string{0xf1: "has no 0x2", 0x1f2: "never tried", 0xf82: "0x8 is no way"} {
		_, err := FormatEEPROM(link, order)
		require.ErrorContains(t, err, problem)
	}
	_, err = FormatEEPROM(Link{}, 0)
	require.ErrorContains(t, err, "not one of a pool")
}

func TestParseSerial(t *testing.T) {
	for text, want := range map[string]string{"00000001": "00000001", "9FFEFDEF": "9ffefdef", "10000000abcdef12": "abcdef12"} {
		serial, err := ParseSerial(text)
		require.NoError(t, err)
		require.Equal(t, want, serial.String())
	}
	for _, text := range []string{"", "1234567", "123456789", "0x123456", "-1234567", "xyzxyzxy", "00000000", "1000000000000000", "1_000_00"} {
		_, err := ParseSerial(text)
		require.ErrorContains(t, err, "serial number")
	}
}

func TestParseMAC(t *testing.T) {
	mac, err := ParseMAC("B8-27-EB-00-00-01")
	require.NoError(t, err)
	require.Equal(t, "b8:27:eb:00:00:01", mac.String())
	for text, problem := range map[string]string{
		"": "write six bytes", "b8:27:eb:00:00": "write six bytes", "b8:27:eb:00:00:00:00:01": "has 8 bytes",
		"01:00:5e:00:00:01": "multicast", "ff:ff:ff:ff:ff:ff": "multicast", "00:00:00:00:00:00": "all zeros",
	} {
		mac, err := ParseMAC(text)
		require.ErrorContains(t, err, problem)
		require.Nil(t, mac)
	}
}

// tftpClients are a Pi 3 that is known, and one that is not.
func tftpClients(t testing.TB) []TFTPClient {
	t.Helper()
	pool := mustPool(t, "10.46.189.0/27")
	var clients []TFTPClient
	for slot, name := range []string{"pi1", "pi2"} {
		link, err := pool.Link(slot)
		require.NoError(t, err)
		clients = append(clients, TFTPClient{Interface: "eth0." + string(rune('2'+slot)), Link: link, Name: name})
	}
	clients[0].MAC = net.HardwareAddr{0xb8, 0x27, 0xeb, 0, 0, 1}
	clients[0].Serial = 0xabcdef12
	return clients
}

func TestFormatDnsmasq(t *testing.T) {
	text, err := FormatDnsmasq("/srv/tftp", tftpClients(t))
	require.NoError(t, err)
	golden(t, "dnsmasq.conf", text)
}

func TestFormatDnsmasqRefused(t *testing.T) {
	clients := tftpClients(t)
	clients[1] = clients[0]
	clients = append(clients, TFTPClient{Interface: "eth0,eth1", Name: "a/b", MAC: net.HardwareAddr{1, 2}})
	_, err := FormatDnsmasq("srv/tftp\nuser=root", clients)
	for _, problem := range []string{
		"TFTP root", `client 2, "pi1": "pi1" has the interface eth0.2 as well`, "the name pi1 as well", "the link 10.46.189.0/30 as well",
		"the MAC address b8:27:eb:00:00:01 as well", "the serial number abcdef12 as well",
		`"eth0,eth1" is no interface`, "DNS label", "not one of a pool", "has 2 bytes",
	} {
		require.ErrorContains(t, err, problem)
	}
}

func TestFormatExports(t *testing.T) {
	a, b := netip.MustParseAddr("10.46.189.2"), netip.MustParseAddr("2001:db8::2")
	text, err := FormatExports([]Export{{Path: "/export/a b\"(#\\é", Client: a}, {Path: "/export/b", Client: b, Options: "ro,fsid=1"}})
	require.NoError(t, err)
	require.Equal(t, `/export/a\040b\042\050\043\134\303\251 10.46.189.2(rw,no_root_squash,no_subtree_check,sync)`+"\n/export/b 2001:db8::2(ro,fsid=1)\n", text)

	_, err = FormatExports([]Export{
		{Path: "export", Client: a}, {Path: "/x/../y", Client: a}, {Path: "/z", Client: a}, {Path: "/z", Client: a},
		{Path: "/n"}, {Path: "/o", Client: a, Options: "rw) *(rw"},
	})
	for _, problem := range []string{`export 1, "export": the path`, `export 2, "/x/../y": the path`, `export 4, "/z": exported to 10.46.189.2 twice`, "export 5, \"/n\": the client", "export 6, \"/o\": the options"} {
		require.ErrorContains(t, err, problem)
	}
}

func TestCheckFilesystems(t *testing.T) {
	exports := []Export{{Path: "/a"}, {Path: "/b"}, {Path: "/c"}, {Path: "/a"}, {Path: "/gone"}}
	device := func(path string) (uint64, error) {
		dev, ok := map[string]uint64{"/a": 1, "/b": 2, "/c": 1}[path]
		if !ok {
			return 0, errors.New("no such directory")
		}
		return dev, nil
	}
	err := CheckFilesystems(exports, device)
	require.ErrorContains(t, err, "/a and /c are on one filesystem")
	require.ErrorContains(t, err, "/gone is on: no such directory")
	require.NotContains(t, err.Error(), "/b")
	require.NoError(t, CheckFilesystems(exports[:2], device))
}
