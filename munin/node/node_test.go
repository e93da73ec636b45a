package node

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// serve runs a server on loopback, and returns where.
func serve(t testing.TB, s *Server) string {
	t.Helper()
	l := listen(t)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	return l.Addr().String()
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

// scripted is a node that says what it is told to, whatever it is asked.
func scripted(t testing.TB, script func(net.Conn)) string {
	t.Helper()
	l := listen(t)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				script(conn)
			}()
		}
	}()
	return l.Addr().String()
}

// says answers each line with the next of the answers, the first being the banner.
func says(answers ...string) func(net.Conn) {
	return func(conn net.Conn) {
		lines := bufio.NewReader(conn)
		for i, answer := range answers {
			if i > 0 {
				if _, err := lines.ReadString('\n'); err != nil {
					return
				}
			}
			if _, err := io.WriteString(conn, answer); err != nil {
				return
			}
		}
	}
}

func sample() *Server {
	at := time.Unix(1700000000, 0)
	return &Server{Name: "Fenrir.example.org", Plugins: []Plugin{
		{Name: "load", Graphs: func(context.Context) ([]Graph, error) {
			return []Graph{{Name: "load", Attributes: []Attribute{{"graph_title", "Load"}}, Fields: []Field{{Name: "load", Attributes: []Attribute{{"label", "load"}, {"warning", ":5"}}, Values: []Value{{Number: 0.25}}}}}}, nil
		}},
		{Name: "power", Multigraph: true, Graphs: func(context.Context) ([]Graph, error) {
			return []Graph{{Name: "power", Attributes: []Attribute{{"graph_title", "Power"}}, Fields: []Field{{Name: "all", Values: []Value{{Time: at, Number: math.NaN()}, {Time: at.Add(time.Second), Number: 1 << 53}}}}},
				{Name: "power.pi1", Fields: []Field{{Name: "watts", Values: Now(3)}}}}, nil
		}},
		{Name: "pi1_heat", Host: "pi1.example.org", Graphs: func(context.Context) ([]Graph, error) {
			return []Graph{{Name: "pi1_heat", Fields: []Field{{Name: "c", Values: Now(-1.5)}}}}, nil
		}},
		{Name: "broken", Host: "x", Graphs: func(context.Context) ([]Graph, error) { return nil, errors.New("secret detail") }},
		{Name: "bad", Host: "x", Graphs: func(context.Context) ([]Graph, error) {
			return []Graph{{Name: "bad", Attributes: []Attribute{{"graph_title", "a\n.\nquit"}}}}, nil
		}},
	}}
}

func dial(t testing.TB, address string) *Client {
	t.Helper()
	c, err := Dial(t.Context(), address, Limits{Timeout: 5 * time.Second})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// TestBothEnds has the client ask everything of the server.
func TestBothEnds(t *testing.T) {
	ctx := t.Context()
	c := dial(t, serve(t, sample()))
	require.Equal(t, "Fenrir.example.org", c.Name())
	plugins, err := c.List(ctx, "")
	require.NoError(t, err)
	require.Equal(t, []string{"load"}, plugins, "multigraph plugins are hidden without cap")
	can, err := c.Cap(ctx, "multigraph")
	require.NoError(t, err)
	require.Equal(t, []string{"multigraph", "dirtyconfig"}, can)
	plugins, err = c.List(ctx, "FENRIR.example.org")
	require.NoError(t, err)
	require.Equal(t, []string{"load", "power"}, plugins)
	plugins, err = c.List(ctx, "nobody")
	require.NoError(t, err)
	require.Empty(t, plugins)
	nodes, err := c.Nodes(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{"fenrir.example.org", "pi1.example.org", "x"}, nodes)

	graphs, err := c.Config(ctx, "load")
	require.NoError(t, err)
	require.Equal(t, []Graph{{Name: "load", Attributes: []Attribute{{"graph_title", "Load"}}, Fields: []Field{{Name: "load", Attributes: []Attribute{{"label", "load"}, {"warning", ":5"}}}}}}, graphs)
	graphs, err = c.Fetch(ctx, "power")
	require.NoError(t, err)
	require.Len(t, graphs, 2)
	require.Equal(t, "power.pi1", graphs[1].Name)
	values := graphs[0].Fields[0].Values
	require.Equal(t, int64(1700000000), values[0].Time.Unix())
	require.True(t, math.IsNaN(values[0].Number))
	require.InDelta(t, float64(1<<53), values[1].Number, 0)
	for plugin, want := range map[string]string{"none": "Unknown service", "broken": "Bad exit", "bad": "Bad exit"} {
		_, err = c.Fetch(ctx, plugin)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "secret")
	}
	_, err = c.Cap(ctx, "multigraph", "dirtyconfig")
	require.NoError(t, err)
	graphs, err = c.Config(ctx, "load")
	require.NoError(t, err)
	require.Equal(t, Now(0.25), graphs[0].Fields[0].Values, "dirtyconfig saves a fetch")
	_, err = c.List(ctx, "a\nquit")
	require.ErrorContains(t, err, "not one line")
}

func TestServerSaysItInMuninsWords(t *testing.T) {
	conn, err := net.Dial("tcp", serve(t, sample()))
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "version\r\nnonsense\r\nCAP multigraph\r\nlist\r\nconfig power\r\nfetch load\r\nstarttls\r\nquit\r\n")
	require.NoError(t, err)
	text, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Equal(t, `# munin node at Fenrir.example.org
munins node on Fenrir.example.org version: berryrack
# Unknown command. Try cap, list, nodes, config, fetch, version or quit
cap multigraph dirtyconfig
load power
multigraph power
graph_title Power
multigraph power.pi1
.
load.value 0.25
.
# Unknown command. Try cap, list, nodes, config, fetch, version or quit
`, string(text))
}

func TestServerLimits(t *testing.T) {
	s := sample()
	s.Allow = []netip.Prefix{netip.MustParsePrefix("2001:db8::/32")}
	_, err := Dial(t.Context(), serve(t, s), Limits{})
	require.ErrorIs(t, err, ErrDenied)

	s = sample()
	s.IdleTimeout = 20 * time.Millisecond
	conn, err := net.Dial("tcp", serve(t, s))
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.ReadAll(conn)
	require.NoError(t, err, "an idle caller is hung up on")

	conn, err = net.Dial("tcp", serve(t, sample()))
	require.NoError(t, err)
	defer conn.Close()
	_, _ = io.WriteString(conn, strings.Repeat("x", 5000))
	_, err = io.Copy(io.Discard, conn)
	if err != nil {
		require.ErrorContains(t, err, "reset")
	}

	s = sample()
	s.MaxConns = 1
	address := serve(t, s)
	first := dial(t, address)
	waiting := make(chan error, 1)
	go func() {
		c, err := Dial(context.Background(), address, Limits{Timeout: 20 * time.Second})
		if err == nil {
			c.Close()
		}
		waiting <- err
	}()
	_, err = first.Nodes(t.Context())
	require.NoError(t, err)
	require.NoError(t, first.Close())
	require.NoError(t, <-waiting, "the second is served when the first is gone")
}

func TestServerRefusesNonsense(t *testing.T) {
	graphs := func(context.Context) ([]Graph, error) { return nil, nil }
	for want, s := range map[string]*Server{
		"server name":   {},
		"without TLS":   {Name: "a", RequireTLS: true},
		"graph \"a b\"": {Name: "a", Plugins: []Plugin{{Name: "a b", Graphs: graphs}}},
		"there twice":   {Name: "a", Plugins: []Plugin{{Name: "a", Graphs: graphs}, {Name: "a", Graphs: graphs}}},
		"no Graphs":     {Name: "a", Plugins: []Plugin{{Name: "a"}}},
		"host \"b_c\"":  {Name: "a", Plugins: []Plugin{{Name: "a", Host: "b_c", Graphs: graphs}}},
	} {
		require.ErrorContains(t, s.Serve(t.Context(), listen(t)), want)
	}
}

// TestLyingNode meets nodes that answer with anything but the protocol.
func TestLyingNode(t *testing.T) {
	endless := func(conn net.Conn) {
		junk := []byte(strings.Repeat("x", 32<<10))
		for {
			if _, err := conn.Write(junk); err != nil {
				return
			}
		}
	}
	endlessLines := func(first string) func(net.Conn) {
		return func(conn net.Conn) {
			junk := []byte(strings.Repeat("a.value 1\n", 3000))
			_, _ = io.WriteString(conn, first)
			for {
				if _, err := conn.Write(junk); err != nil {
					return
				}
			}
		}
	}
	silent := func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }
	const banner = "# munin node at a\n"
	for name, test := range map[string]struct {
		script func(net.Conn)
		want   error
		text   string
	}{
		"hangs up":            {func(net.Conn) {}, ErrDenied, ""},
		"an endless line":     {endless, ErrTooLong, ""},
		"endless greetings":   {endlessLines(""), ErrTooLong, ""},
		"three bytes":         {says("SSH"), ErrProtocol, ""},
		"another protocol":    {says("220 mail.example.org ESMTP\r\n"), ErrProtocol, ""},
		"silence":             {silent, os.ErrDeadlineExceeded, ""},
		"1 GB":                {endlessLines(banner), ErrTooLong, ""},
		"no dot":              {says(banner, "a.value 1\n"), nil, "EOF"},
		"half a line":         {says(banner, "a.val"), nil, "EOF"},
		"silence in the end":  {func(c net.Conn) { _, _ = io.WriteString(c, banner); silent(c) }, os.ErrDeadlineExceeded, ""},
		"a line without end":  {func(c net.Conn) { _, _ = io.WriteString(c, banner); endless(c) }, ErrTooLong, ""},
		"wants TLS":           {says(banner, "# I require TLS. Closing.\n"), ErrTLSRequired, ""},
		"does not know fetch": {says(banner, "# Unknown command. Try list\n"), nil, "Unknown command"},
		"a bad multigraph":    {says(banner, "multigraph ../../x\n.\n"), nil, "no dot at an end"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := Dial(t.Context(), scripted(t, test.script), Limits{Timeout: 300 * time.Millisecond, Line: 4096, Answer: 1 << 20})
			if err == nil {
				defer c.Close()
				_, err = c.Fetch(t.Context(), "a")
			}
			require.Error(t, err)
			if test.want != nil {
				require.ErrorIs(t, err, test.want)
			}
			require.ErrorContains(t, err, test.text)
		})
	}
	c := dial(t, scripted(t, says("Last login: today\n\n# motd\n"+banner, "\x00\xff binary\na.value \x00\nb.value 0x\nb.value 1e3\nc.value 5:7\nc.value x:7\n\n.value 3\n.\n")))
	graphs, err := c.Fetch(t.Context(), "a")
	require.NoError(t, err, "what no master understands is skipped")
	require.Len(t, graphs, 1)
	ctx, cancel := context.WithCancel(t.Context())
	quiet := dial(t, scripted(t, func(c net.Conn) { _, _ = io.WriteString(c, banner); silent(c) }))
	go cancel()
	_, err = quiet.Nodes(ctx)
	require.ErrorIs(t, err, context.Canceled)
	_, err = quiet.Nodes(ctx)
	require.Error(t, err)
}

func selfSigned(t testing.TB) (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a"}, DNSNames: []string{"a"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// TestTLSBothRoles encrypts with the node as the TLS server, and as the client.
func TestTLSBothRoles(t *testing.T) {
	pair, pool := selfSigned(t)
	for name, config := range map[string]*tls.Config{"TLS OK": {Certificates: []tls.Certificate{pair}}, "TLS MAYBE": {RootCAs: pool, ServerName: "a"}} {
		s := sample()
		s.TLS, s.RequireTLS = config, true
		address := serve(t, s)
		_, err := dial(t, address).Nodes(t.Context())
		require.ErrorIs(t, err, ErrTLSRequired)
		c := dial(t, address)
		require.NoError(t, c.StartTLS(t.Context(), &tls.Config{RootCAs: pool, ServerName: "a", Certificates: []tls.Certificate{pair}}), name)
		graphs, err := c.Fetch(t.Context(), "load")
		require.NoError(t, err)
		require.Equal(t, Now(0.25), graphs[0].Fields[0].Values)
	}
	for _, config := range []*tls.Config{nil, {}} {
		maybe := scripted(t, says("# munin node at a\n", "TLS MAYBE\nno hello", ""))
		require.ErrorContains(t, dial(t, maybe).StartTLS(t.Context(), config), "node: ")
	}
	s := sample()
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	require.Error(t, dial(t, serve(t, s)).StartTLS(t.Context(), &tls.Config{ServerName: "a"}), "a certificate that nobody signed")
	require.ErrorContains(t, dial(t, serve(t, sample())).StartTLS(t.Context(), &tls.Config{ServerName: "a"}), "does not do TLS")
	c := dial(t, scripted(t, says("# munin node at a\n", "TLS OK\ncap evil\n", "")))
	require.ErrorIs(t, c.StartTLS(t.Context(), &tls.Config{ServerName: "a"}), ErrProtocol, "no plain text slips into TLS")
}

func TestProbe(t *testing.T) {
	good := serve(t, sample())
	pair, pool := selfSigned(t)
	secret := sample()
	secret.TLS, secret.RequireTLS = &tls.Config{Certificates: []tls.Certificate{pair}}, true
	private := serve(t, secret)
	closed := listen(t)
	closed.Close()
	empty := serve(t, &Server{Name: "empty"})
	broken := scripted(t, says("# munin node at a\n", "cap multigraph\n", "load\n", ""))
	targets := []Target{
		{Name: "fenrir.example.org", Address: good},
		{Name: "anything", Address: good, UseNodeName: true},
		{Name: "pi1.example.org", Address: good},
		{Name: "loki.example.org", Address: good},
		{Name: "empty", Address: empty},
		{Name: "fenrir.example.org", Address: private},
		{Name: "fenrir.example.org", Address: private, TLS: &tls.Config{RootCAs: pool, ServerName: "a"}},
		{Name: "a", Address: closed.Addr().String()},
		{Name: "a", Address: scripted(t, func(net.Conn) {})},
		{Name: "a", Address: scripted(t, says("SSH-2.0-x\n"))},
		{Name: "a", Address: broken},
	}
	want := []Verdict{Reachable, Reachable, Reachable, WrongName, NoPlugins, TLSRequired, Reachable, Unreachable, Denied, Unreachable, Unreachable}
	p := Prober{Collect: true, Limits: Limits{Timeout: 2 * time.Second}, Parallel: 3}
	reports, err := p.Probe(t.Context(), targets)
	require.NoError(t, err)
	for i, r := range reports {
		require.Equal(t, want[i], r.Verdict, "%d: %v", i, r.Err)
		require.Equal(t, want[i] == Reachable, r.Err == nil)
		require.Equal(t, targets[i].Name, r.Target.Name)
		require.Positive(t, r.Took)
	}
	require.Equal(t, 2, reports[0].Plugins)
	require.Contains(t, reports[3].Nodes, "pi1.example.org")
	require.ErrorContains(t, reports[3].Err, "set host_name on the node")

	p = Prober{Slow: 1}
	reports, err = p.Probe(t.Context(), targets[:1])
	require.NoError(t, err)
	require.Equal(t, Slow, reports[0].Verdict)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = p.Probe(ctx, targets)
	require.ErrorIs(t, err, context.Canceled)
}

// TestProbeLyingNode has nodes that never come to an end, each answer being
// within the limits.
func TestProbeLyingNode(t *testing.T) {
	drip := func(conn net.Conn) {
		lines := bufio.NewReader(conn)
		_, _ = io.WriteString(conn, "# munin node at a\n")
		for answer := range strings.SplitSeq("cap\n|"+strings.Repeat("p ", MaxPlugins)+"\n", "|") {
			_, _ = lines.ReadString('\n')
			_, _ = io.WriteString(conn, answer)
		}
		for {
			time.Sleep(5 * time.Millisecond)
			if _, err := lines.ReadString('\n'); err != nil {
				return
			}
			_, _ = io.WriteString(conn, "a.value 1\n.\n")
		}
	}
	many := says("# munin node at a\n", "cap\n", strings.Repeat("p ", MaxPlugins+1)+"\n")
	p := Prober{Collect: true, NodeTimeout: 200 * time.Millisecond, Parallel: -1}
	reports, err := p.Probe(t.Context(), []Target{{Name: "a", Address: scripted(t, drip)}, {Name: "a", Address: scripted(t, many)}})
	require.NoError(t, err)
	require.Equal(t, Unreachable, reports[0].Verdict)
	require.True(t, errors.Is(reports[0].Err, context.DeadlineExceeded) || errors.Is(reports[0].Err, os.ErrDeadlineExceeded), "%v", reports[0].Err)
	require.Less(t, reports[0].Took, 5*time.Second)
	require.ErrorIs(t, reports[1].Err, ErrTooLong)
}

// TestProbeQuotes lets no node write to a terminal.
func TestProbeQuotes(t *testing.T) {
	const evil = "\x1b[2J"
	script := func(rest ...string) string {
		return scripted(t, says(append([]string{"# munin node at a" + evil + "\n", "cap\n"}, rest...)...))
	}
	targets := []Target{
		{Name: "a", Address: script("\n", evil+"\n.\n")},
		{Name: "a", UseNodeName: true, Address: script("\n", "a"+evil+"\n.\n")},
		{Name: "a", UseNodeName: true, Address: script("\n", ".\n")},
		{Name: "a", Address: script(evil + "\n")},
		{Name: "a", Address: script("#" + evil + "\n")},
	}
	reports, err := (&Prober{Collect: true}).Probe(t.Context(), targets)
	require.NoError(t, err)
	for i, r := range reports {
		require.Error(t, r.Err, i)
		require.NotContains(t, r.Err.Error(), "\x1b", i)
	}
	_, err = parseGraphs("a", []string{"# Bad exit " + evil})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "\x1b")
}

// TestProbeFrom connects from an address of its own, and in plain text where
// TLS is optional.
func TestProbeFrom(t *testing.T) {
	s := sample()
	s.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}
	if other, err := net.Listen("tcp", "127.0.0.2:0"); err != nil {
		t.Skip("this system has one loopback address")
	} else {
		other.Close()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	target := Target{Name: s.Name, Address: l.Addr().String(), TLS: &tls.Config{ServerName: "a"}}
	optional := target
	optional.TLSOptional, optional.LocalAddress = true, netip.MustParseAddr("127.0.0.2")
	required := optional
	required.TLSOptional = false
	reports, err := (&Prober{Collect: true}).Probe(ctx, []Target{target, optional, required})
	require.NoError(t, err)
	require.Equal(t, Denied, reports[0].Verdict)
	require.Equal(t, Reachable, reports[1].Verdict, "%v", reports[1].Err)
	require.ErrorIs(t, reports[2].Err, ErrNoTLS)
	cancel()
	require.NoError(t, <-ended)
}

func TestEstimateRound(t *testing.T) {
	took := func(n int, d time.Duration, err error) []Report {
		reports := make([]Report, n)
		for i := range reports {
			reports[i] = Report{Took: d, Err: err}
		}
		return reports
	}
	require.Equal(t, Estimate{Fits: true}, EstimateRound(nil, 0))
	require.Equal(t, Estimate{Hosts: 200, Total: 13 * 18 * time.Second, Longest: 18 * time.Second, Fits: true}, EstimateRound(took(200, 18*time.Second, nil), 0), "200 hosts, and just in time")
	require.False(t, EstimateRound(took(10_000, 400*time.Millisecond, nil), 0).Fits)
	require.True(t, EstimateRound(took(10_000, 400*time.Millisecond, nil), 32).Fits)
	lost := took(17, time.Second, fmt.Errorf("dial: %w", os.ErrDeadlineExceeded))
	require.Equal(t, 2*ConnectTimeout, EstimateRound(lost, 0).Total, "a host that does not answer costs the master's timeout")
	require.Equal(t, 2*time.Second, EstimateRound(took(17, time.Second, errors.New("refused")), 0).Total)
}

// simulated is so many nodes, each on a port of its own.
func simulated(t testing.TB, n int) []Target {
	targets := make([]Target, n)
	answer := func(conn net.Conn, name string) {
		defer conn.Close()
		says("# munin node at "+name+"\n", "cap multigraph dirtyconfig\n", "load cpu memory df\n", "")(conn)
	}
	for i := range targets {
		l := listen(t)
		name := fmt.Sprintf("host%d.example.org", i)
		targets[i] = Target{Name: name, Address: l.Addr().String()}
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go answer(conn, name)
			}
		}()
	}
	return targets
}

// TestProbeMany has 1,000 nodes, and 10,000 where there are judges: to find a free
// port takes the kernel the longer, the more there are.
func TestProbeMany(t *testing.T) {
	n := 1000
	if os.Getenv("BERRYRACK_REQUIRE") != "" {
		n = 10_000
	}
	targets := simulated(t, n)
	reports, err := (&Prober{Slow: time.Minute}).Probe(t.Context(), targets)
	require.NoError(t, err)
	for _, r := range reports {
		require.Equal(t, Reachable, r.Verdict, "%v", r.Err)
	}
}

func BenchmarkProbe10000(b *testing.B) {
	targets := simulated(b, 10_000)
	b.ResetTimer()
	for b.Loop() {
		reports, err := (&Prober{Slow: time.Minute}).Probe(b.Context(), targets)
		require.NoError(b, err)
		for _, r := range reports {
			require.Equal(b, Reachable, r.Verdict, "%v", r.Err)
		}
	}
}

// FuzzClient lets a node answer anything.
func FuzzClient(f *testing.F) {
	f.Add([]byte("# munin node at a\ncap multigraph\nload\nmultigraph a\ngraph_title x\na.value 1:2\n.\n"), true)
	f.Add([]byte("# munin node at a\n# Unknown service\n.\n"), false)
	f.Add([]byte("# munin node at \n\n\n"), true)
	f.Add([]byte("# lrrd client at a b\r\n.\r\n.\r\n"), true)
	f.Fuzz(func(t *testing.T, text []byte, config bool) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		go func() {
			go func() { _, _ = io.Copy(io.Discard, theirs) }()
			_, _ = theirs.Write(text)
			theirs.Close()
		}()
		c, err := NewClient(t.Context(), ours, Limits{Timeout: 5 * time.Second, Line: 1 << 10, Answer: 1 << 16})
		if err != nil {
			return
		}
		_, _ = c.Cap(t.Context(), "multigraph")
		_, _ = c.List(t.Context(), "a")
		ask := c.Fetch
		if config {
			ask = c.Config
		}
		graphs, err := ask(t.Context(), "a")
		if err != nil {
			require.Nil(t, graphs)
			return
		}
		for _, g := range graphs {
			require.LessOrEqual(t, len(g.Name), 1<<10)
		}
	})
}

// FuzzGraphs reads back what a node of ours says.
func FuzzGraphs(f *testing.F) {
	f.Add("load", "graph_title", "Load", "load", 1.5, int64(0))
	f.Add("disk.sda", "graph_args", "--base 1000  x", "_1", math.NaN(), int64(1700000000))
	f.Fuzz(func(t *testing.T, name, key, value, field string, number float64, at int64) {
		g := Graph{Name: name, Attributes: []Attribute{{key, value}}, Fields: []Field{{Name: field, Attributes: []Attribute{{key, value}}, Values: []Value{{Number: number}}}}}
		if at > 0 && at < 1<<40 {
			g.Fields[0].Values[0].Time = time.Unix(at, 0)
		}
		if g.check() != nil || strings.Trim(value, " \t") != value || math.IsInf(number, 0) {
			return
		}
		read, err := parseGraphs("plugin", configLines("plugin", []Graph{g}, true))
		require.NoError(t, err)
		require.Len(t, read, 1)
		got := read[0].Fields[0].Values[0]
		require.Equal(t, math.IsNaN(number), math.IsNaN(got.Number))
		if math.IsNaN(number) {
			read[0].Fields[0].Values[0].Number = 0
			g.Fields[0].Values[0].Number = 0
		}
		require.Equal(t, []Graph{g}, read)
	})
}
