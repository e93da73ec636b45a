package manager

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/rollover"
	"github.com/berryrack/berryrack/dnssec/server"
	"github.com/berryrack/berryrack/dnssec/update"
	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

const exampleZone = `$TTL 300
@ SOA ns host 1 7200 3600 1209600 300
@ NS ns
ns A 192.0.2.1
www A 192.0.2.2
*.wild TXT "x"
sub NS ns.sub
ns.sub A 192.0.2.3
`

func name(text string) wire.Name {
	n, err := wire.ParseName(text)
	if err != nil {
		panic(err)
	}
	return n
}

// fakeParent has the DS records that were lodged, and asks for no time.
type fakeParent struct {
	mutex   sync.Mutex
	records map[wire.Name][][]byte
	lodged  int
	silent  bool
}

func (p *fakeParent) Lodge(_ context.Context, origin wire.Name, keys []dnssec.PublicKey) error {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.lodged++
	if p.records == nil {
		p.records = map[wire.Name][][]byte{}
	}
	p.records[origin] = nil
	for _, key := range keys {
		p.records[origin] = append(p.records[origin], key.DS(origin, dnssec.SHA256))
	}
	return nil
}

func (p *fakeParent) DS(_ context.Context, origin wire.Name) ([]rollover.DSAnswer, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.silent {
		return []rollover.DSAnswer{{Server: "parent", Failed: true}}, nil
	}
	answer := rollover.DSAnswer{Server: "parent", Records: p.records[origin]}
	if len(answer.Records) > 0 {
		answer.TTL = time.Hour
	}
	return []rollover.DSAnswer{answer, answer}, nil
}

// bench is a manager of one zone, on a clock of its own.
type bench struct {
	*Manager
	t        *testing.T
	origin   wire.Name
	parent   *fakeParent
	clock    time.Time
	elapsed  time.Duration
	verified *zone.Zone
	zone     Zone
}

func newBench(t *testing.T, policy Policy) *bench {
	t.Helper()
	b := &bench{t: t, origin: name("example.org."), parent: &fakeParent{}, clock: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
	dir := t.TempDir()
	file := filepath.Join(dir, "example.org.zone")
	require.NoError(t, os.WriteFile(file, []byte(exampleZone), 0o600))
	if policy.Algorithm == 0 {
		policy.Algorithm = dnssec.ED25519
	}
	policy.Parent = rollover.ByRegistrar
	b.zone = Zone{Origin: b.origin, File: file, Policy: policy, Registrar: b.parent}
	b.Manager = &Manager{Dir: filepath.Join(dir, "state")}
	b.restart()
	return b
}

// restart is a new process on the same files.
func (b *bench) restart() {
	b.t.Helper()
	b.Manager = &Manager{
		Dir: b.Dir, Server: &server.Server{}, Parent: b.parent, Poll: time.Hour, Watch: 24 * time.Hour,
		Now: func() time.Time { return b.clock }, Elapsed: func() time.Duration { return b.elapsed },
	}
	require.NoError(b.t, b.Configure([]Zone{b.zone}))
}

func (b *bench) order(o Order) {
	b.t.Helper()
	_, err := b.store().leave(b.origin, o, b.clock)
	require.NoError(b.t, err)
}

func (b *bench) pass(d time.Duration) {
	b.clock, b.elapsed = b.clock.Add(d), b.elapsed+d
}

// turn has the zone's turn come, and goes on to the next one.
func (b *bench) turn() *Status {
	b.t.Helper()
	next := b.Manager.unit(b.origin).turn(b.t.Context())
	status, err := b.Status(b.origin)
	require.NoError(b.t, err)
	require.Empty(b.t, status.Problems)
	b.check()
	b.pass(max(time.Second, next.Sub(b.clock)))
	return status
}

// check has what is served verified, against the parent too.
func (b *bench) check() {
	b.t.Helper()
	served := b.Manager.unit(b.origin).signed.zone
	require.NotNil(b.t, served)
	records := b.parent.records[b.origin]
	if len(records) == 0 {
		return
	}
	if u := b.Manager.unit(b.origin); served != b.verified || u.signed.result == nil || b.clock.After(u.signed.result.Expiry) {
		b.verify(served)
	}
	trusted := false
	for _, key := range keysIn(served) {
		for _, record := range records {
			trusted = trusted || string(key.Public.DS(b.origin, dnssec.SHA256)) == string(record)
		}
	}
	require.True(b.t, trusted, "no DS record leads to a key")
}

// verify has a zone verified, once: until its first signature ends nothing changes.
func (b *bench) verify(served *zone.Zone) {
	b.t.Helper()
	findings, err := dnssec.Verify(b.t.Context(), served, b.clock)
	require.NoError(b.t, err)
	findings = slices.DeleteFunc(findings, func(f dnssec.Finding) bool {
		// Signatures of a new algorithm come before its keys (RFC 6781 section 4.1.4).
		return strings.HasSuffix(f.Reason, "no such key in the zone")
	})
	require.Empty(b.t, findings)
	b.verified = served
}

// until takes turns until the status is so.
func (b *bench) until(what string, is func(*Status) bool) *Status {
	b.t.Helper()
	for range 3000 {
		if s := b.turn(); is(s) {
			return s
		}
	}
	s, _ := b.Status(b.origin)
	var reasons []string
	for _, r := range s.Reasons {
		reasons = append(reasons, r.String())
	}
	b.t.Fatalf("never %s:\n%s", what, strings.Join(reasons, "\n"))
	return nil
}

// settled reports whether all keys that stay are omnipresent, and no others are left.
func settled(s *Status) bool {
	for i := range s.State.Keys {
		k := &s.State.Keys[i]
		for r, status := range k.Records {
			uses := k.Role == rollover.CSK || k.Role == rollover.KSK && rollover.Record(r) != rollover.ZRRSIG ||
				k.Role == rollover.ZSK && (rollover.Record(r) == rollover.DNSKEY || rollover.Record(r) == rollover.ZRRSIG)
			switch {
			case k.Retiring && status.State != rollover.Hidden, !k.Retiring && uses && status.State != rollover.Omnipresent:
				return false
			}
		}
	}
	return len(s.State.Keys) > 0 && s.Served
}

func staying(s *Status, role rollover.Role) *rollover.Key {
	for i := range s.State.Keys {
		if k := &s.State.Keys[i]; k.Role == role && !k.Retiring {
			return k
		}
	}
	return nil
}

func TestLife(t *testing.T) {
	t.Parallel()
	b := newBench(t, Policy{})
	unsigned := b.turn()
	require.Empty(t, unsigned.State.Keys)
	require.Equal(t, uint32(1), unsigned.Serial)

	b.order(Order{Signed: true})
	s := b.turn()
	require.Len(t, s.DS, 1)
	require.False(t, s.LodgeAt.IsZero())
	require.Equal(t, 0, b.parent.lodged)
	s = b.until("signed", settled)
	require.Equal(t, 1, b.parent.lodged)

	for _, role := range []rollover.Role{rollover.ZSK, rollover.KSK} {
		before := staying(s, role).ID
		b.order(Order{Events: []rollover.Event{{Kind: rollover.Roll, Role: role}}})
		s = b.until(role.String()+" rolled", func(s *Status) bool { return settled(s) && staying(s, role).ID != before })
	}
	b.order(Order{Algorithm: dnssec.ECDSAP256SHA256})
	s = b.until("algorithm rolled", func(s *Status) bool {
		return settled(s) && staying(s, rollover.KSK).Public.Algorithm == dnssec.ECDSAP256SHA256
	})
	serial := s.Serial
	b.restart()
	s = b.turn()
	require.Equal(t, serial, s.Serial, "a restart changes nothing")

	b.order(Order{Unsigned: true})
	b.until("unsigned", func(s *Status) bool { return b.Manager.unit(b.origin).signed.result == nil })
	require.Empty(t, b.parent.records[b.origin])
	served := b.Manager.unit(b.origin).signed.zone
	require.Nil(t, served.Apex().Set(typeDNSKEY))
	require.Greater(t, served.SOA().Serial, serial)
}

// TestSources has files, edits of files, and updates go together.
func TestSources(t *testing.T) {
	t.Parallel()
	b := newBench(t, Policy{})
	b.zone.Update = grants(t, "acme. TXT _acme-challenge")
	b.restart()
	b.order(Order{Signed: true})
	b.turn()
	require.Equal(t, dns.RcodeServerFailure, b.update(b.origin, "acme.", insertion(t, "_acme-challenge.example.org. 60 IN TXT \"a\"")), "only while it runs")
	b.setRunning(true)
	challenge := "_acme-challenge.www.example.org. 60 IN TXT \"token\""
	require.Equal(t, dns.RcodeRefused, b.update(b.origin, "other.", insertion(t, challenge)))
	require.Equal(t, dns.RcodeSuccess, b.update(b.origin, "acme.", insertion(t, challenge)))
	has := func(owner string, t wire.Type) bool {
		node := b.Manager.unit(b.origin).signed.zone.Names.Find(name(owner))
		return node != nil && node.Set(t) != nil && len(node.Set(t).Signatures) > 0
	}
	require.True(t, has("_acme-challenge.www.example.org.", wire.Type(dns.TypeTXT)))
	require.NoError(t, os.WriteFile(b.zone.File, []byte(exampleZone+"new A 192.0.2.9\n"), 0o600))
	b.turn()
	require.True(t, has("new.example.org.", wire.Type(dns.TypeA)))
	require.True(t, has("_acme-challenge.www.example.org.", wire.Type(dns.TypeTXT)), "an edit leaves updates")
	b.restart()
	require.NoError(t, os.WriteFile(b.zone.File, []byte(exampleZone), 0o600))
	b.turn()
	require.False(t, has("new.example.org.", wire.Type(dns.TypeA)))
	require.True(t, has("_acme-challenge.www.example.org.", wire.Type(dns.TypeTXT)), "a restart keeps updates")

	serial := b.Manager.unit(b.origin).signed.zone.SOA().Serial
	require.NoError(t, os.WriteFile(b.zone.File, []byte("nonsense"), 0o600))
	b.Manager.unit(b.origin).turn(t.Context())
	status, err := b.Status(b.origin)
	require.NoError(t, err)
	require.NotEmpty(t, status.Problems)
	require.Equal(t, serial, status.Serial)
	b.check()
}

func insertion(t *testing.T, record string) *dns.Msg {
	t.Helper()
	rr, err := dns.NewRR(record)
	require.NoError(t, err)
	m := new(dns.Msg).SetUpdate("example.org.")
	m.Insert([]dns.RR{rr})
	packed, err := m.Pack()
	require.NoError(t, err)
	again := new(dns.Msg)
	require.NoError(t, again.Unpack(packed))
	return again
}

func TestConfigureIsAllOrNothing(t *testing.T) {
	m := &Manager{Dir: t.TempDir()}
	good := Zone{Origin: name("a.example."), File: "a"}
	require.NoError(t, m.Configure([]Zone{good}))
	err := m.Configure([]Zone{
		{Origin: name("b.example.")}, {Origin: name("c.example."), File: "c", Secondaries: []string{"192.0.2.1"}},
		{Origin: name("d.example."), File: "d", Policy: Policy{Policy: rollover.Policy{Parent: rollover.ByRegistrar}}},
		{Origin: name("e.example."), File: "e", Policy: Policy{Refresh: 15 * 24 * time.Hour}}, good, good,
	})
	for _, text := range []string{"zone b.example.: name a file or a primary", "192.0.2.1", "there is none", "due at once", "a.example. is there twice"} {
		require.ErrorContains(t, err, text)
	}
	require.NotNil(t, m.unit(good.Origin))
	require.Nil(t, m.unit(name("b.example.")))
}

func TestDirName(t *testing.T) {
	for text, want := range map[string]string{".": "@", "example.org.": "example.org", `a\/b.Example.`: "a%2Fb.example", `a\.b.example.`: "a%2Eb.example"} {
		require.Equal(t, want, dirName(name(text)), fmt.Sprint(text))
	}
}

func grants(t *testing.T, text string) []update.Grant {
	t.Helper()
	g, err := update.ParseGrant(text)
	require.NoError(t, err)
	return []update.Grant{g}
}

// runManager runs a manager until the test ends.
func runManager(t testing.TB, m *Manager, zones ...Zone) {
	t.Helper()
	require.NoError(t, m.Configure(zones))
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- m.Run(ctx, func() { close(ready) }) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	<-ready
}
