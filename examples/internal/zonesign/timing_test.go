package zonesign

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/keystore"
	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
	"github.com/berryrack/berryrack/internal/lab"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// TestTimingAsBIND has dnssec-signzone -S sign with keys of all kinds of times: it
// publishes the same keys, and signs with the same ones.
func TestTimingAsBIND(t *testing.T) {
	lab.Need(t, "dnssec-signzone")
	now := time.Now().UTC().Truncate(time.Second)
	past, future := now.Add(-time.Hour), now.Add(time.Hour)
	for name, timing := range map[string]keystore.Timing{
		"published":        {Publish: past, Activate: future},
		"activated alone":  {Activate: past},
		"to be activated":  {Activate: future},
		"to be published":  {Publish: future, Activate: future},
		"active":           {Publish: past, Activate: past},
		"inactive":         {Publish: past, Activate: past, Inactive: past},
		"to be inactive":   {Publish: past, Activate: past, Inactive: future},
		"deleted":          {Publish: past, Activate: past, Inactive: past, Delete: past},
		"to be deleted":    {Publish: past, Activate: past, Inactive: past, Delete: future},
		"revoked":          {Publish: past, Activate: past, Revoke: past},
		"in the parent":    {Publish: past, Activate: past, SyncPublish: past},
		"to be there":      {Publish: past, Activate: past, SyncPublish: future},
		"there no more":    {Publish: past, Activate: past, SyncPublish: past, SyncDelete: past},
		"published, there": {Publish: past, Activate: future, SyncPublish: past},
	} {
		for _, use := range []dnssec.Use{dnssec.KSK, dnssec.ZSK} {
			if use == dnssec.ZSK && (!timing.Revoke.IsZero() || !timing.SyncPublish.IsZero()) {
				continue // means nothing
			}
			t.Run(fmt.Sprint(name, "/", use), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				j := job(t, dir, apex)
				_, err := j.Run(t.Context()) // with a KSK and a ZSK that are active
				require.NoError(t, err)
				key, err := j.Keys.Generate(keystore.Spec{Origin: j.Origin, Algorithm: j.Algorithm, Use: use}, past)
				require.NoError(t, err)
				key.Timing, key.State = timing, nil // BIND takes a key with a state for one of a policy
				require.NoError(t, os.Remove(filepath.Join(j.Keys.Path, key.Name()+".state")))
				require.NoError(t, j.Keys.Write(key))
				_, err = again(t, j, apex)
				require.NoError(t, err)
				ours, _, err := zone.ReadFile(j.Out, j.Origin)
				require.NoError(t, err)
				require.Equal(t, roles(signedByBIND(t, dir, j)), roles(ours))
			})
		}
	}
}

func signedByBIND(t *testing.T, dir string, j *Job) *zone.Zone {
	t.Helper()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "bind")
	require.NoError(t, os.WriteFile(in, []byte("$ORIGIN example.org.\n"+apex), 0o600))
	cmd := exec.CommandContext(t.Context(), lab.Program(t, "dnssec-signzone"), "-S", "-x", "-P", "-K", j.Keys.Path, "-d", dir, "-o", "example.org.", "-O", "full", "-f", out, in)
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", output)
	z, _, err := zone.ReadFile(out, j.Origin)
	require.NoError(t, err)
	return z
}

// roles is the keys of a zone, what each signs, and what the zone asks its parent for.
func roles(z *zone.Zone) string {
	var lines []string
	for _, t := range []uint16{dns.TypeDNSKEY, dns.TypeSOA, dns.TypeCDNSKEY} {
		set := z.Apex().Set(wire.Type(t))
		if set == nil {
			continue
		}
		for _, rr := range append(set.RRs(z.Origin), set.RRSIGs(z.Origin)...) {
			switch rr := rr.(type) {
			case *dns.DNSKEY:
				lines = append(lines, fmt.Sprintf("DNSKEY %d %d", rr.Flags, rr.KeyTag()))
			case *dns.CDNSKEY:
				lines = append(lines, fmt.Sprintf("CDNSKEY %d %d", rr.Flags, rr.KeyTag()))
			case *dns.RRSIG:
				lines = append(lines, fmt.Sprintf("%s by %d", dns.TypeToString[t], rr.KeyTag))
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
