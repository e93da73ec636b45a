package failover

import (
	"math"
	"time"
)

// histogram counts latencies in buckets that are one percent wide, from a
// microsecond up to hours.
type histogram struct {
	counts [2400]int64
	n      int64
	max    time.Duration
}

const bucketWidth = 1.01

func (h *histogram) add(d time.Duration) {
	i := 0
	if d > time.Microsecond {
		i = int(math.Log(float64(d)/float64(time.Microsecond)) / math.Log(bucketWidth))
	}
	h.counts[min(i, len(h.counts)-1)]++
	h.n++
	h.max = max(h.max, d)
}

// quantile returns the latency that a share q of all has at most, 0 with none.
func (h *histogram) quantile(q float64) time.Duration {
	rank, seen := int64(math.Ceil(q*float64(h.n))), int64(0)
	for i, count := range h.counts {
		if seen += count; count > 0 && seen >= rank {
			upper := math.Pow(bucketWidth, float64(i+1)) * float64(time.Microsecond)
			return min(time.Duration(upper), h.max)
		}
	}
	return h.max
}
