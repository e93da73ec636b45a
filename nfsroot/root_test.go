package nfsroot

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseRoot(t *testing.T) {
	for value, want := range map[string]Root{
		"10.46.189.1:/export/pi1,vers=3,tcp": {Server: server, Path: "/export/pi1", Options: []string{"vers=3", "tcp"}},
		"/export/%s":                         {Path: "/export/%s"},
		"10.46.189.1":                        {Server: server},
		"10.46.189.1:":                       {Server: server},
		"10.46.189.1:default,ro":             {Server: server, Options: []string{"ro"}},
		",vers=3,,tcp":                       {Options: []string{"vers=3", "tcp"}},
		"pi1,ro":                             {Path: "/tftpboot/pi1", Options: []string{"ro"}},
		"":                                   {Path: "/tftpboot/"},
		"10.46.1890.1:/x":                    {Path: "10.46.1890.1:/x"},
		"10.46:/x":                           {Path: "10.46:/x"},
		"999.46.189.1:/x":                    {Server: netip.MustParseAddr("231.46.189.1"), Path: "/x"},
		"255.255.255.255:/x":                 {Path: "/x"},
		"server:/x":                          {Path: "/tftpboot/server:/x"},
	} {
		require.Equal(t, want, ParseRoot(value), "%q", value)
	}
}

func TestFormatRoot(t *testing.T) {
	for want, root := range map[string]Root{
		"10.46.189.1:/export/pi1,vers=3,tcp": {Server: server, Path: "/export/pi1", Options: []string{"vers=3", "tcp"}},
		"/export":                            {Path: "/export"},
		",":                                  {},
		"10.46.189.1:":                       {Server: server},
		"10.46.189.1:,ro":                    {Server: server, Options: []string{"ro"}},
	} {
		value, err := root.Format()
		require.NoError(t, err)
		require.Equal(t, want, value)
		require.Equal(t, root, ParseRoot(value))
	}
	bad := Root{Server: netip.MustParseAddr("2001:db8::1"), Path: "export,%d%s%s", Options: []string{"", strings.Repeat("x", 300)}}
	_, err := bad.Format()
	for _, problem := range []string{"2001:db8::1 is no IPv4", "not absolute", "a comma", "as a format", "is empty", "has room for 194"} {
		require.ErrorContains(t, err, problem)
	}
	_, err = Root{Path: "/" + strings.Repeat("x", 1024)}.Format()
	require.ErrorContains(t, err, "1025 bytes, and the kernel has room for 1024")
}

func TestExport(t *testing.T) {
	require.Equal(t, "/tftpboot/pi1", Root{}.Export("pi1"))
	require.Equal(t, "/export/100%/pi1", Root{Path: "/export/100%%/%s"}.Export("pi1"))
}

func TestBootRefused(t *testing.T) {
	_, err := Boot{
		Before: ParseCmdline("root=/dev/sda1 -- x"),
		IP:     IPConfig{Bits: 40},
		Root:   Root{Path: "export"},
		After:  ParseCmdline("nfsaddrs=off"),
	}.Cmdline()
	for _, problem := range []string{`has a "--"`, "has root=", "has nfsaddrs=", "/40", "not absolute"} {
		require.ErrorContains(t, err, problem)
	}
	line, err := Boot{IP: IPConfig{Autoconf: AutoconfDHCP}, After: ParseCmdline("-- single")}.Cmdline()
	require.NoError(t, err)
	require.Equal(t, "root=/dev/nfs rootfstype=nfs ip=dhcp nfsroot=, -- single", line.String())
}
