package update_test

import (
	"fmt"
	"os"

	"github.com/berryrack/berryrack/dnssec/update"
	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
	"github.com/miekg/dns"
)

func ExampleApply() {
	origin, _ := wire.ParseName("example.org")
	z, _, _ := zone.Parse([]byte("$TTL 300\n@ SOA ns host 1 7200 3600 1209600 300\n@ NS ns.example.net.\n"), "example", origin)
	grant, _ := update.ParseGrant("acme. TXT _acme-challenge")

	message := new(dns.Msg).SetUpdate("example.org.")
	record, _ := dns.NewRR("_acme-challenge.www.example.org. 60 IN TXT token")
	message.Insert([]dns.RR{record}) // what a client sends
	next, err := update.Apply(z, message, "acme.", []update.Grant{grant})
	fmt.Println(err)
	_, _ = next.WriteTo(os.Stdout)

	_, err = update.Apply(z, message, "other.", []update.Grant{grant})
	fmt.Println(err)
	// Output:
	// <nil>
	// example.org.	300	IN	SOA	ns.example.org. host.example.org. 1 7200 3600 1209600 300
	// example.org.	300	IN	NS	ns.example.net.
	// _acme-challenge.www.example.org.	60	IN	TXT	"token"
	// update: REFUSED: key other. may not change _acme-challenge.www.example.org. TXT
}
