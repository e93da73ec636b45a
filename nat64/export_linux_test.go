package nat64

import (
	"context"
	"time"
)

// ListenHere returns the first prefix that a router announces, with the netlink
// socket opened by the calling thread: a test changes the user of one thread.
func ListenHere(ctx context.Context) ([]Found, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events := make(chan advertised, 1)
	found := make(chan Found, 1)
	go func() {
		select {
		case a := <-events:
			known := prefixes{}
			known.advertise(a, time.Now())
			found <- known.routers[0]
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := listenToRouters(ctx, events); err != nil {
		return nil, err
	}
	return []Found{<-found}, nil
}
