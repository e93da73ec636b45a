package server

import (
	"fmt"
	"net"
	"testing"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// recorder is the writer of one answer.
type recorder struct {
	dns.ResponseWriter
	answers []*dns.Msg
}

func (r *recorder) RemoteAddr() net.Addr { return &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 53} }
func (r *recorder) TsigStatus() error    { return dns.ErrSig }
func (r *recorder) WriteMsg(m *dns.Msg) error {
	r.answers = append(r.answers, m)
	return nil
}

// FuzzServeDNS answers any message that package dns can read: with what can be
// packed and fits, or not at all.
func FuzzServeDNS(f *testing.F) {
	for _, name := range []string{"example.", "x.wild.example.", "b.c.example.", "nothing.example.", "insecure.example.", "a.near.example."} {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeANY, dns.TypeDS, dns.TypeAXFR, dns.TypeIXFR, dns.TypeRRSIG} {
			m := new(dns.Msg)
			m.SetQuestion(name, qtype)
			m.SetEdns0(4096, true)
			packed, err := m.Pack()
			require.NoError(f, err)
			f.Add(packed)
		}
	}
	var servers []*Server
	for _, denial := range []dnssec.Denial{dnssec.NSEC, dnssec.NSEC3, dnssec.NSEC3OptOut} {
		z, _ := signedWith(f, denial, example)
		s := new(Server)
		s.Set(z)
		servers = append(servers, s)
	}
	f.Fuzz(func(t *testing.T, packed []byte) {
		query := new(dns.Msg)
		if query.Unpack(packed) != nil {
			return
		}
		for _, s := range servers {
			var w recorder
			s.ServeDNS(&w, query)
			for _, answer := range w.answers {
				require.True(t, answer.Response)
				out, err := answer.Pack()
				require.NoError(t, err)
				require.LessOrEqual(t, len(out), maxUDP)
			}
		}
	})
}

func ExampleServer() {
	origin, _ := wire.ParseName("example.org")
	z, _, err := zone.Parse([]byte("@ 60 SOA ns host 1 7200 3600 604800 300\n@ 60 NS ns\nns 60 AAAA 2001:db8::1\n"), "example.org.zone", origin)
	if err != nil {
		fmt.Println(err)
		return
	}
	var s Server
	s.Set(z)
	var w recorder
	s.ServeDNS(&w, new(dns.Msg).SetQuestion("ns.example.org.", dns.TypeAAAA))
	fmt.Println(w.answers[0].Answer[0])
	// Output: ns.example.org.	60	IN	AAAA	2001:db8::1
}
