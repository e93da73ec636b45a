//go:build unix

package poe_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/poe"
	"github.com/berryrack/berryrack/poe/poetest"
	"github.com/berryrack/berryrack/poe/snmp"
)

// crashVar tells a child of TestCrash what to do: the agent's address, the
// journal's file, what to run, and the step at which to die.
const crashVar = "BERRYRACK_POE_CRASH"

const crashPorts = 4

// deadly counts what a process does to the journal and to the switch, and ends
// the process by SIGKILL at one of these steps.
type deadly struct {
	*snmp.Switch
	left   atomic.Int64
	cycled sync.Map // of PortID
}

func (d *deadly) step(string) {
	if d.left.Add(-1) == 0 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

func (d *deadly) Set(ctx context.Context, id poe.PortID, admin poe.Admin) error {
	d.step("before set")
	err := d.Switch.Set(ctx, id, admin)
	if admin == poe.AdminDisabled {
		d.cycled.Store(id, true)
	}
	d.step("after set")
	return err
}

func (d *deadly) Reset(ctx context.Context, id poe.PortID) error {
	d.step("before reset")
	err := d.Switch.Reset(ctx, id)
	if err == nil {
		d.cycled.Store(id, true)
	}
	d.step("after reset")
	return err
}

func (d *deadly) SetMode(ctx context.Context, id poe.PortID, mode string) error {
	d.step("before mode")
	err := d.Switch.SetMode(ctx, id, mode)
	d.step("after mode")
	return err
}

// Handle makes each step that the controller logs one to die at.
func (d *deadly) Handle(context.Context, slog.Record) error {
	d.step("log")
	return nil
}
func (d *deadly) Enabled(context.Context, slog.Level) bool { return true }
func (d *deadly) WithAttrs([]slog.Attr) slog.Handler       { return d }
func (d *deadly) WithGroup(string) slog.Handler            { return d }

// crashChild does what its parent has said.
func crashChild(t *testing.T, task string) {
	f := strings.Split(task, " ")
	left, err := strconv.Atoi(f[3])
	require.NoError(t, err)
	client, err := snmp.Dial(t.Context(), snmp.Config{Address: f[0], Version: snmp.V2c, Community: "secret", Timeout: time.Second})
	require.NoError(t, err)
	journal, err := poe.OpenJournal(f[1])
	require.NoError(t, err)
	d := &deadly{Switch: client}
	d.left.Store(int64(left))
	journal.OnStep(d.step)
	c := poe.Controller{
		PSE: d, Journal: journal, Logger: slog.New(d), Guard: poe.Guard{Cooldown: -1, Ports: map[poe.PortID]poe.Port{}},
		Hold: time.Millisecond, Poll: time.Millisecond, Boot: 5 * time.Millisecond, Native: true,
	}
	for _, id := range ports(crashPorts) {
		c.Guard.Ports[id] = poe.Port{Up: func(context.Context) error {
			if _, cycled := d.cycled.Load(id); id.Port%2 == 0 && !cycled {
				return errors.New("hangs until it is cycled")
			}
			return nil
		}}
	}
	switch f[2] {
	case "recover":
		_, err = c.Recover(t.Context())
	case "cycle":
		_, err = c.Cycle(t.Context(), port(1))
	case "stagger", "crowd":
		atOnce := map[string]int{"stagger": 1, "crowd": crashPorts}[f[2]]
		for _, errPort := range c.Stagger(t.Context(), ports(crashPorts), poe.Pace{AtOnce: atOnce}) {
			err = errors.Join(err, errPort)
		}
	}
	require.NoError(t, err)
}

// crasher starts children against one simulated switch.
type crasher struct {
	sw      *poetest.Switch
	client  *snmp.Switch
	address string
	journal string
	kills   int
}

// run runs a child, and reports whether it was killed.
func (c *crasher) run(t *testing.T, what string, step int, after time.Duration) bool {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCrash$", "-test.timeout=30s")
	// The race detector would have each child sleep for a second at its end.
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", crashVar+"="+fmt.Sprintf("%s %s %s %d", c.address, c.journal, what, step))
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	require.NoError(t, cmd.Start())
	if after > 0 {
		timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
	}
	err := cmd.Wait()
	if err == nil {
		return false
	}
	killed, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	require.True(t, ok && killed.Signal() == syscall.SIGKILL, "%s, step %d: %v\n%s", what, step, err, &output)
	c.kills++
	return true
}

// dark returns the ports that are off.
func (c *crasher) dark(t *testing.T) (dark []poe.PortID) {
	all, err := c.sw.Status(t.Context())
	require.NoError(t, err)
	for _, s := range all {
		if s.Admin != poe.AdminEnabled {
			dark = append(dark, s.Port)
		}
	}
	return dark
}

// recovered starts the next process, and sees that all ports are on, and as
// they were.
func (c *crasher) recovered(t *testing.T, after string) {
	t.Helper()
	require.False(t, c.run(t, "recover", 0, 0))
	require.Empty(t, c.dark(t), "after %s", after)
	mode, err := c.client.Mode(t.Context(), port(1))
	if errors.Is(err, errors.ErrUnsupported) {
		return
	}
	require.NoError(t, err)
	require.Equal(t, "static", mode, "after %s", after)
}

// TestCrash kills a process at every step of Cycle, of Stagger and of the
// Recover that follows, and then at any time, a hundred times at least; after
// the next start every port that was on is on. Without judges it is every third
// step of Stagger, and few times.
func TestCrash(t *testing.T) {
	if task := os.Getenv(crashVar); task != "" {
		crashChild(t, task)
		return
	}
	stride, anyTime := 3, 5
	if os.Getenv("BERRYRACK_REQUIRE") != "" {
		stride, anyTime = 1, 100
	}
	t.Run("Cisco IOS", func(t *testing.T) {
		t.Parallel()
		crash(t, poetest.Config{Ports: crashPorts, Vendor: poetest.CiscoIOS}, stride, anyTime)
	})
	t.Run("Netgear's own reset", func(t *testing.T) {
		t.Parallel()
		crash(t, poetest.Config{Ports: crashPorts, Vendor: poetest.Netgear, Detect: 50 * time.Millisecond}, stride, 0)
	})
}

// crash kills at every step of a cycle and at each stride-th of more ports, and
// then at any time until there are so many kills more.
func crash(t *testing.T, config poetest.Config, stride, anyTime int) {
	c := &crasher{sw: poetest.New(config), journal: filepath.Join(t.TempDir(), "journal.json")}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	go c.sw.Serve(t.Context(), conn, "secret")
	c.address = conn.LocalAddr().String()
	c.client, err = snmp.Dial(t.Context(), snmp.Config{Address: c.address, Version: snmp.V2c, Community: "secret"})
	require.NoError(t, err)
	defer c.client.Close()
	if config.Vendor == poetest.CiscoIOS {
		require.NoError(t, c.client.SetMode(t.Context(), port(1), "static"))
	}

	steps := map[string]int{}
	wasDark := 0
	strides := map[string]int{"cycle": 1, "stagger": stride, "crowd": stride}
	for _, what := range []string{"cycle", "stagger", "crowd"} {
		for step := 1; c.run(t, what, step, 0); step += strides[what] {
			steps[what] = step
			if len(c.dark(t)) > 0 {
				wasDark++
				c.run(t, "recover", step%12+1, 0) // and the first recovery fails, too
			}
			c.recovered(t, fmt.Sprintf("step %d of %s", step, what))
		}
		require.Greater(t, steps[what], 10, "%s has no steps", what)
	}
	if config.Vendor == poetest.CiscoIOS { // Netgear's reset leaves none
		require.Greater(t, wasDark, 5, "hardly a kill found a port dark")
	}
	for enough := c.kills + anyTime; c.kills < enough; {
		what := []string{"cycle", "stagger", "crowd"}[rand.IntN(3)]
		after := 5*time.Millisecond + rand.N(40*time.Millisecond)
		c.run(t, what, 0, after)
		c.recovered(t, fmt.Sprintf("%v of %s", after, what))
	}
	t.Logf("killed %d times: at %d steps of a cycle, %d of a stagger, %d of one at once; %d kills left a port dark", c.kills, steps["cycle"], steps["stagger"], steps["crowd"], wasDark)
}
