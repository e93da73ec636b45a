package server

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
	"github.com/berryrack/berryrack/internal/lab"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// TestUnbound has a validating resolver that trusts the zone's key ask for every
// name and type, for what does not exist beside each name, and through wildcards.
func TestUnbound(t *testing.T) {
	lab.Need(t, "unbound")
	if !lab.Isolated(t) {
		return
	}
	for _, tt := range unboundZones() {
		t.Run(tt.name, func(t *testing.T) {
			denial := tt.denial
			z, key := signedWith(t, denial, tt.text)
			var s Server
			s.Set(z)
			authority := serve(t, &s)
			resolver := unbound(t, authority, z.Origin, key)
			asked := 0
			for name := range questions(z) {
				for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeNS, dns.TypeDS, dns.TypeSOA, dns.TypeMX, dns.TypeCNAME, dns.TypeDNAME, dns.TypeDNSKEY, 65280} {
					direct := ask(t, "udp", authority, name.String(), qtype, true)
					if isReferral(direct) || leavesZone(direct) || name == z.Origin && qtype == dns.TypeDS {
						continue // the resolver would ask servers that are not there
					}
					reply := ask(t, "udp", resolver, name.String(), qtype, true)
					asked++
					require.Equal(t, direct.Rcode, reply.Rcode, "%s %d\n%s\n%s", name, qtype, direct, reply)
					require.Equal(t, len(direct.Answer) > 0, len(reply.Answer) > 0, "%s %d\n%s\n%s", name, qtype, direct, reply)
					if denial != dnssec.NSEC3OptOut || len(direct.Ns) == 0 {
						// What an opted-out span denies is insecure (RFC 5155 section 9.2).
						require.True(t, reply.AuthenticatedData, "%s %d\n%s\n%s", name, qtype, direct, reply)
					}
				}
			}
			require.Greater(t, asked, 500)
			t.Log(asked, "answers validated")
		})
	}
}

// wildcards has one at the apex, some below others, and empty non-terminals of
// every kind.
const wildcards = `$TTL 3600
@ SOA ns host 1 7200 3600 604800 300
@ NS ns
ns A 192.0.2.1
* TXT "apex"
* MX 10 ns
*.a.b A 192.0.2.2
x.a.b TXT x
c.*.d TXT "below an asterisk"
e.only NS ns.example.net.
f.both NS ns.example.net.
g.both TXT x
h.secure NS ns.example.net.
h.secure DS 1 15 2 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
i.j.k.l.m TXT x
`

type unboundZone struct {
	name, text string
	denial     dnssec.Denial
}

func unboundZones() []unboundZone {
	var list []unboundZone
	for i, denial := range []dnssec.Denial{dnssec.NSEC, dnssec.NSEC3, dnssec.NSEC3OptOut} {
		name := []string{"NSEC", "NSEC3", "opt-out"}[i]
		text := wildcards
		if denial == dnssec.NSEC3OptOut {
			// Below an empty non-terminal that opt-out leaves out of the chain, nothing can
			// show that the wildcard above it does not apply.
			text = strings.ReplaceAll(text, "\n* ", "\nstar ")
		}
		list = append(list, unboundZone{name + "/mixed", example, denial}, unboundZone{name + "/wildcards", text, denial})
	}
	return list
}

func isReferral(m *dns.Msg) bool { return !m.Authoritative }

// leavesZone reports whether an answer ends in an alias of a name elsewhere, or in
// one that goes round.
func leavesZone(m *dns.Msg) bool {
	if len(m.Answer) == 0 || len(m.Ns) > 0 {
		return false
	}
	isAlias := m.Question[0].Qtype != dns.TypeCNAME || m.Answer[0].Header().Rrtype == dns.TypeDNAME
	last := slices.IndexFunc(m.Answer, func(rr dns.RR) bool {
		t := rr.Header().Rrtype
		return t != dns.TypeRRSIG && t != dns.TypeCNAME && t != dns.TypeDNAME
	})
	isDNAME := m.Question[0].Qtype == dns.TypeDNAME && m.Answer[0].Header().Rrtype == dns.TypeDNAME && m.Answer[0].Header().Name == m.Question[0].Name
	return isAlias && last < 0 && !isDNAME
}

// questions is the names of a zone, the empty non-terminals, and names beside and
// below each.
func questions(z *zone.Zone) map[wire.Name]bool {
	names := map[wire.Name]bool{}
	for _, node := range z.Names.All() {
		for at := node.Name; at != "" && at.Under(z.Origin); at = at.Parent() {
			names[at] = true
			for _, label := range []string{"\x01*", "\x010", "\x07no-such", "\x02zz", "\x01\x00"} {
				names[wire.Name(label)+at] = true
			}
		}
	}
	return names
}

// unbound starts a resolver that ends with the test, and returns its address.
func unbound(t *testing.T, authority string, origin wire.Name, key dnssec.PublicKey) string {
	t.Helper()
	dir := t.TempDir()
	tcp, udp := listen(t)
	_, port, _ := strings.Cut(tcp.Addr().String(), ":")
	require.NoError(t, tcp.Close())
	require.NoError(t, udp.Close())
	ds := zone.RRset{Type: wire.Type(dns.TypeDS), TTL: 3600, Data: wire.RDATA(nil).Append(key.DS(origin, dnssec.SHA256))}
	config := filepath.Join(dir, "unbound.conf")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `server:
  interface: 127.0.0.1
  port: %s
  directory: %q
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  do-not-query-localhost: no
  do-ip6: no
  access-control: 127.0.0.0/8 allow
  module-config: "validator iterator"
  aggressive-nsec: no
  qname-minimisation: no
  trust-anchor: %q
remote-control:
  control-enable: no
stub-zone:
  name: %q
  stub-addr: %s
`, port, dir, strings.Join(strings.Fields(string(ds.AppendText(nil, origin))), " "), origin, strings.Replace(authority, ":", "@", 1)), 0o600))
	cmd := exec.CommandContext(t.Context(), lab.Program(t, "unbound"), "-d", "-p", "-c", config)
	log, err := os.Create(filepath.Join(dir, "log"))
	require.NoError(t, err)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = log.Close()
	})
	address := "127.0.0.1:" + port
	require.Eventually(t, func() bool {
		m := new(dns.Msg)
		m.SetQuestion(origin.String(), dns.TypeSOA)
		reply, err := dns.Exchange(m, address)
		return err == nil && reply.Rcode == dns.RcodeSuccess
	}, 20*time.Second, 20*time.Millisecond)
	return address
}
