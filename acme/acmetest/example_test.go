package acmetest_test

import (
	"testing"

	"github.com/berryrack/berryrack/acme"
	"github.com/berryrack/berryrack/acme/acmetest"
)

// The test of a provider: acmetest's own Internet stands for the servers that it
// changes.
func ExampleProvider() {
	_ = func(t *testing.T) {
		internet := acmetest.NewInternet(t)
		zone := internet.Zone("example.org.", "192.0.2.1", "2001:db8::1")
		acmetest.Provider(t, acmetest.Subject{
			Provider: internet.Provider(), // yours
			Zone:     zone.Origin,
			Lookup:   zone.TXT,
		})
	}
}

// A solver whose servers show a record one after the other.
func ExampleInternet() {
	_ = func(t *testing.T) {
		internet := acmetest.NewInternet(t)
		internet.Zone("example.org.", "192.0.2.1", "192.0.2.2").Delay = acme.DefaultInterval
		solver := &acme.Solver{Provider: internet.Provider(), Checker: internet.Checker()}
		if err := solver.Publish(t.Context(), acme.Challenge{Domain: "www.example.org", Value: acme.Digest("token.thumbprint")}); err != nil {
			t.Fatal(err)
		}
	}
}
