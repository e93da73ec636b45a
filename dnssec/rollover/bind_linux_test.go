package rollover

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/berryrack/berryrack/internal/lab"
	"github.com/stretchr/testify/require"
)

// In the test's own network, which nobody else is in.
const bindConfig = `options { directory "%[1]s"; key-directory "%[1]s"; pid-file none; session-keyfile none; listen-on port 5353 { 127.0.0.1; }; listen-on-v6 { none; }; recursion no; notify no; };
controls { inet 127.0.0.1 port 9953 allow { 127.0.0.1; } keys { "k"; }; };
key "k" { algorithm hmac-sha256; secret "c2VjcmV0c2VjcmV0"; };
dnssec-policy "ksk-zsk" {
	keys { ksk lifetime unlimited algorithm ecdsap256sha256; zsk lifetime PT90S algorithm ecdsap256sha256; };
%[2]s};
dnssec-policy "csk" {
	keys { csk lifetime unlimited algorithm ecdsap256sha256; };
%[2]s};
zone "ksk-zsk" { type primary; file "%[1]s/zone1"; inline-signing yes; dnssec-policy "ksk-zsk"; };
zone "csk" { type primary; file "%[1]s/zone2"; inline-signing yes; dnssec-policy "csk"; };
`

const bindTimes = `	dnskey-ttl PT2S; max-zone-ttl PT3S; publish-safety PT1S; retire-safety PT1S; zone-propagation-delay PT1S;
	parent-ds-ttl PT2S; parent-propagation-delay PT1S;
	signatures-validity PT5M; signatures-validity-dnskey PT5M; signatures-refresh PT4M; signatures-jitter PT0S;
`

const bindZone = "$TTL 3\n@ SOA ns host 1 3600 600 86400 3\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.2\n"

// fast is the same policy for us: named takes validity less refresh until all
// signatures are made anew.
var fast = Policy{
	Parent: ByPerson, KSKLifetime: Unlimited, ZSKLifetime: 90 * time.Second,
	KeyTTL: 2 * time.Second, ZoneTTL: 3 * time.Second, DSTTL: 2 * time.Second,
	PublishSafety: time.Second, RetireSafety: time.Second, ZonePropagation: time.Second, ParentPropagation: time.Second,
	SignDelay: time.Minute,
}

// TestBIND has named go through rollovers of a KSK and a ZSK, and of a CSK, with the
// same policy, and compares the order of the states of the keys with ours.
func TestBIND(t *testing.T) {
	lab.Need(t, "named", "rndc", "netns", "ip")
	if !lab.Isolated(t) {
		return
	}
	dir := startNamed(t)
	t.Run("both", func(t *testing.T) {
		for zone, roles := range map[string][]Role{"ksk-zsk": {KSK, ZSK}, "csk": {CSK}} {
			t.Run(zone, func(t *testing.T) {
				t.Parallel()
				theirs := rollNamed(t, dir, zone, roles)
				compare(t, rollOurs(t, roles), theirs)
			})
		}
	})
}

func compare(t *testing.T, ours, theirs map[change]time.Time) {
	for a := range ours {
		require.Equal(t, statesOf(ours, a.key, a.record), statesOf(theirs, a.key, a.record), "%s %s", a.key, a.record)
	}
	// What is clearly before something else there is so here.
	const clearly = 2 * time.Second
	for a, theirA := range theirs {
		for b, theirB := range theirs {
			if theirB.Sub(theirA) > clearly && !skipsDsgn(a) && !skipsDsgn(b) {
				require.LessOrEqual(t, ours[a].Sub(ours[b]), clearly, "named: %s, then %s", a, b)
			}
		}
	}
}

// skipsDsgn is what named does not wait for Dsgn for: the first key's signatures.
func skipsDsgn(c change) bool {
	return c.record == ZRRSIG && strings.HasSuffix(c.key, " 1") && c.state == Omnipresent
}

// statesOf returns the states of a record in order of time.
func statesOf(changes map[change]time.Time, key string, record Record) (states []RecordState) {
	for _, state := range []RecordState{Rumoured, Omnipresent, Unretentive, Hidden} {
		if _, ok := changes[change{key, record, state}]; ok {
			states = append(states, state)
		}
	}
	for i := 1; i < len(states); i++ {
		if changes[change{key, record, states[i]}].Before(changes[change{key, record, states[i-1]}]) {
			states = append(states, states[i-1]) // out of order: equal to nothing
		}
	}
	return states
}

// rollOurs does on a virtual clock what rollNamed does.
func rollOurs(t *testing.T, roles []Role) map[change]time.Time {
	f := NewFuture(State{Zone: "example.org.", Signed: true}, fast, Observations{}, ParentModel{Delay: time.Second}, time.Now())
	f.Policy.ZSKLifetime = Unlimited // the rollovers are ordered
	f.Policy.CSK = roles[0] == CSK
	seen := newWatch()
	until := func(done func() bool) {
		for range 500 {
			result, again := f.Next()
			for i := range result.State.Keys {
				for record := range Records {
					seen.saw(&result.State.Keys[i], record, f.Now)
				}
			}
			if !again && done() {
				return
			}
			if !again {
				f.Forward(result.Next)
			}
		}
		t.Fatal("it does not come to that")
	}
	established := func() bool {
		for i := range f.State.Keys {
			if key := &f.State.Keys[i]; !key.Retiring && !key.established() || key.Retiring && !key.hidden() {
				return false
			}
		}
		return true
	}
	until(established)
	for _, role := range roles {
		f.Next(Event{Kind: Roll, Role: role})
	}
	until(func() bool { return len(f.State.Keys) == 2*len(roles) && established() })
	return seen.changes
}

// startNamed starts named, and returns where it works.
func startNamed(t *testing.T) (dir string) {
	dir = t.TempDir()
	files := map[string]string{
		"named.conf": fmt.Sprintf(bindConfig, dir, bindTimes), "zone1": bindZone, "zone2": bindZone,
		"rndc.conf": "key k { algorithm hmac-sha256; secret \"c2VjcmV0c2VjcmV0\"; };\noptions { default-server 127.0.0.1; default-port 9953; default-key k; };\n",
	}
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	command := exec.Command(lab.Program(t, "named"), "-g", "-c", filepath.Join(dir, "named.conf"))
	log, err := os.Create(filepath.Join(dir, "log"))
	require.NoError(t, err)
	command.Stderr = log
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("%s", text)
		}
	})
	return dir
}

// rollNamed lodges what named wants lodged, and has it roll its keys.
func rollNamed(t *testing.T, dir, zone string, roles []Role) map[change]time.Time {
	n := &named{t: t, dir: dir, zone: zone, watch: newWatch()}
	top := roles[0].String() + " "
	last := roles[len(roles)-1].String() + " "
	n.until(top+"1", DS, Rumoured)
	n.dnssec("-checkds", "-key", n.tag(top+"1"), "published")
	n.until(top+"1", DS, Omnipresent)
	n.until(last+"1", ZRRSIG, Omnipresent)
	for _, role := range roles {
		n.dnssec("-rollover", "-key", n.tag(role.String()+" 1"))
	}
	n.until(top+"2", DS, Rumoured)
	n.dnssec("-checkds", "-key", n.tag(top+"2"), "published")
	n.dnssec("-checkds", "-key", n.tag(top+"1"), "withdrawn")
	n.until(top+"1", DNSKEY, Hidden)
	n.until(last+"1", DNSKEY, Hidden)
	n.until(top+"2", DS, Omnipresent)
	return n.changes
}

// named is a running one that is looked at.
type named struct {
	*watch
	t         *testing.T
	dir, zone string
}

// dnssec is `rndc dnssec`.
func (n *named) dnssec(args ...string) string {
	ctx, cancel := context.WithTimeout(n.t.Context(), 20*time.Second)
	defer cancel()
	args = append([]string{"-c", filepath.Join(n.dir, "rndc.conf"), "dnssec"}, append(args, n.zone)...)
	out, _ := exec.CommandContext(ctx, "rndc", args...).CombinedOutput()
	return string(out)
}

var (
	statusKey    = regexp.MustCompile(`^key: (\d+) \(\w+\), (\w+)`)
	statusRecord = regexp.MustCompile(`^\s+- (dnskey|zone rrsig|key rrsig|ds):\s+(\w+)`)
	statusNames  = map[string]Record{"dnskey": DNSKEY, "zone rrsig": ZRRSIG, "key rrsig": KRRSIG, "ds": DS}
)

// look takes in what `rndc dnssec -status` says.
func (n *named) look() string {
	now := time.Now()
	status := n.dnssec("-status")
	key := ""
	for line := range strings.Lines(status) {
		if m := statusKey.FindStringSubmatch(line); m != nil {
			var role Role
			require.NoError(n.t, role.UnmarshalText([]byte(m[2])))
			key = n.name(m[1], role)
		}
		if m := statusRecord.FindStringSubmatch(line); m != nil {
			var state RecordState
			require.NoError(n.t, state.UnmarshalText([]byte(m[2])))
			n.note(key, statusNames[m[1]], state, now)
		}
	}
	return status
}

// until looks until a record has been in a state.
func (n *named) until(key string, record Record, state RecordState) {
	status := ""
	for deadline := time.Now().Add(4 * time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		status = n.look()
		if !n.changes[change{key, record, state}].IsZero() {
			return
		}
	}
	n.t.Fatalf("named does not come to %s\n%s", change{key, record, state}, status)
}

func (n *named) tag(key string) string {
	for tag, name := range n.names {
		if name == key {
			return tag
		}
	}
	n.t.Fatalf("named has no %s", key)
	return ""
}
