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
}

func TestMuninField(t *testing.T) {
	require.Equal(t, "pi_1", muninField("pi-1"))
	require.Equal(t, "_1pi", muninField("1pi"))
}

func TestAskOn(t *testing.T) {
	for answer, want := range map[string]bool{"y\n": true, "yes\n": true, "n\n": false, "\n": false, "": false} {
		yes, err := AskOn(strings.NewReader(answer), io.Discard)("Really?")
		require.NoError(t, err)
		require.Equal(t, want, yes, "%q", answer)
	}
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
