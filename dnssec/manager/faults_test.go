package manager

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/rollover"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// signedBench is one whose zone is signed, with its DS record in the parent.
func signedBench(t *testing.T) *bench {
	t.Helper()
	b := newBench(t, Policy{})
	b.order(Order{Signed: true})
	b.until("signed", settled)
	return b
}

// turnWithTrouble is a turn in which something may go wrong, but nothing is bogus.
func (b *bench) turnWithTrouble() *Status {
	b.t.Helper()
	next := b.Manager.unit(b.origin).turn(b.t.Context())
	status, err := b.Status(b.origin)
	require.NoError(b.t, err)
	b.check()
	b.pass(max(time.Second, next.Sub(b.clock)))
	return status
}

// says looks for what a person is told to do.
func says(s *Status, text string) bool {
	return slices.ContainsFunc(s.Reasons, func(r rollover.Reason) bool { return r.Person && strings.Contains(r.Text, text) }) ||
		slices.ContainsFunc(s.Problems, func(p string) bool { return strings.Contains(p, text) })
}

func explanations(s *Status) string {
	lines := slices.Clone(s.Problems)
	for _, r := range s.Reasons {
		lines = append(lines, r.String())
	}
	return strings.Join(lines, "\n")
}

func TestLostState(t *testing.T) {
	t.Parallel()
	b := signedBench(t)
	ksk := staying(b.turn(), rollover.KSK).ID
	path := b.store().path(b.origin, stateFile)

	require.NoError(t, os.WriteFile(path, []byte("{"), 0o600))
	b.restart()
	s := b.turnWithTrouble()
	require.True(t, says(s, "restore it from a backup, or move it away"), explanations(s))

	require.NoError(t, os.Remove(path))
	b.restart()
	s = b.turn()
	require.True(t, s.State.Signed)
	require.Equal(t, ksk, staying(s, rollover.KSK).ID, "the keys are taken over")
	require.Len(t, s.State.Keys, 2)
	b.until("as before", settled)
	b.order(Order{Events: []rollover.Event{{Kind: rollover.Roll, Role: rollover.KSK}}})
	b.until("rolled", func(s *Status) bool { return settled(s) && staying(s, rollover.KSK).ID != ksk })
}

func TestKeyDeletedByHand(t *testing.T) {
	t.Parallel()
	for _, role := range []rollover.Role{rollover.KSK, rollover.ZSK} {
		t.Run(role.String(), func(t *testing.T) {
			b := signedBench(t)
			b.order(Order{Events: []rollover.Event{{Kind: rollover.Roll, Role: rollover.ZSK}}}) // in the middle of one
			key := staying(b.turn(), role)
			files, err := filepath.Glob(b.store().path(b.origin, keysDir, "*+"+key.Public.String()+".*"))
			require.NoError(t, err)
			require.NotEmpty(t, files)
			kept := map[string][]byte{}
			for _, file := range files {
				kept[file], err = os.ReadFile(file)
				require.NoError(t, err)
				require.NoError(t, os.Remove(file))
			}
			end := b.clock.Add(3 * 24 * time.Hour)
			var s *Status
			for b.clock.Before(end) {
				s = b.turnWithTrouble()
			}
			if role == rollover.KSK || staying(s, role).ID == key.ID {
				require.True(t, says(s, "private half of"), explanations(s))
			}
			for file, text := range kept {
				require.NoError(t, os.WriteFile(file, text, 0o600))
			}
			b.until("whole again", settled)
		})
	}
}

func TestDSWithdrawnByParent(t *testing.T) {
	t.Parallel()
	b := signedBench(t)
	records := b.parent.records[b.origin]
	b.zone.Policy.Parent, b.zone.Registrar = rollover.ByPerson, nil // else it is lodged again
	b.restart()
	b.parent.records[b.origin] = nil
	var s *Status
	for range 20 {
		s = b.turn()
		if slices.ContainsFunc(s.Reasons, func(r rollover.Reason) bool { return r.Person }) {
			break
		}
	}
	require.True(t, says(s, "lodge it again") || s.Lodge, explanations(s))
	require.NotNil(t, b.Manager.unit(b.origin).signed.result, "the zone stays signed")
	b.parent.records[b.origin] = records
	b.until("as before", settled)
}

func TestClockLeaps(t *testing.T) {
	t.Parallel()
	b := signedBench(t)
	b.order(Order{Events: []rollover.Event{{Kind: rollover.Roll, Role: rollover.KSK}}})
	b.turn()
	right := b.clock
	b.clock = b.clock.Add(40 * 24 * time.Hour) // and no time has passed
	s := b.turnWithTrouble()
	require.True(t, says(s, "look whether the clock is right"), explanations(s))
	// Resolvers whose clocks are right have to find the zone valid, too.
	findings, err := dnssec.Verify(t.Context(), b.Manager.unit(b.origin).signed.zone, right.Add(time.Minute))
	require.NoError(t, err)
	require.Empty(t, findings)
	for range 5 {
		b.turnWithTrouble()
	}
	b.clock = right.Add(2 * time.Hour)
	b.turnWithTrouble()
	b.until("rolled", settled)
}

// TestLostSource has the zone with its updates go, and base.zone come alone: as after a
// crash between the two files of the first update.
func TestLostSource(t *testing.T) {
	b := signedBench(t)
	b.zone.Update = grants(t, "acme. TXT")
	b.restart()
	b.turn()
	text, err := os.ReadFile(b.zone.File)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(b.store().path(b.origin, baseFile), text, 0o600))
	b.restart()
	serial := b.turn().Serial

	b.setRunning(true)
	require.Equal(t, dns.RcodeSuccess, b.update(b.origin, "acme.", insertion(t, "kept.example.org. 60 IN TXT \"a\"")))
	has := func() bool { return b.Manager.unit(b.origin).signed.zone.Names.Find(name("kept.example.org.")) != nil }
	require.True(t, has())
	require.NoError(t, os.WriteFile(b.store().path(b.origin, sourceFile), []byte("half a"), 0o600))
	b.restart()
	s := b.turnWithTrouble()
	require.True(t, says(s, "as it was last signed"), explanations(s))
	require.True(t, has(), "what an update made is kept")
	require.NoError(t, os.WriteFile(b.store().path(b.origin, baseFile), []byte("half a"), 0o600))
	b.restart()
	s = b.turnWithTrouble()
	require.True(t, says(s, "make them again"), explanations(s))
	require.True(t, has(), "what an update made is kept")
	require.NoError(t, os.WriteFile(b.zone.File, []byte(exampleZone+"new A 192.0.2.9\n"), 0o600))
	b.turn()
	require.NotNil(t, b.Manager.unit(b.origin).signed.zone.Names.Find(name("new.example.org.")), "an edit counts again")
	require.True(t, has())
	require.NoError(t, os.Remove(b.store().path(b.origin, sourceFile)))
	require.NoError(t, os.Remove(b.store().path(b.origin, signedFile)))
	b.restart()
	require.GreaterOrEqual(t, b.turn().Serial, serial, "the file is all there is")
}

// TestClockGoesBack has a running manager look after its zones, and ask the parent, at
// once when the clock was years ahead, and not in years.
func TestClockGoesBack(t *testing.T) {
	b := signedBench(t)
	right := b.clock
	b.clock = right.AddDate(10, 0, 0)
	b.Manager.Wake()
	u, _ := b.due()
	require.NotNil(t, u)
	b.done(u, u.turn(t.Context()))
	b.clock = right.Add(2 * time.Minute)
	u, wait := b.due()
	require.NotNil(t, u, "the next turn is in %v", wait)
	u.turn(t.Context())
	require.Equal(t, b.clock, u.seen.dsAt, "the parent is asked")
	s, err := b.Status(b.origin)
	require.NoError(t, err)
	b.done(u, s.Next)
	again, _ := b.due()
	require.Nil(t, again, "once is enough")
}

// TestLostStateAndZone has nothing left but keys, of which one has a DS record.
func TestLostStateAndZone(t *testing.T) {
	b := signedBench(t)
	for range 3 {
		before := staying(b.turn(), rollover.KSK).ID
		b.order(Order{Events: []rollover.Event{{Kind: rollover.Roll, Role: rollover.KSK}}})
		b.until("rolled", func(s *Status) bool { return settled(s) && staying(s, rollover.KSK).ID != before })
	}
	ksk := staying(b.turn(), rollover.KSK).ID
	require.NoError(t, os.Remove(b.store().path(b.origin, stateFile)))
	require.NoError(t, os.Remove(b.store().path(b.origin, signedFile)))
	b.restart()
	b.parent.silent = true
	b.Manager.unit(b.origin).turn(t.Context())
	s, err := b.Status(b.origin)
	require.NoError(t, err)
	require.True(t, says(s, "nothing is published until they do"), explanations(s))
	require.Nil(t, b.Manager.unit(b.origin).signed.zone)
	b.parent.silent = false
	b.pass(time.Hour)
	s = b.turn() // signed, and the DS record leads to a key
	require.Equal(t, ksk, staying(s, rollover.KSK).ID)
	b.until("as before", settled)
}

// TestSecondaryIsAhead has the serial start anew while a secondary has a later one: it
// counts as having nothing, until it has what is published now.
func TestSecondaryIsAhead(t *testing.T) {
	for _, signed := range []bool{true, false} {
		b := newBench(t, Policy{})
		var serial atomic.Uint32
		serial.Store(1000)
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		require.NoError(t, err)
		secondary := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, query *dns.Msg) {
			m := new(dns.Msg).SetReply(query)
			m.Authoritative = true
			m.Answer = []dns.RR{&dns.SOA{Hdr: dns.RR_Header{Name: "example.org.", Rrtype: dns.TypeSOA, Class: dns.ClassINET}, Ns: ".", Mbox: ".", Serial: serial.Load()}}
			_ = w.WriteMsg(m)
		})}
		go func() { _ = secondary.ActivateAndServe() }()
		t.Cleanup(func() { _ = secondary.Shutdown() })
		b.zone.Secondaries = []string{conn.LocalAddr().String()}
		b.restart()
		b.order(Order{Signed: signed, Unsigned: !signed})
		require.Less(t, b.turn().Serial, uint32(1000))
		s := b.turn()
		require.Greater(t, s.Serial, uint32(1000), "it is overtaken: %v %+v %s", signed, s.Secondaries, explanations(s))
		require.Less(t, s.Serial, uint32(1010))
		require.Zero(t, s.State.Served)
		serial.Store(s.Serial)
		require.Equal(t, s.Serial, b.turn().Serial)
		s = b.turn()
		require.Equal(t, s.State.Generation, s.State.Served)
	}
}

// TestSignedByOthers leaves a zone that came signed as it is, until it is enabled;
// then its keys are taken over, and stay the keys.
func TestSignedByOthers(t *testing.T) {
	t.Parallel()
	other := signedBench(t)
	b := newBench(t, Policy{})
	text, err := os.ReadFile(other.store().path(other.origin, signedFile))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(b.zone.File, text, 0o600))
	b.clock = other.clock
	b.parent.records = other.parent.records
	for range 3 {
		s := b.turn() // verifies it, against the parent
		require.False(t, s.State.Signed)
		require.Empty(t, s.State.Keys)
	}
	require.Zero(t, b.parent.lodged)
	b.zone.Update = grants(t, "acme. TXT")
	b.restart()
	b.turn()
	b.setRunning(true)
	require.Equal(t, dns.RcodeRefused, b.update(b.origin, "acme.", insertion(t, "new.example.org. 60 IN TXT \"a\"")), "nobody would sign it")
	keys, err := other.Keys(b.origin).Keys(b.origin)
	require.NoError(t, err)
	for _, key := range keys {
		require.NoError(t, b.Keys(b.origin).Write(key))
	}
	b.order(Order{Signed: true})
	s := b.until("taken over", settled)
	require.Len(t, s.State.Keys, 2)
	for _, role := range []rollover.Role{rollover.KSK, rollover.ZSK} {
		require.Equal(t, staying(other.turn(), role).ID, staying(s, role).ID)
	}
}
