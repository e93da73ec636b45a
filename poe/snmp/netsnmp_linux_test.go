package snmp_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/internal/lab"
	"github.com/berryrack/berryrack/poe"
	"github.com/berryrack/berryrack/poe/snmp"
)

// net-snmp's agent is the judge. It speaks v3 by itself, and asks a program of
// ours for POWER-ETHERNET-MIB, by its pass_persist protocol (snmpd.conf(5)).

const (
	peth     = ".1.3.6.1.2.1.105.1"
	authPass = "correct horse battery"
	privPass = "staple of the rack"
	// passVar makes the test binary that program; it is the directory of its
	// state.
	passVar = "BERRYRACK_POE_PASS"
)

// passState is what the program keeps in a file, so that a restart of the agent
// finds it.
type passState struct {
	Ports []passPort
	// SlowSet is how long each SET takes, in milliseconds.
	SlowSet int
	Refuse  bool
}

type passPort struct {
	Admin    int
	Fault    int // a detection status to be stuck in
	Counters [5]uint32
	Sets     int
}

func (p passPort) detection() int {
	switch {
	case p.Admin == 2:
		return 1
	case p.Fault != 0:
		return p.Fault
	}
	return 3
}

func readState(dir string) (s passState, err error) {
	text, err := os.ReadFile(filepath.Join(dir, "state"))
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	return s, err
}

func writeState(dir string, s passState) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	temp := filepath.Join(dir, "state.tmp"+strconv.Itoa(os.Getpid()))
	if err := os.WriteFile(temp, text, 0o600); err != nil {
		return err
	}
	return os.Rename(temp, filepath.Join(dir, "state"))
}

// objects returns the variables in order.
func (s passState) objects() (names [][]int, values map[string]string) {
	values = map[string]string{}
	add := func(kind string, value int64, arcs ...int) {
		names = append(names, arcs)
		values[oidText(arcs)] = kind + "\n" + strconv.FormatInt(value, 10)
	}
	for i, p := range s.Ports {
		class := int64(1)
		if p.detection() == 3 {
			class = 3
		}
		add("integer", int64(p.Admin), 1, 1, 3, 1, i+1)
		add("integer", int64(p.detection()), 1, 1, 6, 1, i+1)
		add("integer", class, 1, 1, 10, 1, i+1)
		for k, column := range []int{8, 11, 12, 13, 14} {
			add("counter", int64(p.Counters[k]), 1, 1, column, 1, i+1)
		}
	}
	for column, value := range map[int]int64{2: 370, 3: 1, 4: 70, 5: 80} {
		add("gauge", value, 3, 1, 1, column, 1)
	}
	slices.SortFunc(names, slices.Compare)
	return names, values
}

// oidText returns the name of arcs below pethObjects.
func oidText(arcs []int) string {
	text := peth
	for _, arc := range arcs {
		text += "." + strconv.Itoa(arc)
	}
	return text
}

// passProgram answers snmpd's questions.
func passProgram(dir string, in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	line := func() string { lines.Scan(); return lines.Text() }
	for lines.Scan() {
		var answer string
		switch lines.Text() {
		case "PING":
			answer = "PONG"
		case "get":
			answer = passGet(dir, line(), false)
		case "getnext":
			answer = passGet(dir, line(), true)
		case "set":
			answer = passSet(dir, line(), line())
		default:
			continue // a SET ends with an empty line
		}
		if _, err := fmt.Fprintln(out, answer); err != nil {
			return err
		}
	}
	return lines.Err()
}

func passGet(dir, oid string, next bool) string {
	s, err := readState(dir)
	if err != nil {
		return "NONE"
	}
	names, values := s.objects()
	if next {
		at := arcsOf(oid)
		i := slices.IndexFunc(names, func(name []int) bool { return slices.Compare(arcsOf(oidText(name)), at) > 0 })
		if i < 0 {
			return "NONE"
		}
		oid = oidText(names[i])
	}
	value, ok := values[oid]
	if !ok {
		return "NONE"
	}
	return oid + "\n" + value
}

func arcsOf(oid string) (arcs []int) {
	for arc := range strings.SplitSeq(strings.TrimPrefix(oid, "."), ".") {
		n, _ := strconv.Atoi(arc)
		arcs = append(arcs, n)
	}
	return arcs
}

func passSet(dir, oid, value string) string {
	s, err := readState(dir)
	n, errPort := strconv.Atoi(strings.TrimPrefix(oid, peth+".1.1.3.1."))
	kind, text, _ := strings.Cut(value, " ")
	admin, errAdmin := strconv.Atoi(text)
	switch {
	case err != nil || errPort != nil || n < 1 || n > len(s.Ports) || s.Refuse:
		return "not-writable"
	case kind != "integer" || errAdmin != nil:
		return "wrong-type"
	case admin != 1 && admin != 2:
		return "wrong-value"
	}
	time.Sleep(time.Duration(s.SlowSet) * time.Millisecond) // the switch is slow: this is the fault that is injected
	s.Ports[n-1].Admin = admin
	s.Ports[n-1].Sets++
	if err := writeState(dir, s); err != nil {
		return "not-writable"
	}
	_ = os.WriteFile(filepath.Join(dir, "was-set"), nil, 0o600)
	return "DONE"
}

// TestMain makes the test binary snmpd's program when it is started as that.
func TestMain(m *testing.M) {
	if dir := os.Getenv(passVar); dir != "" {
		if err := passProgram(dir, os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// netSNMP is a running snmpd.
type netSNMP struct {
	dir, address string
	cmd          *exec.Cmd
	log          strings.Builder
}

// startNetSNMP starts snmpd with 48 ports, all on.
func startNetSNMP(t *testing.T) *netSNMP {
	t.Helper()
	lab.Need(t, "snmpd", "snmpwalk", "snmpget")
	a := &netSNMP{dir: t.TempDir()}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	a.address = conn.LocalAddr().String()
	require.NoError(t, conn.Close())

	var s passState
	for range 48 {
		s.Ports = append(s.Ports, passPort{Admin: 1})
	}
	require.NoError(t, writeState(a.dir, s))
	program := filepath.Join(a.dir, "program")
	self, err := os.Executable()
	require.NoError(t, err)
	script := fmt.Sprintf("#!/bin/sh\n%s='%s' exec '%s'\n", passVar, a.dir, self)
	require.NoError(t, os.WriteFile(program, []byte(script), 0o700))
	config := fmt.Sprintf("agentaddress udp:%s\npass_persist %s %s\nrwuser rack priv\nsysObjectID .1.3.6.1.4.1.99999\n", a.address, peth, program)
	require.NoError(t, os.WriteFile(filepath.Join(a.dir, "snmpd.conf"), []byte(config), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(a.dir, "persistent"), 0o700))
	user := fmt.Sprintf("createUser rack SHA-256 %q AES %q\n", authPass, privPass)
	require.NoError(t, os.WriteFile(filepath.Join(a.dir, "persistent", "snmpd.conf"), []byte(user), 0o600))
	t.Cleanup(func() {
		a.stop(t)
		if t.Failed() {
			t.Log(a.log.String())
		}
	})
	a.start(t)
	return a
}

func (a *netSNMP) start(t *testing.T) {
	a.cmd = exec.Command(lab.Program(t, "snmpd"), "-f", "-Lo", "-I", "-smux")
	persistent := filepath.Join(a.dir, "persistent")
	a.cmd.Env = append(os.Environ(), "SNMPCONFPATH="+a.dir+":"+persistent, "SNMP_PERSISTENT_DIR="+persistent, "MIBS=")
	a.cmd.Stdout, a.cmd.Stderr = &a.log, &a.log
	require.NoError(t, a.cmd.Start())
	require.Eventually(t, func() bool {
		return a.tool(t, "snmpget", ".1.3.6.1.2.1.1.3.0") == nil
	}, 20*time.Second, 50*time.Millisecond, "snmpd does not answer")
}

// tool runs one of net-snmp's own clients.
func (a *netSNMP) tool(t *testing.T, name, oid string) error {
	_, err := a.output(t, name, oid)
	return err
}

func (a *netSNMP) output(t *testing.T, name, oid string) (string, error) {
	cmd := exec.Command(lab.Program(t, name), "-v3", "-l", "authPriv", "-u", "rack", "-a", "SHA-256", "-A", authPass, "-x", "AES", "-X", privPass,
		"-On", "-t", "1", "-r", "0", a.address, oid)
	cmd.Env = append(os.Environ(), "MIBS=", "SNMP_PERSISTENT_DIR="+t.TempDir())
	output, err := cmd.CombinedOutput()
	return string(output), err
}

func (a *netSNMP) stop(t *testing.T) {
	if a.cmd != nil {
		require.NoError(t, a.cmd.Process.Signal(os.Interrupt))
		_ = a.cmd.Wait()
		a.cmd = nil
	}
}

// change changes the state, of which the program has no copy.
func (a *netSNMP) change(t *testing.T, edit func(*passState)) {
	s, err := readState(a.dir)
	require.NoError(t, err)
	edit(&s)
	require.NoError(t, writeState(a.dir, s))
}

func (a *netSNMP) config() snmp.Config {
	return snmp.Config{Address: a.address, User: "rack", Auth: authPass, Priv: privPass, Timeout: 6 * time.Second} // a busy machine starts programs slowly
}

func (a *netSNMP) dial(t *testing.T, c snmp.Config) *snmp.Switch {
	t.Helper()
	sw, err := snmp.Dial(t.Context(), c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sw.Close()) })
	return sw
}

// walk returns what snmpwalk sees of a column of the ports.
func (a *netSNMP) walk(t *testing.T, column int) map[string]int64 {
	output, err := a.output(t, "snmpwalk", fmt.Sprintf("%s.1.1.%d", peth, column))
	require.NoError(t, err, output)
	values := map[string]int64{}
	for _, m := range regexp.MustCompile(`(?m)^\.1\.3\.6\.1\.2\.1\.105\.1\.1\.1\.\d+\.(\d+\.\d+) = \w+: (\d+)$`).FindAllStringSubmatch(output, -1) {
		values[m[1]], err = strconv.ParseInt(m[2], 10, 64)
		require.NoError(t, err)
	}
	require.Len(t, values, 48, output)
	return values
}

func TestNetSNMP(t *testing.T) {
	if !lab.Isolated(t) {
		return
	}
	a := startNetSNMP(t)
	a.change(t, func(s *passState) {
		s.Ports[4].Admin = 2
		s.Ports[5].Fault = 4
		s.Ports[6].Counters = [5]uint32{1, 2, 3, 4, 4294967295}
	})
	sw := a.dial(t, a.config())
	t.Run("sees what snmpwalk sees", func(t *testing.T) { a.checkSame(t, sw) })
	t.Run("switches what snmpget sees", func(t *testing.T) {
		require.NoError(t, sw.Set(t.Context(), port2, poe.AdminDisabled))
		output, err := a.output(t, "snmpget", peth+".1.1.3.1.2")
		require.NoError(t, err)
		require.Contains(t, output, "INTEGER: 2")
		a.checkSame(t, sw)
		require.NoError(t, sw.Set(t.Context(), port2, poe.AdminEnabled))
		a.checkSame(t, sw)
	})
	t.Run("poectl sees it too", func(t *testing.T) { a.checkPoectl(t) })
	t.Run("48 ports in 4 round trips", func(t *testing.T) {
		relay := a.relay(t)
		c := a.config()
		c.Address = relay.address
		counted := a.dial(t, c)
		before := relay.asked.Load()
		_, err := counted.Status(t.Context())
		require.NoError(t, err)
		require.LessOrEqual(t, relay.asked.Load()-before, int64(4))
		t.Logf("%d round trips", relay.asked.Load()-before)
	})
	a.change(t, func(s *passState) { s.Ports[4].Admin, s.Ports[5].Fault = 1, 0 })
}

// checkSame compares Status, Counters and Supplies with snmpwalk.
func (a *netSNMP) checkSame(t *testing.T, sw *snmp.Switch) {
	all, err := sw.Status(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 48)
	counters, err := sw.Counters(t.Context())
	require.NoError(t, err)
	admin, detection, class := a.walk(t, 3), a.walk(t, 6), a.walk(t, 10)
	walked := map[int]map[string]int64{}
	for _, column := range []int{8, 11, 12, 13, 14} {
		walked[column] = a.walk(t, column)
	}
	for _, s := range all {
		id := s.Port.String()
		require.EqualValues(t, admin[id], s.Admin)
		require.EqualValues(t, detection[id], s.Detection)
		if s.Detection == poe.DetectionDelivering {
			require.EqualValues(t, class[id], s.Class)
		}
		c := counters[s.Port]
		for column, n := range map[int]uint32{8: c.MPSAbsent, 11: c.InvalidSignature, 12: c.PowerDenied, 13: c.Overload, 14: c.Short} {
			require.EqualValues(t, walked[column][id], n)
		}
	}
	supplies, err := sw.Supplies(t.Context())
	require.NoError(t, err)
	require.Equal(t, []poe.Supply{{Group: 1, On: true, Watts: 370, Used: 70, Threshold: 80}}, supplies)
}

// checkPoectl builds the program and compares its answer with snmpwalk.
func (a *netSNMP) checkPoectl(t *testing.T) {
	program := filepath.Join(t.TempDir(), "poectl")
	output, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "github.com/berryrack/berryrack/examples/poectl").CombinedOutput()
	require.NoError(t, err, "%s", output)
	dir := t.TempDir()
	config := filepath.Join(dir, "switch.yaml")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "auth"), []byte(authPass+"\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "priv"), []byte(privPass+"\n"), 0o600))
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `switches: [{name: sw1, backend: snmp, address: %q, snmp: {version: 3, user: rack, auth_file: %q, priv_file: %q}}]
ports: {pi3: {switch: sw1, port: "1.3"}}
hold: 1s
`, a.address, filepath.Join(dir, "auth"), filepath.Join(dir, "priv")), 0o600))
	poectl := func(args ...string) []byte {
		cmd := exec.CommandContext(t.Context(), program, append([]string{args[0], "-f", config, "--state", filepath.Join(dir, "state")}, args[1:]...)...)
		output, err := cmd.Output()
		require.NoError(t, err, "%s", output)
		return output
	}
	var answer struct {
		Ports []struct {
			poe.Status
			Switch, Name string
		}
	}
	require.NoError(t, json.Unmarshal(poectl("status", "--json"), &answer))
	admin, detection := a.walk(t, 3), a.walk(t, 6)
	require.Len(t, answer.Ports, 48)
	for _, p := range answer.Ports {
		require.EqualValues(t, admin[p.Port.String()], p.Admin)
		require.EqualValues(t, detection[p.Port.String()], p.Detection)
	}
	require.Equal(t, "pi3", answer.Ports[2].Name)
	poectl("cycle", "pi3")
	s, err := readState(a.dir)
	require.NoError(t, err)
	require.Equal(t, 2, s.Ports[2].Sets, "one off, one on")
	require.Equal(t, 1, s.Ports[2].Admin)
}

// relay stands between a client and the agent, counts the questions, and can
// withhold the answer to a SET.
type relay struct {
	address string
	asked   atomic.Int64
	lose    atomic.Int64 // so many answers to SETs
	lost    atomic.Int64
}

func (a *netSNMP) relay(t *testing.T) *relay {
	front, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	back, err := net.Dial("udp", a.address)
	require.NoError(t, err)
	r := &relay{address: front.LocalAddr().String()}
	ended := make(chan struct{}, 2)
	var client atomic.Pointer[net.Addr]
	go func() {
		defer func() { ended <- struct{}{} }()
		buffer := make([]byte, 65536)
		for {
			n, from, err := front.ReadFrom(buffer)
			if err != nil {
				return
			}
			client.Store(&from)
			r.asked.Add(1)
			_, _ = back.Write(buffer[:n])
		}
	}()
	go func() {
		defer func() { ended <- struct{}{} }()
		buffer := make([]byte, 65536)
		for {
			n, err := back.Read(buffer)
			if e, ok := err.(net.Error); ok && !e.Timeout() && client.Load() != nil && t.Context().Err() == nil {
				continue // the agent is away
			}
			if err != nil {
				return
			}
			if os.Remove(filepath.Join(a.dir, "was-set")) == nil && r.lose.Load() > 0 {
				r.lose.Add(-1)
				r.lost.Add(1)
				continue
			}
			_, _ = front.WriteTo(buffer[:n], *client.Load())
		}
	}()
	t.Cleanup(func() {
		front.Close()
		_ = back.SetDeadline(time.Unix(1, 0))
		back.Close()
		<-ended
		<-ended
	})
	return r
}

func TestNetSNMPFailures(t *testing.T) {
	if !lab.Isolated(t) {
		return
	}
	a := startNetSNMP(t)
	on := func(t *testing.T) passPort {
		s, err := readState(a.dir)
		require.NoError(t, err)
		require.Equal(t, 1, s.Ports[0].Admin)
		return s.Ports[0]
	}
	t.Run("a SET slower than the client", func(t *testing.T) {
		a.change(t, func(s *passState) { s.SlowSet, s.Ports[0].Sets = 700, 0 })
		defer a.change(t, func(s *passState) { s.SlowSet = 0 })
		c := a.config()
		c.Timeout = 500 * time.Millisecond
		_, err := cycler(t, a.dial(t, c)).Cycle(t.Context(), port1)
		require.NoError(t, err)
		require.Equal(t, 2, on(t).Sets, "no SET was sent twice")
	})
	t.Run("the answer to a SET is dropped", func(t *testing.T) {
		a.change(t, func(s *passState) { s.Ports[0].Sets = 0 })
		r := a.relay(t)
		c := a.config()
		c.Address, c.Timeout = r.address, 500*time.Millisecond
		sw := a.dial(t, c)
		r.lose.Store(2)
		_, err := cycler(t, sw).Cycle(t.Context(), port1)
		require.NoError(t, err)
		require.EqualValues(t, 2, r.lost.Load())
		require.Equal(t, 2, on(t).Sets, "no SET was sent twice")
	})
	t.Run("wrong credentials", func(t *testing.T) {
		for name, edit := range map[string]func(*snmp.Config){
			"user": func(c *snmp.Config) { c.User = "nobody" },
			"auth": func(c *snmp.Config) { c.Auth = "some other words" },
			"priv": func(c *snmp.Config) { c.Priv = "some other words" },
		} {
			c := a.config()
			edit(&c)
			_, err := snmp.Dial(t.Context(), c)
			// What a wrong key decrypts is noise, to which the agent may be silent.
			require.True(t, errors.Is(err, snmp.ErrCredentials) || name == "priv" && errors.Is(err, snmp.ErrNoAnswer), "%s: %v", name, err)
			require.NotContains(t, err.Error(), "some other words")
		}
		c := a.config()
		c.User, c.Auth, c.Priv, c.Version, c.Community, c.Timeout = "", "", "", snmp.V2c, "public", 300*time.Millisecond
		_, err := snmp.Dial(t.Context(), c)
		require.ErrorIs(t, err, snmp.ErrNoAnswer)
	})
	t.Run("a user who may not write", func(t *testing.T) {
		a.change(t, func(s *passState) { s.Refuse, s.Ports[0].Sets = true, 0 })
		defer a.change(t, func(s *passState) { s.Refuse = false })
		c := cycler(t, a.dial(t, a.config()))
		_, err := c.Cycle(t.Context(), port1)
		require.ErrorIs(t, err, poe.ErrRefused)
		require.Empty(t, c.Journal.Dark())
		require.Zero(t, on(t).Sets)
	})
	t.Run("the agent restarts in mid-cycle", func(t *testing.T) {
		c := a.config()
		c.Timeout = 500 * time.Millisecond
		control := cycler(t, a.dial(t, c))
		control.PSE = &leaving{PSE: control.PSE, leave: func() { a.stop(t); a.start(t) }}
		_, err := control.Cycle(t.Context(), port1)
		require.NoError(t, err)
		on(t)
		require.Empty(t, control.Journal.Dark())
	})
	t.Run("the agent is away when the port must come on", func(t *testing.T) {
		c := a.config()
		c.Timeout = 300 * time.Millisecond
		control := cycler(t, a.dial(t, c))
		control.Settle, control.Boot = time.Second, time.Second
		control.PSE = &leaving{PSE: control.PSE, leave: func() { a.stop(t) }}
		_, err := control.Cycle(t.Context(), port1)
		require.ErrorIs(t, err, snmp.ErrNoAnswer)
		require.Len(t, control.Journal.Dark(), 1, "kept for the next start")
		a.start(t)
		control.PSE, control.Settle = a.dial(t, c), 15*time.Second
		reports, err := control.Recover(t.Context())
		require.NoError(t, err)
		require.Len(t, reports, 1)
		on(t)
	})
	t.Run("the port is stuck in a fault, and its counters move", func(t *testing.T) {
		control := cycler(t, a.dial(t, a.config()))
		control.Settle = time.Second
		control.PSE = &leaving{PSE: control.PSE, leave: func() {
			a.change(t, func(s *passState) { s.Ports[0].Fault, s.Ports[0].Counters = 4, [5]uint32{0, 0, 0, 3, 1} })
		}}
		report, err := control.Cycle(t.Context(), port1)
		require.ErrorIs(t, err, poe.ErrUnconfirmed)
		require.ErrorContains(t, err, "fault")
		require.Nil(t, report.Faults, "leaving has no counters")
		control.PSE = control.PSE.(*leaving).PSE
		a.change(t, func(s *passState) { s.Ports[0].Fault = 0 })
		moving := &moving{control.PSE.(*snmp.Switch), func() { a.change(t, func(s *passState) { s.Ports[0].Counters[3] += 2 }) }}
		control.PSE = moving
		report, err = control.Cycle(t.Context(), port1)
		require.NoError(t, err)
		require.Equal(t, poe.Counters{Overload: 2}, *report.Faults)
		on(t)
	})
}

// leaving is a PSE of which something happens once a port has been disabled.
type leaving struct {
	poe.PSE
	leave func()
}

func (l *leaving) Set(ctx context.Context, id poe.PortID, admin poe.Admin) error {
	err := l.PSE.Set(ctx, id, admin)
	if admin == poe.AdminDisabled {
		l.leave()
	}
	return err
}

// moving is the same with counters.
type moving struct {
	*snmp.Switch
	move func()
}

func (m *moving) Set(ctx context.Context, id poe.PortID, admin poe.Admin) error {
	err := m.Switch.Set(ctx, id, admin)
	if admin == poe.AdminDisabled {
		m.move()
	}
	return err
}

func TestNetSNMPConform(t *testing.T) {
	if !lab.Isolated(t) {
		return
	}
	a := startNetSNMP(t)
	require.NoError(t, conform(t, a.dial(t, a.config())))
}
