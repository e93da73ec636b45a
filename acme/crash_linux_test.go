package acme_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/acme"
	"github.com/berryrack/berryrack/acme/acmetest"
)

// remote is a provider in another process: the simulated DNS outlives the one
// that is killed.
type remote struct{ url string }

func (r remote) AppendTXT(ctx context.Context, record acme.Record) error {
	return r.post(ctx, "/append", record)
}

func (r remote) DeleteTXT(ctx context.Context, record acme.Record) error {
	return r.post(ctx, "/delete", record)
}

func (r remote) post(ctx context.Context, path string, record acme.Record) error {
	data, err := json.Marshal(record)
	if err != nil {
		return err
	}
	response, err := http.Post(r.url+path, "application/json", bytes.NewReader(data))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", response.Status)
	}
	return nil
}

func serveProvider(t *testing.T, p acme.Provider) string {
	change := func(do func(context.Context, acme.Record) error) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			var record acme.Record
			if json.NewDecoder(r.Body).Decode(&record) != nil || do(r.Context(), record) != nil {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/append", change(p.AppendTXT))
	mux.HandleFunc("/delete", change(p.DeleteTXT))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// child is what a child process is told.
type child struct {
	Provider string
	Sockets  map[string]string // simulated addresses
	Journal  string
	Kill     string // the step at which it kills itself
	Nth      int    // the how manieth time that it comes to it
}

const childVar = "ACME_TEST_CHILD"

// TestChild is the child: it publishes two records and withdraws them.
func TestChild(t *testing.T) {
	text, ok := os.LookupEnv(childVar)
	if !ok {
		t.Skip("runs in a process of its own")
	}
	var c child
	require.NoError(t, json.Unmarshal([]byte(text), &c))
	solver := &acme.Solver{
		Provider: remote{c.Provider},
		Journal:  &acme.Journal{Dir: c.Journal},
		Checker: &acme.Checker{Resolvers: []string{acmetest.ResolverAddress}, Interval: 10 * time.Millisecond, Timeout: 10 * time.Second,
			Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, network, c.Sockets[netip.MustParseAddrPort(address).Addr().String()])
			}},
	}
	solver.Step(func(step string) {
		if step == c.Kill {
			if c.Nth--; c.Nth == 0 {
				syscall.Kill(os.Getpid(), syscall.SIGKILL)
			}
		}
	})
	both := []acme.Challenge{{Domain: "example.org", Value: fmt.Sprint("a", os.Getpid())}, {Domain: "*.example.org", Value: fmt.Sprint("b", os.Getpid())}}
	require.NoError(t, solver.Publish(t.Context(), both...))
	require.NoError(t, solver.Withdraw(t.Context(), both...))
}

func (c child) run(t *testing.T) error {
	text, err := json.Marshal(c)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$", "-test.v")
	cmd.Env = append(os.Environ(), childVar+"="+string(text))
	output, err := cmd.CombinedOutput()
	if err != nil && c.Kill == "" {
		t.Log(string(output))
	}
	return err
}

// A kill -9 at each step leaves nothing that the next run does not remove.
func TestKilledAtEachStep(t *testing.T) {
	n := acmetest.NewInternet(t)
	n.Zone("org.")
	zone := n.Zone("example.org.")
	foreign := acme.Record{Zone: "example.org.", Name: "_acme-challenge.example.org.", Value: "foreign"}
	require.NoError(t, n.Provider().AppendTXT(t.Context(), foreign))
	c := child{
		Provider: serveProvider(t, n.Provider()),
		Journal:  filepath.Join(t.TempDir(), "journal"),
		Sockets:  map[string]string{"192.0.2.254": n.Resolver()},
	}
	for i := 1; i <= 3; i++ {
		addr := fmt.Sprintf("198.51.100.%d", i)
		c.Sockets[addr] = n.Socket(addr)
	}
	for _, at := range []struct {
		step string
		nth  int
		left int // records that the kill leaves
	}{
		{"before the journal", 1, 0}, {"journal written", 1, 0}, {"append", 1, -1}, {"append", 2, 2}, {"appended", 1, 2},
		{"propagated", 1, 2}, {"before the deletion", 1, 2}, {"delete", 1, -1}, {"delete", 2, 0}, {"deleted", 1, 0},
	} {
		t.Run(fmt.Sprint(at.step, at.nth), func(t *testing.T) {
			killed := c
			killed.Kill, killed.Nth = at.step, at.nth
			require.ErrorContains(t, killed.run(t), "killed")
			if left := len(zone.TXT(foreign.Name)) - 1; at.left >= 0 {
				require.Equal(t, at.left, left)
			}
			require.NoError(t, c.run(t))
			require.Equal(t, []string{"foreign"}, zone.TXT(foreign.Name))
			entries, err := (&acme.Journal{Dir: c.Journal}).Entries()
			require.NoError(t, err)
			require.Zero(t, entries)
		})
	}
}

// A clock that jumps a week does not make a running process's records old.
func TestClockJumpsAWeek(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	challenge := acme.Challenge{Domain: "example.org", Value: "v"}
	for _, jump := range []time.Duration{7 * 24 * time.Hour, -7 * 24 * time.Hour} {
		require.NoError(t, w.solver.Publish(t.Context(), challenge))
		later := *w.solver
		later.Clock(func() time.Time { return time.Now().Add(jump) })
		require.NoError(t, later.Reap(t.Context()))
		require.Equal(t, []string{"v"}, w.zone.TXT("_acme-challenge.example.org."))
		require.NoError(t, w.solver.Withdraw(t.Context(), challenge))
	}
}

// Records of a process that nobody can tell apart are reaped by their age.
func TestUnknownOwnersAreReapedByAge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.solver.Publish(t.Context(), acme.Challenge{Domain: "example.org", Value: "v"}))
	require.NoError(t, w.solver.Journal.Disown(t.Context()))
	require.NoError(t, w.solver.Reap(t.Context()))
	require.Len(t, w.zone.TXT("_acme-challenge.example.org."), 1)
	w.solver.Clock(func() time.Time { return time.Now().Add(25 * time.Hour) })
	require.NoError(t, w.solver.Reap(t.Context()))
	require.Empty(t, w.zone.TXT("_acme-challenge.example.org."))
}

// Hosts may share a journal: one does not know what runs on another, only what
// ran here before it was booted.
func TestJournalOfSeveralHosts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.solver.Publish(t.Context(), acme.Challenge{Domain: "example.org", Value: "v"}))
	require.NoError(t, w.solver.Journal.Reboot(t.Context(), "elsewhere"))
	require.NoError(t, w.solver.Reap(t.Context()))
	require.Len(t, w.zone.TXT(apex), 1, "of a process that may run there")
	require.NoError(t, w.solver.Publish(t.Context(), acme.Challenge{Domain: "example.org", Value: "v"}))
	require.NoError(t, w.solver.Journal.Reboot(t.Context(), ""))
	require.NoError(t, w.solver.Reap(t.Context()))
	require.Empty(t, w.zone.TXT(apex))
}

// Nothing is published that could not be written down.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, os.MkdirAll(w.solver.Journal.Dir, 0o700))
	// A directory in the file's place fails the rename, as a full disk the write.
	require.NoError(t, os.MkdirAll(filepath.Join(w.solver.Journal.Dir, "journal.json", "x"), 0o700))
	err := w.solver.Publish(t.Context(), acme.Challenge{Domain: "example.org", Value: "v"})
	require.ErrorContains(t, err, "journal")
	require.Empty(t, w.zone.TXT("_acme-challenge.example.org."))
}

func TestDamagedJournal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, os.MkdirAll(w.solver.Journal.Dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(w.solver.Journal.Dir, "journal.json"), []byte("{"), 0o600))
	err := w.solver.Publish(t.Context(), acme.Challenge{Domain: "example.org", Value: "v"})
	require.ErrorContains(t, err, "remove those by hand")
	require.Empty(t, w.zone.TXT("_acme-challenge.example.org."))
}
