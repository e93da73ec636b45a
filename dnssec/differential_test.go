package dnssec_test

import (
	"os"
	"path/filepath"
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

// differential is zones for comparisons: their owner names are in lower case, which
// the other signers keep as they find it.
var differential = map[string]string{
	"mixed":      strings.ReplaceAll(mixed, `\065b`, "ab"),
	"apex DNAME": apex + "@ DNAME example.net.\n",
	"empty non-terminals": apex + "a.insecure NS ns.example.net.\nb.both NS ns.example.net.\nc.both TXT x\nd.secure NS ns.example.net.\n" +
		"d.secure DS 1 15 2 " + strings.Repeat("00", 32) + "\ne.deep.er.insecure NS ns.example.net.\nx.y.z A 192.0.2.9\n",
	"early glue":  apex + "sub NS a.sub\nsub NS ns.zub\na.sub A 192.0.2.2\nzub NS ns.zub\nns.zub A 192.0.2.3\na.a.sub TXT x\nb.sub NS ns.zub\n",
	"below DNAME": apex + "alias DNAME example.net.\na.alias TXT x\nalias2 TXT x\n",
	"wildcards":   apex + "* TXT x\n*.a TXT x\nb.*.c TXT x\n",
	"octets":      apex + "\\000 TXT x\n\\001!.z TXT x\n\\001.z TXT x\n\\255 TXT x\na\\.b TXT x\n",
	"apex soa":    "$TTL 3600\n@ 60 SOA ns host 1 7200 3600 604800 300\n@ NS ns\nns A 192.0.2.1\n",
}

var (
	fixedInception = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	fixedExpiry    = time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC)
)

// keyFiles writes keys as BIND's files, and returns their names.
func keyFiles(t *testing.T, dir string, keys []dnssec.Key) []string {
	t.Helper()
	var names []string
	for _, key := range keys {
		file := keystore.Key{Key: key, Origin: parseName(t, "example."), TTL: 3600}
		require.NoError(t, keystore.Dir{Path: dir}.Write(file))
		names = append(names, filepath.Join(dir, file.Name()))
	}
	return names
}

// TestDifferential signs zones with dnssec-signzone and with the same keys and
// times here, and compares all that is signed, signatures and all.
func TestDifferential(t *testing.T) {
	lab.Need(t, "dnssec-signzone")
	for name, text := range differential {
		for _, denial := range everywhere {
			t.Run(name+"/"+[]string{"NSEC", "NSEC3", "opt-out"}[denial], func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				keys := pair(t, dnssec.ED25519)
				s := dnssec.Signer{Keys: keys, Denial: denial, Inception: fixedInception, Expiry: fixedExpiry}
				ours := signZone(t, s, parseZone(t, "example.", text), nil, time.Now()).Zone
				want, have := zoneText(t, signedByBIND(t, dir, text, denial, keyFiles(t, dir, keys))), zoneText(t, ours)
				if name == "apex DNAME" {
					// BIND 9.18 signs names below it too, with NSEC3, though its chain leaves them out.
					want, have = chain(want), chain(have)
				}
				require.Equal(t, want, have)
			})
		}
	}
}

// chain returns the lines of NSEC and NSEC3 records and their signatures.
func chain(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.Contains(line, "\tNSEC") || strings.Contains(line, "\tRRSIG\tNSEC") {
			b.WriteString(line)
		}
	}
	return b.String()
}

func signedByBIND(t *testing.T, dir, text string, denial dnssec.Denial, keys []string) *zone.Zone {
	t.Helper()
	source := "$ORIGIN example.\n" + text
	for _, key := range keys {
		source += read(t, key+".key")
	}
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	require.NoError(t, os.WriteFile(in, []byte(source), 0o600))
	args := []string{"-P", "-x", "-q", "-d", dir, "-O", "full", "-o", "example.", "-f", out, "-s", "20260101000000", "-e", "20360101000000"}
	if denial != dnssec.NSEC {
		args = append(args, "-3", "-")
	}
	if denial == dnssec.NSEC3OptOut {
		args = append(args, "-A")
	}
	output, err := run(t, "dnssec-signzone", append(append(args, in), keys...)...)
	require.NoError(t, err, output)
	z, _, err := zone.ReadFile(out, parseName(t, "example."))
	require.NoError(t, err)
	return z
}

// TestLDNS has ldns sign and digest zones, which are found good here, digest and all.
func TestLDNS(t *testing.T) {
	lab.Need(t, "ldns-signzone")
	for _, algorithm := range []dnssec.Algorithm{dnssec.ECDSAP256SHA256, dnssec.RSASHA256} {
		for _, args := range [][]string{nil, {"-n", "-t", "0"}} {
			dir := t.TempDir()
			source, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
			// ldns leaves letters as they are, but digests and signs them in lower case.
			require.NoError(t, os.WriteFile(source, []byte("$ORIGIN example.\n"+strings.ReplaceAll(differential["mixed"], "*foo", "foo")), 0o600))
			keys := keyFiles(t, dir, pair(t, algorithm))
			command := append(append([]string{"-z", "simple:sha384", "-o", "example.", "-f", out}, args...), append([]string{source}, keys...)...)
			output, err := run(t, "ldns-signzone", command...)
			require.NoError(t, err, output)
			z, _, err := zone.ReadFile(out, parseName(t, "example."))
			require.NoError(t, err)
			require.NotNil(t, z.Apex().Set(wire.Type(dns.TypeZONEMD)))
			require.Empty(t, verify(t, z, time.Now()), read(t, out))
		}
	}
}
