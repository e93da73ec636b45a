package poectl

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/berryrack/berryrack/examples/internal/daemon"
	"github.com/berryrack/berryrack/poe"
)

// Event is a change of a port in an answer.
type Event struct {
	Time   time.Time  `json:"time"`
	Switch string     `json:"switch"`
	Port   poe.PortID `json:"port"`
	Name   string     `json:"name,omitempty"`
	Before poe.Status `json:"before"`
	After  poe.Status `json:"after"`
}

// Watcher prints the changes of all ports as they happen.
type Watcher struct {
	Open     func(context.Context) (*Rack, error)
	Out      io.Writer
	Logger   *slog.Logger
	Interval time.Duration
	JSON     bool

	mu      sync.Mutex
	rack    *Rack
	reload  chan *Rack
	last    map[string]poe.Snapshot
	changes map[string]float64
	failed  map[string]float64
}

// Run watches all switches until ctx ends. A switch that does not answer is
// tried again, also at the start.
func (w *Watcher) Run(ctx context.Context, ready func()) error {
	w.mu.Lock()
	w.reload, w.changes, w.failed = make(chan *Rack), map[string]float64{}, map[string]float64{}
	w.mu.Unlock()
	rack, err := w.checked(ctx)
	if err != nil {
		return err
	}
	for rack != nil {
		old := rack
		rack = w.watch(ctx, rack, ready)
		old.Close()
	}
	return nil
}

// checked opens the configuration and reads the secrets that it names.
func (w *Watcher) checked(ctx context.Context) (*Rack, error) {
	rack, err := w.Open(ctx)
	if err != nil {
		return nil, err
	}
	if err := rack.Check(); err != nil {
		rack.Close()
		return nil, err
	}
	return rack, nil
}

// Reload reads the configuration again. With one that is wrong, or secrets that
// cannot be read, the old one stays.
func (w *Watcher) Reload(ctx context.Context) error {
	rack, err := w.checked(ctx)
	if err != nil {
		return err
	}
	select {
	case w.reload <- rack:
		return nil
	case <-ctx.Done():
		rack.Close()
		return context.Cause(ctx)
	}
}

// watch watches a rack until ctx ends, or until there is a new one.
func (w *Watcher) watch(ctx context.Context, rack *Rack, ready func()) (next *Rack) {
	w.mu.Lock()
	w.rack, w.last = rack, map[string]poe.Snapshot{}
	w.mu.Unlock()
	ready()
	watching, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	for _, s := range rack.Config.Switches {
		all.Go(func() { w.watchSwitch(watching, rack, s.Name) })
	}
	select {
	case next = <-w.reload:
	case <-ctx.Done():
	}
	stop()
	all.Wait()
	return next
}

// watchSwitch watches a switch once it can be spoken to.
func (w *Watcher) watchSwitch(ctx context.Context, rack *Rack, name string) {
	u, err := rack.begin(ctx, name, reading)
	for err != nil {
		w.take(name, nil, poe.Snapshot{}, err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(w.Interval):
		}
		u, err = rack.begin(ctx, name, reading)
	}
	defer u.close()
	for now, err := range poe.Watch(ctx, u.PSE, w.Interval) {
		w.take(name, u, now, err)
	}
}

func (w *Watcher) take(name string, u *unit, now poe.Snapshot, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.failed[name]++
		w.Logger.Warn("no answer", "switch", name, "error", err)
		return
	}
	w.last[name] = now
	for _, change := range now.Changes {
		w.changes[name]++
		port := change.After.Port
		if !port.IsValid() {
			port = change.Before.Port
		}
		w.print(Event{now.Time, name, port, u.Guard.Ports[port].Name, change.Before, change.After})
	}
}

func (w *Watcher) print(e Event) {
	if w.JSON {
		_ = json.NewEncoder(w.Out).Encode(e)
		return
	}
	fmt.Fprintf(w.Out, "%s %s %v %s: %v, %s W -> %v, %s W\n", e.Time.Format(time.TimeOnly), e.Switch, e.Port, or(e.Name, "-"),
		e.Before.Detection, watts(e.Before), e.After.Detection, watts(e.After))
}

// Figures returns what has been seen, for graphs.
func (w *Watcher) Figures() []daemon.Figure {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []daemon.Figure
	if w.rack == nil {
		return nil
	}
	for _, s := range w.rack.Config.Switches {
		labels := map[string]string{"switch": s.Name}
		all = append(all,
			daemon.Figure{Name: "poectl_changes_total", Help: "Status changes seen.", Counter: true, Labels: labels, Value: w.changes[s.Name]},
			daemon.Figure{Name: "poectl_failed_looks_total", Help: "Times that the switch did not answer.", Counter: true, Labels: labels, Value: w.failed[s.Name]})
		for _, p := range w.last[s.Name].Ports {
			labels := map[string]string{"switch": s.Name, "port": p.Port.String(), "name": w.rack.nameOf(s.Name, p.Port), "class": p.Class.String()}
			if p.Metered {
				all = append(all, daemon.Figure{Name: "poectl_port_watts", Help: "Power drawn.", Labels: labels, Value: p.Watts})
			}
			delivering := 0.0
			if p.Delivering() {
				delivering = 1
			}
			all = append(all, daemon.Figure{Name: "poectl_port_delivering", Help: "Whether the port feeds a device.", Labels: labels, Value: delivering})
		}
	}
	return all
}

func (r *Rack) nameOf(name string, id poe.PortID) string {
	for device, p := range r.Config.Ports {
		if p.Switch == name && p.Port == id {
			return device
		}
	}
	return ""
}
