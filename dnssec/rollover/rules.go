package rollover

import (
	"math"
	"slices"
	"time"
)

// rule says that whoever has records of one kind must be able to go on with
// records of the next kind, of a key that both have. A resolver combines sets of
// any age that it still has cached, so the rule is held to every such combination.
type rule struct {
	name, section string
	text          string
	// have is what the resolver has; Records is that it comes from nothing.
	have Record
	// need is what it has to find, all of the same key and in the same set.
	need []Record
}

// rules is the validity rules of "Flexible and Robust Key Rollover" (SATIN 2012),
// section 3.
var rules = []rule{
	{"rule 1", "RFC 6781 section 4.1.2", "there must be a DS record at all times", Records, []Record{DS}},
	{"rule 2", "RFC 4035 section 5.2", "every DS set must lead to a key that every DNSKEY set has and is signed with", DS, []Record{DNSKEY, KRRSIG}},
	{"rule 3", "RFC 4035 section 2.2", "every DNSKEY set must have a key that signed every set, for each of its algorithms", DNSKEY, []Record{ZRRSIG}},
}

// broken returns the rule because of which a resolver may not find what it needs,
// nil when it does. That there is a DS record is not needed for it.
func (s *step) broken() *rule {
	for i := range s.rules {
		rule := &s.rules[i]
		for _, algorithm := range s.algorithms(rule) {
			if rule.have != Records && s.failures(rule, algorithm) > 0 {
				return rule
			}
		}
	}
	return nil
}

// failures evaluates a rule: each set that a resolver may have must share a key of
// the algorithm with each set that it may find. It counts those that do not.
func (s *step) failures(r *rule, algorithm int) (count int) {
	var have []keySet
	switch {
	case r.have == Records && !s.Signed:
		return 0
	case r.have == Records:
		have = []keySet{math.MaxUint64}
	case r.have == DS:
		have = s.leastDS(algorithm)
	case s.insecure():
		return 0
	default:
		have = s.versions([]Record{r.have}, algorithm)
	}
	need := s.versions(r.need, algorithm)
	for _, a := range have {
		for _, b := range need {
			if a != 0 && a&b == 0 {
				count++
			}
		}
	}
	return count
}

// keySet is keys by their place in State.Keys, a bit each.
type keySet uint64

// maxKeys is how many keys a zone may have at once before no more are made.
const maxKeys = 32

const anyAlgorithm = 0

// interval is when a record was in its set, from in until out.
type interval struct{ in, out int64 }

var (
	always = interval{math.MinInt64, math.MaxInt64}
	never  = interval{}
)

// presence returns when a resolver's copy of the set must be from to have the
// record. What is older than Rumoured has certainly not got it; Omnipresent and
// Hidden ones were so for as long as any copy is old.
func (r *RecordStatus) presence() interval {
	switch r.State {
	case Rumoured:
		return interval{stamp(r.Since), math.MaxInt64}
	case Omnipresent:
		return always
	case Unretentive:
		in := stamp(r.Entered)
		return interval{in, max(stamp(r.Since), in+1)} // in one instant it still was there
	}
	return never
}

// stamp is a time as a number, the zero time before all others.
func stamp(t time.Time) int64 {
	if t.IsZero() {
		return math.MinInt64
	}
	return t.UnixNano()
}

// versions returns what sets of the given records, which are served together, a
// resolver may have a copy of: one for each change that it may have missed.
func (s *step) versions(of []Record, algorithm int) []keySet {
	var intervals [maxKeys]interval
	var keys [maxKeys]int
	starts := append(make([]int64, 0, 2*maxKeys), math.MinInt64)
	n := 0
	for i := range s.Keys {
		if !s.matches(i, of[0], algorithm) {
			continue
		}
		present := always
		for _, record := range of {
			other := s.Keys[i].Records[record].presence()
			present = interval{max(present.in, other.in), min(present.out, other.out)}
		}
		if present.in >= present.out {
			continue
		}
		intervals[n], keys[n] = present, i
		starts = append(starts, present.in)
		if present.out != math.MaxInt64 {
			starts = append(starts, present.out)
		}
		n++
	}
	slices.Sort(starts)
	starts = slices.Compact(starts)
	sets := make([]keySet, len(starts))
	for i, start := range starts {
		for j, interval := range intervals[:n] {
			if interval.in <= start && start < interval.out {
				sets[i] |= 1 << keys[j]
			}
		}
	}
	return sets
}

// leastDS returns the smallest DS sets that a resolver may have. When records of
// the parent come and go, and in which order, is not ours to say, so any choice
// of those that are not omnipresent is possible.
func (s *step) leastDS(algorithm int) []keySet {
	var base keySet
	var single []keySet
	for i := range s.Keys {
		if !s.matches(i, DS, algorithm) {
			continue
		}
		switch s.Keys[i].Records[DS].State {
		case Omnipresent:
			base |= 1 << i
		case Rumoured, Unretentive:
			single = append(single, 1<<i)
		}
	}
	if base != 0 {
		return []keySet{base}
	}
	return single
}

// matches reports whether a key has such a record, and is of the algorithm.
func (s *step) matches(i int, record Record, algorithm int) bool {
	key := &s.Keys[i]
	return i < maxKeys && key.Role.Has(record) && (algorithm == anyAlgorithm || int(key.Public.Algorithm) == algorithm)
}

// algorithms returns those for which a rule is to hold: of all keys, one after the
// other, but for the first rule.
func (s *step) algorithms(r *rule) []int {
	if r.have == Records {
		return []int{anyAlgorithm}
	}
	var found []int
	for i := range s.Keys {
		algorithm := int(s.Keys[i].Public.Algorithm)
		if !slices.Contains(found, algorithm) {
			found = append(found, algorithm)
		}
	}
	return found
}

// insecure reports whether no resolver has a DS record of the zone, so that nobody
// validates; or no key of it, so that nobody can.
func (s *step) insecure() bool {
	return s.keyless || s.all(DS, Hidden) && !s.now.Before(s.StrayUntil)
}

// all reports whether a record is in the state with all keys.
func (s *step) all(record Record, state RecordState) bool {
	for i := range s.Keys {
		if s.Keys[i].Records[record].State != state {
			return false
		}
	}
	return true
}

// hidden reports whether no resolver knows anything of the key.
func (k *Key) hidden() bool {
	for _, r := range k.Records {
		if r.State != Hidden {
			return false
		}
	}
	return true
}
