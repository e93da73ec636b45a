package failover

import (
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

func TestServices(t *testing.T) {
	standby := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "www.example.org" && r.Host != "example.com" { // example.com is in httptest's certificate
			w.WriteHeader(http.StatusMisdirectedRequest)
		}
		if r.URL.Path == "/escape" {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				io.WriteString(conn, "HTTP/1.1 503 \x1b[2J\r\n\r\n")
				conn.Close()
			}
			return
		}
		if r.URL.Path == "/gone" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, "welcome")
	})
	s := hosts(t, http.NotFoundHandler(), standby)
	tlsServer := httptest.NewTLSServer(nil)
	defer tlsServer.Close()
	trusted := x509.NewCertPool()
	trusted.AddCert(tlsServer.Certificate())
	s.tcpService(t, "22", func(c net.Conn) { io.WriteString(c, "SSH-2.0-test\r\n") })
	s.tcpService(t, "23", func(c net.Conn) {})
	w := s.setter.(*world)
	w.zone["www.example.org."] = []netip.Addr{netip.MustParseAddr("192.0.2.1")}
	require.NoError(t, w.dns(t.Context(), netip.MustParseAddrPort("192.0.2.2:53")))
	for _, tt := range []struct {
		service Service
		roots   *x509.CertPool
		now     time.Time
		says    string
	}{
		{Service{HTTP: "http://www.example.org/", Contains: "welcome"}, nil, time.Time{}, ""},
		{Service{HTTP: "http://www.example.org/", Contains: "farewell"}, nil, time.Time{}, "not in the page"},
		{Service{HTTP: "http://www.example.org/gone"}, nil, time.Time{}, "404"},
		{Service{HTTP: "http://www.example.org/gone", Status: 404}, nil, time.Time{}, ""},
		{Service{HTTP: "http://www.example.org:81/"}, nil, time.Time{}, "nothing at 192.0.2.2:81"},
		{Service{HTTPS: "https://example.com/"}, trusted, time.Time{}, ""},
		{Service{HTTPS: "https://example.com/"}, nil, time.Time{}, "unknown authority"},
		{Service{HTTPS: "https://www.example.org/"}, trusted, time.Time{}, "not www.example.org"},
		{Service{HTTPS: "https://example.com/"}, trusted, tlsServer.Certificate().NotAfter.Add(-71 * time.Hour), "expires"},
		{Service{TCP: "22"}, nil, time.Time{}, ""},
		{Service{TCP: "22", Greeting: "SSH-2.0-"}, nil, time.Time{}, ""},
		{Service{TCP: "22", Greeting: "220 "}, nil, time.Time{}, `it says "SSH-"`},
		{Service{TCP: "23", Greeting: "220 "}, nil, time.Time{}, `it says ""`},
		{Service{TCP: "24"}, nil, time.Time{}, "nothing at 192.0.2.2:24"},
		{Service{DNS: "www.example.org.", Type: "A", Port: 53}, nil, time.Time{}, ""},
		{Service{DNS: "www.example.org.", Type: "A", Port: 53, Answer: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}, nil, time.Time{}, ""},
		{Service{DNS: "www.example.org.", Type: "A", Port: 53, Answer: []netip.Addr{netip.MustParseAddr("192.0.2.2")}}, nil, time.Time{}, "it answers [192.0.2.1]"},
		{Service{DNS: "www.example.org.", Type: "AAAA", Port: 53}, nil, time.Time{}, "no such record"},
		{Service{HTTP: "http://www.example.org/escape"}, nil, time.Time{}, "status 503 Service Unavailable"},
		{Service{DNS: "www.example.org.", Type: "A", Port: 54}, nil, time.Time{}, "nothing at 192.0.2.2:54"},
	} {
		t.Run(tt.service.String()+" "+tt.says, func(t *testing.T) {
			s.roots, s.now = tt.roots, time.Now
			if !tt.now.IsZero() {
				s.now = func() time.Time { return tt.now }
			}
			s.Services = []Service{tt.service}
			a, err := s.checkServices(t.Context(), "standby", s.Standby)
			require.NoError(t, err)
			if tt.says == "" {
				require.Equal(t, Same, a.State, a.Items)
				return
			}
			require.Equal(t, Different, a.State)
			require.Contains(t, a.Items[0].What, " at 192.0.2.2")
			require.Contains(t, a.Items[0].Detail, tt.says)
		})
	}
}

// An alias alone is no address.
func TestServiceAlias(t *testing.T) {
	rr, err := dns.NewRR("www.example.org. 60 CNAME web.example.net.")
	require.NoError(t, err)
	c := Service{DNS: "www.example.org.", Type: "A"}
	require.ErrorContains(t, c.judge(&dns.Msg{Answer: []dns.RR{rr}}), "no such record")
}

// What a server says is judged by type, name and authority.
func TestReadSet(t *testing.T) {
	const name = "www.example.org."
	for _, tt := range []struct {
		records   []string
		rcode     int
		authority bool
		want      string
		ttl       time.Duration
	}{
		{[]string{"www.example.org. 300 A 192.0.2.2", "WWW.example.org. 300 A 192.0.2.1"}, 0, true, "[192.0.2.1 192.0.2.2]", 5 * time.Minute},
		{[]string{"www.example.org. 86400 A 192.0.2.1", "www.example.org. 60 A 192.0.2.2"}, 0, true, "[192.0.2.1 192.0.2.2]", 24 * time.Hour},
		{[]string{"other.example.org. 300 A 192.0.2.2"}, 0, true, "[]", 0},
		{nil, dns.RcodeNameError, true, "[]", 0},
		{nil, dns.RcodeRefused, true, "REFUSED", 0},
		{nil, 0, false, "no authority", 0},
		{[]string{"www.example.org. 300 CNAME web.example.org."}, 0, true, "alias (CNAME) of web.example.org.", 0},
	} {
		m := &dns.Msg{MsgHdr: dns.MsgHdr{Rcode: tt.rcode, Authoritative: tt.authority}}
		for _, text := range tt.records {
			rr, err := dns.NewRR(text)
			require.NoError(t, err)
			m.Answer = append(m.Answer, rr)
		}
		set, err := readSet(m, name, dns.TypeA, false)
		if err != nil {
			require.Contains(t, err.Error(), tt.want)
			continue
		}
		require.Equal(t, tt.want, fmt.Sprint(set.addrs))
		require.Equal(t, tt.ttl, set.ttl)
	}
}
