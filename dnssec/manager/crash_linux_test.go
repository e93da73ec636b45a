package manager

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/rollover"
	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/stretchr/testify/require"
)

// crashVar has the test's process be one that is killed: it holds the number of the
// step of a write at which that happens.
const crashVar = "BERRYRACK_TEST_CRASH_AT"

// world is what goes on while processes come and go: the clock, and the parent.
type world struct {
	Clock  time.Time
	DS     [][]byte
	Orders int // given so far
	Done   bool
}

// orders is what the operator wants, one after the other.
var crashOrders = []Order{
	{Signed: true},
	{Events: []rollover.Event{{Kind: rollover.Roll, Role: rollover.ZSK}}},
	{Events: []rollover.Event{{Kind: rollover.Roll, Role: rollover.KSK}}},
	{Unsigned: true},
}

// crashPolicy purges keys soon.
var crashPolicy = Policy{Policy: rollover.Policy{Algorithm: dnssec.ED25519, Purge: 24 * time.Hour}}

func loadWorld(t *testing.T, path string) (w world) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &w))
	return w
}

// TestCrash kills a process with SIGKILL at one step of a write after the other, from
// the first key to the unsigned zone, and starts the next one on what that left. The
// zone is verified, against the parent too, before and after each turn.
func TestCrash(t *testing.T) {
	if at := os.Getenv(crashVar); at != "" {
		crashing(t, at)
		return
	}
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "zone"), []byte(exampleZone), 0o600))
	text, err := json.Marshal(world{Clock: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)})
	require.NoError(t, err)
	path := filepath.Join(dir, "world")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	self, err := os.Executable()
	require.NoError(t, err)
	longest := 31
	if os.Getenv("BERRYRACK_REQUIRE") != "" {
		longest = 9
	}
	kills := 0
	for at := 1; !loadWorld(t, path).Done; at++ {
		steps := at%longest + 1 // each step of a write, and runs that come further than one
		cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestCrash$", "-test.v")
		cmd.Env = append(os.Environ(), crashVar+"="+strconv.Itoa(steps), "BERRYRACK_TEST_CRASH_DIR="+dir)
		output, err := cmd.CombinedOutput()
		exit, killed := err.(*exec.ExitError)
		if err != nil {
			require.True(t, killed && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL, "%v\n%s", err, output)
			kills++
		}
		require.Less(t, at, 2000)
	}
	require.Greater(t, kills, 20)
	t.Log(kills, "processes were killed")
	keys, err := os.ReadDir(filepath.Join(dir, "state", "zones", "example.org", keysDir))
	require.NoError(t, err)
	names := map[string]bool{}
	for _, entry := range keys {
		if filepath.Ext(entry.Name()) == ".key" {
			names[entry.Name()] = true
		}
	}
	require.LessOrEqual(t, len(names), 4, "no key was made twice")
}

// crashing goes on with the world until it is killed.
func crashing(t *testing.T, at string) {
	left, err := strconv.Atoi(at)
	require.NoError(t, err)
	dir := os.Getenv("BERRYRACK_TEST_CRASH_DIR")
	path := filepath.Join(dir, "world")
	w := loadWorld(t, path)
	b := &bench{t: t, origin: name("example.org."), parent: &fakeParent{}, clock: w.Clock}
	b.parent.records = map[wire.Name][][]byte{b.origin: w.DS}
	policy := crashPolicy
	policy.Parent = rollover.ByRegistrar
	b.zone = Zone{Origin: b.origin, File: filepath.Join(dir, "zone"), Policy: policy, Registrar: b.parent}
	b.Manager = &Manager{Dir: filepath.Join(dir, "state")}
	b.restart()
	b.Manager.point = func() {
		if left--; left == 0 {
			require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGKILL))
			select {}
		}
	}
	store := func() {
		w.Clock, w.DS = b.clock, b.parent.records[b.origin]
		text, err := json.Marshal(w)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path+".new", text, 0o600))
		require.NoError(t, os.Rename(path+".new", path))
	}
	for !w.Done {
		s := b.turn()
		quiet := len(s.State.Keys) == 0 && !s.State.Signed || settled(s)
		if orders, err := b.store().orders(b.origin); err == nil && len(orders) == 0 && quiet {
			if w.Done = w.Orders == len(crashOrders); !w.Done {
				kill := b.Manager.point
				b.Manager.point = nil // an order that is lost is the operator's to give again
				b.order(crashOrders[w.Orders])
				b.Manager.point = kill
				w.Orders++
			}
		}
		store()
	}
}
