package acmetest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/acme"
	"github.com/berryrack/berryrack/acme/acmetest"
)

// memory is a provider that keeps a list of values for each name, with a defect.
type memory struct {
	defect string
	mu     sync.Mutex
	values map[string][]string
}

func (m *memory) AppendTXT(_ context.Context, r acme.Record) error {
	if m.defect == "loses an update" {
		return m.rewrite(r)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	have := slices.Contains(m.values[r.Name], r.Value)
	switch {
	case have && m.defect == "refuses what is there":
		return errors.New("there already")
	case m.defect == "replaces":
		m.values[r.Name] = []string{r.Value}
	case !have || m.defect == "adds twice":
		m.values[r.Name] = append(m.values[r.Name], r.Value)
	}
	return nil
}

// rewrite reads the list, edits it and writes it, as one must not.
func (m *memory) rewrite(r acme.Record) error {
	m.mu.Lock()
	values := append(slices.Clone(m.values[r.Name]), r.Value)
	m.mu.Unlock()
	time.Sleep(time.Millisecond)
	m.mu.Lock()
	defer m.mu.Unlock()
	slices.Sort(values)
	m.values[r.Name] = slices.Compact(values)
	return nil
}

func (m *memory) DeleteTXT(_ context.Context, r acme.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	have := slices.Contains(m.values[r.Name], r.Value)
	switch {
	case !have && m.defect == "refuses what is not there":
		return errors.New("not there")
	case m.defect == "deletes by name":
		delete(m.values, r.Name)
	case m.defect == "deletes nothing", m.defect == "wants the TTL" && r.TTL == 0:
	default:
		m.values[r.Name] = slices.DeleteFunc(m.values[r.Name], func(v string) bool { return v == r.Value })
	}
	return nil
}

const defectVar = "ACMETEST_DEFECT"

// TestDefect runs the suite against a provider with the defect of the environment.
func TestDefect(t *testing.T) {
	defect, ok := os.LookupEnv(defectVar)
	if !ok {
		t.Skip("runs in a process of its own")
	}
	m := &memory{defect: defect, values: map[string][]string{}}
	lookup := func(name string) []string {
		m.mu.Lock()
		defer m.mu.Unlock()
		return slices.Clone(m.values[name])
	}
	acmetest.Provider(t, acmetest.Subject{Provider: m, Zone: "example.org.", Lookup: lookup, Within: 50 * time.Millisecond})
}

// The suite passes a provider that does as it should, and no other.
func TestSuiteFindsDefects(t *testing.T) {
	for _, defect := range []string{
		"", "refuses what is there", "replaces", "adds twice", "loses an update",
		"refuses what is not there", "deletes by name", "deletes nothing", "wants the TTL",
	} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDefect$")
		cmd.Env = append(os.Environ(), defectVar+"="+defect)
		out, err := cmd.CombinedOutput()
		require.Equal(t, defect == "", err == nil, "%q: %s", defect, out)
	}
}

// brief is a test that ends with its example.
type brief struct {
	testing.TB
	cleanups []func()
}

func (b *brief) Helper()          {}
func (b *brief) Cleanup(f func()) { b.cleanups = append(b.cleanups, f) }
func (b *brief) end() {
	for _, f := range slices.Backward(b.cleanups) {
		f()
	}
}

func ExampleInternet() {
	t := &brief{} // in a test it is the *testing.T
	defer t.end()
	internet := acmetest.NewInternet(t)
	internet.Zone("org.")
	zone := internet.Zone("example.org.", "192.0.2.1", "2001:db8::1")
	zone.Delay = 100 * time.Millisecond
	solver := &acme.Solver{Provider: internet.Provider(), Checker: internet.Checker()}

	ctx := context.Background()
	challenge := acme.Challenge{Domain: "*.example.org", Value: "digest"}
	fmt.Println(solver.Publish(ctx, challenge), zone.Served("_acme-challenge.example.org."))
	fmt.Println(solver.Withdraw(ctx, challenge), zone.TXT("_acme-challenge.example.org."))
	// Output:
	// <nil> [digest]
	// <nil> []
}
