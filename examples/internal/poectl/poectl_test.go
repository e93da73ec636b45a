package poectl

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/poe"
	"github.com/berryrack/berryrack/poe/poetest"
)

const example = `
switches:
  - {name: sw1, backend: snmp, address: "192.0.2.1", snmp: {version: 3, user: rack, auth_file: a, priv_file: p}, protected: {"1.24": uplink}, bridge_ports: {"1.1": 3}}
  - {name: sw2, backend: ethtool, interfaces: {"1.1": lan1}}
ports:
  pi1: {switch: sw1, port: "1.1", mac: "b8:27:eb:01:02:03", wait: "tcp://[2001:db8::2]:22"}
  pi2: {switch: sw2, port: "1.1"}
stagger: {at_once: 4, budget_watts: 300}
cooldown: 60s
hold: 5s
keep: ["02:00:00:00:00:01"]
`

func TestParse(t *testing.T) {
	c, err := Parse("switch.yaml", []byte(example))
	require.NoError(t, err)
	require.Equal(t, poe.PortID{Group: 1, Port: 1}, c.Ports["pi1"].Port)
	require.Equal(t, 5*time.Second, c.Hold)
	require.Equal(t, Stagger{4, 300}, c.Stagger)

	r := &Rack{Config: c}
	control := r.controller(c.find("sw1"), nil)
	require.NoError(t, control.Guard.Validate())
	require.Equal(t, "uplink", control.Guard.Protected[poe.PortID{Group: 1, Port: 24}])
	require.Len(t, control.Guard.Ports, 1)
	require.NotNil(t, control.Guard.Ports[poe.PortID{Group: 1, Port: 1}].Up)
	require.Equal(t, "02:00:00:00:00:01", control.Guard.Keep[0].String())
	_, err = r.snmp(c.find("sw1"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestParseTellsAllProblems(t *testing.T) {
	_, err := Parse("switch.yaml", []byte(strings.NewReplacer(`pi2: {switch: sw2, port: "1.1"}`, `pi2: {switch: sw1, port: "1.24", mac: "nonsense"}
  pi3: {switch: sw1, port: "1.1", wait: "udp://x:1"}`, "lan1}", "lan1, \"one\": lan2}", "name: sw2", "name: ../sw2", `02:00:00:00:00:01`, "x").Replace(example)))
	for _, want := range []string{"switch.yaml:4:", "switch.yaml:7:", "protected: uplink", "nonsense", "it is pi1's", "tcp://HOST:PORT", "can be a file's", `"one"`, "keep[0]"} {
		require.ErrorContains(t, err, want)
	}
	_, err = Parse("switch.yaml", []byte(strings.NewReplacer("pi1:", `"1.2":`, "pi2:", `"a\nb":`, "hold: 5s", "hold: -5s").Replace(example)))
	for _, want := range []string{`not "1.2"`, `not "a\nb"`, "want 0 or more, not -5s"} {
		require.ErrorContains(t, err, want)
	}
	_, err = Parse("switch.yaml", nil)
	require.ErrorContains(t, err, "want switches")
}

func TestTargets(t *testing.T) {
	c, err := Parse("switch.yaml", []byte(example))
	require.NoError(t, err)
	r := &Rack{Config: c}
	targets, err := r.Targets([]string{"sw2/1.1", "pi1"})
	require.NoError(t, err)
	require.Equal(t, "pi2 (sw2 port 1.1)", targets[0].String())
	_, err = r.Targets([]string{"pi1", "sw1/1.1", "1.1", "sw1/1.24"})
	require.ErrorAs(t, err, new(*cli.UsageError))
	for _, want := range []string{"pi1 is named twice", `"1.1" is not among`, `"sw1/1.24" is not among`} {
		require.ErrorContains(t, err, want)
	}
}

func TestSecretsAreRead(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "auth")
	require.NoError(t, os.WriteFile(file, []byte("correct horse battery\n"), 0o644))
	s := &Switch{Name: "sw1", Backend: "snmp", Address: "192.0.2.1", SNMP: SNMP{User: "rack", AuthFile: file, PrivFile: file}}
	_, err := (&Rack{}).snmp(s)
	require.ErrorContains(t, err, "chmod 600")
	require.NoError(t, os.Chmod(file, 0o600))
	c, err := (&Rack{}).snmp(s)
	require.NoError(t, err)
	require.Equal(t, "correct horse battery", string(c.Auth))

	s.SNMP.AuthFile, s.SNMP.PrivFile = "auth", "auth"
	_, err = (&Rack{File: filepath.Join(dir, "poectl.yaml")}).snmp(s)
	require.NoError(t, err, "beside the configuration")
	require.NoError(t, (&Rack{File: filepath.Join(dir, "poectl.yaml"), Config: &Config{Switches: []Switch{*s}}}).Check())
}

func TestMuninField(t *testing.T) {
	require.Equal(t, "pi_1", muninField("pi-1"))
	require.Equal(t, "_1pi", muninField("1pi"))
}

func TestAskOn(t *testing.T) {
	for answer, want := range map[string]bool{"y\n": true, "yes\n": true, "n\n": false, "\n": false, "": false} {
		yes, err := AskOn(strings.NewReader(answer), io.Discard)(t.Context(), "Really?")
		require.NoError(t, err)
		require.Equal(t, want, yes, "%q", answer)
	}
}

func TestAskOnEndsWithItsContext(t *testing.T) {
	in, typing := io.Pipe()
	defer typing.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	yes, err := AskOn(in, io.Discard)(ctx, "Really?")
	require.ErrorIs(t, err, context.Canceled)
	require.False(t, yes)
}

// TestOffAsksBeforeItLocks has nobody hold the switch while a person thinks.
func TestOffAsksBeforeItLocks(t *testing.T) {
	rack, err := Simulate(t.Context(), cli.Streams{Out: io.Discard, Err: io.Discard}, nil)
	require.NoError(t, err)
	defer rack.Close()
	err = rack.Off(t.Context(), []string{"pi1"}, Act{Confirm: func(context.Context, string) (bool, error) {
		require.Empty(t, rack.open)
		return false, nil
	}})
	require.ErrorContains(t, err, "pi1 (sw1 port 1.1) is left as it is")
}

// TestAPortThatCannotBeRecovered keeps nobody from the others, and can be given
// up.
func TestAPortThatCannotBeRecovered(t *testing.T) {
	t.Parallel()
	stderr := &output{}
	rack, err := Simulate(t.Context(), cli.Streams{Out: io.Discard, Err: stderr}, nil)
	require.NoError(t, err)
	defer rack.Close()
	file := filepath.Join(rack.State, "sw1.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"version":1,"dark":{"9.9":{"since":"2024-05-06T07:08:09Z"}}}`), 0o600))
	require.NoError(t, rack.Cycle(t.Context(), []string{"pi1"}, Act{}))
	require.Contains(t, stderr.String(), "recover --forget PORT")
	require.ErrorIs(t, rack.Recover(t.Context(), Act{}), poe.ErrNoPort)
	for _, u := range rack.open {
		u.close()
	}
	rack.open = nil
	require.ErrorAs(t, rack.Forget("nonsense"), new(*cli.UsageError))
	require.NoError(t, rack.Forget("sw1/9.9"))
	require.NoError(t, rack.Recover(t.Context(), Act{}))
}

// TestALookIsNotHeldUp has a port that cannot be recovered: the switch refuses.
func TestALookIsNotHeldUp(t *testing.T) {
	t.Parallel()
	rack, err := Simulate(t.Context(), cli.Streams{Out: io.Discard, Err: io.Discard}, nil)
	require.NoError(t, err)
	defer rack.Close()
	file := filepath.Join(rack.State, "sw1.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"version":1,"dark":{"1.1":{"since":"2024-05-06T07:08:09Z"}}}`), 0o600))
	require.NoError(t, rack.simulation.sw.Set(t.Context(), poe.PortID{Group: 1, Port: 1}, poe.AdminDisabled))
	rack.simulation.sw.Make(poetest.Trouble{Refuse: true})
	ctx, cancel := context.WithTimeout(t.Context(), 3*readingPatience)
	defer cancel()
	o, err := rack.Overview(ctx)
	require.NoError(t, err)
	require.Len(t, o.Ports, 8)
}

func TestPlanningMakesNoFile(t *testing.T) {
	out := &output{}
	rack, err := Simulate(t.Context(), cli.Streams{Out: out, Err: io.Discard}, nil)
	require.NoError(t, err)
	defer rack.Close()
	rack.State = filepath.Join(rack.State, "none")
	require.ErrorIs(t, rack.Cycle(t.Context(), []string{"pi1"}, Act{DryRun: true, JSON: true}), cli.ErrDifferent)
	require.NoDirExists(t, rack.State)
	var line struct{ Switch, Command string }
	require.NoError(t, json.NewDecoder(strings.NewReader(out.String())).Decode(&line))
	require.Equal(t, "sw1", line.Switch)
	require.Contains(t, line.Command, "snmpset")
}

// TestASecondProcessIsKeptOff has two processes at one state directory.
func TestASecondProcessIsKeptOff(t *testing.T) {
	std := cli.Streams{Out: io.Discard, Err: io.Discard}
	first, err := Simulate(t.Context(), std, nil)
	require.NoError(t, err)
	defer first.Close()
	_, err = first.unit(t.Context(), "sw1", acting)
	require.NoError(t, err)
	second := &Rack{Config: first.Config, State: first.State, Std: std, simulation: &simulation{sw: first.simulation.sw, ended: make(chan error, 1), stop: func() {}}}
	require.ErrorIs(t, second.Cycle(t.Context(), []string{"pi1"}, Act{}), poe.ErrBusy)
	_, err = second.Overview(t.Context())
	require.NoError(t, err, "to look is allowed")
}

// TestWatchOutlivesABadConfiguration has a switch that is down at the start, and
// then a configuration whose secrets are not there.
func TestWatchOutlivesABadConfiguration(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "community")
	require.NoError(t, os.WriteFile(file, []byte("public"), 0o600))
	down := &Config{Switches: []Switch{{Name: "sw1", Backend: "snmp", Address: "127.0.0.1:1", SNMP: SNMP{Version: 2, CommunityFile: file}, Timeout: 20 * time.Millisecond}}}
	bad := &Config{Switches: []Switch{{Name: "sw1", Backend: "snmp", Address: "127.0.0.1:1", SNMP: SNMP{Version: 2, CommunityFile: "none"}}}}
	configs := make(chan *Config, 2)
	configs <- down
	configs <- bad
	state := t.TempDir()
	w := &Watcher{Interval: 5 * time.Millisecond, Out: io.Discard, Logger: slog.New(slog.DiscardHandler), Open: func(context.Context) (*Rack, error) {
		return &Rack{Config: <-configs, State: state, Std: cli.Streams{Out: io.Discard, Err: io.Discard}}, nil
	}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx, func() {}) }()
	failed := func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.failed["sw1"] > 1
	}
	require.Eventually(t, failed, 10*time.Second, 5*time.Millisecond)
	require.ErrorIs(t, w.Reload(ctx), os.ErrNotExist)
	require.Empty(t, ended)
	cancel()
	require.NoError(t, <-ended)
}

// output is a stream that can be waited for.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func TestWatch(t *testing.T) {
	t.Parallel()
	var racks []*Rack
	out := &output{}
	std := cli.Streams{Out: out, Err: io.Discard}
	opened := make(chan *Rack, 2)
	w := &Watcher{Interval: 10 * time.Millisecond, JSON: true, Out: out, Logger: slog.New(slog.DiscardHandler), Open: func(ctx context.Context) (*Rack, error) {
		rack, err := Simulate(ctx, std, nil)
		opened <- rack
		return rack, err
	}}
	require.Empty(t, w.Figures())
	ctx, cancel := context.WithCancel(t.Context())
	ready := make(chan bool, 2)
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx, func() { ready <- true }) }()
	<-ready
	racks = append(racks, <-opened)
	looked := func() bool { return len(w.Figures()) > 10 }
	require.Eventually(t, looked, 10*time.Second, 5*time.Millisecond)

	require.NoError(t, w.Reload(ctx))
	<-ready
	racks = append(racks, <-opened)
	require.Eventually(t, looked, 10*time.Second, 5*time.Millisecond)
	require.NoError(t, racks[1].simulation.sw.Set(ctx, poe.PortID{Group: 1, Port: 3}, poe.AdminDisabled))
	require.Eventually(t, func() bool { return strings.Contains(out.String(), `"detection":"disabled"`) }, 10*time.Second, 5*time.Millisecond)
	line, _, _ := strings.Cut(out.String(), "\n")
	var event Event
	require.NoError(t, json.Unmarshal([]byte(line), &event))
	require.Equal(t, "pi3", event.Name)
	cancel()
	require.NoError(t, <-ended)
}
