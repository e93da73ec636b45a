package tour

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/server"
	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
	"github.com/berryrack/berryrack/examples/internal/certd"
)

// rackZone is the zone of the rack's site.
const rackZone = `$TTL 300
@    SOA ns hostmaster 1 7200 3600 1209600 300
@    NS ns
ns   AAAA 2001:db8::53
www  AAAA 2001:db8::80
www  A 192.0.2.80
`

// signZone signs the zone, checks it, and asks the server for a name.
func signZone(ctx context.Context, _ *Tour) (result, error) {
	origin, err := wire.ParseName("example.org")
	if err != nil {
		return result{}, err
	}
	unsigned, _, err := zone.Parse([]byte(rackZone), "example.org.zone", origin)
	if err != nil {
		return result{}, err
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return result{}, err
	}
	public, err := dnssec.MakePublicKey(dnssec.FlagZone|dnssec.FlagSEP, dnssec.ECDSAP256SHA256, private.Public())
	if err != nil {
		return result{}, err
	}
	now := time.Now()
	// shown:
	signer := dnssec.Signer{Keys: []dnssec.Key{{PublicKey: public, Signer: private, Use: dnssec.CSK}}}
	signed, err := signer.Sign(ctx, unsigned, nil, now)
	if err != nil {
		return result{}, err
	}
	findings, err := dnssec.Verify(ctx, signed.Zone, now)
	// until here
	if err != nil || len(findings) > 0 {
		return result{}, fmt.Errorf("the signed zone does not verify: %v, %w", findings, err)
	}
	answer, err := askServer(ctx, signed.Zone, "www.example.org.")
	if err != nil {
		return result{}, err
	}
	return result{facts: []string{
		fmt.Sprintf("%d signatures, the first of them ends on %s; a verifier that shares nothing with the signer finds nothing wrong", signed.Signed, signed.Expiry.UTC().Format(time.DateOnly)),
		"the answer to a query with the DO bit:\n" + answer,
	}}, nil
}

// askServer serves the zone on loopback and returns what it answers.
func askServer(ctx context.Context, z *zone.Zone, name string) (string, error) {
	udp, tcp, err := certd.ListenLoopback(ctx)
	if err != nil {
		return "", err
	}
	var s server.Server
	s.Set(z)
	end := background(ctx, func(ctx context.Context) error { return s.Serve(ctx, udp, tcp) })
	defer end()
	query := new(dns.Msg).SetQuestion(name, dns.TypeAAAA).SetEdns0(1232, true)
	answer, err := dns.ExchangeContext(ctx, query, tcp.Addr().String())
	if err != nil {
		return "", err
	}
	var lines []string
	for _, rr := range answer.Answer {
		lines = append(lines, rr.String())
	}
	return strings.Join(lines, "\n"), nil
}
