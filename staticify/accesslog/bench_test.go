package accesslog_test

import (
	"bytes"
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/berryrack/berryrack/staticify/accesslog"
	"github.com/berryrack/berryrack/staticify/topk"
	"github.com/berryrack/berryrack/staticify/zipflog"
)

// processorTime is what all threads have used: on a machine that does other work it says more than a clock.
func processorTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func combinedLog(lines int) []byte {
	g := zipflog.New(1)
	var text []byte
	for range lines {
		text = g.AppendCombined(text)
	}
	return text
}

// BenchmarkRead reads lines, and BenchmarkCount also counts them: ns/op is the time of one line.
func BenchmarkRead(b *testing.B) {
	benchmark(b, func(*accesslog.Hit) {})
}

func BenchmarkCount(b *testing.B) {
	s := topk.New(8192)
	benchmark(b, func(h *accesslog.Hit) { s.Add(h.Target, topk.Client(h.Client)) })
}

func benchmark(b *testing.B, each func(*accesslog.Hit)) {
	const lines = 200_000
	text := combinedLog(lines)
	var format accesslog.Format
	b.SetBytes(int64(len(text) / lines))
	b.ReportAllocs()
	start := processorTime()
	b.ResetTimer()
	for left := b.N; left > 0; left -= lines {
		r := accesslog.NewReader(bytes.NewReader(text), format)
		for range min(left, lines) {
			h, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
			each(h)
		}
	}
	b.ReportMetric(float64(b.N)/(processorTime()-start).Seconds(), "lines/s/core")
}
