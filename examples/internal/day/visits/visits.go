// Package visits counts the connections of visitors to a web server.
package visits

import (
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// Connections counts those of visitors: what is asked on them. A probe that
// sends nothing is none. The zero value has none.
type Connections struct {
	number atomic.Int64
	known  sync.Map
}

// Number is how many are open.
func (c *Connections) Number() int64 { return c.number.Load() }

// Count is for http.Server.ConnState.
func (c *Connections) Count(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateActive:
		if _, known := c.known.LoadOrStore(conn, true); !known {
			c.number.Add(1)
		}
	case http.StateClosed, http.StateHijacked:
		if _, known := c.known.LoadAndDelete(conn); known {
			c.number.Add(-1)
		}
	}
}
