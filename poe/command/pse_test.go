package command

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/poe"
	"github.com/berryrack/berryrack/poe/poetest"
)

var port1, port2 = poe.PortID{Group: 1, Port: 1}, poe.PortID{Group: 1, Port: 2}

// TestMain makes the test binary the operator's program: "as-program DIR VERB
// PORT...", where DIR holds a file for each port that is off.
func TestMain(m *testing.M) {
	if len(os.Args) > 3 && os.Args[1] == "as-program" {
		os.Exit(program(os.Args[2], os.Args[3], os.Args[4:]))
	}
	os.Exit(m.Run())
}

func program(dir, verb string, ports []string) int {
	if len(ports) == 0 {
		ports = []string{"1.2", "1.1"}
	}
	var answers []string
	for _, port := range ports {
		off := filepath.Join(dir, port)
		switch verb {
		case "on":
			_ = os.Remove(off)
		case "off":
			_ = os.WriteFile(off, nil, 0o600)
		}
		if !slices.Contains([]string{"1.1", "1.2"}, port) {
			continue
		}
		admin, detection := "enabled", "deliveringPower"
		if _, err := os.Stat(off); err == nil {
			admin, detection = "disabled", "disabled"
		}
		answers = append(answers, fmt.Sprintf(`{"port":%q,"admin":%q,"detection":%q}`, port, admin, detection))
	}
	fmt.Printf(`{"ports":[%s]}`, strings.Join(answers, ","))
	return 0
}

func TestConform(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	pse := &PSE{Argv: []string{self, "as-program", t.TempDir()}}
	if runtime.GOOS != "windows" {
		// The race detector would have each run sleep for a second at its end.
		pse.Argv = append([]string{"env", "GORACE=atexit_sleep_ms=0"}, pse.Argv...)
	}
	require.NoError(t, poetest.Conform(t.Context(), poetest.Subject{PSE: pse, Port: port1, Other: port2}))
	require.True(t, strings.HasSuffix(pse.Explain(poe.Step{Port: port1, Admin: poe.AdminDisabled}), " off 1.1"))
}

// shell is a PSE that is a line of shell.
func shell(t *testing.T, line string) *PSE {
	if runtime.GOOS == "windows" {
		t.Skip("no sh")
	}
	return &PSE{Argv: []string{"sh", "-c", line, "sh"}}
}

func TestStatus(t *testing.T) {
	pse := shell(t, `echo '{"ports": [{"port":"1.2","admin":"disabled"},{"port":"1.1","admin":"enabled","detection":"deliveringPower","class":0,"watts":3.5}]}'`)
	all, err := pse.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, []poe.Status{
		{Port: port1, Admin: poe.AdminEnabled, Detection: poe.DetectionDelivering, Class: poe.ClassOf(0), Watts: 3.5, Metered: true},
		{Port: port2, Admin: poe.AdminDisabled},
	}, all)
}

func TestNoOutputIsNoSuccess(t *testing.T) {
	for line, want := range map[string]string{
		`exit 0`:                             "no output is no success",
		`echo '{}'`:                          `want "ports"`,
		`echo '{"ports":[]}'`:                "no such PSE port",
		`echo OK`:                            "invalid character",
		`echo '{"ports":[]} {}'`:             "text after the document",
		`echo '{"ports":[{"prot":"1.1"}]}'`:  "prot",
		`echo '{"ports":[{"port":"1.1"}]}'`:  "want admin",
		`echo 'no route' >&2; exit 7`:        "exit status 7: no route",
		`head -c 2000000 /dev/zero`:          "longer than 1048576 bytes",
		`head -c 9000 /dev/zero >&2; exit 1`: "exit status 1",
		`echo '{"ports":[{"port":"1.1","admin":"enabled"}]}'`: "does not confirm",
	} {
		err := shell(t, line).Set(t.Context(), port1, poe.AdminDisabled)
		require.ErrorContains(t, err, want, line)
		require.Less(t, len(err.Error()), 2000)
	}
	_, err := (&PSE{}).Status(t.Context())
	require.ErrorContains(t, err, "no program is named")
	_, err = (&PSE{Argv: []string{"/no/such/program"}}).Status(t.Context())
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestTimeout(t *testing.T) {
	// The grandchild keeps the output open.
	pse := shell(t, `sleep 300 & sleep 300`)
	pse.Timeout = 50 * time.Millisecond
	began := time.Now()
	_, err := pse.Status(t.Context())
	require.ErrorContains(t, err, "took longer than 50ms")
	require.Less(t, time.Since(began), 20*time.Second)

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	pse.Timeout = 0
	_, err = pse.Status(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestEnvironment(t *testing.T) {
	t.Setenv("PASSPHRASE", "s3cret")
	_, err := shell(t, `echo "seen: $PASSPHRASE" >&2; exit 1`).Status(t.Context())
	require.ErrorContains(t, err, "seen:")
	require.NotContains(t, err.Error(), "s3cret")
}

func TestParseTellsAllProblems(t *testing.T) {
	_, err := parse([]byte(`{"ports":[{"admin":"enabled"},{"port":"1.1","admin":"enabled","class":9},{"port":"1.1","admin":"enabled"},{"port":"1.2","admin":"enabled","watts":-1}]}`))
	for _, want := range []string{"ports[0]: no port", "class 9", "port 1.1 twice", "-1 W"} {
		require.ErrorContains(t, err, want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"ports": [{"port": "1.1", "admin": "enabled", "detection": "deliveringPower", "class": 2, "watts": 3.2}]}`))
	f.Add([]byte(`{"ports": []}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := parse(text)
		if err != nil {
			return
		}
		require.True(t, json.Valid(text))
		for _, s := range all {
			require.True(t, s.Port.IsValid())
			require.NotZero(t, s.Admin)
		}
	})
}
