package nfsroot

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/internal/lab"
)

// TestExportfs reads our file back from nfs-utils' exportfs.
func TestExportfs(t *testing.T) {
	lab.Need(t, "exportfs", "mount")
	if !lab.Isolated(t) {
		return
	}
	for _, dir := range []string{"/var/lib/nfs", "/etc/exports.d", "/srv"} {
		require.NoError(t, os.MkdirAll(dir, 0o755))
		lab.Run(t, "mount", "-t", "tmpfs", "private", dir)
	}
	// exportfs wants its tables there.
	for _, name := range []string{"etab", "rmtab"} {
		require.NoError(t, os.WriteFile(filepath.Join("/var/lib/nfs", name), nil, 0o644))
	}
	empty := filepath.Join(t.TempDir(), "exports")
	require.NoError(t, os.WriteFile(empty, nil, 0o644))
	if _, err := os.Stat("/etc/exports"); err == nil {
		lab.Run(t, "mount", "--bind", empty, "/etc/exports")
	}

	var exports []Export
	pool := mustPool(t, "10.46.189.0/27")
	for slot, name := range []string{"pi1", "pi 2", `p"i3`, "pi#4", `pi\5`, "pi(6)", "pié"} {
		link, err := pool.Link(slot)
		require.NoError(t, err)
		exports = append(exports, Export{Path: "/srv/" + name, Client: link.Client})
		require.NoError(t, os.Mkdir(exports[slot].Path, 0o755))
	}
	text, err := FormatExports(exports)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile("/etc/exports.d/berryrack.exports", []byte(text), 0o644))
	output := lab.Run(t, "exportfs", "-ra")
	require.Empty(t, output, "not even a warning")
	listed := lab.Run(t, "exportfs", "-s")
	require.Equal(t, len(exports), strings.Count(listed, "\n"), listed)
	for _, e := range exports[:1] {
		require.Regexp(t, fmt.Sprintf(`(?m)^%s +%v\(.*no_root_squash.*\)$`, e.Path, e.Client), listed)
	}
	etab, err := os.ReadFile("/var/lib/nfs/etab")
	require.NoError(t, err)
	for _, e := range exports {
		require.Regexp(t, fmt.Sprintf(`(?m)\t%v\(rw,sync,.*no_root_squash,.*no_subtree_check`, e.Client), string(etab))
	}
}

// TestDnsmasq has dnsmasq check a rack's file, and shows that it would find a
// mistake.
func TestDnsmasq(t *testing.T) {
	dnsmasq := lab.Program(t, "dnsmasq")
	text, err := FormatDnsmasq("/srv/tftp", tftpClients(t))
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "dnsmasq.conf")
	check := func(text string) error {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
		output, err := exec.CommandContext(t.Context(), dnsmasq, "--test", "--conf-file="+file).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, output)
		}
		return nil
	}
	require.NoError(t, check(text))
	require.Error(t, check(text+"dhcp-range=rubbish\n"))
}

// TestNetworkGenerator compares what systemd's generator refuses and what it
// makes of an address with ParseIPConfig.
func TestNetworkGenerator(t *testing.T) {
	const generator = "/usr/lib/systemd/systemd-network-generator"
	lab.Need(t, generator)
	for _, value := range append([]string{
		"off", "dhcp", "both", "rubbish", "eth0:dhcp", "eth0:any:1500", "eth0:rubbish", "10.46.189.2:::30::eth0:off",
		"10.46.189.2::10.46.189.1:30:pi1:eth0:none:1.1.1.1:2.2.2.2", "10.46.189.2:::30::eth0:off:1.1.1.1:2.2.2.2:3.3.3.3",
		"10.46.189.2:::300::eth0:off", "10.46.189.2:::30::eth0", "10.46.189.2:::30:a_b.c:eth0:off", "[2001:db8::2]:::64::eth0:off",
		"[2001:db8::2:::64::eth0:off", "10.46.189.2:::30::eth0:off:1500:b8:27:eb:00:00:01", "10.46.189.2:::30::eth0:off:1500:rubbish",
	}, ipconfigValues...) {
		if strings.HasSuffix(value, ":") || strings.Contains(value, " ") || strings.Contains(value, ":0.0.0.0::eth0") {
			continue // 252 takes one colon at the end, later ones none; it takes a /0, which is of no use
		}
		root := t.TempDir()
		output, err := exec.CommandContext(t.Context(), generator, "--root", root, "--", "ip="+value).CombinedOutput()
		c, parseErr := ParseIPConfig(value, Systemd)
		require.Equal(t, err == nil, parseErr == nil, "ip=%s: %v, %s", value, parseErr, output)
		if err != nil || !c.Client.IsValid() {
			continue
		}
		files, err := filepath.Glob(filepath.Join(root, "run/systemd/network/*.network"))
		require.NoError(t, err)
		require.Len(t, files, 1)
		network, err := os.ReadFile(files[0])
		require.NoError(t, err)
		bits := c.Bits
		if bits == 0 {
			bits = c.Client.BitLen()
		}
		require.Contains(t, string(network), fmt.Sprintf("Address=%v/%d\n", c.Client, bits), "ip=%s", value)
	}
}
