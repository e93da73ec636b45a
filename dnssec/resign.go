package dnssec

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/berryrack/berryrack/dnssec/zone"
)

// schedule is when nodes have a signature that ends, as lists sorted by time: one
// for each run that made signatures.
type schedule [][]dueNode

// dueNode is a node, and when the first of its signatures ends.
type dueNode struct {
	expiration uint32
	hashed     bool
	place      uint32
}

// maxLists is how many lists a schedule has before they are joined.
const maxLists = 16

// Resign makes anew the signatures of last that are due at now, the SOA record's
// with a new serial, and the ZONEMD record's. The zone's data stay as they are,
// and so must the signer's keys and settings: what changes them is Sign's. When
// nothing is due, it returns last. The work is in proportion to what is due, but
// for a ZONEMD digest and, once for a result of Sign, a look at all signatures.
func (s *Signer) Resign(ctx context.Context, last *Result, now time.Time) (*Result, error) {
	if last.Due.After(now) {
		return last, nil
	}
	c, err := s.configure(last.Zone.Origin, now)
	if err != nil {
		return nil, err
	}
	c.distrust(last.Zone)
	last.scheduleOnce.Do(func() {
		if last.schedule == nil {
			last.schedule = c.scheduleOf(last.Zone)
		}
	})
	return c.resign(ctx, last)
}

// scheduleOf looks at all signatures of a zone.
func (c *config) scheduleOf(z *zone.Zone) schedule {
	var list []dueNode
	for _, part := range []struct {
		nodes  zone.Nodes
		hashed bool
	}{{z.Names, false}, {z.Hashed, true}} {
		for i, node := range part.nodes.All() {
			if expiration, ok := c.nodeExpiration(node); ok {
				list = append(list, dueNode{expiration, part.hashed, uint32(i)})
			}
		}
	}
	sortDue(list, uint32(c.now.Unix()))
	return schedule{list}
}

// sortDue sorts by time, as seen from now.
func sortDue(list []dueNode, now uint32) {
	slices.SortFunc(list, func(a, b dueNode) int {
		return cmp.Or(cmp.Compare(int32(a.expiration-now), int32(b.expiration-now)), cmp.Compare(a.place, b.place))
	})
}

// nodeExpiration returns when the first signature of a node ends that can be made
// anew.
func (c *config) nodeExpiration(node *zone.Node) (first uint32, ok bool) {
	for i := range node.Sets {
		for rdata := range node.Sets[i].Signatures.All() {
			r := parseRRSIG(rdata)
			if c.canRenew(&r) && (!ok || before(r.expiration, first)) {
				first, ok = r.expiration, true
			}
		}
	}
	return first, ok
}

// take splits off what ends before a time.
func (s schedule) take(end uint32) (due []dueNode, rest schedule) {
	for _, list := range s {
		n := 0
		for n < len(list) && before(list[n].expiration, end) {
			n++
		}
		due = append(due, list[:n]...)
		if n < len(list) {
			rest = append(rest, list[n:])
		}
	}
	return due, rest
}

func (s schedule) add(list []dueNode, now uint32) schedule {
	sortDue(list, now)
	s = append(s, list)
	if len(s) <= maxLists {
		return s
	}
	joined := slices.Concat(s...)
	sortDue(joined, now)
	return schedule{joined}
}

// soonest returns the first time of all.
func (s schedule) soonest(otherwise uint32) uint32 {
	for _, list := range s {
		if len(list) > 0 {
			otherwise = earlier(otherwise, list[0].expiration)
		}
	}
	return otherwise
}

func (c *config) resign(ctx context.Context, last *Result) (*Result, error) {
	old := last.Zone
	now := uint32(c.now.Unix())
	due, rest := last.schedule.take(now + c.refresh + 1)
	r := &run{config: c, origin: old.Origin, source: old, previous: old, soonest: rest.soonest(c.expiry), lapse: last.lapse, changed: true}
	var places [2][]int
	for _, node := range due {
		if !node.hashed && node.place == 0 {
			continue // the apex is signed anew in any case
		}
		places[index(node.hashed)] = append(places[index(node.hashed)], int(node.place))
	}
	places[0] = append(places[0], 0)
	var lists [2]zone.Nodes
	for k, nodes := range []zone.Nodes{old.Names, old.Hashed} {
		slices.Sort(places[k])
		sets, err := r.resignNodes(ctx, nodes, places[k])
		if err != nil {
			return nil, fmt.Errorf("dnssec: sign %s: %w", old.Origin, err)
		}
		lists[k] = nodes.Replace(places[k], sets)
	}
	result, err := r.finishWith(&zone.Zone{Origin: old.Origin, Names: lists[0], Hashed: lists[1]})
	if err != nil {
		return nil, err
	}
	var again []dueNode
	for k, nodes := range lists {
		for _, place := range places[k] {
			if expiration, ok := c.nodeExpiration(nodes.At(place)); ok {
				again = append(again, dueNode{expiration, k == 1, uint32(place)})
			}
		}
	}
	result.schedule = rest.add(again, now)
	return result, nil
}

func index(hashed bool) int {
	if hashed {
		return 1
	}
	return 0
}

// resignNodes returns the sets of nodes with new signatures where they are due.
func (r *run) resignNodes(ctx context.Context, nodes zone.Nodes, places []int) ([][]zone.RRset, error) {
	copies := make([]zone.Node, len(places))
	for i, place := range places {
		copies[i] = *nodes.At(place)
		copies[i].Sets = slices.Clone(copies[i].Sets)
	}
	err := r.parallel(ctx, copies, zone.Nodes{}, &meter{tell: r.Progress, total: len(copies)}, func(w *worker, i int, _ *zone.Node) {
		for j := range copies[i].Sets {
			set := &copies[i].Sets[j]
			if len(set.Signatures) == 0 || places[i] == 0 && copies[i].Name == r.origin && (set.Type == typeSOA || set.Type == typeZONEMD) {
				continue
			}
			old := *set
			w.sign(copies[i].Name, set, &old)
		}
	})
	sets := make([][]zone.RRset, len(copies))
	for i := range copies {
		sets[i] = copies[i].Sets
	}
	return sets, err
}
