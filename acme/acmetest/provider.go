package acmetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/berryrack/berryrack/acme"
)

// A Subject is a provider under test.
type Subject struct {
	Provider acme.Provider // under test
	Zone     string        // in which the suite works: "example.org."
	// Lookup returns the values of the TXT records that are published at a name,
	// by another way than the provider's.
	Lookup func(name string) []string
	// Foreign publishes a TXT record by another way than the provider's; nil uses
	// the provider.
	Foreign func(name, value string)
	// Within is how long a change may take to show; 0 is five seconds.
	Within time.Duration
}

// settled polls until a name has exactly the digests of these key
// authorizations, in any order.
func (s Subject) settled(t *testing.T, name string, keyAuthorizations ...string) {
	t.Helper()
	var want []string
	for _, k := range keyAuthorizations {
		want = append(want, acme.Digest(k))
	}
	within := s.Within
	if within == 0 {
		within = 5 * time.Second
	}
	slices.Sort(want)
	deadline := time.Now().Add(within)
	for {
		got := slices.Sorted(slices.Values(s.Lookup(name)))
		if slices.Equal(got, want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s has the TXT records %q, want %q", name, got, want)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (s Subject) record(name, keyAuthorization string) acme.Record {
	return acme.Record{Zone: s.Zone, Name: name, Value: acme.Digest(keyAuthorization), TTL: acme.DefaultTTL, KeyAuthorization: keyAuthorization}
}

func (s Subject) add(t *testing.T, name, keyAuthorization string) {
	t.Helper()
	if err := s.Provider.AppendTXT(t.Context(), s.record(name, keyAuthorization)); err != nil {
		t.Fatalf("append %s %q: %v", name, keyAuthorization, err)
	}
}

func (s Subject) delete(t *testing.T, name, keyAuthorization string) {
	t.Helper()
	// The journal does not know the TTL that a record was added with.
	r := s.record(name, keyAuthorization)
	r.TTL = 0
	if err := s.Provider.DeleteTXT(t.Context(), r); err != nil {
		t.Fatalf("delete %s %q: %v", name, keyAuthorization, err)
	}
}

// Key authorizations: the value of the first one has a hyphen in front.
const (
	first  = "token98.thumbprint"
	second = "token0.thumbprint"
)

// Provider runs the conformance suite: every implementation must pass it.
func Provider(t *testing.T, s Subject) {
	name := func(label string) string { return "_acme-challenge." + label + "." + s.Zone }
	t.Run("append and delete", func(t *testing.T) {
		s.add(t, name("one"), first)
		s.settled(t, name("one"), first)
		s.delete(t, name("one"), first)
		s.settled(t, name("one"))
	})
	t.Run("deleting one value keeps the other", func(t *testing.T) {
		s.add(t, name("two"), first)
		s.add(t, name("two"), second)
		s.settled(t, name("two"), first, second)
		s.delete(t, name("two"), first)
		s.settled(t, name("two"), second)
		s.delete(t, name("two"), second)
		s.settled(t, name("two"))
	})
	t.Run("twice is once", func(t *testing.T) {
		s.add(t, name("twice"), first)
		s.add(t, name("twice"), first)
		s.settled(t, name("twice"), first)
		s.delete(t, name("twice"), first)
		s.delete(t, name("twice"), first)
		s.settled(t, name("twice"))
	})
	t.Run("deleting what never was", func(t *testing.T) { s.delete(t, name("never"), first) })
	t.Run("a foreign record survives", s.foreign)
	t.Run("parallel", s.parallel)
	t.Run("the end of the context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Provider.AppendTXT(ctx, s.record(name("ended"), first)); err == nil {
			s.delete(t, name("ended"), first) // one that needs no I/O may do it
		}
	})
}

func (s Subject) foreign(t *testing.T) {
	name := "_acme-challenge.shared." + s.Zone
	if s.Foreign != nil {
		s.Foreign(name, acme.Digest("foreign"))
	} else {
		s.add(t, name, "foreign")
	}
	s.settled(t, name, "foreign")
	s.add(t, name, first)
	s.settled(t, name, "foreign", first)
	s.delete(t, name, first)
	s.delete(t, name, second)
	s.settled(t, name, "foreign")
	s.delete(t, name, "foreign")
	s.settled(t, name)
}

// parallel has many hooks at one name at once.
func (s Subject) parallel(t *testing.T) {
	const hooks = 8
	name := "_acme-challenge.parallel." + s.Zone
	all := func(do func(context.Context, acme.Record) error) (values []string) {
		var wg sync.WaitGroup
		for i := range hooks {
			value := fmt.Sprintf("token%d.parallel", i)
			values = append(values, value)
			wg.Go(func() {
				if err := do(t.Context(), s.record(name, value)); err != nil {
					t.Errorf("%q: %v", value, err)
				}
			})
		}
		wg.Wait()
		return values
	}
	s.settled(t, name, all(s.Provider.AppendTXT)...)
	all(s.Provider.DeleteTXT)
	s.settled(t, name)
}
