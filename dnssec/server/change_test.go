package server

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// TestChange has updates and NOTIFY reach who decides on them, if they may.
func TestChange(t *testing.T) {
	const secret = "c2VjcmV0"
	z, _ := signedWith(t, dnssec.NSEC, example)
	var told []string
	s := Server{
		TSIG: map[string]string{"key.": secret},
		Update: func(origin wire.Name, key string, m *dns.Msg) int {
			told = append(told, fmt.Sprintf("update %s %s %d", origin, key, len(m.Ns)))
			return dns.RcodeYXDomain
		},
		Notified: func(origin wire.Name, client netip.AddrPort, key string) bool {
			told = append(told, fmt.Sprintf("notify %s %s %q", origin, client.Addr(), key))
			return origin == z.Origin
		},
	}
	s.Set(z)
	address := serve(t, &s)
	change := func(name string) *dns.Msg {
		m := new(dns.Msg).SetUpdate(name)
		for i := range 50 {
			rr, err := dns.NewRR(fmt.Sprintf("n%d.%s 60 IN TXT x", i, name))
			require.NoError(t, err)
			m.Insert([]dns.RR{rr})
		}
		return m
	}
	for _, tt := range []struct {
		name    string
		message *dns.Msg
		key     string
		secret  string
		rcode   int
		told    string
	}{
		{"update", change("example."), "key.", secret, dns.RcodeYXDomain, "update example. key. 50"},
		{"unsigned update", change("example."), "", "", dns.RcodeRefused, ""},
		{"update of another zone", change("www.example."), "key.", secret, dns.RcodeNotAuth, ""},
		{"update with a wrong secret", change("example."), "key.", "d3Jvbmc=", dns.RcodeNotAuth, ""},
		{"notify", new(dns.Msg).SetNotify("example."), "", "", dns.RcodeSuccess, `notify example. 127.0.0.1 ""`},
		{"signed notify", new(dns.Msg).SetNotify("example."), "key.", secret, dns.RcodeSuccess, `notify example. 127.0.0.1 "key."`},
		{"notify of another zone", new(dns.Msg).SetNotify("org."), "", "", dns.RcodeRefused, `notify org. 127.0.0.1 ""`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			told = nil
			client := dns.Client{Net: "tcp", TsigSecret: map[string]string{"key.": tt.secret}}
			if tt.key != "" {
				tt.message.SetTsig(tt.key, dns.HmacSHA256, 300, time.Now().Unix())
			}
			reply, _, err := client.ExchangeContext(t.Context(), tt.message, address)
			if reply == nil {
				require.NoError(t, err)
			}
			require.Equal(t, tt.rcode, reply.Rcode)
			if tt.told == "" {
				require.Empty(t, told)
				return
			}
			require.Equal(t, []string{tt.told}, told)
		})
	}
	// Without anybody to decide, there are no updates.
	none := Server{TSIG: s.TSIG}
	none.Set(z)
	m := change("example.")
	client := dns.Client{Net: "tcp"}
	reply, _, err := client.ExchangeContext(t.Context(), m, serve(t, &none))
	require.NoError(t, err)
	require.Equal(t, dns.RcodeNotImplemented, reply.Rcode)
}

// TestJournalIsBounded keeps differences that are worth it, and no others.
func TestJournalIsBounded(t *testing.T) {
	s := Server{TransferKeys: []string{"key."}}
	z, _ := signedWith(t, dnssec.NSEC, example)
	s.Set(z)
	for range 300 {
		e := z.Edit()
		soa := z.Apex().Set(typeSOA).RRs(z.Origin)[0].(*dns.SOA)
		soa.Serial++
		_, rdata, err := wire.Pack(soa)
		require.NoError(t, err)
		e.RemoveSet(z.Origin, typeSOA)
		e.Add(z.Origin, typeSOA, 60, rdata)
		z, err = e.Zone()
		require.NoError(t, err)
		s.Set(z)
		require.LessOrEqual(t, len(s.journals[z.Origin]), maxVersions)
		total := 0
		for _, d := range s.journals[z.Origin] {
			total += d.Len()
		}
		require.LessOrEqual(t, total, size(z))
	}
	require.NotEmpty(t, s.journals[z.Origin])
	old, _ := signedWith(t, dnssec.NSEC, example)
	s.Set(old)
	require.Empty(t, s.journals[z.Origin], "a serial that goes back ends the journal")
	s.Remove(z.Origin)
	require.NotContains(t, s.journals, z.Origin)
}
