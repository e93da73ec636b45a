package frontend

import (
	"cmp"
	"context"
	"net"
	"slices"
	"time"
)

const defaultInterval = 2 * time.Second

// failures is how many probes in a row must fail until a backend is down.
const failures = 2

// watch probes the backend until ctx ends.
func (f *Frontend) watch(ctx context.Context, b *backend) {
	ticker := time.NewTicker(cmp.Or(b.every, defaultInterval))
	defer ticker.Stop()
	for failed := 0; ; {
		if f.probe(ctx, b) {
			failed = 0
		} else {
			failed++
		}
		if ctx.Err() != nil {
			return
		}
		down := failed >= failures || failed > 0 && b.down.Load()
		if b.down.Swap(down) != down {
			f.info("backend", "address", b.addr, "up", !down)
			if down {
				f.dropIdle(b)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// dropIdle closes the idle HTTP connections of the sites that the backend has,
// so that no request waits on a machine that is gone.
func (f *Frontend) dropIdle(b *backend) {
	for _, s := range f.routes.Load().all {
		if slices.Contains(s.backends, b) {
			s.http.CloseIdleConnections()
		}
	}
}

func (f *Frontend) probe(ctx context.Context, b *backend) bool {
	ctx, cancel := context.WithTimeout(ctx, f.routes.Load().config.Limits.Connect)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp6", b.probe.String())
	if err != nil {
		return false
	}
	conn.Close()
	return true
}
