package manager

import (
	"context"
	"crypto/ed25519"

	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/parent"
	"github.com/berryrack/berryrack/dnssec/rollover"
	"github.com/berryrack/berryrack/dnssec/secondary"
	"github.com/berryrack/berryrack/dnssec/server"
	"github.com/berryrack/berryrack/dnssec/transfer"
	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
	"github.com/berryrack/berryrack/internal/lab"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// inSeconds is a policy whose rollovers take seconds.
var inSeconds = Policy{Policy: rollover.Policy{
	Algorithm: dnssec.ECDSAP256SHA256, Parent: rollover.ByRegistrar,
	KeyTTL: 2 * time.Second, ZoneTTL: 2 * time.Second, DSTTL: 2 * time.Second,
	ZonePropagation: time.Second, ParentPropagation: time.Second, PublishSafety: time.Second, RetireSafety: time.Second,
}}

const secret = "c2VjcmV0LW9mLXRoZS10ZXN0LWtleS0xMjM0NTY3ODk="

// A parentServer has the zone test., in which it delegates example.test. It is how
// DS records get there.
type parentServer interface {
	Registrar
	anchor(t *testing.T) string // of test., for a resolver
}

// ownParent is served by this project's server, and signed by its signer.
type ownParent struct {
	mutex  sync.Mutex
	server server.Server
	signer dnssec.Signer
	zone   *zone.Zone
	last   *dnssec.Result
	public dnssec.PublicKey
}

const parentText = `$TTL 2
@ SOA ns host 1 60 60 1209600 2
@ NS ns
ns A %s
example NS ns.example
ns.example A %s
`

func startOwnParent(t *testing.T, address, child string) *ownParent {
	t.Helper()
	p := &ownParent{}
	private := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	var err error
	p.public, err = dnssec.MakePublicKey(dnssec.FlagZone|dnssec.FlagSEP, dnssec.ED25519, private.Public())
	require.NoError(t, err)
	p.signer = dnssec.Signer{Keys: []dnssec.Key{{PublicKey: p.public, Signer: private, Use: dnssec.CSK}}, Serial: dnssec.IncrementSerial, KeyTTL: 2 * time.Second}
	p.zone, _, err = zone.Parse([]byte(fmt.Sprintf(parentText, address, child)), "test", name("test."))
	require.NoError(t, err)
	require.NoError(t, p.Lodge(t.Context(), name("example.test."), nil))
	serveOn(t, &p.server, address)
	return p
}

func (p *ownParent) anchor(*testing.T) string {
	set := zone.RRset{Type: wire.Type(dns.TypeDS), Data: wire.RDATA(nil).Append(p.public.DS(name("test."), dnssec.SHA256))}
	return strings.Join(strings.Fields(string(set.AppendText(nil, name("test.")))), " ")
}

// Lodge implements [Registrar].
func (p *ownParent) Lodge(ctx context.Context, origin wire.Name, keys []dnssec.PublicKey) error {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	e := p.zone.Edit()
	e.RemoveSet(origin, wire.Type(dns.TypeDS))
	for _, key := range keys {
		e.Add(origin, wire.Type(dns.TypeDS), 2, key.DS(origin, dnssec.SHA256))
	}
	next, err := e.Zone()
	if err != nil {
		return err
	}
	var previous *zone.Zone
	if p.last != nil {
		previous = p.last.Zone
	}
	result, err := p.signer.Sign(ctx, next, previous, time.Now())
	if err != nil {
		return err
	}
	p.zone, p.last = next, result
	p.server.Set(result.Zone)
	return nil
}

// knotParent is Knot DNS, which signs for itself and takes DS records by update.
type knotParent struct{ address string }

func startKnotParent(t *testing.T, address, child string) *knotParent {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "test.zone"), "$ORIGIN test.\n"+fmt.Sprintf(parentText, address, child))
	writeFile(t, filepath.Join(dir, "knot.conf"), fmt.Sprintf(`server:
    rundir: %[1]s
    listen: %[2]s@53
log:
  - target: stderr
    any: info
database:
    storage: %[1]s
key:
  - id: lodge.
    algorithm: hmac-sha256
    secret: %[3]s
acl:
  - id: lodge
    key: lodge.
    action: update
policy:
  - id: single
    algorithm: ed25519
    single-type-signing: on
    dnskey-ttl: 2
zone:
  - domain: test.
    file: %[1]s/test.zone
    acl: lodge
    dnssec-signing: on
    dnssec-policy: single
    zonefile-load: difference-no-serial
    zonefile-sync: -1
    journal-content: all
`, dir, address, secret))
	start(t, "knotd", "-c", filepath.Join(dir, "knot.conf"))
	awaitAnswer(t, address, "test.", dns.TypeDNSKEY)
	return &knotParent{address: net.JoinHostPort(address, "53")}
}

func (p *knotParent) anchor(t *testing.T) string {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion("test.", dns.TypeDNSKEY)
	reply, err := dns.Exchange(m, p.address)
	require.NoError(t, err)
	require.NotEmpty(t, reply.Answer)
	return strings.Join(strings.Fields(reply.Answer[0].String()), " ")
}

// Lodge implements [Registrar].
func (p *knotParent) Lodge(ctx context.Context, origin wire.Name, keys []dnssec.PublicKey) error {
	m := new(dns.Msg).SetUpdate("test.")
	m.RemoveRRset([]dns.RR{&dns.DS{Hdr: dns.RR_Header{Name: origin.String(), Rrtype: dns.TypeDS}}})
	for _, key := range keys {
		set := zone.RRset{Type: wire.Type(dns.TypeDS), TTL: 2, Data: wire.RDATA(nil).Append(key.DS(origin, dnssec.SHA256))}
		m.Insert(set.RRs(origin))
	}
	m.SetTsig("lodge.", dns.HmacSHA256, 300, time.Now().Unix())
	client := dns.Client{Net: "tcp", TsigSecret: map[string]string{"lodge.": secret}}
	reply, _, err := client.ExchangeContext(ctx, m, p.address)
	if err == nil && reply.Rcode != dns.RcodeSuccess {
		err = fmt.Errorf("knot answers %s", dns.RcodeToString[reply.Rcode])
	}
	return err
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

// serveOn serves at port 53 of an address until the test ends.
func serveOn(t testing.TB, s *server.Server, address string) {
	t.Helper()
	tcp, err := net.Listen("tcp", net.JoinHostPort(address, "53"))
	require.NoError(t, err)
	udp, err := net.ListenPacket("udp", tcp.Addr().String())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, udp, tcp) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
}

// start runs a program that ends with the test, and prints its log if that failed.
func start(t testing.TB, program string, args ...string) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), lab.Program(t, program), args...)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = log.Close()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("%s:\n%s", program, text)
		}
	})
}

// awaitAnswer waits until a server at port 53 of an address answers with records.
func awaitAnswer(t testing.TB, address, owner string, qtype uint16) {
	t.Helper()
	require.Eventually(t, func() bool {
		m := new(dns.Msg)
		m.SetQuestion(owner, qtype)
		reply, err := dns.Exchange(m, net.JoinHostPort(address, "53"))
		return err == nil && len(reply.Answer) > 0
	}, time.Minute, 50*time.Millisecond, "%s does not answer %s", address, owner)
}

// startUnbound starts a validating resolver at port 53 of an address.
func startUnbound(t *testing.T, address, parent, anchor string) {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "unbound.conf"), fmt.Sprintf(`server:
  interface: %s
  port: 53
  directory: %q
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  verbosity: 1
  val-log-level: 2
  do-daemonize: no
  do-not-query-localhost: no
  do-ip6: no
  access-control: 127.0.0.0/8 allow
  module-config: "validator iterator"
  harden-algo-downgrade: yes
  qname-minimisation: no
  num-threads: 1
  local-zone: "test." nodefault
  trust-anchor: %q
remote-control:
  control-enable: no
stub-zone:
  name: "test."
  stub-addr: %s
`, address, dir, anchor, parent))
	start(t, "unbound", "-d", "-p", "-c", filepath.Join(dir, "unbound.conf"))
	awaitAnswer(t, address, "test.", dns.TypeSOA)
}

// A watcher asks a resolver every 100 ms for what is there and what is not, and
// keeps what is not as it should be.
type watcher struct {
	mutex   sync.Mutex
	wrong   []string
	secure  bool // answers have to be validated
	asked   int
	stopped chan struct{}
}

func watch(ctx context.Context, resolver string) *watcher {
	w := &watcher{stopped: make(chan struct{})}
	go func() {
		defer close(w.stopped)
		ticker := time.NewTicker(100 * time.Millisecond)
		defer ticker.Stop()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				w.ask(ctx, resolver, i)
			}
		}
	}()
	return w
}

func (w *watcher) ask(ctx context.Context, resolver string, i int) {
	question := []struct {
		name  string
		qtype uint16
	}{{"www.example.test.", dns.TypeA}, {fmt.Sprintf("no%d.example.test.", i), dns.TypeA}, {"example.test.", dns.TypeDNSKEY}, {"x.wild.example.test.", dns.TypeTXT}}[i%4]
	w.mutex.Lock()
	secure := w.secure
	w.mutex.Unlock()
	m := new(dns.Msg)
	m.SetQuestion(question.name, question.qtype)
	m.SetEdns0(1232, true)
	client := dns.Client{Timeout: 5 * time.Second}
	reply, _, err := client.ExchangeContext(ctx, m, net.JoinHostPort(resolver, "53"))
	if ctx.Err() != nil {
		return
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.asked++
	switch {
	case err != nil:
		w.wrong = append(w.wrong, fmt.Sprintf("%s %v: %v", time.Now().Format(time.StampMilli), question, err))
	case reply.Rcode == dns.RcodeServerFailure, secure && !reply.AuthenticatedData:
		w.wrong = append(w.wrong, fmt.Sprintf("%s %v: secure=%v\n%s", time.Now().Format(time.StampMilli), question, secure, reply))
	}
}

func (w *watcher) mustBeSecure(secure bool) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.secure = secure
}

const childText = `$TTL 2
@ SOA ns host 1 60 60 1209600 2
@ NS ns
ns A %s
www A 192.0.2.2
*.wild TXT "x"
`

// TestLive has unbound validate all the time, while a zone is signed, its ZSK, its
// KSK and its algorithm roll over, and it goes unsigned.
func TestLive(t *testing.T) {
	lab.Need(t, "unbound", "knotd")
	if !lab.Isolated(t) {
		return
	}
	address := func(i int) func(int) string {
		return func(n int) string { return fmt.Sprintf("127.0.%d.%d", i, n) }
	}
	// All at once, however few cores there are: they mostly wait.
	var group sync.WaitGroup
	for name, run := range map[string]func(t *testing.T){
		"own":    func(t *testing.T) { a := address(1); live(t, startOwnParent(t, a(1), a(2)), a) },
		"Knot":   func(t *testing.T) { a := address(2); live(t, startKnotParent(t, a(1), a(2)), a) },
		"faults": func(t *testing.T) { liveFaults(t, address(3)) },
	} {
		group.Go(func() { t.Run(name, run) })
	}
	group.Wait()
}

// liveFaults has unbound ask on while the state is lost, a private key is deleted in
// the middle of a rollover, the parent withdraws the DS record, and the clock leaps.
func liveFaults(t *testing.T, address func(int) string) {
	above := startOwnParent(t, address(1), address(2))
	dir := t.TempDir()
	file := filepath.Join(dir, "zone")
	writeFile(t, file, fmt.Sprintf(childText, address(2)))
	origin := name("example.test.")
	var leap atomic.Int64
	s := &server.Server{}
	var m *Manager
	run := func() (stop func()) {
		m = &Manager{
			Dir: filepath.Join(dir, "state"), Server: s, Logger: logTo(t), Poll: 200 * time.Millisecond, Watch: time.Second,
			Parent: &parent.Servers{Addresses: []string{net.JoinHostPort(address(1), "53")}},
			Now:    func() time.Time { return time.Now().Add(time.Duration(leap.Load())) },
		}
		require.NoError(t, m.Configure([]Zone{{Origin: origin, File: file, Policy: inSeconds, Registrar: above}}))
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		ready := make(chan struct{})
		go func() { done <- m.Run(ctx, func() { close(ready) }) }()
		<-ready
		return sync.OnceFunc(func() {
			cancel()
			require.NoError(t, <-done)
		})
	}
	stop := run()
	defer func() { stop() }()
	serveOn(t, s, address(2))
	startUnbound(t, address(3), address(1), above.anchor(t))
	ctx, cancel := context.WithCancel(t.Context())
	w := watch(ctx, address(3))
	until := func(what string, is func(*Status) bool) (s *Status) {
		t.Helper()
		require.Eventually(t, func() bool {
			var err error
			s, err = m.Status(origin)
			require.NoError(t, err)
			return is(s)
		}, 3*time.Minute, 50*time.Millisecond, "never %s", what)
		t.Log(time.Now().Format(time.StampMilli), what)
		return s
	}
	require.NoError(t, m.Do(t.Context(), origin, Order{Signed: true}))
	before := until("signed", settled)
	w.mustBeSecure(true)

	stop()
	require.NoError(t, os.Remove(m.store().path(origin, stateFile)))
	stop = run()
	after := until("settled again", func(s *Status) bool { return settled(s) && s.At.After(before.At) })
	require.Equal(t, staying(before, rollover.KSK).ID, staying(after, rollover.KSK).ID)

	zsk := staying(after, rollover.ZSK)
	files, err := filepath.Glob(m.store().path(origin, keysDir, "*+"+zsk.Public.String()+".private"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	kept, err := os.ReadFile(files[0])
	require.NoError(t, err)
	require.NoError(t, os.Remove(files[0]))
	require.NoError(t, m.Do(t.Context(), origin, Order{Events: []rollover.Event{{Kind: rollover.Roll, Role: rollover.ZSK}}}))
	until("told of the missing key", func(s *Status) bool { return says(s, "private half of") })
	writeFile(t, files[0], string(kept))
	until("rolled", func(s *Status) bool {
		key := staying(s, rollover.ZSK)
		return settled(s) && key != nil && key.ID != zsk.ID
	})

	w.mustBeSecure(false)
	require.NoError(t, above.Lodge(t.Context(), origin, nil))
	until("withdrawn", func(s *Status) bool { return s.Lodge })
	require.NoError(t, above.Lodge(t.Context(), origin, []dnssec.PublicKey{staying(after, rollover.KSK).Public}))
	until("lodged again", settled)
	w.mustBeSecure(true)

	leap.Store(int64(40 * 24 * time.Hour))
	m.Wake()
	until("told of the clock", func(s *Status) bool { return says(s, "look whether the clock is right") })
	require.NoError(t, m.Do(t.Context(), origin, Order{Events: []rollover.Event{{Kind: rollover.Roll, Role: rollover.ZSK}}}))
	until("rolled, by a wrong clock", func(s *Status) bool { return settled(s) && s.At.After(time.Now().Add(24*time.Hour)) })
	leap.Store(0)
	m.Wake()
	until("right again", func(s *Status) bool { return settled(s) && s.At.Before(time.Now().Add(time.Hour)) })
	time.Sleep(2500 * time.Millisecond)
	cancel()
	<-w.stopped
	t.Log(w.asked, "answers")
	require.Empty(t, strings.Join(w.wrong, "\n"))
}

// logTo logs to the test.
func logTo(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
}

func live(t *testing.T, above parentServer, address func(int) string) {
	dir := t.TempDir()
	file := filepath.Join(dir, "zone")
	writeFile(t, file, fmt.Sprintf(childText, address(2)))
	origin := name("example.test.")
	m := &Manager{
		Dir: filepath.Join(dir, "state"), Server: &server.Server{}, Logger: logTo(t),
		Parent: &parent.Servers{Addresses: []string{net.JoinHostPort(address(1), "53")}},
		Poll:   200 * time.Millisecond, Watch: time.Second,
	}
	runManager(t, m, Zone{Origin: origin, File: file, Policy: inSeconds, Registrar: above})
	serveOn(t, m.Server, address(2))
	startUnbound(t, address(3), address(1), above.anchor(t))
	ctx, cancel := context.WithCancel(t.Context())
	w := watch(ctx, address(3))
	until := func(what string, is func(*Status) bool) *Status {
		t.Helper()
		var s *Status
		require.Eventually(t, func() bool {
			var err error
			s, err = m.Status(origin)
			require.NoError(t, err)
			return is(s)
		}, 3*time.Minute, 50*time.Millisecond, "never %s", what)
		t.Log(time.Now().Format(time.StampMilli), what)
		return s
	}
	do := func(o Order) {
		t.Helper()
		require.NoError(t, m.Do(t.Context(), origin, o))
	}
	do(Order{Signed: true})
	s := until("signed", settled)
	w.mustBeSecure(true)
	for _, role := range []rollover.Role{rollover.ZSK, rollover.KSK} {
		before := staying(s, role).ID
		do(Order{Events: []rollover.Event{{Kind: rollover.Roll, Role: role}}})
		s = until(role.String()+" rolled", func(s *Status) bool {
			key := staying(s, role)
			return settled(s) && key != nil && key.ID != before
		})
	}
	do(Order{Algorithm: dnssec.ED25519})
	until("algorithm rolled", func(s *Status) bool {
		key := staying(s, rollover.KSK)
		return settled(s) && key != nil && key.Public.Algorithm == dnssec.ED25519
	})
	w.mustBeSecure(false)
	do(Order{Unsigned: true})
	until("unsigned", func(s *Status) bool { return s.Expires.IsZero() })
	time.Sleep(2500 * time.Millisecond) // what was cached has gone
	cancel()
	<-w.stopped
	t.Log(w.asked, "answers")
	require.Empty(t, strings.Join(w.wrong, "\n"))
	require.Greater(t, w.asked, 200)
}

// TestSecondaries has Knot, NSD and BIND transfer a zone with the configuration that
// package secondary writes, first whole and then its differences; what they do not
// serve yet does not count as published.
func TestSecondaries(t *testing.T) {
	lab.Need(t, "knotd", "nsd", "named")
	if !lab.Isolated(t) {
		return
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "zone")
	writeFile(t, file, fmt.Sprintf(childText, "127.0.1.2"))
	origin := name("example.test.")
	transfers := &transferLog{kinds: map[string]int{}}
	m := &Manager{
		Dir:  filepath.Join(dir, "state"),
		Poll: 200 * time.Millisecond, Watch: time.Second, Logger: logTo(t),
		Server: &server.Server{TSIG: map[string]string{"xfr.": secret}, Logger: slog.New(transfers)},
	}
	secondaries := []string{"127.0.1.11", "127.0.1.12", "127.0.1.13"}
	for _, address := range secondaries { // BIND listens on nothing else
		lab.Run(t, "ip", "address", "add", address+"/32", "dev", "lo")
	}
	policy := inSeconds
	policy.Parent = rollover.ByPerson
	z := Zone{Origin: origin, File: file, Policy: policy, Transfer: []string{"xfr."}}
	for _, address := range secondaries {
		z.Secondaries = append(z.Secondaries, net.JoinHostPort(address, "53"))
	}
	runManager(t, m, z)
	serveOn(t, m.Server, "127.0.1.2")
	require.NoError(t, m.Do(t.Context(), origin, Order{Signed: true}))
	time.Sleep(time.Second)
	s, err := m.Status(origin)
	require.NoError(t, err)
	require.Zero(t, s.State.Served, "no secondary is there yet")

	startSecondaries(t, secondaries, secondary.Config{
		Primary: netip.MustParseAddrPort("127.0.1.2:53"),
		Keys:    []secondary.Key{{Name: "xfr.", Secret: secret}},
		Zones:   []secondary.Zone{{Origin: origin, Key: "xfr."}},
	})
	equal := func() bool {
		u := m.unit(origin)
		u.mutex.Lock()
		served := u.signed.zone
		u.mutex.Unlock()
		for _, address := range secondaries {
			if !sameAnswers(t, served, address) {
				return false
			}
		}
		return true
	}
	require.Eventually(t, equal, 90*time.Second, 200*time.Millisecond)
	require.Eventually(t, func() bool {
		s, err := m.Status(origin)
		require.NoError(t, err)
		return s.State.Served == s.State.Generation && s.State.Served > 0
	}, time.Minute, 100*time.Millisecond)
	for i := range 2 {
		writeFile(t, file, fmt.Sprintf(childText, "127.0.1.2")+fmt.Sprintf("new%d A 192.0.2.7\n", i))
		m.Wake()
		require.Eventually(t, func() bool {
			u := m.unit(origin)
			u.mutex.Lock()
			defer u.mutex.Unlock()
			return u.signed.zone.Names.Find(name(fmt.Sprintf("new%d.example.test.", i))) != nil
		}, time.Minute, 50*time.Millisecond)
		require.Eventually(t, equal, 90*time.Second, 200*time.Millisecond)
	}
	transfers.mutex.Lock()
	defer transfers.mutex.Unlock()
	t.Log(transfers.kinds)
	require.Equal(t, 3, transfers.kinds["AXFR"], "each of them once")
	require.GreaterOrEqual(t, transfers.kinds["IXFR"], 2*3)
}

// transferLog counts transfers by their kind.
type transferLog struct {
	slog.Handler
	mutex sync.Mutex
	kinds map[string]int
}

func (l *transferLog) Enabled(context.Context, slog.Level) bool { return true }

func (l *transferLog) Handle(_ context.Context, r slog.Record) error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "kind" {
			l.kinds[a.Value.String()]++
		}
		return true
	})
	return nil
}

// startSecondaries starts Knot, NSD and BIND.
func startSecondaries(t *testing.T, addresses []string, c secondary.Config) {
	t.Helper()
	texts := make([]string, 3)
	for i, write := range []func() (string, error){c.Knot, c.NSD, c.BIND} {
		var err error
		texts[i], err = write()
		require.NoError(t, err)
	}
	dirs := []string{t.TempDir(), t.TempDir(), t.TempDir()}
	conf := func(i int) string { return filepath.Join(dirs[i], "conf") }
	writeFile(t, conf(0), fmt.Sprintf("server:\n    rundir: %[1]s\n    listen: %[2]s@53\nlog:\n  - target: stderr\n    any: info\ndatabase:\n    storage: %[1]s\ntemplate:\n  - id: default\n    storage: %[1]s\n%[3]s", dirs[0], addresses[0], texts[0]))
	start(t, "knotd", "-c", conf(0))
	writeFile(t, conf(1), fmt.Sprintf("server:\n\tip-address: %[2]s\n\tusername: root\n\tchroot: \"\"\n\tzonesdir: %[1]q\n\tpidfile: \"\"\n\tdatabase: \"\"\n\txfrdfile: \"%[1]s/xfrd.state\"\n\txfrdir: %[1]q\n\tzonelistfile: \"%[1]s/zone.list\"\n\tcookie-secret-file: \"\"\nremote-control:\n\tcontrol-enable: no\n%[3]s", dirs[1], addresses[1], texts[1]))
	start(t, "nsd", "-d", "-c", conf(1))
	writeFile(t, conf(2), fmt.Sprintf("options { directory %q; listen-on { %s; }; listen-on-v6 { none; }; query-source address %s; transfer-source %s; recursion no; pid-file none; session-keyfile none; dnssec-validation no; };\ncontrols {};\n%s", dirs[2], addresses[2], addresses[2], addresses[2], texts[2]))
	start(t, "named", "-g", "-c", conf(2))
}

// sameAnswers reports whether a secondary answers as the zone has it.
func sameAnswers(t *testing.T, z *zone.Zone, address string) bool {
	t.Helper()
	for _, node := range z.Names.All() {
		for _, set := range node.Sets {
			m := new(dns.Msg)
			m.SetQuestion(node.Name.String(), uint16(set.Type))
			m.SetEdns0(1232, true)
			client := dns.Client{Net: "tcp", Timeout: 5 * time.Second}
			reply, _, err := client.Exchange(m, net.JoinHostPort(address, "53"))
			if err != nil {
				t.Log(address, node.Name, set.Type, err)
				return false
			}
			want, got := append(set.RRs(node.Name), set.RRSIGs(node.Name)...), reply.Answer
			if len(want) != len(got) || slices.ContainsFunc(want, func(rr dns.RR) bool {
				return !slices.ContainsFunc(got, func(other dns.RR) bool { return dns.IsDuplicate(rr, other) })
			}) {
				t.Log(address, "differs:", want, got)
				return false
			}
		}
	}
	return true
}

// TestHiddenPrimary has a zone come from Knot, whole and then by differences that
// Knot tells of.
func TestHiddenPrimary(t *testing.T) {
	lab.Need(t, "knotd")
	if !lab.Isolated(t) {
		return
	}
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "example.test.zone"), "$ORIGIN example.test.\n"+fmt.Sprintf(childText, "127.0.1.2"))
	writeFile(t, filepath.Join(dir, "knot.conf"), fmt.Sprintf(`server:
    rundir: %[1]s
    listen: 127.0.1.1@53
log:
  - target: stderr
    any: info
database:
    storage: %[1]s
key:
  - id: xfr.
    algorithm: hmac-sha256
    secret: %[2]s
remote:
  - id: signer
    address: 127.0.1.2@53
    via: 127.0.1.1
acl:
  - id: both
    key: xfr.
    action: [transfer, update]
zone:
  - domain: example.test.
    file: %[1]s/example.test.zone
    notify: signer
    acl: both
    zonefile-sync: -1
    zonefile-load: difference
    journal-content: all
`, dir, secret))
	start(t, "knotd", "-c", filepath.Join(dir, "knot.conf"))
	awaitAnswer(t, "127.0.1.1", "example.test.", dns.TypeSOA)
	origin := name("example.test.")
	m := &Manager{
		Dir: filepath.Join(dir, "state"), Server: &server.Server{TSIG: map[string]string{"xfr.": secret}}, Logger: logTo(t),
		Poll: 200 * time.Millisecond,
	}
	primary := &transfer.Client{Server: "127.0.1.1:53", Key: transfer.Key{Name: "xfr.", Secret: secret}}
	runManager(t, m, Zone{Origin: origin, Primary: primary, Policy: Policy{Policy: rollover.Policy{CSK: true}}})
	serveOn(t, m.Server, "127.0.1.2")
	require.NoError(t, m.Do(t.Context(), origin, Order{Signed: true}))
	for i := range 3 {
		update := new(dns.Msg).SetUpdate("example.test.")
		rr, err := dns.NewRR(fmt.Sprintf("new%d.example.test. 2 IN A 192.0.2.7", i))
		require.NoError(t, err)
		update.Insert([]dns.RR{rr})
		update.SetTsig("xfr.", dns.HmacSHA256, 300, time.Now().Unix())
		client := dns.Client{Net: "tcp", TsigSecret: map[string]string{"xfr.": secret}}
		reply, _, err := client.Exchange(update, "127.0.1.1:53")
		require.NoError(t, err)
		require.Equal(t, dns.RcodeSuccess, reply.Rcode)
		require.Eventually(t, func() bool {
			m := new(dns.Msg)
			m.SetQuestion(rr.Header().Name, dns.TypeA)
			m.SetEdns0(1232, true)
			reply, err := dns.Exchange(m, "127.0.1.2:53")
			return err == nil && len(reply.Answer) == 2 // with its signature
		}, 30*time.Second, 20*time.Millisecond)
	}
	u := m.unit(origin)
	u.mutex.Lock()
	defer u.mutex.Unlock()
	findings, err := dnssec.Verify(t.Context(), u.signed.zone, time.Now())
	require.NoError(t, err)
	require.Empty(t, findings)
	require.Positive(t, m.counters.Notified.Load())
	require.GreaterOrEqual(t, m.counters.Fetched.Load(), uint64(4))
}
