package rollover

import (
	"testing"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/stretchr/testify/require"
)

func date(t *testing.T, text string) time.Time {
	at, err := time.Parse("2006-01-02 15:04:05", text)
	require.NoError(t, err)
	return at
}

// intervals is a policy in which no two intervals are alike.
var intervals = Policy{
	KeyTTL: 2 * time.Hour, ZoneTTL: 12 * time.Hour, DSTTL: 36 * time.Hour,
	ZonePropagation: 10 * time.Minute, ParentPropagation: 45 * time.Minute,
	PublishSafety: 30 * time.Minute, RetireSafety: 20 * time.Minute, SignDelay: 9 * 24 * time.Hour,
	ZSKLifetime: 60 * day, KSKLifetime: 365 * day,
}

// TestFormulas holds the waits to dates that were worked out by hand, for a change
// that is out at 2026-12-01 00:00.
func TestFormulas(t *testing.T) {
	for _, tt := range []struct {
		name      string
		record    Record
		to        RecordState
		emergency bool
		want      string
	}{
		{"Ipub = Dprp + TTLkey (3.2.1), and 30 minutes", DNSKEY, Omnipresent, false, "2026-12-01 02:40:00"},
		{"IpubC = DprpC + TTLkey (3.3.1), and 30 minutes", KRRSIG, Omnipresent, false, "2026-12-01 02:40:00"},
		{"Dprp + TTLkey after Trem (3.2.1), and 20 minutes", DNSKEY, Hidden, false, "2026-12-01 02:30:00"},
		{"DprpC + TTLkey after Trem (3.3.1), and 20 minutes", KRRSIG, Hidden, false, "2026-12-01 02:30:00"},
		{"Iret = Dsgn + Dprp + TTLsig (3.2.1), and 20 minutes", ZRRSIG, Hidden, false, "2026-12-10 12:30:00"},
		{"the same for those that come", ZRRSIG, Omnipresent, false, "2026-12-10 12:30:00"},
		{"Iret = DprpP + TTLds (3.3.1), and 20 minutes", DS, Hidden, false, "2026-12-02 13:05:00"},
		{"the same for those that come", DS, Omnipresent, false, "2026-12-02 13:05:00"},
		{"Ipub in an emergency", DNSKEY, Omnipresent, true, "2026-12-01 02:10:00"},
		{"Iret in an emergency", DS, Hidden, true, "2026-12-02 12:45:00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			policy := intervals.withDefaults()
			ttls := TTLs{Key: TTL{Value: policy.KeyTTL}, Zone: TTL{Value: policy.ZoneTTL}, DS: TTL{Value: policy.DSTTL}}
			end := rfc7583.of(tt.record, tt.to).end(date(t, "2026-12-01 00:00:00"), &policy, &ttls, tt.emergency)
			require.Equal(t, tt.want, end.Format("2006-01-02 15:04:05"))
		})
	}
}

// TestEarlierTTLs: copies with the TTL of before last as long as that says.
func TestEarlierTTLs(t *testing.T) {
	seen := date(t, "2026-12-01 00:00:00")
	for _, tt := range []struct {
		name string
		ttl  TTL
		want string
	}{
		{"unchanged", TTL{Value: time.Hour}, "2026-12-01 01:00:00"},
		{"lowered a day before", TTL{Value: time.Hour, Earlier: 48 * time.Hour, Lowered: seen.Add(-day)}, "2026-12-02 00:00:00"},
		{"lowered long before", TTL{Value: time.Hour, Earlier: 2 * time.Hour, Lowered: seen.Add(-day)}, "2026-12-01 01:00:00"},
		{"lowered, and not yet served", TTL{Value: time.Hour, Earlier: 48 * time.Hour}, "2026-12-03 00:00:00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, tt.ttl.expiry(seen).Format("2006-01-02 15:04:05"))
		})
	}
	ttl := TTL{Value: day}
	ttl.set(time.Hour)
	ttl.set(time.Minute)
	require.Equal(t, TTL{Value: time.Minute, Earlier: day}, ttl)
	ttl.served(seen, time.Hour)
	ttl.served(seen.Add(25*time.Hour), time.Hour)
	require.Equal(t, day, ttl.Earlier)
	ttl.served(seen.Add(25*time.Hour+1), time.Hour)
	require.Equal(t, TTL{Value: time.Minute}, ttl)
}

// TestDates walks through whole rollovers, with every date worked out by hand.
func TestDates(t *testing.T) {
	start := date(t, "2026-12-01 00:00:00")
	f := NewFuture(State{Zone: "example.org.", Signed: true}, intervals, Observations{}, ParentModel{Delay: 3 * time.Hour}, start)
	f.Policy.Parent = ByRegistrar
	at := map[string]string{}
	names := newWatch()
	for f.Now.Before(start.Add(80 * day)) {
		result, again := f.Next()
		for _, reason := range result.Reasons {
			if key := f.State.Key(reason.Key); reason.Done && key != nil && reason.From != reason.To {
				at[change{names.name(key.ID.String(), key.Role), reason.Record, reason.To}.String()] = f.Now.Format("01-02 15:04")
			}
		}
		if !again {
			f.Forward(result.Next)
		}
	}
	for what, want := range map[string]string{
		// The first keys: all at once; the DS record when the signatures are everywhere.
		"KSK 1 DNSKEY rumoured":    "12-01 00:00",
		"KSK 1 DNSKEY omnipresent": "12-01 02:40",
		"ZSK 1 ZRRSIG omnipresent": "12-10 12:30",
		"KSK 1 DS rumoured":        "12-10 12:30",
		"KSK 1 DS omnipresent":     "12-12 04:35", // seen 3 hours later, and Iret 37:05
		// The ZSK signs for 60 days, and its successor is published Ipub 2:40 before.
		"ZSK 2 DNSKEY rumoured":    "01-29 21:20",
		"ZSK 2 DNSKEY omnipresent": "01-30 00:00",
		"ZSK 2 ZRRSIG rumoured":    "01-30 00:00",
		"ZSK 1 ZRRSIG unretentive": "01-30 00:00",
		"ZSK 1 ZRRSIG hidden":      "02-08 12:30", // Iret 9 days 12:30
		"ZSK 1 DNSKEY unretentive": "02-08 12:30",
		"ZSK 1 DNSKEY hidden":      "02-08 15:00",
	} {
		require.Equal(t, want, at[what], what)
	}
}

// TestLifetimesThatAreTooShort are as long as the rollover before takes.
func TestLifetimesThatAreTooShort(t *testing.T) {
	start := date(t, "2026-12-01 00:00:00")
	f := NewFuture(State{Zone: "example.org.", Signed: true}, Policy{ZSKLifetime: time.Second, Algorithm: dnssec.ED25519}, Observations{}, ParentModel{Delay: time.Hour}, start)
	most := 0
	for f.Now.Before(start.Add(30 * day)) {
		result, again := f.Next()
		visible := 0
		for i := range f.State.Keys {
			if !f.State.Keys[i].hidden() {
				visible++
			}
		}
		most = max(most, visible)
		if !again {
			f.Forward(result.Next)
		}
	}
	require.Equal(t, 3, most)
	require.Greater(t, len(f.State.Keys), 10)
}
