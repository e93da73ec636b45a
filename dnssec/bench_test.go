package dnssec_test

import (
	"crypto"
	"crypto/sha256"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/zone"
	"github.com/stretchr/testify/require"
)

// BenchmarkOneSignature is the cost of one signature with ECDSA P-256, on a core by
// itself, and with all cores at it, which share caches and clock rates.
func BenchmarkOneSignature(b *testing.B) {
	key := private(b, dnssec.ECDSAP256SHA256, "bench")
	sum := sha256.Sum256([]byte("message"))
	sign := func(b *testing.B) {
		if _, err := key.Sign(nil, sum[:], crypto.SHA256); err != nil {
			b.Error(err)
		}
	}
	b.Run("alone", func(b *testing.B) {
		begin := cpuTime(b)
		for range b.N {
			sign(b)
		}
		b.ReportMetric(float64(cpuTime(b)-begin)/float64(b.N), "cpu-ns/op")
	})
	b.Run("together", func(b *testing.B) {
		begin := cpuTime(b)
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				sign(b)
			}
		})
		b.ReportMetric(float64(cpuTime(b)-begin)/float64(b.N), "cpu-ns/op")
	})
}

// cpuTime is what the process has used, in nanoseconds.
func cpuTime(b *testing.B) int64 {
	b.Helper()
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return usage.Utime.Nano() + usage.Stime.Nano()
}

// benchZone is a zone of 100,000 names, of which one in a hundred differs by
// version.
func benchZone(b *testing.B, version int) *zone.Zone {
	var text strings.Builder
	text.WriteString(apex)
	for i := range 100_000 {
		host := i
		if i%100 == 0 {
			host += version
		}
		fmt.Fprintf(&text, "host%07d A 10.%d.%d.%d\nhost%07d AAAA 2001:db8::%x:%x\n", i, host>>16&255, host>>8&255, host&255, i, host>>16, host&0xffff)
	}
	return parseZone(b, "bench.example.", text.String())
}

// BenchmarkSign is signing alone, with everything in memory.
func BenchmarkSign(b *testing.B) {
	s := dnssec.Signer{Keys: pair(b, dnssec.ECDSAP256SHA256), Serial: dnssec.IncrementSerial}
	z, other := benchZone(b, 0), benchZone(b, 1)
	signed := signZone(b, s, z, nil, start)
	for _, bb := range []struct {
		name     string
		zone     *zone.Zone
		previous *zone.Zone
	}{{"first", z, nil}, {"unchanged", z, signed.Zone}, {"changed", other, signed.Zone}} {
		b.Run(bb.name, func(b *testing.B) {
			for b.Loop() {
				signZone(b, s, bb.zone, bb.previous, start)
			}
		})
	}
	b.Run("resign", func(b *testing.B) {
		// An hour of the half day over which the signatures fall due.
		for b.Loop() {
			result, err := s.Resign(b.Context(), signed, signed.Due.Add(time.Hour))
			require.NoError(b, err)
			b.ReportMetric(float64(result.Signed), "signatures")
		}
	})
}
