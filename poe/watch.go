package poe

import (
	"context"
	"iter"
	"time"
)

// Snapshot is all of a PSE's ports at one time.
type Snapshot struct {
	Time    time.Time `json:"time"`              // when the PSE had answered
	Ports   []Status  `json:"ports"`             // all of them
	Changes []Change  `json:"changes,omitempty"` // since the snapshot before
}

// Change is an event: a port whose admin state, detection status or class is
// not what it was. Watts alone are none; a series of snapshots is their graph.
type Change struct {
	Before Status `json:"before"` // zero when the port is new
	After  Status `json:"after"`  // zero when the port is gone
}

// Watts returns what all ports draw together.
func (s Snapshot) Watts() float64 {
	var sum float64
	for _, port := range s.Ports {
		sum += port.Watts
	}
	return sum
}

// Watch looks at a PSE at once and then at every interval, which must be more
// than zero, until ctx ends or the loop is left. A look that fails yields its
// error with an empty snapshot, and Watch goes on. What the first look finds is
// no change.
func Watch(ctx context.Context, pse PSE, interval time.Duration) iter.Seq2[Snapshot, error] {
	return func(yield func(Snapshot, error) bool) {
		var known []Status
		for ctx.Err() == nil {
			ports, err := pse.Status(ctx)
			if ctx.Err() != nil {
				return
			}
			now := Snapshot{Time: time.Now()}
			if err == nil {
				now.Ports = ports
				if known != nil {
					now.Changes = changes(known, ports)
				}
				known = ports
			}
			if !yield(now, err) || sleep(ctx, interval) != nil {
				return
			}
		}
	}
}

// changes returns what differs between two looks.
func changes(before, after []Status) []Change {
	old := map[PortID]Status{}
	for _, s := range before {
		old[s.Port] = s
	}
	var all []Change
	for _, s := range after {
		was := old[s.Port]
		delete(old, s.Port)
		if was.Admin != s.Admin || was.Detection != s.Detection || was.Class != s.Class || was.Port != s.Port {
			all = append(all, Change{was, s})
		}
	}
	for _, s := range before {
		if was, gone := old[s.Port]; gone {
			all = append(all, Change{Before: was})
		}
	}
	return all
}
