package failover

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/berryrack/berryrack/examples/internal/failover/manifest"
)

// simulatedState is where the simulation keeps its state.
const simulatedState = "failover-simulation"

//go:embed simulation.yaml
var simulationConfig []byte

// world is a simulated site: two hosts, name servers and a resolver, at addresses
// that only its dial method reaches. Names and their addresses are a file, so that
// one command finds what the one before it left.
type world struct {
	mu    sync.Mutex
	site  *Site
	zone  map[string][]netip.Addr
	ttl   time.Duration
	ports map[string]string // "tcp 192.0.2.1:80": the address of a listener
}

// simulate starts a world, which ends with ctx.
func simulate(ctx context.Context, state string) (*Site, error) {
	s, err := read("simulation.yaml", simulationConfig)
	if err != nil {
		return nil, err
	}
	w := &world{site: s, ports: map[string]string{}, zone: map[string][]netip.Addr{}}
	w.ttl = s.DNS.TTL
	s.state, s.dial, s.setter, s.interval = state, w.dial, w, 50*time.Millisecond
	if err := s.restore("simulation.json", &w.zone); err != nil {
		return nil, err
	}
	if len(w.zone) == 0 {
		if err := w.begin(); err != nil {
			return nil, err
		}
	}
	s.Pages.Logs = []string{filepath.Join(state, "access.log")}
	for i, addrs := range [][]netip.Addr{s.Primary, s.Standby} {
		for _, addr := range addrs {
			if err := errorsOf(w.web(ctx, addr, i == 1), w.ssh(ctx, addr), w.dns(ctx, netip.AddrPortFrom(addr, 53))); err != nil {
				return nil, err
			}
		}
	}
	for _, server := range slices.Concat(s.nameservers, s.resolvers) {
		if err := w.dns(ctx, server.addr); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func errorsOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// begin makes the state of a site whose TTL was lowered yesterday.
func (w *world) begin() error {
	s := w.site
	histories := map[string]history{}
	for _, name := range s.names {
		w.zone[name] = s.Primary
		for _, kind := range []string{"A", "AAAA"} {
			histories[name+" "+kind] = history{TTL: Seconds(s.DNS.TTL), Since: s.now().Add(-24 * time.Hour)}
		}
	}
	if err := errorsOf(s.save("simulation.json", w.zone), s.save("ttl.json", histories)); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.state, "access.log"), simulatedLog(s.now()), 0o600)
}

// simulatedLog has every page once, the first ones more often.
func simulatedLog(now time.Time) []byte {
	var log bytes.Buffer
	for i := range simulatedPages {
		for range simulatedPages - i {
			fmt.Fprintf(&log, "198.51.100.%d - - [%s] \"GET /page/%d HTTP/1.1\" 200 512 \"-\" \"-\"\n",
				i+1, now.Format("02/Jan/2006:15:04:05 -0700"), i)
		}
	}
	return log.Bytes()
}

const (
	simulatedPages = 20
	stalePage      = 7
	simulatedFiles = 100
	missingFile    = 42
)

// dial connects to a simulated address.
func (w *world) dial(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	to := w.ports[network+" "+address]
	w.mu.Unlock()
	if to == "" {
		return nil, fmt.Errorf("the simulation has nothing at %s", address)
	}
	var d net.Dialer
	return d.DialContext(ctx, network, to)
}

// listen opens a listener for a simulated address.
func (w *world) listen(ctx context.Context, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { l.Close() })
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ports["tcp "+address] = l.Addr().String()
	return l, nil
}

// web serves the site: each page has a nonce, one is stale at the standby, and one
// file of the mirror is missing there.
func (w *world) web(ctx context.Context, addr netip.Addr, standby bool) error {
	l, err := w.listen(ctx, netip.AddrPortFrom(addr, 80).String())
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /page/{n}", func(out http.ResponseWriter, r *http.Request) {
		version := "today"
		if standby && r.PathValue("n") == fmt.Sprint(stalePage) {
			version = "last week"
		}
		fmt.Fprintf(out, "<h1>Page %s</h1><p>As of %s.<script nonce=%q>", r.PathValue("n"), version, rand.Text())
	})
	mux.HandleFunc("GET /mirror/MANIFEST", func(out http.ResponseWriter, r *http.Request) {
		for i := range simulatedFiles {
			if !standby || i != missingFile {
				name := fmt.Sprintf("pool/package-%d.deb", i)
				fmt.Fprintln(out, manifest.Entry{Path: name, Size: int64(len(name)), Hash: fmt.Sprintf("%x", sha256.Sum256([]byte(name)))})
			}
		}
	})
	mux.HandleFunc("GET /mirror/pool/{file}", func(out http.ResponseWriter, r *http.Request) {
		fmt.Fprint(out, strings.TrimPrefix(r.URL.Path, "/mirror/"))
	})
	mux.HandleFunc("GET /{$}", func(out http.ResponseWriter, r *http.Request) { fmt.Fprint(out, "Raspberries") })
	server := &http.Server{Handler: mux}
	go server.Serve(l) // until the listener is closed
	return nil
}

// ssh greets, and hangs up.
func (w *world) ssh(ctx context.Context, addr netip.Addr) error {
	l, err := w.listen(ctx, netip.AddrPortFrom(addr, 22).String())
	if err != nil {
		return err
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(conn, "SSH-2.0-simulation\r\n")
			conn.Close()
		}
	}()
	return nil
}

// dns answers over UDP; its answers are short.
func (w *world) dns(ctx context.Context, addr netip.AddrPort) error {
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { packets.Close() })
	w.mu.Lock()
	w.ports["udp "+addr.String()] = packets.LocalAddr().String()
	w.mu.Unlock()
	go (&dns.Server{PacketConn: packets, Handler: dns.HandlerFunc(w.answer)}).ActivateAndServe()
	return nil
}

func (w *world) answer(out dns.ResponseWriter, question *dns.Msg) {
	reply := new(dns.Msg).SetReply(question)
	reply.Authoritative = true
	q := question.Question[0]
	w.mu.Lock()
	defer w.mu.Unlock()
	if q.Qtype == dns.TypeNS {
		header := dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: dns.ClassINET, Ttl: uint32(w.ttl.Seconds())}
		reply.Answer = append(reply.Answer, &dns.NS{Hdr: header, Ns: "ns1." + w.site.zone})
	}
	for _, addr := range w.zone[strings.ToLower(q.Name)] {
		header := dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: dns.ClassINET, Ttl: uint32(w.ttl.Seconds())}
		switch {
		case q.Qtype == dns.TypeA && addr.Is4():
			reply.Answer = append(reply.Answer, &dns.A{Hdr: header, A: addr.AsSlice()})
		case q.Qtype == dns.TypeAAAA && addr.Is6():
			reply.Answer = append(reply.Answer, &dns.AAAA{Hdr: header, AAAA: addr.AsSlice()})
		}
	}
	out.WriteMsg(reply)
}

// SetAddresses implements acme.RecordSetter.
func (w *world) SetAddresses(_ context.Context, _, name string, _ time.Duration, addresses ...netip.Addr) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.zone[name] = addresses
	return w.site.save("simulation.json", maps.Clone(w.zone))
}
