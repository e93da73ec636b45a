package accesslog

import (
	"net/netip"
	"time"
)

// Hit is one line of a log: what a client asked for, and what it got. The byte slices are valid until the next line
// is read. They hold what the client sent, any byte at all, decoded once: print them quoted.
type Hit struct {
	Time      time.Time     // when the request ended; zero when the format has no time
	Client    netip.Addr    // zero when the line has no address
	Method    []byte        // GET
	Target    []byte        // the request target as sent: path, then perhaps a query
	Host      []byte        // empty when the format has none
	User      []byte        // the name in the Authorization header; empty when there was none
	UserAgent []byte        // empty when there was none
	Status    int           // 200
	Bytes     int64         // of the body, or of the whole answer: what the format logs
	Took      time.Duration // from request to answer; zero when the format does not log it
}
