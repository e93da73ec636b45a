package accesslog_test

import (
	"bytes"
	"io"
	"sync"
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

const benchLines = 200_000

// combinedLog is made once, and not while anything is timed.
var combinedLog = sync.OnceValue(func() []byte {
	g := zipflog.New(1)
	text := make([]byte, 0, 300*benchLines)
	for range benchLines {
		text = g.AppendCombined(text)
	}
	return text
})

// BenchmarkRead reads lines, and BenchmarkCount also counts them: ns/op is the time of one line.
func BenchmarkRead(b *testing.B) {
	benchmark(b, func(*accesslog.Hit) {})
}

func BenchmarkCount(b *testing.B) {
	s := topk.New(8192)
	benchmark(b, func(h *accesslog.Hit) { s.Add(h.Target, topk.Client(h.Client)) })
}

func benchmark(b *testing.B, each func(*accesslog.Hit)) {
	text := combinedLog()
	var format accesslog.Format
	b.SetBytes(int64(len(text) / benchLines))
	b.ReportAllocs()
	start := processorTime()
	b.ResetTimer()
	for left := b.N; left > 0; left -= benchLines {
		r := accesslog.NewReader(bytes.NewReader(text), format)
		for range min(left, benchLines) {
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
