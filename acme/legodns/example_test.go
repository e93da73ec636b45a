package legodns_test

import (
	"context"
	"fmt"

	"github.com/berryrack/berryrack/acme"
	"github.com/berryrack/berryrack/acme/legodns"
)

// printer is a provider of lego's.
type printer struct{}

func (printer) Present(domain, token, keyAuth string) error {
	fmt.Println("present", domain, token, keyAuth)
	return nil
}

func (printer) CleanUp(domain, token, keyAuth string) error { return nil }

func ExampleProvider() {
	provider := &legodns.Provider{DNS: printer{}}
	record := acme.Record{Name: "_acme-challenge.example.org.", KeyAuthorization: "token.thumbprint", Value: acme.Digest("token.thumbprint")}
	fmt.Println(provider.AppendTXT(context.Background(), record))
	// Output:
	// present example.org token token.thumbprint
	// <nil>
}
