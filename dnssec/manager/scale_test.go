package manager

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/rollover"
	"github.com/berryrack/berryrack/dnssec/server"
	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// manyZones writes files of zones with ten records each.
func manyZones(t testing.TB, dir string, count int, policy Policy) (zones []Zone) {
	t.Helper()
	text := "$TTL 3600\n@ SOA ns host 1 7200 3600 1209600 300\n@ NS ns\n@ NS ns.example.net.\nns A 192.0.2.1\nns AAAA 2001:db8::1\nwww A 192.0.2.2\nwww AAAA 2001:db8::2\n@ MX 10 mail\nmail A 192.0.2.3\n@ TXT \"v=spf1 -all\"\n"
	for i := range count {
		z := Zone{Origin: name(fmt.Sprintf("zone%d.example.", i)), File: filepath.Join(dir, fmt.Sprint(i)), Policy: policy}
		require.NoError(t, os.WriteFile(z.File, []byte(text), 0o600))
		zones = append(zones, z)
	}
	return zones
}

// TestSpread has zones that are all signed in the same hour be due in hours of
// their own: then, and when they are signed again.
func TestSpread(t *testing.T) {
	m := &Manager{Dir: t.TempDir()}
	hours := map[int]int{}
	const count = 10_000
	policy := Policy{}
	validity, refresh, jitter := policy.times()
	for i := range count {
		u := &unit{manager: m, origin: name(fmt.Sprintf("zone%d.example.", i))}
		due := u.spread(1) - refresh
		require.Greater(t, due, time.Duration(0))
		require.LessOrEqual(t, due, validity-refresh)
		hours[int(due/time.Hour)]++
	}
	mean := float64(count) / (validity - refresh - jitter).Hours()
	for hour, zones := range hours {
		require.LessOrEqual(t, float64(zones), 2*mean, "hour %d", hour)
	}
}

// BenchmarkTenThousand signs and serves 10,000 zones of ten records from nothing, and
// tells what it takes: memory, Step for all of them, and how many signatures are
// due in the hour that has the most, as a multiple of the mean.
func BenchmarkTenThousand(b *testing.B) {
	count := 10_000
	if testing.Short() {
		count = 1000
	}
	for b.Loop() {
		dir := b.TempDir()
		policy := Policy{Policy: rollover.Policy{CSK: true, Algorithm: dnssec.ECDSAP256SHA256}}
		zones := manyZones(b, dir, count, policy)
		m := &Manager{Dir: filepath.Join(dir, "state"), Server: &server.Server{TransferKeys: []string{"xfr."}}}
		for _, z := range zones {
			record := Record{State: rollover.State{Zone: z.Origin.String(), Signed: true}}
			require.NoError(b, m.store().Save(z.Origin, &record))
		}
		began := time.Now()
		runManager(b, m, zones...)
		b.ReportMetric(time.Since(began).Seconds(), "s-first")
		runtime.GC()
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		b.ReportMetric(float64(memory.HeapAlloc)/(1<<20), "MiB-heap")
		b.ReportMetric(peak(b), "MiB-peak")

		units := m.all()
		steps := make([]func() rollover.Result, 0, count)
		for _, u := range units {
			u.mutex.Lock()
			state, policy, observed := u.record.State, u.policy(), u.observe(nil)
			u.mutex.Unlock()
			steps = append(steps, func() rollover.Result { return rollover.Step(state, policy, observed, m.now()) })
		}
		began = time.Now()
		for _, step := range steps {
			require.NotEmpty(b, step().State.Keys)
		}
		b.ReportMetric(time.Since(began).Seconds(), "s-step")
		b.ReportMetric(busiest(units, zones[0].Policy), "busiest-hour")
	}
}

// peak is the most memory that the process has had.
func peak(b *testing.B) float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		var kib float64
		if _, err := fmt.Sscanf(line, "VmHWM: %f kB", &kib); err == nil {
			return kib / 1024
		}
	}
	return 0
}

// busiest is the number of signatures that are due in the busiest hour, as a multiple
// of the mean of the hours that one round of all signatures takes.
func busiest(units map[wire.Name]*unit, policy Policy) float64 {
	_, refresh, _ := policy.times()
	validity, _, _ := policy.times()
	hours := map[int64]int{}
	total := 0
	for _, u := range units {
		for _, node := range u.signed.zone.Names.All() {
			for _, set := range node.Sets {
				for _, rr := range set.RRSIGs(node.Name) {
					due := int64(rr.(*dns.RRSIG).Expiration) - int64(refresh/time.Second)
					hours[due/3600]++
					total++
				}
			}
		}
	}
	most := 0
	for _, n := range hours {
		most = max(most, n)
	}
	return float64(most) / (float64(total) / (validity - refresh).Hours())
}
