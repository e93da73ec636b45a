package nfsroot

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	goodIP   = "ip=10.46.189.2:::255.255.255.252::eth0:off"
	goodRoot = "nfsroot=10.46.189.1:/export/pi1,vers=3,tcp"
	goodLine = "root=/dev/nfs " + goodIP + " " + goodRoot
)

func TestLintNothing(t *testing.T) {
	require.Empty(t, Lint(ParseCmdline(goodLine), Kernel, Klibc, Dracut, Systemd), "what a rack writes is for everybody")
}

func TestLint(t *testing.T) {
	ip := func(value string) string { return strings.Replace(goodLine, goodIP, "ip="+value, 1) }
	root := func(value string) string { return strings.Replace(goodLine, goodRoot, "nfsroot="+value, 1) }
	for _, test := range []struct {
		dialect Dialect
		line    string
		rules   string
	}{
		{Kernel, goodLine + " " + strings.Repeat("x", 700), "length"},
		{Kernel, goodLine + " \"a\nb\"", "line"},
		{Kernel, "root=/dev/nfs " + goodIP, "root"},
		{Kernel, goodIP, "root"},
		{Kernel, "root=/dev/sda1 " + goodIP + " " + goodRoot, "root"},
		{Kernel, goodLine + " nfsroot=/x,vers=3,tcp", "root server"},
		{Dracut, goodIP + " " + goodRoot, "root"},
		{Kernel, "root=/dev/nfs " + goodRoot, "ip-missing"},
		{Kernel, goodLine + " ip=dhcp", "ip-repeated"},
		{Kernel, ip("10.46.189.2:::255.255.255.254::eth0:off"), "netmask server"},
		{Kernel, ip("10.46.189.2:::::eth0:off"), "netmask"},
		{Systemd, ip("10.46.189.2:::::eth0:off"), "netmask server"},
		{Kernel, ip("10.46.189.2:::255.255.255.255::eth0:off"), "netmask"},
		{Kernel, ip("10.46.189.2:::30::eth0:off"), "netmask ip-refused"},
		{Klibc, ip("10.46.189.2:::30::eth0:off"), "netmask ip-refused"},
		{Systemd, ip("10.46.189.2:::30::eth0:off"), ""},
		{Dracut, ip("10.46.189.2:::30::eth0:off"), ""},
		{Kernel, ip("10.46.189.2::10.46.190.1:255.255.255.252::eth0:off"), "gateway"},
		{Kernel, ip("10.46.189.3:::255.255.255.252::eth0:off"), "address"},
		{Kernel, ip("10.46.189.0:::255.255.255.252::eth0:off"), "address"},
		{Kernel, ip("10.46.189.2x:::255.255.255.252::eth0:off"), "address address server"},
		{Kernel, ip("10.46.189.2:::255.255.255.252::eth0:static"), "autoconf"},
		{Klibc, ip("10.46.189.2:::255.255.255.252::eth0:static"), ""},
		{Kernel, ip("10.46.189.2:::255.255.255.252::eth0:dhcp"), "autoconf"},
		{Klibc, ip("10.46.189.2:::255.255.255.252::eth0:dhcp"), "autoconf"},
		{Kernel, ip("bootp"), "autoconf"},
		{Kernel, ip("off"), "autoconf"},
		{Kernel, ip("rubbish"), "address netmask address device server"},
		{Kernel, ip("dhcp"), ""},
		{Kernel, ip("10.46.189.2:::255.255.255.252:::off"), "device"},
		{Kernel, ip("10.46.189.2:::255.255.255.252::an-interface-of-20:off"), "device"},
		{Kernel, ip("10.46.189.2:::255.255.255.252:pi1.x:eth0:off"), "hostname"},
		{Kernel, ip("10.46.189.2:::255.255.255.252:" + strings.Repeat("x", 65) + ":eth0:off"), "hostname"},
		{Kernel, ip("10.46.189.2:::255.255.255.252::eth0:off::::"), "ip-ignored"},
		{Klibc, ip("10.46.189.2:::255.255.255.252::eth0:off:::10.46.189.1"), "ip-ignored"},
		{Systemd, ip("10.46.189.2:::255.255.255.252::eth0:off:"), "ip-refused"},
		{Systemd, ip("10.46.189.2:10.46.189.1::255.255.255.252::eth0:off"), "ip-ignored"},
		{Dracut, ip("10.46.189.2:::255.255.255.252::eth0:both"), "ip-refused"},
		{Dracut, strings.Replace(goodLine, "ip=", "nfsaddrs=", 1), "ip-ignored"},
		{Kernel, strings.Replace(goodLine, goodIP, "ip", 1), "ip-ignored"},
		{Kernel, root("/export/pi1,vers=3,tcp"), "server"},
		{Kernel, root("10.46.189.5:/export/pi1,vers=3,tcp"), "server"},
		{Kernel, root("10.46.189.2:/export/pi1,vers=3,tcp"), "server"},
		{Kernel, root("10.46.189.3:/export/pi1,vers=3,tcp"), "server"},
		{Kernel, root("10.46.189.1:/export/pi1"), "nfs-version nfs-proto"},
		{Kernel, root("10.46.189.1:/export/pi1,vers=3,tcp," + strings.Repeat("x", 200)), "nfs-option"},
		{Klibc, root("10.46.189.1:/export/pi1,vers=4,proto=tcp"), "nfs-option nfs-option"},
		{Kernel, root("10.46.189.1:/export/pi1,vers=4,proto=tcp"), ""},
		{Kernel, root("server:/export/pi1,vers=3,tcp"), "nfs-path server"},
		{Kernel, root("10.46.189.1:export,vers=3,tcp"), "nfs-path"},
		{Kernel, root("10.46.189.1,vers=3,tcp"), "nfs-path server"},
		{Kernel, root("10.46.189.1:/export/%s,vers=3,tcp"), ""},
		{Dracut, root("10.46.189.1:/export/%s,vers=3,tcp"), "nfs-path"},
		{Kernel, root("10.46.189.1:/export/%s%d,vers=3,tcp"), "nfs-path"},
		{Kernel, strings.Replace(root("10.46.189.1:/export/%s,vers=3,tcp"), "::eth0", ":pi1:eth0", 1), "nfs-path"},
	} {
		var rules []string
		for _, f := range Lint(ParseCmdline(test.line), test.dialect) {
			require.Equal(t, test.dialect, f.Dialect)
			require.Contains(t, f.String(), f.Problem)
			rules = append(rules, f.Rule)
		}
		require.Equal(t, test.rules, strings.Join(rules, " "), "%v: %s\n%v", test.dialect, test.line, Lint(ParseCmdline(test.line), test.dialect))
	}
	unwritable := Cmdline{value("a", `b "c d`)}
	require.Equal(t, "line", Lint(unwritable)[0].Rule)
}
