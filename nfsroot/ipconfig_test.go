package nfsroot

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	client = netip.MustParseAddr("10.46.189.2")
	server = netip.MustParseAddr("10.46.189.1")
)

func TestParseIPConfig(t *testing.T) {
	addr := netip.MustParseAddr
	for _, test := range []struct {
		dialect Dialect
		value   string
		want    IPConfig
	}{
		{Kernel, "10.46.189.2::10.46.189.1:255.255.255.252::eth0:off", IPConfig{Client: client, Gateway: server, Bits: 30, Device: "eth0", Autoconf: AutoconfOff}},
		{Kernel, "10.46.189.2:10.46.189.1:::pi1.example.org:eth0:any:1.1.1.1:2.2.2.2:3.3.3.3:more", IPConfig{
			Client: client, Server: server, Hostname: "pi1", NISDomain: "example.org", Device: "eth0", Autoconf: AutoconfOn,
			DNS: [2]netip.Addr{addr("1.1.1.1"), addr("2.2.2.2")}, NTP: addr("3.3.3.3"),
		}},
		{Kernel, "", IPConfig{Autoconf: AutoconfOff}},
		{Kernel, "none", IPConfig{Autoconf: AutoconfOff}},
		{Kernel, ":", IPConfig{}},
		{Kernel, "dhcp", IPConfig{Autoconf: AutoconfDHCP}},
		{Kernel, "dhcp,0x01,b8:27", IPConfig{Autoconf: AutoconfDHCP, ClientID: "1,b8:27"}},
		{Kernel, "dhcp,256,x", IPConfig{Autoconf: AutoconfDHCP}},
		{Kernel, "::::pi1:eth0:dhcp,017,x", IPConfig{Hostname: "pi1", Device: "eth0", Autoconf: AutoconfDHCP, ClientID: "15,x"}},
		{Kernel, "bootp", IPConfig{Autoconf: AutoconfBOOTP}},
		{Kernel, "10.46.189.2:::::eth0:static", IPConfig{Client: client, Device: "eth0", Autoconf: AutoconfOff}},
		{Kernel, "10.46.189", IPConfig{Client: addr("10.46.189.0")}},
		{Kernel, "266.1.1.1", IPConfig{Client: addr("10.1.1.1")}},
		{Kernel, "10.46.189.2:0.0.0.0:255.255.255.255:255.255.255.255", IPConfig{Client: client}},
		{Kernel, "10.46.189.2:::::interface-of-17b", IPConfig{Client: client, Device: "interface-of-17"}},
		{Klibc, "10.46.189.2:::255.255.255.252:pi1.example.org:eth0:static", IPConfig{Client: client, Bits: 30, Hostname: "pi1.example.org", Device: "eth0", Autoconf: AutoconfOff}},
		{Klibc, "", IPConfig{Autoconf: AutoconfOn}},
		{Klibc, "both", IPConfig{Autoconf: AutoconfBoth}},
		{Klibc, "10.46.189.2x:::::eth0::::rubbish", IPConfig{Client: client, Device: "eth0"}},
		{Dracut, "10.46.189.2::10.46.189.1:30:pi1:eth0:none:1.1.1.1", IPConfig{Client: client, Gateway: server, Bits: 30, Hostname: "pi1", Device: "eth0", Autoconf: AutoconfOff, DNS: [2]netip.Addr{addr("1.1.1.1")}}},
		{Dracut, "eth0:dhcp:1500", IPConfig{Device: "eth0", Autoconf: AutoconfDHCP}},
		{Dracut, "dhcp", IPConfig{Autoconf: AutoconfDHCP}},
		{Systemd, "[2001:db8::2]::[2001:db8::1]:64:pi1:eth0:off", IPConfig{Client: addr("2001:db8::2"), Gateway: addr("2001:db8::1"), Bits: 64, Hostname: "pi1", Device: "eth0", Autoconf: AutoconfOff}},
		{Systemd, "eth0:any:1500", IPConfig{Device: "eth0", Autoconf: AutoconfOn}},
		{Systemd, "10.46.189.2:::30::eth0:off:1500:b8:27:eb:00:00:01", IPConfig{Client: client, Bits: 30, Device: "eth0", Autoconf: AutoconfOff}},
	} {
		got, err := ParseIPConfig(test.value, test.dialect)
		require.NoError(t, err, "%v: %q", test.dialect, test.value)
		require.Equal(t, test.want, got, "%v: %q", test.dialect, test.value)
	}
}

func TestParseIPConfigRefused(t *testing.T) {
	for _, test := range []struct {
		dialect Dialect
		value   string
		problem string
	}{
		{Kernel, "10.46.189.2:::255.0.255.0", "has holes"},
		{Kernel, "10.46.189.2:::30", "30.0.0.0 has holes"},
		{Klibc, "10.46.189.2:::30", `"30" is no dotted address`},
		{Klibc, "10.46.189.2", "no way to configure"},
		{Klibc, "dhcp,1,x", "no way to configure"},
		{Klibc, "rubbish:::::an-interface-of-20:rubbish", `"an-interface-of-20" is too long`},
		{Dracut, "10.46.189.2:::::eth0:off", "needs an address and a netmask"},
		{Dracut, "10.46.189.2:::30::eth0:both", "both is not supported"},
		{Dracut, "10.46.189.2:::30::eth0:dhcp", "an address excludes dhcp"},
		{Dracut, "10.46.189.2:::30::eth0", "an empty autoconf is dhcp"},
		{Dracut, "rubbish", "no way to configure"},
		{Dracut, "x:::30::eth0:off", "no address"},
		{Systemd, "10.46.189.2:::30::eth0:off:", "colon at the end"},
		{Systemd, "10.46.189.2:::30::eth0:off:1.1.1.1:2.2.2.2:3.3.3.3", "at most two fields"},
		{Systemd, "10.46.189.2:::30::eth0", "there are 6 fields"},
		{Systemd, "10.46.189.2:::30:a_b:eth0:off", "no host name"},
		{Systemd, "2001:db8::2:::64::eth0:off", "no"},
		{Systemd, "both", "no way to configure"},
		{Dialect(9), "off", "unknown dialect"},
	} {
		got, err := ParseIPConfig(test.value, test.dialect)
		require.ErrorContains(t, err, test.problem, "%v: %q", test.dialect, test.value)
		require.ErrorContains(t, err, "nfsroot: ip="+test.value)
		require.Zero(t, got)
	}
}

func TestFormatIPConfig(t *testing.T) {
	full := IPConfig{
		Client: client, Server: server, Gateway: server, Bits: 30, Hostname: "pi1", NISDomain: "nis", Device: "eth0",
		Autoconf: AutoconfOff, DNS: [2]netip.Addr{1: server}, NTP: server,
	}
	for want, c := range map[string]IPConfig{
		"10.46.189.2:10.46.189.1:10.46.189.1:255.255.255.252:pi1.nis:eth0:off::10.46.189.1:10.46.189.1": full,
		":":              {},
		"10.46.189.2:":   {Client: client},
		"off":            {Autoconf: AutoconfOff},
		"dhcp,1,b8:27":   {Autoconf: AutoconfDHCP, ClientID: "1,b8:27"},
		":::::eth0:dhcp": {Device: "eth0", Autoconf: AutoconfDHCP},
	} {
		value, err := c.Format(Kernel)
		require.NoError(t, err)
		require.Equal(t, want, value)
	}
}

func TestFormatIPConfigRefused(t *testing.T) {
	v6 := netip.MustParseAddr("2001:db8::1")
	bad := IPConfig{Client: v6, Server: netip.IPv4Unspecified(), Bits: 33, Hostname: "a.b", Device: "an-interface-of-20", Autoconf: "rubbish", ClientID: "1,x", NTP: v6}
	_, err := bad.Format(Kernel)
	for _, problem := range []string{"client: 2001:db8::1", "server: 0.0.0.0", "/33", `"a.b" at the dot`, "device", `"rubbish" is none of`, "identifier", "ntp0"} {
		require.ErrorContains(t, err, problem)
	}
	for _, test := range []struct {
		dialect Dialect
		config  IPConfig
		problem string
	}{
		{Kernel, IPConfig{Client: client, Bits: 32}, "as an empty field"},
		{Kernel, IPConfig{Client: netip.MustParseAddr("255.255.255.255")}, "would be read as"},
		{Kernel, IPConfig{Device: "eth0", Autoconf: AutoconfDHCP, ClientID: "1,a:b"}, "would be read as"},
		{Klibc, IPConfig{Client: client, NISDomain: "x"}, "only the kernel reads one"},
		{Klibc, IPConfig{Client: client, NTP: server}, "only the kernel reads it"},
		{Dracut, IPConfig{Client: client, Device: "eth0", Autoconf: AutoconfOff}, "needs an address and a netmask"},
		{Systemd, IPConfig{Client: client, Bits: 30}, "fields"},
	} {
		_, err := test.config.Format(test.dialect)
		require.ErrorContains(t, err, test.problem)
	}
	for _, d := range []Dialect{Kernel, Klibc, Dracut, Systemd} {
		_, err := IPConfig{Client: client, Gateway: server, Bits: 30, Device: "eth0", Autoconf: AutoconfOff}.Format(d)
		require.NoError(t, err, "what a rack writes is for everybody")
	}
}

func TestNetmaskAndBroadcast(t *testing.T) {
	for addr, bits := range map[string]int{"10.46.189.2": 8, "172.16.0.1": 16, "192.168.0.1": 24, "224.0.0.1": 0, "250.0.0.1": 32} {
		require.Equal(t, bits, IPConfig{Client: netip.MustParseAddr(addr)}.Netmask())
	}
	require.Equal(t, "10.255.255.255", IPConfig{Client: client}.Broadcast().String())
	require.Equal(t, "10.46.189.3", IPConfig{Client: client, Bits: 30}.Broadcast().String())
	require.Equal(t, "10.46.189.3", IPConfig{Client: client, Bits: 31}.Broadcast().String())
	require.False(t, IPConfig{}.Broadcast().IsValid())
	require.Equal(t, "klibc", Klibc.String())
	require.Equal(t, "dialect 7", Dialect(7).String())
}

// checkIPConfig checks that what the kernel and klibc read can be written, and
// is read again as it was. What cannot be written is an error.
func checkIPConfig(t *testing.T, value string) {
	t.Helper()
	for _, d := range []Dialect{Kernel, Klibc, Dracut, Systemd} {
		c, err := ParseIPConfig(value, d)
		if err != nil {
			continue
		}
		text, err := c.Format(d)
		if err != nil {
			continue
		}
		again, err := ParseIPConfig(text, d)
		require.NoError(t, err, "%v: %q", d, text)
		require.Equal(t, c, again, "%v: %q, written as %q", d, value, text)
	}
	Lint(Cmdline{{"ip", value, true}, {"nfsroot", value, true}}, Kernel, Klibc, Dracut, Systemd)
}

func TestIPConfigRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for range 5000 {
		value := randomIPConfigField(r)
		c, err := ParseIPConfig(value, Kernel)
		if err != nil {
			continue
		}
		text, err := c.Format(Kernel)
		require.NoError(t, err, "%q", value)
		again, err := ParseIPConfig(text, Kernel)
		require.NoError(t, err)
		require.Equal(t, c, again)
		checkIPConfig(t, value)
	}
}

// randomIPConfigField returns fields that the kernel reads as something.
func randomIPConfigField(r *rand.Rand) string {
	pieces := []string{"", "10.46.189.2", "255.255.255.252", "off", "dhcp", "eth0", "pi1.x", "on", "1.2.3", "x", "any"}
	fields := make([]string, r.IntN(11))
	for i := range fields {
		fields[i] = pieces[r.IntN(len(pieces))]
	}
	return strings.Join(fields, ":")
}

func FuzzIPConfig(f *testing.F) {
	for _, seed := range []string{"", "dhcp,1,a:b", "10.46.189.2::10.46.189.1:255.255.255.252::eth0:off", "[2001:db8::2]:::64:h:eth0:off:1500", "[", "1.2.3.4:::30:a.b:eth0:none:1.1.1.1:2.2.2.2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) { checkIPConfig(t, value) })
}
