package nfsroot

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/internal/lab"
)

// kernelInit prints what the kernel's configuration of dummy0 looks like from
// inside.
const kernelInit = `
busybox echo "pnp: $(busybox grep nameserver /proc/net/pnp | busybox tr '\n' ' ')"
busybox echo "addr: $(busybox ip -o -4 addr show dev dummy0)"
busybox echo "route: $(busybox ip route show | busybox grep ^default)"
busybox echo "host: $(busybox uname -n)"
`

// TestKernelReads boots the kernel with values of ip= and nfsroot= and
// compares what it says and does with ParseIPConfig, ParseRoot and Lint.
func TestKernelReads(t *testing.T) {
	kernel := lab.Kernel(t)
	root := lab.Root(t, kernelInit)
	var values []string
	for _, value := range ipconfigValues {
		values = append(values, strings.Replace(value, ":eth0", ":dummy0", 1))
	}
	values = append(values, "10.46.189.2::1.2.3.4:255.255.255.252::dummy0:off", "off", "none", "", ":::::dummy0:off", "10.46.189.2:::255.0.255.0::dummy0:off",
		"10.46.189.2:::255.255.255.252:.example.org:dummy0:off", "250.1.2.3:::::dummy0", "10.46.189.2:::255.255.255.252:a b:dummy0:off")
	r := rand.New(rand.NewPCG(7, 8))
	for range 40 {
		values = append(values, strings.Replace(randomIPConfig(r), ":eth0", ":dummy0", 1))
	}
	servers := []string{"10.46.189.1:/export", "/export", "10/46.189.1.7:/x", "10.46.189.1", "10.46.1890.1:/x", "1.2.3:/x", "export", "255.255.255.255:/x", "999.1.1.1:/x", "10.46.189.1,vers=3", ""}
	boots := 0
	for i, value := range values {
		fields := strings.Split(value, ":")
		if len(fields) > 1 && fieldAt(fields, 5) != "dummy0" {
			continue // the kernel would look for another device, or ask DHCP
		}
		nfsroot := servers[i%len(servers)]
		if server := fieldAt(fields, 1); !ParseRoot(nfsroot).Server.IsValid() && !kernelAddr(server).IsValid() {
			nfsroot = servers[0] // or the kernel would ask DHCP for one
		}
		line := Cmdline{{"ip", value, true}, {"nfsroot", nfsroot, true}}
		text, err := line.Format()
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		console, err := lab.Boot(ctx, kernel, "mem=64M", "root=/dev/root", "rootfstype=hostfs", "rootflags="+root, "ro", "init=/init", "panic=-1", text)
		cancel()
		require.NoError(t, err, "%s\n%s", text, console)
		checkConsole(t, line, console)
		boots++
	}
	t.Logf("%d boots", boots)
}

func checkConsole(t *testing.T, line Cmdline, console string) {
	t.Helper()
	value, _ := line.Get("ip")
	nfsroot, _ := line.Get("nfsroot")
	_, console, _ = strings.Cut(console, "[mc-1] enabled\n") // what comes before is the machine's
	message := line.String()
	c, err := ParseIPConfig(value, Kernel)
	refused := strings.Contains(console, "Unable to set interface netmask") || strings.Contains(console, "Unable to guess netmask")
	require.Equal(t, err != nil || c.Client.IsValid() && c.Netmask() == 0, refused, message)
	if refused {
		return
	}
	offLink := slices.ContainsFunc(Lint(line), func(f Finding) bool { return f.Rule == "gateway" })
	require.Equal(t, offLink, strings.Contains(console, "Gateway not on directly connected network"), message)
	if !c.Client.IsValid() {
		require.NotContains(t, console, "IP-Config: Complete", message)
		return
	}

	server := ParseRoot(nfsroot).Server
	if !server.IsValid() {
		server = c.Server
	}
	want := map[string]string{
		"ipaddr": said(c.Client), "mask": netmask(c.Netmask()), "gw": said(c.Gateway), "device": c.Device,
		"host": c.Hostname, "nis-domain": c.NISDomain, "bootserver": said(c.Server), "rootserver": said(server),
		"nameserver0": "", "nameserver1": "", "ntpserver0": "",
	}
	for key, addr := range map[string]netip.Addr{"nameserver0": c.DNS[0], "nameserver1": c.DNS[1], "ntpserver0": c.NTP} {
		if addr.IsValid() {
			want[key] = addr.String()
		}
	}
	if !strings.Contains(value, ".example") && c.NISDomain == "" {
		want["nis-domain"] = "(none)"
	}
	if fields := strings.Split(value, ":"); len(fields) < 5 || fields[4] == "" {
		want["host"] = c.Client.String()
	}
	got := map[string]string{}
	for key := range want {
		if m := regexp.MustCompile(`[ ,]` + key + `=([^,\n]*)`).FindStringSubmatch(console); m != nil {
			got[key] = m[1]
		} else {
			got[key] = ""
		}
	}
	require.Equal(t, want, got, message)

	require.Contains(t, console, fmt.Sprintf("inet %v/%d brd %v ", c.Client, c.Netmask(), c.Broadcast()), message)
	if c.Gateway.IsValid() && !offLink {
		require.Contains(t, console, fmt.Sprintf("route: default via %v dev", c.Gateway), message)
	} else {
		require.Contains(t, console, "route: \n", message)
	}
	for _, dns := range c.DNS {
		if dns.IsValid() {
			require.Regexp(t, `pnp:.* nameserver `+regexp.QuoteMeta(dns.String())+" ", console, message)
		}
	}
}

// said writes an address as the kernel says it.
func said(a netip.Addr) string {
	if !a.IsValid() {
		return "255.255.255.255"
	}
	return a.String()
}
