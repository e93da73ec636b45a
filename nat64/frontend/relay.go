package frontend

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A pair is a client's connection and the backend's.
type pair struct {
	client, backend *net.TCPConn
	octets          atomic.Uint64 // both ways
	swept           uint64        // octets when the sweeper last saw some move, and when that was
	since           time.Time
	dead            atomic.Bool
}

// relay moves octets both ways until both sides have ended, or one has failed.
// The end of one side is passed on to the other, and so is its reset.
func (f *Frontend) relay(p *pair) {
	var back sync.WaitGroup
	back.Go(func() { f.oneWay(p, p.client, p.backend, &f.counters.toClients) })
	f.oneWay(p, p.backend, p.client, &f.counters.toBackends)
	back.Wait()
}

// oneWay moves octets from src to dst until src ends.
func (f *Frontend) oneWay(p *pair, dst, src *net.TCPConn, total *atomic.Uint64) {
	err := f.pump(dst, src, func(n int) {
		p.octets.Add(uint64(n))
		total.Add(uint64(n))
	})
	if err == nil {
		err = dst.CloseWrite()
	}
	if err != nil {
		p.abort()
	}
}

// abort resets both connections: neither side may take what it has for all.
func (p *pair) abort() {
	if p.dead.Swap(true) {
		return
	}
	for _, conn := range []*net.TCPConn{p.client, p.backend} {
		_ = conn.SetLinger(0) // it may be closed already
		conn.Close()
	}
}
