package frontend

import (
	"net"
	"sync/atomic"
)

// A pair is a client's connection and the backend's.
type pair struct {
	activity
	client  *net.TCPConn
	backend *upstream
	dead    atomic.Bool
	ended   atomic.Int32 // directions
	done    func()
}

// relay starts to move octets both ways until both sides have ended, or one
// has failed. The end of one side is passed on to the other, and so is its
// reset. Its goroutines are new ones: the one that connected to the backend has
// a large stack, which an idle connection should not keep.
func (f *Frontend) relay(p *pair) {
	f.track(p)
	go f.oneWay(p, p.client, p.backend.TCPConn, &f.counters.toClients)
	go f.oneWay(p, p.backend.TCPConn, p.client, &f.counters.toBackends)
}

// oneWay moves octets from src to dst until src ends. The second direction to
// end closes the pair.
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
	if p.ended.Add(1) == 2 {
		p.client.Close()
		p.backend.Close()
		f.forget(p)
		p.done()
	}
}

// abort resets both connections: neither side may take what it has for all.
func (p *pair) abort() {
	if p.dead.Swap(true) {
		return
	}
	for _, conn := range []*net.TCPConn{p.client, p.backend.TCPConn} {
		_ = conn.SetLinger(0) // it may be closed already
		conn.Close()
	}
}
