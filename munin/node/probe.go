package node

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Verdict is what a [Prober] found a node to be.
type Verdict string

const (
	Reachable   Verdict = "reachable"    // the master can collect from it
	Unreachable Verdict = "unreachable"  // no connection, no answer, or no munin node
	Denied      Verdict = "denied"       // it hangs up: its allow lines lack this machine
	WrongName   Verdict = "wrong name"   // it has plugins, for other names alone
	NoPlugins   Verdict = "no plugins"   // it has none for this name
	TLSRequired Verdict = "TLS required" // it does not answer in plain text
	Slow        Verdict = "slow"         // the master can collect from it, but not in its share of time
)

// Target is one host to probe, as the master knows it.
type Target struct {
	// Name is the master's name of the host; Group is for the reader.
	Group, Name string
	// Address is host:port.
	Address string
	// UseNodeName asks for the plugins of the name in the banner.
	UseNodeName bool
	// LocalAddress is where to connect from; the zero Addr leaves it to the
	// kernel.
	LocalAddress netip.Addr
	// TLS is nil for plain text. With TLSOptional a node that does no TLS is
	// asked in plain text.
	TLS         *tls.Config
	TLSOptional bool
}

// Report is the verdict on one [Target].
type Report struct {
	Target  Target
	Verdict Verdict // what Err and the answers amount to
	// NodeName is the name in the banner, Nodes what the node answers for, when
	// the name is wrong, and Plugins how many there are for the name.
	NodeName string
	Nodes    []string
	Plugins  int
	// Took is from connecting to the last answer.
	Took time.Duration
	// Err says why the node is not reachable; nil when it is.
	Err error
}

// Prober asks many nodes at once. The zero Prober is ready.
type Prober struct {
	// Parallel is how many nodes are asked at once; 0 and less is 128.
	Parallel int
	Limits   Limits // of what one node may answer; zero fields have defaults
	// NodeTimeout is the most that one node takes in all; 0 is
	// [NodeTimeout].
	NodeTimeout time.Duration
	// Slow is the time from which on a node is called so; 0 is its share of the
	// 240 s in which munin-update's 16 processes must be done with all, at most
	// 10 s.
	Slow time.Duration
	// Collect fetches config and values of every plugin, as munin-update does,
	// so that Took is what the master would need; otherwise only the names of the
	// plugins are asked for.
	Collect bool
}

// Probe returns a report on each target, in their order. Its error is ctx's;
// the reports that were not made are then without a verdict.
func (p *Prober) Probe(ctx context.Context, targets []Target) ([]Report, error) {
	reports := make([]Report, len(targets))
	next := make(chan int)
	var workers sync.WaitGroup
	parallel := p.Parallel
	if parallel <= 0 {
		parallel = 128
	}
	for range min(parallel, len(targets)) {
		workers.Go(func() {
			for i := range next {
				reports[i] = p.one(ctx, targets[i], p.slow(len(targets)))
			}
		})
	}
feed:
	for i := range targets {
		reports[i].Target = targets[i]
		select {
		case next <- i:
		case <-ctx.Done():
			break feed
		}
	}
	close(next)
	workers.Wait()
	if ctx.Err() != nil {
		return reports, fmt.Errorf("node: probe: %w", context.Cause(ctx))
	}
	return reports, nil
}

func (p *Prober) slow(targets int) time.Duration {
	if p.Slow != 0 {
		return p.Slow
	}
	return min(Processes*Round/time.Duration(max(targets, 1)), 10*time.Second)
}

func (p *Prober) one(ctx context.Context, t Target, slow time.Duration) Report {
	r := Report{Target: t}
	start := time.Now()
	most := orDefault(p.NodeTimeout, NodeTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, most, fmt.Errorf("not done within %v: %w", most, context.DeadlineExceeded))
	defer cancel()
	r.Err = p.ask(ctx, &r)
	r.Took = time.Since(start)
	switch {
	case errors.Is(r.Err, ErrDenied):
		r.Verdict = Denied
	case errors.Is(r.Err, ErrTLSRequired):
		r.Verdict = TLSRequired
	case r.Err != nil:
		r.Verdict = cmp.Or(r.Verdict, Unreachable)
	case r.Took > slow:
		r.Verdict = Slow
	default:
		r.Verdict = Reachable
	}
	return r
}

func (p *Prober) ask(ctx context.Context, r *Report) error {
	c, err := dialFrom(ctx, r.Target.Address, r.Target.LocalAddress, p.Limits)
	if err != nil {
		return err
	}
	defer c.Close()
	r.NodeName = c.Name()
	if r.Target.TLS != nil {
		if err := c.StartTLS(ctx, r.Target.TLS); err != nil && !(r.Target.TLSOptional && errors.Is(err, ErrNoTLS)) {
			return err
		}
	}
	if _, err := c.Cap(ctx, "multigraph", "dirtyconfig"); err != nil {
		return err
	}
	name := r.Target.Name
	if r.Target.UseNodeName {
		name = c.Name()
	}
	plugins, err := c.List(ctx, name)
	if err != nil {
		return err
	}
	if r.Plugins = len(plugins); len(plugins) == 0 {
		return nothing(ctx, c, r, name)
	}
	if !p.Collect {
		return nil
	}
	return collect(ctx, c, plugins)
}

// nothing finds out why a node lists no plugins for a name.
func nothing(ctx context.Context, c *Client, r *Report, name string) error {
	nodes, err := c.Nodes(ctx)
	if err != nil {
		return err
	}
	if slices.Contains(nodes, strings.ToLower(name)) || len(nodes) == 0 {
		r.Verdict = NoPlugins
		return fmt.Errorf("node: no plugins for %q", name)
	}
	r.Verdict, r.Nodes = WrongName, nodes
	return fmt.Errorf("node: nothing is known here of %q, but of %.200q: set host_name on the node, or use_node_name or another name on the master", name, strings.Join(nodes, ", "))
}

// collect does what munin-update does with each plugin. One that fails there
// is skipped, as the master does.
func collect(ctx context.Context, c *Client, plugins []string) error {
	for _, plugin := range plugins {
		for _, ask := range []func(context.Context, string) ([]Graph, error){c.Config, c.Fetch} {
			if _, err := ask(ctx, plugin); err != nil && c.failed {
				return err
			}
		}
	}
	return nil
}

// What munin-update has, unless munin.conf says otherwise.
const (
	Processes      = 16                // max_processes
	Round          = 240 * time.Second // timeout_fetch_all_nodes
	NodeTimeout    = 180 * time.Second // timeout_fetch_one_node
	ConnectTimeout = 180 * time.Second // timeout, spent on a host that does not answer
)

// Estimate is how long munin-update would take for all hosts.
type Estimate struct {
	Hosts int // that munin-update would ask
	// Total is one round with the given processes, Longest the longest host.
	Total, Longest time.Duration
	// Fits says that a round ends within [Round], and so before the next one
	// begins 5 minutes after the first.
	Fits bool
}

// EstimateRound returns how long a round of munin-update would take with so
// many processes (0 is [Processes]), from how long each host took: at least so
// long, unless the Prober had Collect set. A host that did not answer costs the
// master its whole timeout.
func EstimateRound(reports []Report, processes int) Estimate {
	if processes = orDefault(processes, Processes); processes < 1 {
		processes = 1
	}
	e := Estimate{Hosts: len(reports)}
	busy := make([]time.Duration, min(processes, max(len(reports), 1)))
	for _, r := range reports {
		took := r.Took
		var network net.Error
		if errors.As(r.Err, &network) && network.Timeout() || errors.Is(r.Err, context.DeadlineExceeded) {
			took = max(took, ConnectTimeout)
		}
		e.Longest = max(e.Longest, took)
		// The next host goes to the process that is done first.
		least := slices.Index(busy, slices.Min(busy))
		busy[least] += took
		e.Total = max(e.Total, busy[least])
	}
	e.Fits = e.Total <= Round
	return e
}
