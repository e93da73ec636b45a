package dnssec_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
	"github.com/berryrack/berryrack/internal/lab"
	"github.com/stretchr/testify/require"
)

// judge has programs that we did not write verify a signed zone. skip names those
// that are known not to cope with what the zone has.
func judge(t *testing.T, z *zone.Zone, skip ...string) {
	t.Helper()
	lab.Need(t, "dnssec-verify", "ldns-verify-zone", "kzonesign")
	dir := t.TempDir()
	file := filepath.Join(dir, "zone")
	writeZone(t, z, file)
	if z.Origin == wire.Root {
		skip = append(skip, "ldns-verify-zone") // 1.8.3 never ends on a root zone with NSEC3 and ZONEMD
	}
	verdicts := map[string]func() (string, error){
		"dnssec-verify": func() (string, error) {
			args := []string{"-q", "-o", z.Origin.String(), file}
			if oneKey(z) {
				args = append([]string{"-z"}, args...)
			}
			return run(t, "dnssec-verify", args...)
		},
		"ldns-verify-zone": func() (string, error) { return run(t, "ldns-verify-zone", "-V1", file) },
		"kzonesign":        func() (string, error) { return kzonesign(t, dir, z.Origin.String()) },
	}
	if len(skip) > 1 {
		// It knows neither newer algorithms nor newer types, and stands in where the others fall out.
		verdicts["validns"] = func() (string, error) { return run(t, "validns", "-z", z.Origin.String(), file) }
	}
	judges := 0
	for program, verdict := range verdicts {
		if contains(skip, program) {
			continue
		}
		switch output, err := verdict(); {
		case errors.Is(err, errNoVerdict):
			t.Logf("%s: %v", program, err)
		case err != nil:
			t.Errorf("%s: %v\n%.3000s\n%.20000s", program, err, output, read(t, file))
		default:
			judges++
		}
	}
	if !t.Failed() {
		require.GreaterOrEqual(t, judges, 2, "verifiers that came to a verdict")
	}
}

func contains(list []string, one string) bool {
	for _, s := range list {
		if s == one {
			return true
		}
	}
	return false
}

// errNoVerdict is when a program did not end: ldns-verify-zone 1.8.3 loops over
// some zones.
var errNoVerdict = errors.New("no verdict within a minute")

// run runs a program that ends within a minute, whatever becomes of the test.
func run(t *testing.T, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(t.Context(), lab.Program(t, "timeout"), append([]string{"--kill-after=1", "60", lab.Program(t, program)}, args...)...)
	output, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && (exit.ExitCode() == 124 || exit.ExitCode() == 137) {
		err = errNoVerdict
	}
	return string(output), err
}

func kzonesign(t *testing.T, dir, origin string) (string, error) {
	config := filepath.Join(dir, "knot.conf")
	text := fmt.Sprintf("server:\n  rundir: %q\ndatabase:\n  storage: %q\nzone:\n  - domain: %q\n    file: %q\n", dir, dir, origin, filepath.Join(dir, "zone"))
	require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
	output, err := run(t, "kzonesign", "-c", config, "-v", origin)
	return output, err
}

// oneKey reports whether the zone has one DNSKEY record.
func oneKey(z *zone.Zone) bool { return z.Apex().Set(48).Data.Len() == 1 }

func writeZone(t testing.TB, z *zone.Zone, file string) {
	t.Helper()
	f, err := os.Create(file)
	require.NoError(t, err)
	_, err = z.WriteTo(f)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

func read(t testing.TB, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(text)
}

const mixed = apex + `
@ MX 10 Mail
mail A 192.0.2.2
www CNAME Mail
\065b TXT "a b" "\200\"\\"
*foo TXT "no wildcard"
* TXT "wildcard"
*.deep.wild A 192.0.2.3
a.b.c TXT "two empty non-terminals"
insecure NS ns.insecure
ns.insecure A 192.0.2.4
x.y.insecure2 NS ns.example.com.
secure NS ns.secure
secure DS 12345 13 2 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
secure A 192.0.2.5
ns.secure AAAA 2001:db8::2
sub.secure NS ns.secure
alias DNAME example.com.
srv SRV 1 2 3 Mail
naptr NAPTR 1 2 "u" "E2U" "!^.*$!sip:a@b!" Mail
rp RP Mail Www
hinfo HINFO "A" "B"
caa CAA 0 issue "ca.example.net"
unknown TYPE65280 \# 3 AbCdEf
`

func TestJudged(t *testing.T) {
	lab.Need(t, "dnssec-verify")
	z := parseZone(t, "example.", mixed)
	for _, m := range modes() {
		t.Run(m.String(), func(t *testing.T) {
			t.Parallel()
			judge(t, signZone(t, m.signer(t), z, nil, time.Now()).Zone)
		})
	}
}

// TestRootZone signs a real zone anew: $BERRYRACK_DATA is a directory with a
// signed root zone as root.zone.
func TestRootZone(t *testing.T) {
	lab.Need(t, "dnssec-verify")
	z, _, err := zone.ReadFile(filepath.Join(os.Getenv("BERRYRACK_DATA"), "root.zone"), wire.Root)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("BERRYRACK_DATA names no directory with root.zone")
	}
	require.NoError(t, err)
	for i, m := range modes() {
		if (i/2+i)%2 == 0 {
			continue // with one key or with two, by turns: it is large
		}
		t.Run(m.String(), func(t *testing.T) {
			judge(t, signZone(t, m.signer(t), z, nil, time.Now()).Zone)
		})
	}
}
