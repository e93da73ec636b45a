package failover

import (
	"fmt"
	"iter"
	"time"

	"github.com/berryrack/berryrack/staticify/accesslog"
)

// hit is one request of an access log.
type hit struct {
	time   time.Time
	method string
	target string
	status int
}

// readLogs returns the requests of access logs in their format, one file after the
// other. Lines that are in no such format are passed over.
func (p Pages) readLogs() iter.Seq2[hit, error] {
	return func(yield func(hit, error) bool) {
		format, err := accesslog.ParseFormat(p.Format)
		if err != nil {
			yield(hit{}, err)
			return
		}
		for _, path := range p.Logs {
			if !readLog(path, format, yield) {
				return
			}
		}
	}
}

// readLog reports whether the caller wants more.
func readLog(path string, format accesslog.Format, yield func(hit, error) bool) bool {
	log, err := accesslog.Open(path, format)
	if err != nil {
		return yield(hit{}, err)
	}
	defer log.Close()
	for h, err := range log.All() {
		if err != nil {
			return yield(hit{}, fmt.Errorf("%s: %w", path, err))
		}
		if !yield(hit{h.Time, string(h.Method), string(h.Target), h.Status}, nil) {
			return false
		}
	}
	return true
}
