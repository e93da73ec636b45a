package transfer

import (
	"slices"
	"testing"

	"github.com/berryrack/berryrack/dnssec/zone"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// FuzzSplit reads answers to IXFR: whatever they are, no panic, and what is read
// is written again as it was.
func FuzzSplit(f *testing.F) {
	for _, text := range []string{"sssa", "sSarbsts", "ss", "s", "", "sabs", "sSabsas", "sSsSs"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var records []dns.RR
		for _, c := range text {
			line := "a.example. 60 TXT " + string(rune('a'+c%26))
			switch c {
			case 's', 't':
				line = "example. 60 SOA ns. host. 2 2 3 4 5"
			case 'S':
				line = "example. 60 SOA ns. host. 1 2 3 4 5"
			case 'r':
				line = "a.example. 60 RRSIG TXT 15 2 60 20300101000000 20200101000000 1 example. AAAA"
			}
			rr, err := dns.NewRR(line)
			require.NoError(t, err)
			records = append(records, rr)
		}
		list, whole, err := split(records)
		if err != nil || whole {
			return
		}
		again := records[:1:1]
		for _, d := range list {
			again = slices.AppendSeq(again, d.Records("\x07example\x00"))
		}
		again = append(again, (&zone.RRset{Type: list[0].To.Type, TTL: 60, Data: list[len(list)-1].To.Data}).RRs("\x07example\x00")...)
		require.Equal(t, len(records), len(again))
		for i := range records {
			require.True(t, dns.IsDuplicate(records[i], again[i]), "%v %v", records[i], again[i])
		}
	})
}
