package staticify

import (
	"bytes"
	"testing"

	"github.com/berryrack/berryrack/staticify/accesslog"
	"github.com/berryrack/berryrack/staticify/zipflog"
)

// BenchmarkObserve reads, judges and counts lines: ns/op is the time of one.
func BenchmarkObserve(b *testing.B) {
	const lines = 200_000
	g := zipflog.New(1)
	var text []byte
	for range lines {
		text = g.AppendCombined(text)
	}
	var r Ranker
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N; left > 0; left -= lines {
		log := accesslog.NewReader(bytes.NewReader(text), accesslog.Format{})
		for range min(left, lines) {
			h, err := log.Next()
			if err != nil {
				b.Fatal(err)
			}
			r.Observe(h)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}
