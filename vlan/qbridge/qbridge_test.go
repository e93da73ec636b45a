//go:build linux

package qbridge_test

import (
	"bufio"
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/berryrack/berryrack/internal/lab"
	"github.com/berryrack/berryrack/vlan"
	"github.com/berryrack/berryrack/vlan/qbridge"
	"github.com/stretchr/testify/require"
)

// planned returns a switch of the story: computers on ports 1 to 8, the
// fileserver on port 24.
func planned() vlan.Switch {
	s := vlan.Switch{Name: "sw1"}
	trunk := vlan.Port{Number: 24, Name: "ge-0/0/24", Description: "fs", Trunk: true, Tagged: []vlan.ID{131}}
	for n := 1; n <= 8; n++ {
		id := vlan.ID(9 + n)
		s.Ports = append(s.Ports, vlan.Port{Number: n, Name: fmt.Sprintf("ge-0/0/%d", n), PVID: id, Untagged: []vlan.ID{id}, Tagged: []vlan.ID{131}})
		trunk.Tagged = append(trunk.Tagged, id)
	}
	s.Ports = append(s.Ports, trunk)
	return s
}

// as returns what a switch says that is as planned, and has one port more.
func as(s vlan.Switch) qbridge.Switch {
	have := qbridge.Switch{Ports: map[int]qbridge.Port{25: {Index: 525, Name: "ge-0/0/25", PVID: 1, Untagged: []vlan.ID{1}}}, VLANs: map[vlan.ID]string{1: "default"}}
	for _, port := range s.Ports {
		pvid := port.PVID
		if pvid == 0 {
			pvid = 1 // of which it is no member
		}
		have.Ports[port.Number] = qbridge.Port{Index: 500 + port.Number, Name: port.Name, PVID: pvid, Untagged: slices.Clone(port.Untagged), Tagged: slices.Sorted(slices.Values(port.Tagged))}
		for _, id := range slices.Concat(port.Untagged, port.Tagged) {
			have.VLANs[id] = fmt.Sprintf("vlan%d", id)
		}
	}
	return have
}

// change replaces a port of a switch.
func change(s qbridge.Switch, number int, change func(*qbridge.Port)) {
	port := s.Ports[number]
	change(&port)
	s.Ports[number] = port
}

// seeded are the differences that a switch can have, each with what is said of it.
var seeded = map[string]struct {
	change func(qbridge.Switch)
	want   []string
}{
	"none":      {func(qbridge.Switch) {}, nil},
	"PVID":      {func(s qbridge.Switch) { change(s, 1, func(p *qbridge.Port) { p.PVID = 11 }) }, []string{"port 1 (ge-0/0/1): PVID is 11, planned 10"}},
	"ingress":   {func(s qbridge.Switch) { change(s, 2, func(p *qbridge.Port) { p.Unfiltered = true }) }, []string{"port 2 (ge-0/0/2): ingress filtering is off, or not told"}},
	"no public": {func(s qbridge.Switch) { change(s, 3, func(p *qbridge.Port) { p.Tagged = nil }) }, []string{"port 3 (ge-0/0/3): VLAN 131 is not tagged"}},
	"public untagged": {func(s qbridge.Switch) {
		change(s, 3, func(p *qbridge.Port) { p.Untagged, p.Tagged = []vlan.ID{12, 131}, nil })
	}, []string{"port 3 (ge-0/0/3): VLAN 131 is untagged, but not planned so", "port 3 (ge-0/0/3): VLAN 131 is not tagged"}},
	"VLAN 1 left": {func(s qbridge.Switch) { change(s, 4, func(p *qbridge.Port) { p.Untagged = []vlan.ID{1, 13} }) },
		[]string{"port 4 (ge-0/0/4): VLAN 1 is untagged, but not planned so"}},
	"another one's VLAN": {func(s qbridge.Switch) { change(s, 5, func(p *qbridge.Port) { p.Tagged = []vlan.ID{10, 131} }) },
		[]string{"port 5 (ge-0/0/5): VLAN 10 is tagged, but not planned so"}},
	"trunk native": {func(s qbridge.Switch) {
		change(s, 24, func(p *qbridge.Port) {
			p.PVID, p.Untagged, p.Tagged = 10, []vlan.ID{10}, []vlan.ID{11, 12, 13, 14, 15, 16, 17, 131}
		})
	}, []string{"port 24 (ge-0/0/24): PVID is 10, planned 0", "port 24 (ge-0/0/24): VLAN 10 is untagged, but not planned so", "port 24 (ge-0/0/24): VLAN 10 is not tagged"}},
	"not planned": {func(s qbridge.Switch) { change(s, 25, func(p *qbridge.Port) { p.Tagged = []vlan.ID{17} }) },
		[]string{"port 25 (ge-0/0/25): is a member of VLAN 17, but not planned"}},
	"PVID not planned": {func(s qbridge.Switch) {
		change(s, 25, func(p *qbridge.Port) { p.PVID, p.Unfiltered = 10, true })
	}, []string{"port 25 (ge-0/0/25): PVID is 10, a computer's, but not planned", "port 25 (ge-0/0/25): ingress filtering is off, or not told, and frames of any VLAN come in"}},
	"VLAN missing": {func(s qbridge.Switch) {
		delete(s.VLANs, 17)
		change(s, 8, func(p *qbridge.Port) { p.Untagged = nil })
		change(s, 24, func(p *qbridge.Port) { p.Tagged = []vlan.ID{10, 11, 12, 13, 14, 15, 16, 131} })
	}, []string{"VLAN 17 is missing", "port 8 (ge-0/0/8): VLAN 17 is not untagged", "port 24 (ge-0/0/24): VLAN 17 is not tagged"}},
	"port missing": {func(s qbridge.Switch) { delete(s.Ports, 7) }, []string{"port 7 (ge-0/0/7): the switch has no such port"}},
}

func lines(differences []qbridge.Difference) []string {
	var all []string
	for _, difference := range differences {
		all = append(all, difference.String())
	}
	return all
}

func TestDiff(t *testing.T) {
	for name, seed := range seeded {
		t.Run(name, func(t *testing.T) {
			have := as(planned())
			seed.change(have)
			require.Equal(t, seed.want, lines(qbridge.Diff(planned(), have)))
		})
	}
}

func TestDifferenceIsOneLine(t *testing.T) {
	d := qbridge.Difference{Port: 1, Name: "ge-0\x1b[2J\nport 2", What: "is gone"}
	require.Equal(t, `port 1 ("ge-0\x1b[2J\nport 2"): is gone`, d.String())
}

// TestDiffNames: by ifName, ifDescr, Junos' unit, or the number.
func TestDiffNames(t *testing.T) {
	have := as(planned())
	change(have, 1, func(p *qbridge.Port) { p.Name, p.Description = "Gi1/0/1", "GigabitEthernet1/0/1" })
	change(have, 2, func(p *qbridge.Port) { p.Name = "ge-0/0/2.0" })
	want := planned()
	want.Ports[0].Name = "GigabitEthernet1/0/1"
	want.Ports[2].Name = ""
	require.Empty(t, qbridge.Diff(want, have))
}

func TestTargetProblems(t *testing.T) {
	_, err := qbridge.Read(t.Context(), qbridge.Target{Address: "x:y", User: "rack", AuthProtocol: "ROT13", PrivProtocol: "none", AuthPassphrase: "short", PrivPassphrase: "long enough"})
	require.EqualError(t, err, `qbridge: address "x:y": want a host, or host:port
authentication "ROT13": want one of ["MD5" "SHA" "SHA224" "SHA256" "SHA384" "SHA512"]
privacy "none": want one of ["AES" "AES192" "AES256" "DES"]
a passphrase has fewer than 8 characters`)
	_, err = qbridge.Read(t.Context(), qbridge.Target{Address: "x"})
	require.EqualError(t, err, "qbridge: want a user of SNMPv3, or else a community of SNMPv2c")
}

func TestSecretsAreNotPrinted(t *testing.T) {
	target := qbridge.Target{AuthPassphrase: "hush-hush-hush", PrivPassphrase: "hush-hush-hush", Community: "hush-hush-hush"}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "target", target, "secret", target.Community)
	for _, text := range []string{fmt.Sprint(target), fmt.Sprintf("%v %+v %#v %q", target, target, target, target.Community), log.String()} {
		require.NotContains(t, text, "hush")
	}
}

// rows returns the switch as an agent's table: type and value by OID.
func rows(s qbridge.Switch, asText bool) map[string][2]string {
	table := map[string][2]string{}
	set := func(oid string, index int, kind, value string) {
		table[fmt.Sprintf("%s.%d", oid, index)] = [2]string{kind, value}
	}
	egress, untagged := map[vlan.ID][]int{}, map[vlan.ID][]int{}
	for _, n := range slices.Sorted(maps.Keys(s.Ports)) {
		port := s.Ports[n]
		set(".1.3.6.1.2.1.17.1.4.1.2", n, "integer", strconv.Itoa(port.Index))
		set(".1.3.6.1.2.1.31.1.1.1.1", port.Index, "string", port.Name)
		set(".1.3.6.1.2.1.17.7.1.4.5.1.1", n, "gauge", port.PVID.String())
		filtering := "1"
		if port.Unfiltered {
			filtering = "2"
		}
		set(".1.3.6.1.2.1.17.7.1.4.5.1.3", n, "integer", filtering)
		for _, id := range port.Untagged {
			untagged[id] = append(untagged[id], n)
		}
		for _, id := range slices.Concat(port.Untagged, port.Tagged) {
			egress[id] = append(egress[id], n)
		}
	}
	for id, name := range s.VLANs {
		set(".1.3.6.1.2.1.17.7.1.4.3.1.1", int(id), "string", name)
		set(".1.3.6.1.2.1.17.7.1.4.3.1.2", int(id), "octet", list(egress[id], asText))
		set(".1.3.6.1.2.1.17.7.1.4.3.1.4", int(id), "octet", list(untagged[id], asText))
		set(".1.3.6.1.2.1.17.7.1.4.3.1.5", int(id), "integer", "1")
	}
	return table
}

// list writes a PortList as hexadecimal octets.
func list(ports []int, asText bool) string {
	if asText {
		words := []string{"0"}
		for _, port := range ports {
			words = append(words, strconv.Itoa(port))
		}
		return fmt.Sprintf("% x", strings.Join(words, ","))
	}
	octets := make([]byte, 4)
	for _, port := range ports {
		octets[(port-1)/8] |= 0x80 >> ((port - 1) % 8)
	}
	return fmt.Sprintf("% x", octets)
}

// tableEnv names the file that TestAgent serves.
const tableEnv = "BERRYRACK_QBRIDGE_TABLE"

// TestAgent is no test but the program behind snmpd's pass_persist: it answers
// PING, get and getnext from a file.
func TestAgent(t *testing.T) {
	path := os.Getenv(tableEnv)
	if path == "" {
		return
	}
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		switch in.Text() {
		case "PING":
			fmt.Println("PONG")
		case "get", "getnext":
			next := in.Text() == "getnext"
			in.Scan()
			fmt.Println(answer(path, in.Text(), next))
		default:
			return
		}
	}
}

// answer looks up an OID in the file, which is read anew each time.
func answer(path, oid string, next bool) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "NONE"
	}
	for line := range strings.Lines(string(text)) { // in the order of OIDs
		words := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 3)
		if !next && words[0] == oid || next && compareOID(words[0], oid) > 0 {
			return strings.Join(words, "\n")
		}
	}
	return "NONE"
}

func compareOID(a, b string) int {
	return slices.CompareFunc(strings.Split(a, "."), strings.Split(b, "."), func(a, b string) int {
		x, _ := strconv.Atoi(a)
		y, _ := strconv.Atoi(b)
		return x - y
	})
}

const port = "10161" // in a namespace of the test's own

// snmpd starts net-snmp's agent, and returns what makes its table that of a switch.
func snmpd(t *testing.T, sysObjectID string) (serve func(s qbridge.Switch, asText bool)) {
	t.Helper()
	dir := t.TempDir()
	table := filepath.Join(dir, "table")
	require.NoError(t, os.WriteFile(table, nil, 0o644))
	agent := fmt.Sprintf("/usr/bin/env %s=%s %s -test.run=^TestAgent$", tableEnv, table, os.Args[0])
	configuration := fmt.Sprintf(`createUser rack SHA-256 "authentication" AES "privacy-privacy"
rouser rack priv
rocommunity open 127.0.0.1
sysobjectid %s
pass_persist .1.3.6.1.2.1.17 %s
pass_persist .1.3.6.1.2.1.31.1.1.1.1 %[2]s
`, sysObjectID, agent)
	path := filepath.Join(dir, "snmpd.conf")
	require.NoError(t, os.WriteFile(path, []byte(configuration), 0o600))
	var log bytes.Buffer
	cmd := exec.CommandContext(t.Context(), lab.Program(t, "snmpd"), "-f", "-Lo", "-C", "-c", path, "-p", filepath.Join(dir, "pid"),
		"-I", "-ifTable,-ifXTable", "-x", filepath.Join(dir, "agentx"), "udp:127.0.0.1:"+port)
	cmd.Env = append(os.Environ(), "SNMP_PERSISTENT_DIR="+dir, "MIBS=")
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	return func(s qbridge.Switch, asText bool) {
		var b strings.Builder
		all := rows(s, asText)
		for _, oid := range slices.SortedFunc(maps.Keys(all), compareOID) {
			fmt.Fprintf(&b, "%s %s %s\n", oid, all[oid][0], all[oid][1])
		}
		require.NoError(t, os.WriteFile(table+".new", []byte(b.String()), 0o644))
		require.NoError(t, os.Rename(table+".new", table))
	}
}

func v3() qbridge.Target {
	return qbridge.Target{Address: "127.0.0.1:" + port, User: "rack", AuthPassphrase: "authentication", PrivPassphrase: "privacy-privacy", Timeout: 5 * time.Second}
}

func v2c() qbridge.Target {
	return qbridge.Target{Address: "127.0.0.1:" + port, Community: "open", Timeout: 5 * time.Second}
}

// TestDrift: net-snmp's agent serves a switch with each difference, and each is
// found: by SNMPv3 and v2c, in bitmaps and in Junos' text.
func TestDrift(t *testing.T) {
	lab.Need(t, "snmpd")
	if !lab.Isolated(t) {
		return
	}
	for _, agent := range []struct {
		name, sysObjectID string
		asText            bool
	}{{"bitmap", ".1.3.6.1.4.1.8072.3.2.10", false}, {"Junos", ".1.3.6.1.4.1.2636.1.1.1.2.63", true}} {
		t.Run(agent.name, func(t *testing.T) {
			serve := snmpd(t, agent.sysObjectID)
			serve(as(planned()), agent.asText)
			require.Eventually(t, func() bool {
				target := v3()
				target.Timeout = time.Second
				_, err := qbridge.Read(t.Context(), target)
				return err == nil
			}, 20*time.Second, 50*time.Millisecond, "snmpd answers")
			for name, seed := range seeded {
				have := as(planned())
				seed.change(have)
				serve(have, agent.asText)
				for _, target := range []qbridge.Target{v3(), v2c()} {
					got, err := qbridge.Read(t.Context(), target)
					require.NoError(t, err, name)
					require.Equal(t, have, got, name)
					require.Equal(t, seed.want, lines(qbridge.Diff(planned(), got)), name)
				}
			}
		})
	}
}

// TestReadFails: a wrong passphrase, a wrong community and an agent without the
// table are errors that say so, and none of them shows a secret.
func TestReadFails(t *testing.T) {
	lab.Need(t, "snmpd")
	if !lab.Isolated(t) {
		return
	}
	serve := snmpd(t, ".1.3.6.1.4.1.8072.3.2.10")
	serve(qbridge.Switch{}, false)
	require.Eventually(t, func() bool {
		target := v2c()
		target.Timeout = time.Second
		_, err := qbridge.Read(t.Context(), target)
		return err != nil && strings.Contains(err.Error(), "it lacks Q-BRIDGE-MIB")
	}, 20*time.Second, 50*time.Millisecond, "no table")
	for name, change := range map[string]func(*qbridge.Target){
		"authentication": func(t *qbridge.Target) { t.AuthPassphrase = "wrong-wrong" },
		"privacy":        func(t *qbridge.Target) { t.PrivPassphrase = "wrong-wrong" },
		"user":           func(t *qbridge.Target) { t.User = "nobody" },
		"community":      func(t *qbridge.Target) { *t = v2c(); t.Community = "wrong-wrong" },
	} {
		target := v3()
		change(&target)
		target.Timeout = 300 * time.Millisecond
		_, err := qbridge.Read(t.Context(), target)
		require.ErrorContains(t, err, "qbridge: 127.0.0.1:"+port+": ", name)
		require.NotContains(t, err.Error(), "wrong-wrong", name)
	}
}
