package nfsroot

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/internal/lab"
)

// ipconfigValues are values of ip= with something for every rule.
var ipconfigValues = []string{
	"10.46.189.2::10.46.189.1:255.255.255.252::eth0:off",
	"10.46.189.2:10.46.189.1:10.46.189.1:255.255.255.252:pi1:eth0:none:10.46.189.1:8.8.8.8:9.9.9.9",
	"10.46.189.2:::::eth0:off",
	"172.16.0.2:::::eth0:off",
	"192.168.1.2:::::eth0:off",
	"10.46.189.2:::30::eth0:off",
	"10.46.189.2:::255.255.255.254::eth0:off",
	"10.46.189.2:::255.255.255.255::eth0:off",
	"10.46.189.2:::0.0.0.0::eth0:off",
	"10.46.189.2:::255.255.255.252:pi1.example.org:eth0:off",
	"10.46.189.2:0.0.0.0:::h:eth0:static",
	"10.46.189.2::::h:eth0",
	"10.46.189.2::::h:eth0:",
	"10.46.189.2x:::::eth0:off",
	"010.046.189.002:::::eth0:off",
	"266.46.189.2:::::eth0:off",
	"10.46.189:::::eth0:off",
	"10. 46.+189.-2:::::eth0:off",
	"10.46.189.2:::::eth0:rubbish",
	"10.46.189.2:::::eth0:off:1.1.1.1",
	"10.46.189.2:::::eth0:off::1.1.1.1:rubbish:rubbish",
	"10.46.189.2:::::eth0:off:rubbish",
	"[2001:db8::2]:::::eth0:off",
	"10.46.189.2::2001:db8::1:::eth0:off",
	"10.46.189.2::::" + "a123456789b123456789c123456789d123456789e123456789f123456789g123456789:eth0:off",
}

// randomIPConfig returns fields of ip= put together at random, for eth0 and
// with a first field, so that nobody asks DHCP.
func randomIPConfig(r *rand.Rand) string {
	addrs := []string{"", "10.46.189.1", "10.46.189.2", "0.0.0.0", "1.2.3", "1.2.3.4.5", "300.1.2.3", "x", "1..2.3", "8.8.8.8 ", "1.2.3.-4", "255.255.255.255"}
	masks := []string{"", "", "255.255.255.252", "255.255.255.0", "255.0.0.0", "255.255.255.254", "0.0.0.0", "24", "252.0.0.0", "255.255.255.255", "255.0.255.0"}
	names := []string{"", "pi1", "pi1.example.org", "a_b"}
	autos := []string{"", "off", "none", "off", "none", "static"}
	pick := func(from []string) string { return from[r.IntN(len(from))] }
	clean := func() string {
		if r.IntN(4) > 0 {
			return addrs[r.IntN(4)]
		}
		return pick(addrs)
	}
	fields := []string{"10.46." + fmt.Sprint(r.IntN(256)) + "." + fmt.Sprint(1+r.IntN(254)), clean(), clean(), pick(masks), pick(names), "eth0", pick(autos), clean(), clean(), clean()}
	return strings.Join(fields[:6+r.IntN(5)], ":")
}

// TestKlibc compares ParseIPConfig with klibc's ipconfig.
func TestKlibc(t *testing.T) {
	lab.Need(t, "ipconfig")
	if !lab.Isolated(t) {
		return
	}
	values := ipconfigValues
	r := rand.New(rand.NewPCG(5, 6))
	for range 400 {
		values = append(values, randomIPConfig(r))
	}
	lab.Run(t, "ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1")
	lab.Run(t, "ip", "link", "set", "eth1", "up")
	refused := 0
	for _, value := range values {
		want, ok := klibcReads(t, value)
		got, err := ParseIPConfig(value, Klibc)
		require.Equal(t, ok, err == nil, "ip=%s: %v", value, err)
		if !ok {
			refused++
			continue
		}
		require.Equal(t, want, klibcConf(got), "ip=%s", value)
	}
	t.Logf("%d values, %d of them refused", len(values), refused)
}

// klibcReads returns what klibc's ipconfig says that it made of a value; false
// when it refused it, or the interface did.
func klibcReads(t *testing.T, value string) (conf map[string]string, ok bool) {
	const file = "/run/net-eth0.conf"
	require.NoError(t, os.RemoveAll(file))
	// A broadcast address that an earlier netmask left would be in the way.
	lab.Run(t, "ip", "addr", "flush", "dev", "eth0")
	output, err := exec.CommandContext(t.Context(), lab.Program(t, "ipconfig"), "-t", "1", "-d", "ip="+value).CombinedOutput()
	text, readErr := os.ReadFile(file)
	if strings.Contains(string(output), "failed to set addresses") {
		return nil, false
	}
	if readErr != nil {
		require.Contains(t, string(output), "ipconfig: ", "ip=%s: %v", value, err)
		return nil, false
	}
	conf = map[string]string{}
	for line := range strings.Lines(string(text)) {
		key, quoted, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		conf[key] = strings.Trim(quoted, "'")
	}
	for _, unread := range []string{"PROTO", "DNSDOMAIN", "NISDOMAIN", "ROOTPATH", "filename", "UPTIME", "DHCPLEASETIME", "DOMAINSEARCH"} {
		delete(conf, unread)
	}
	return conf, true
}

// klibcConf returns what ipconfig writes of a configuration.
func klibcConf(c IPConfig) map[string]string {
	addr := func(a netip.Addr) string {
		if !a.IsValid() {
			return "0.0.0.0"
		}
		return a.String()
	}
	return map[string]string{
		"DEVICE": c.Device, "IPV4ADDR": addr(c.Client), "IPV4BROADCAST": addr(c.Broadcast()), "IPV4NETMASK": netmask(c.Netmask()),
		"IPV4GATEWAY": addr(c.Gateway), "IPV4DNS0": addr(c.DNS[0]), "IPV4DNS1": addr(c.DNS[1]), "HOSTNAME": c.Hostname, "ROOTSERVER": addr(c.Server),
	}
}
