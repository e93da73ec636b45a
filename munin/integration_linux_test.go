package munin_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/berryrack/berryrack/internal/lab"
	"github.com/berryrack/berryrack/munin"
	"github.com/berryrack/berryrack/munin/includedir"
	"github.com/berryrack/berryrack/munin/node"
)

const (
	muninPrograms = "/usr/share/munin/"
	masterIP      = "2001:db8::5"
	otherIP       = "2001:db8::6"
)

// station is a munin master of the test's own, in a directory of its own.
type station struct {
	dir        string
	uid, gid   uint32
	main       *munin.Master
	confs, dbs string
}

func newStation(t *testing.T) *station {
	t.Helper()
	lab.Need(t, "root", "munin-node", muninPrograms+"munin-update", muninPrograms+"munin-html", muninPrograms+"munin-limits")
	dir, err := os.MkdirTemp("", "munin")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	account, err := user.Lookup("munin")
	require.NoError(t, err)
	uid, err := strconv.Atoi(account.Uid)
	require.NoError(t, err)
	gid, err := strconv.Atoi(account.Gid)
	require.NoError(t, err)
	s := &station{dir: dir, uid: uint32(uid), gid: uint32(gid), confs: filepath.Join(dir, "conf.d"), dbs: filepath.Join(dir, "db")}
	settings := map[string]string{"includedir": s.confs, "tmpldir": "/etc/munin/templates", "staticdir": "/etc/munin/static", "graph_strategy": "cgi"}
	require.NoError(t, os.Mkdir(s.confs, 0o755))
	for _, name := range []string{"db", "html", "log", "run"} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.Mkdir(path, 0o755))
		require.NoError(t, os.Chown(path, uid, gid))
		settings[name+"dir"] = path
	}
	s.main = &munin.Master{Settings: settings}
	return s
}

// install writes munin.conf and the includedir.
func (s *station) install(t *testing.T, m *munin.Master) {
	t.Helper()
	text, err := s.main.AppendText(nil)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "munin.conf"), text, 0o644))
	plan, err := includedir.Dir{Path: s.confs, MaxRemove: 100}.Sync(t.Context(), m)
	require.NoError(t, err)
	require.Empty(t, plan.Warnings)
}

// run runs one of munin's programs as munin, and returns what it says.
func (s *station) run(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	args = append([]string{filepath.Join(muninPrograms, name)}, args...)
	cmd := exec.CommandContext(t.Context(), lab.Program(t, "perl"), args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: s.uid, Gid: s.gid}}
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "HOME="+s.dir)
	output, err := cmd.CombinedOutput()
	return string(output), err
}

func (s *station) update(t *testing.T) {
	t.Helper()
	output, err := s.run(t, "munin-update", "--config_file="+filepath.Join(s.dir, "munin.conf"), "--nofork")
	require.NoError(t, err, "%s\n%s", output, s.log("munin-update"))
}

func (s *station) log(name string) string {
	text, _ := os.ReadFile(filepath.Join(s.dir, "log", name+".log"))
	return string(text)
}

// startNode runs Debian's munin-node with a file of ours.
func (s *station) startNode(t *testing.T, name string, c node.Conf, more string) {
	t.Helper()
	dir := filepath.Join(s.dir, "node-"+name)
	plugins := filepath.Join(dir, "plugins")
	require.NoError(t, os.MkdirAll(plugins, 0o755))
	for _, plugin := range []string{"load", "uptime"} {
		require.NoError(t, os.Symlink("/usr/share/munin/plugins/"+plugin, filepath.Join(plugins, plugin)))
	}
	// munin-node takes no other directory; the test has its own mounts.
	require.NoError(t, unix.Mount(plugins, "/etc/munin/plugins", "", unix.MS_BIND, ""))
	text, err := c.AppendText(nil)
	require.NoError(t, err)
	text = bytes.ReplaceAll(text, []byte("/var/log/munin/"), []byte(dir+"/"))
	text = bytes.ReplaceAll(text, []byte("/run/munin/"), []byte(dir+"/"))
	conf := filepath.Join(dir, "munin-node.conf")
	require.NoError(t, os.WriteFile(conf, append(text, more...), 0o644))
	cmd := exec.Command(lab.Program(t, "munin-node"), "--config", conf, "--foreground")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
	})
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", netip.AddrPortFrom(c.Host, c.Port).String())
		if err == nil {
			conn.Close()
		}
		return err == nil
	}, 20*time.Second, 20*time.Millisecond, "munin-node does not listen: it left %s", filepath.Join(dir, "munin-node.log"))
}

func freePort(t *testing.T, ip string) uint16 {
	l, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	require.NoError(t, err)
	defer l.Close()
	return netip.MustParseAddrPort(l.Addr().String()).Port()
}

// serve runs a node of ours, and returns its port.
func serve(t *testing.T, s *node.Server) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", "[::1]:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	return netip.MustParseAddrPort(l.Addr().String()).Port()
}

func figures(context.Context) ([]node.Graph, error) {
	return []node.Graph{{Name: "heat", Attributes: []node.Attribute{{Key: "graph_title", Value: "Heat"}, {Key: "graph_category", Value: "rack"}},
		Fields: []node.Field{{Name: "board", Attributes: []node.Attribute{{Key: "label", Value: "Board"}, {Key: "warning", Value: ":70"}}, Values: node.Now(42.5)}}}}, nil
}

func power(context.Context) ([]node.Graph, error) {
	var graphs []node.Graph
	for _, name := range []string{"power", "power.pi1", "power.pi2"} {
		graphs = append(graphs, node.Graph{Name: name, Attributes: []node.Attribute{{Key: "graph_title", Value: "Power of " + name}},
			Fields: []node.Field{{Name: "watts", Attributes: []node.Attribute{{Key: "label", Value: "Watts"}, {Key: "type", Value: "GAUGE"}}, Values: node.Now(3)}}})
	}
	return graphs, nil
}

func ourNode() *node.Server {
	return &node.Server{Name: "ratatoskr.example.org", Plugins: []node.Plugin{
		{Name: "heat", Graphs: figures}, {Name: "power", Multigraph: true, Graphs: power},
		{Name: "pi9", Host: "pi9.example.org", Graphs: func(context.Context) ([]node.Graph, error) {
			return []node.Graph{{Name: "pi9", Attributes: []node.Attribute{{Key: "graph_title", Value: "Pi 9"}}, Fields: []node.Field{{Name: "up", Attributes: []node.Attribute{{Key: "label", Value: "up"}}, Values: node.Now(1)}}}}, nil
		}},
	}}
}

// TestMasterCollects has munin-update collect from Debian's munin-node and from
// a node of ours, with nothing but files that we wrote, and munin's other
// programs read the same hosts.
func TestMasterCollects(t *testing.T) {
	if !lab.Isolated(t) {
		return
	}
	s := newStation(t)
	loopback := netip.IPv6Loopback()
	port := freePort(t, "::1")
	s.startNode(t, "fenrir", node.Conf{Masters: []netip.Addr{loopback}, Host: loopback, Port: port, HostName: "fenrir.example.org"}, "")
	ours := serve(t, ourNode())
	s.main.Contacts = []munin.Contact{{Name: "ops", Command: "cat >>" + filepath.Join(s.dir, "html", "mail")}}
	s.install(t, &munin.Master{
		Groups: []munin.Group{{Name: "web", NodeOrder: []string{"totals", "fenrir.example.org"}}},
		Hosts: []munin.Host{
			{Group: "web", Name: "fenrir.example.org", Address: munin.IPAddress(loopback), Port: port,
				Services: map[string]munin.Service{"load": {Fields: map[string]munin.Field{"load": {Warning: munin.Limit{Max: new(500.0)}}}}}},
			{Group: "rack;eu", Name: "ratatoskr.example.org", Address: munin.IPAddress(loopback), Port: ours, UseNodeName: true,
				Services: map[string]munin.Service{"heat": {Fields: map[string]munin.Field{"board": {Critical: munin.Limit{Max: new(40.0)}}}}}},
			{Group: "rack;eu", Name: "pi9.example.org", Address: munin.IPAddress(loopback), Port: ours},
			{Group: "web", Name: "totals", NoUpdate: true, Services: map[string]munin.Service{"load": {
				Title: "Load of all", Order: []string{"fenrir=web;fenrir.example.org:load.load"}, Fields: map[string]munin.Field{"fenrir": {Label: "fenrir"}}}}},
		},
	})
	s.update(t)
	for _, rrd := range []string{
		"web/fenrir.example.org-load-load-g.rrd", "web/fenrir.example.org-uptime-uptime-g.rrd",
		"rack/eu/ratatoskr.example.org-heat-board-g.rrd", "rack/eu/ratatoskr.example.org-power-watts-g.rrd",
		"rack/eu/ratatoskr.example.org-power-pi1-watts-g.rrd", "rack/eu/pi9.example.org-pi9-up-g.rrd",
	} {
		require.FileExists(t, filepath.Join(s.dbs, rrd), s.log("munin-update"))
	}
	require.NotContains(t, s.log("munin-update"), "Error in node")
	require.NotContains(t, s.log("munin-update"), "WARN")

	// The other parser, that of munin-limits and munin-html.
	for _, name := range []string{"munin-limits", "munin-html"} {
		output, err := s.run(t, name, "--config="+filepath.Join(s.dir, "munin.conf"))
		require.NoError(t, err, "%s: %s\n%s", name, output, s.log(name))
		for _, bad := range []string{"Cannot work on", "Malformed", "Failed setting", "unknown option"} {
			require.NotContains(t, output+s.log(name), bad, name)
		}
	}
	for _, page := range []string{"web/fenrir.example.org/index.html", "web/totals/index.html", "rack/eu/ratatoskr.example.org/index.html", "rack/eu/pi9.example.org/heat.html"} {
		if page == "rack/eu/pi9.example.org/heat.html" {
			require.NoFileExists(t, filepath.Join(s.dir, "html", page))
			continue
		}
		require.FileExists(t, filepath.Join(s.dir, "html", page), s.log("munin-html"))
	}
	index, err := os.ReadFile(filepath.Join(s.dir, "html", "index.html"))
	require.NoError(t, err)
	for _, group := range []string{"web", "rack"} {
		require.Contains(t, string(index), `href="`+group+`/index.html"`)
	}
	limits, err := os.ReadFile(filepath.Join(s.dbs, "limits"))
	require.NoError(t, err)
	require.Contains(t, string(limits), "rack;eu;ratatoskr.example.org;heat;board", "42.5 is above our limit of 40")
	mail, err := os.ReadFile(filepath.Join(s.dir, "html", "mail"))
	require.NoError(t, err)
	require.Contains(t, string(mail), "ratatoskr.example.org")
}

// TestAllow lets the master in at Debian's munin-node, and not its neighbour.
func TestAllow(t *testing.T) {
	if !lab.Isolated(t) {
		return
	}
	for _, ip := range []string{masterIP, otherIP, "2001:db8::50"} {
		lab.Run(t, "ip", "-6", "addr", "add", ip+"/128", "dev", "lo", "nodad")
	}
	s := newStation(t)
	port := freePort(t, "::1")
	loopback := netip.IPv6Loopback()
	s.startNode(t, "fenrir", node.Conf{Masters: []netip.Addr{netip.MustParseAddr(masterIP)}, Host: loopback, Port: port, HostName: "fenrir.example.org"}, "")
	for _, from := range []string{masterIP, otherIP, "2001:db8::50", "::1"} {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		conn, err := dialer.DialContext(t.Context(), "tcp", netip.AddrPortFrom(loopback, port).String())
		require.NoError(t, err)
		c, err := node.NewClient(t.Context(), conn, node.Limits{})
		if from != masterIP {
			require.ErrorIs(t, err, node.ErrDenied, from)
			conn.Close()
			continue
		}
		require.NoError(t, err, from)
		require.Equal(t, "fenrir.example.org", c.Name())
		require.NoError(t, c.Close())
	}
	m := &munin.Master{Hosts: []munin.Host{{Group: "web", Name: "fenrir.example.org", Address: munin.IPAddress(loopback), Port: port, LocalAddress: netip.MustParseAddr(masterIP)}}}
	s.install(t, m)
	s.update(t)
	require.FileExists(t, filepath.Join(s.dbs, "web/fenrir.example.org-load-load-g.rrd"), s.log("munin-update"))
	m.Hosts[0].LocalAddress, m.Hosts[0].Name = netip.MustParseAddr(otherIP), "other.example.org"
	s.install(t, m)
	s.update(t)
	require.NoFileExists(t, filepath.Join(s.dbs, "web/other.example.org-load-load-g.rrd"))

	// The prober's verdicts on the real node, from an address that is not let in
	// and under another name.
	reports, err := (&node.Prober{}).Probe(t.Context(), []node.Target{{Name: "fenrir.example.org", Address: netip.AddrPortFrom(loopback, port).String()}})
	require.NoError(t, err)
	require.Equal(t, node.Denied, reports[0].Verdict)
}

// TestClientAsksMuninNode asks everything of Debian's munin-node.
func TestClientAsksMuninNode(t *testing.T) {
	if !lab.Isolated(t) {
		return
	}
	s := newStation(t)
	port := freePort(t, "::1")
	loopback := netip.IPv6Loopback()
	address := netip.AddrPortFrom(loopback, port).String()
	s.startNode(t, "fenrir", node.Conf{Masters: []netip.Addr{loopback}, Host: loopback, Port: port, HostName: "Fenrir.example.org"}, "")
	c, err := node.Dial(t.Context(), address, node.Limits{})
	require.NoError(t, err)
	defer c.Close()
	can, err := c.Cap(t.Context(), "multigraph", "dirtyconfig")
	require.NoError(t, err)
	require.Subset(t, can, []string{"multigraph", "dirtyconfig"})
	nodes, err := c.Nodes(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"fenrir.example.org"}, nodes, "munin-node makes names lower case")
	plugins, err := c.List(t.Context(), "Fenrir.example.org")
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"load", "uptime"}, plugins)
	graphs, err := c.Config(t.Context(), "load")
	require.NoError(t, err)
	require.Len(t, graphs, 1)
	require.Contains(t, graphs[0].Attributes, node.Attribute{Key: "graph_title", Value: "Load average"})
	graphs, err = c.Fetch(t.Context(), "load")
	require.NoError(t, err)
	require.Len(t, graphs[0].Fields[0].Values, 1)
	require.GreaterOrEqual(t, graphs[0].Fields[0].Values[0].Number, 0.0)
	_, err = c.Fetch(t.Context(), "nothing")
	require.ErrorContains(t, err, "Unknown service")

	reports, err := (&node.Prober{Collect: true, Slow: time.Minute}).Probe(t.Context(), []node.Target{
		{Name: "Fenrir.example.org", Address: address}, {Name: "loki.example.org", Address: address},
		{Name: "loki.example.org", Address: address, UseNodeName: true}, {Name: "x", Address: netip.AddrPortFrom(loopback, freePort(t, "::1")).String()},
	})
	require.NoError(t, err)
	verdicts := []node.Verdict{node.Reachable, node.WrongName, node.Reachable, node.Unreachable}
	for i, r := range reports {
		require.Equal(t, verdicts[i], r.Verdict, "%v", r.Err)
	}
	require.Equal(t, 2, reports[0].Plugins)
}

// certificate writes a key and a self-signed certificate, which munin too reads.
func certificate(t *testing.T, s *station) (path string, pair tls.Certificate) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "fenrir.example.org"}, DNSNames: []string{"fenrir.example.org"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})...)
	path = filepath.Join(s.dir, "node.pem")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	require.NoError(t, os.Chown(path, int(s.uid), int(s.gid)))
	pair, err = tls.X509KeyPair(text, text)
	require.NoError(t, err)
	return path, pair
}

// perlModule is the path of a Perl module that was compiled for this machine,
// or where to look for it.
func perlModule(t *testing.T, name string) string {
	pattern := filepath.Join("/usr/lib/*/perl5/*", name)
	found, err := filepath.Glob(pattern)
	require.NoError(t, err)
	if len(found) == 0 {
		return pattern
	}
	return found[0]
}

// TestSTARTTLS speaks munin's TLS with munin's own programs, at both ends and in
// both roles.
func TestSTARTTLS(t *testing.T) {
	if !lab.Isolated(t) {
		return
	}
	lab.Need(t, perlModule(t, "Net/SSLeay.pm"))
	s := newStation(t)
	path, pair := certificate(t, s)
	roots := x509.NewCertPool()
	roots.AddCert(pair.Leaf)
	loopback := netip.IPv6Loopback()

	for name, more := range map[string]string{
		"with":    fmt.Sprintf("tls enabled\ntls_private_key %s\ntls_certificate %s\n", path, path),
		"without": "tls enabled\ntls_private_key /nonexistent\ntls_certificate /nonexistent\n",
	} {
		port := freePort(t, "::1")
		s.startNode(t, name, node.Conf{Masters: []netip.Addr{loopback}, Host: loopback, Port: port, HostName: "fenrir.example.org"}, more)
		target := node.Target{Name: "fenrir.example.org", Address: netip.AddrPortFrom(loopback, port).String()}
		reports, err := (&node.Prober{}).Probe(t.Context(), []node.Target{target})
		require.NoError(t, err)
		require.Equal(t, node.TLSRequired, reports[0].Verdict)
		target.TLS = &tls.Config{RootCAs: roots, ServerName: "fenrir.example.org", Certificates: []tls.Certificate{pair}}
		reports, err = (&node.Prober{Collect: true, Slow: time.Minute}).Probe(t.Context(), []node.Target{target})
		require.NoError(t, err)
		require.Equal(t, node.Reachable, reports[0].Verdict, "%s a certificate: %v", name, reports[0].Err)
		require.Equal(t, 2, reports[0].Plugins)
	}

	for i, config := range []*tls.Config{{Certificates: []tls.Certificate{pair}}, {InsecureSkipVerify: true}} {
		server := ourNode()
		server.TLS, server.RequireTLS = config, true
		host := fmt.Sprintf("ours%d.example.org", i)
		s.install(t, &munin.Master{Hosts: []munin.Host{{Group: "secure", Name: host, Address: munin.IPAddress(loopback), Port: serve(t, server), UseNodeName: true,
			TLS: &munin.TLS{Mode: munin.TLSEnabled, Certificate: path, PrivateKey: path}}}})
		s.update(t)
		require.FileExists(t, filepath.Join(s.dbs, "secure", host+"-heat-board-g.rrd"), s.log("munin-update"))
		require.FileExists(t, filepath.Join(s.dbs, "secure", host+"-power-pi2-watts-g.rrd"), s.log("munin-update"))
	}
}

// round has munin read one file more in its includedir, from a clean start, and
// returns what its programs complain of, and which pages of hosts are missing.
func (s *station) round(t *testing.T, text string, pages ...string) string {
	t.Helper()
	for _, name := range []string{"db", "html", "log"} {
		path := filepath.Join(s.dir, name)
		require.NoError(t, os.RemoveAll(path))
		require.NoError(t, os.Mkdir(path, 0o755))
		require.NoError(t, os.Chown(path, int(s.uid), int(s.gid)))
	}
	path := filepath.Join(s.confs, "more.conf")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	defer os.Remove(path)
	var complaints strings.Builder
	for _, program := range [][]string{{"munin-update", "--config_file=", "--nofork"}, {"munin-limits", "--config="}, {"munin-html", "--config="}} {
		args := append([]string{program[1] + filepath.Join(s.dir, "munin.conf")}, program[2:]...)
		output, err := s.run(t, program[0], args...)
		if err != nil {
			fmt.Fprintf(&complaints, "%s: %v\n", program[0], err)
		}
		for line := range strings.Lines(output + s.log(program[0])) {
			if complaint.MatchString(line) {
				complaints.WriteString(program[0] + ": " + line)
			}
		}
	}
	for _, page := range pages {
		if _, err := os.Stat(filepath.Join(s.dir, "html", page, "index.html")); err != nil {
			fmt.Fprintf(&complaints, "munin-html: no page: %v\n", err)
		}
	}
	return complaints.String()
}

var complaint = regexp.MustCompile(`Cannot work on|HASH|strict refs|Malform|Failed setting|[Uu]nknown|illegal|[Pp]arse|is a directory|Is a directory`)

// section is a host's, at a node of ours.
func section(group, host string, port uint16) string {
	return fmt.Sprintf("[%s;%s]\n  address [::1]\n  port %d\n  use_node_name yes\n", group, host, port)
}

// decode is what we say of a file.
func decode(t *testing.T, text string) error {
	f, err := munin.Parse("more.conf", strings.NewReader(text))
	require.NoError(t, err)
	_, err = munin.Decode(f)
	return err
}

// TestRefusedByMunin shows that munin stops at, or misreads, what Validate
// refuses, and nothing else that is near to it.
func TestRefusedByMunin(t *testing.T) {
	if !lab.Isolated(t) {
		return
	}
	s := newStation(t)
	s.install(t, &munin.Master{Hosts: []munin.Host{{Group: "web", Name: "totals", NoUpdate: true}}})
	port := serve(t, ourNode())
	var good strings.Builder
	var pages []string
	for _, name := range []string{"ok", "line", "state", "tls", "version", "text", "port", "process", "sum", "update", "contacts", "timeout", "htmldir"} {
		good.WriteString(section("hosts", name, port))
		pages = append(pages, "hosts/"+name)
	}
	for _, group := range []string{"ok", "line", "state", "process", "label", "sub;ok", "sub;line", "sub;state", "sub;version"} {
		good.WriteString(section(group, "a", port))
		pages = append(pages, strings.ReplaceAll(group, ";", "/")+"/a")
	}
	require.NoError(t, decode(t, good.String()))
	require.Empty(t, s.round(t, good.String(), pages...))
	for name, test := range map[string]struct{ text, want string }{
		"bad host":           {section("web", "bad_host", port), `munin-update: exit status`},
		"no such key":        {section("web", "a", port) + "  adress x\n", `munin-update: exit status`},
		"no boolean":         {section("web", "a", port) + "  update maybe\n", `munin-update: exit status`},
		"group version":      {section("version", "a", port), `munin-update: Can't use string \("2`},
		"group tmpldir":      {section("tmpldir", "a", port), `munin-html: Can't use string \("/etc/munin/templates"\) as a HASH`},
		"group htmldir":      {section("htmldir", "a", port), `munin-limits: Can't use string \(".*/html"\) as a HASH`},
		"host and setting":   {"[deep;]\n  contacts none\n" + section("deep", "contacts", port), `munin-limits: Can't use string \("none"\) as a HASH`},
		"subgroup and value": {"[deep;]\n  node_order a\n" + section("deep;node_order", "a", port), `munin-html: Can't use string \("a"\) as a HASH`},
		"blank group":        {section("a b", "c", port), `munin-update: .*Cannot work on hash node "a b"`},
	} {
		require.Error(t, decode(t, test.text), name)
		require.Regexp(t, test.want, s.round(t, test.text), name)
	}
	require.NoError(t, os.Mkdir(filepath.Join(s.confs, "directory"), 0o755))
	require.Contains(t, s.round(t, ""), "munin-update: exit status")
}
