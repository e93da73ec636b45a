package dnssec_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/zone"
	"github.com/stretchr/testify/require"
)

var start = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func verify(t testing.TB, z *zone.Zone, now time.Time) []dnssec.Finding {
	t.Helper()
	findings, err := dnssec.Verify(t.Context(), z, now)
	require.NoError(t, err)
	return findings
}

func zoneText(t testing.TB, z *zone.Zone) string {
	t.Helper()
	var b bytes.Buffer
	_, err := z.WriteTo(&b)
	require.NoError(t, err)
	return b.String()
}

func TestVerifyAccepts(t *testing.T) {
	z := parseZone(t, "example.", mixed)
	for _, m := range modes() {
		t.Run(m.String(), func(t *testing.T) {
			t.Parallel()
			signed := signZone(t, m.signer(t), z, nil, start).Zone
			require.Empty(t, verify(t, signed, start))
			// What is read back is what was written.
			require.Empty(t, verify(t, parseZone(t, "example.", zoneText(t, signed)), start))
		})
	}
}

// TestVerifyFinds damages a signed zone line by line.
func TestVerifyFinds(t *testing.T) {
	z := parseZone(t, "example.", mixed)
	for _, denial := range []dnssec.Denial{dnssec.NSEC, dnssec.NSEC3} {
		s := dnssec.Signer{Keys: pair(t, dnssec.ED25519), Denial: denial}
		signed := zoneText(t, signZone(t, s, z, nil, start).Zone)
		lines := strings.Split(strings.TrimSpace(signed), "\n")
		for i, line := range lines {
			if strings.Contains(line, "\tSOA\t") && !strings.Contains(line, "RRSIG") || isGlue(line) || line == "example.\t3600\tIN\tNS\tns.example." {
				continue
			}
			damaged := strings.Join(append(append([]string{}, lines[:i]...), lines[i+1:]...), "\n")
			require.NotEmpty(t, verify(t, parseZone(t, "example.", damaged), start), "without %s", line)
		}
	}
}

// isGlue says that a line is of no concern to DNSSEC: glue, and the NS sets of
// insecure delegations whose NSEC bitmap has other ways to tell.
func isGlue(line string) bool {
	for _, prefix := range []string{"ns.insecure", "ns.secure", "sub.secure", "secure.example.\t3600\tIN\tA"} {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return false
}

func TestVerifyTimes(t *testing.T) {
	s := dnssec.Signer{Keys: csk(t, dnssec.ED25519), Jitter: -1}
	z := signZone(t, s, parseZone(t, "example.", apex), nil, start).Zone
	require.Empty(t, verify(t, z, start.Add(14*24*time.Hour)))
	require.Contains(t, fmt.Sprint(verify(t, z, start.Add(14*24*time.Hour+time.Second))), "ended at 2026-11-15 12:00:00")
	require.Contains(t, fmt.Sprint(verify(t, z, start.Add(-2*time.Hour))), "begins at 2026-11-01 11:00:00")
}
