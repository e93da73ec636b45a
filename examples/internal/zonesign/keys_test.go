package zonesign

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/keystore"
	"github.com/stretchr/testify/require"
)

// A signed zone is not signed by other keys: it would be bogus to all who know it.
func TestOtherKeysAreRefused(t *testing.T) {
	j := job(t, t.TempDir(), apex)
	first, err := j.Run(t.Context())
	require.NoError(t, err)
	live, err := os.ReadFile(j.Out)
	require.NoError(t, err)
	unchanged := func() {
		t.Helper()
		after, err := os.ReadFile(j.Out)
		require.NoError(t, err)
		require.Equal(t, string(live), string(after))
	}

	keys := j.Keys
	j.Keys = keystore.Dir{Path: filepath.Join(t.TempDir(), "lost")}
	_, err = again(t, j, apex)
	for _, key := range first.Keys {
		require.ErrorContains(t, err, key.Name())
	}
	require.ErrorContains(t, err, "Put their files there")
	require.NoDirExists(t, j.Keys.Path, "no keys are made either")
	unchanged()

	j.Keys = keys
	j.Algorithm = dnssec.ECDSAP256SHA256
	for range 2 { // without and with keys of the other algorithm
		_, err = again(t, j, apex)
		require.ErrorContains(t, err, "a rollover (RFC 6781 section 4.1.4), which dnssecd does; give --alg 15")
		unchanged()
		_, err = j.Keys.Generate(keystore.Spec{Origin: j.Origin, Algorithm: j.Algorithm, Use: dnssec.CSK}, j.Now)
		require.NoError(t, err)
	}
	j.Stdin = strings.NewReader(apex)
	_, err = j.Plan(t.Context())
	require.ErrorContains(t, err, "dnssecd")

	// One lost key of two.
	j.Algorithm = dnssec.ED25519
	for _, ending := range []string{".key", ".private", ".state"} {
		require.NoError(t, os.Remove(filepath.Join(keys.Path, first.Keys[0].Name()+ending)))
	}
	_, err = again(t, j, apex)
	require.ErrorContains(t, err, first.Keys[0].Name())
	require.NotContains(t, err.Error(), first.Keys[1].Name())
	unchanged()

	// A zone that nobody has seen signed is signed by whatever keys there are.
	j.Out = ""
	_, err = again(t, j, apex)
	require.NoError(t, err)
}

// A run that was cut off between two keys is taken up again.
func TestHalfMadeKeys(t *testing.T) {
	for _, use := range []dnssec.Use{dnssec.KSK, dnssec.ZSK} {
		j := job(t, t.TempDir(), apex)
		made, err := j.Keys.Generate(keystore.Spec{Origin: j.Origin, Algorithm: j.Algorithm, Use: use}, j.Now)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(j.Keys.Path, "Kexample.org.+015+00001.private"), []byte("Private"), 0o600), "its .key file was not written")
		outcome, err := j.Run(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, outcome.Made)
		require.Len(t, outcome.Keys, 2)
		require.Contains(t, fmt.Sprint(outcome.Keys), made.Name()[len("Kexample.org.+"):])
		outcome, err = again(t, j, apex)
		require.NoError(t, err)
		require.Zero(t, outcome.Made)
	}
}

// A key that signed the live zone goes on doing so, though the file that says so is
// lost: a new key could not take over at once.
func TestKeysGoOn(t *testing.T) {
	j := job(t, t.TempDir(), apex)
	j.CSK = true
	first, err := j.Run(t.Context())
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(j.Keys.Path, first.Keys[0].Name()+".state")))
	j.CSK = false
	outcome, err := again(t, j, apex)
	require.NoError(t, err)
	require.Zero(t, outcome.Made)
	require.True(t, outcome.Unchanged)
}

// What is wrong with the zone, with keys and with times comes at once.
func TestErrorsComeAtOnce(t *testing.T) {
	j := job(t, t.TempDir(), apex)
	first, err := j.Run(t.Context())
	require.NoError(t, err)
	require.NoError(t, os.Chmod(filepath.Join(j.Keys.Path, first.Keys[0].Name()+".private"), 0o640))
	j.Signer.Expiry = j.Now.Add(-time.Hour)
	_, err = again(t, j, apex+"a A 192.0.2.300\n")
	for _, want := range []string{"mode is 0640", "has passed", "192.0.2.300"} {
		require.ErrorContains(t, err, want)
	}
}

// The times of keys are obeyed, as dnssec-signzone -S does.
func TestTimingIsObeyed(t *testing.T) {
	j := job(t, t.TempDir(), apex)
	first, err := j.Run(t.Context())
	require.NoError(t, err)
	ksk, zsk := first.Keys[0], first.Keys[1]
	if ksk.Use != dnssec.KSK {
		ksk, zsk = zsk, ksk
	}
	next, err := j.Keys.Generate(keystore.Spec{Origin: j.Origin, Algorithm: j.Algorithm, Use: dnssec.ZSK}, j.Now)
	require.NoError(t, err)
	day := 24 * time.Hour
	next.Timing = keystore.Timing{Publish: j.Now, Activate: j.Now.Add(day)}
	zsk.Timing = keystore.Timing{Publish: j.Now, Activate: j.Now, Inactive: j.Now.Add(day), Delete: j.Now.Add(3 * day)}
	ksk.Timing = keystore.Timing{SyncPublish: j.Now.Add(2 * day), Publish: j.Now, Activate: j.Now}
	for _, key := range []keystore.Key{next, zsk, ksk} {
		require.NoError(t, j.Keys.Write(key))
	}
	begin := j.Now
	for _, tt := range []struct {
		after                        time.Duration
		keys                         int
		byOld, byNext, asksForParent bool
	}{
		{time.Hour, 3, true, false, false}, {25 * time.Hour, 3, false, true, false}, {50 * time.Hour, 3, false, true, true}, {74 * time.Hour, 2, false, true, true},
	} {
		j.Now = begin.Add(tt.after)
		outcome, err := again(t, j, apex)
		require.NoError(t, err)
		text, err := os.ReadFile(j.Out)
		require.NoError(t, err)
		require.Equal(t, tt.keys, strings.Count(string(text), "\tDNSKEY\t"))
		require.Equal(t, tt.byOld, strings.Contains(string(text), fmt.Sprintf(" %d example.org. ", zsk.Tag())))
		require.Equal(t, tt.byNext, strings.Contains(string(text), fmt.Sprintf(" %d example.org. ", next.Tag())))
		require.Equal(t, tt.asksForParent, strings.Contains(string(text), "\tCDS\t"))
		require.Len(t, outcome.DS(), 1)
	}

	// With no key left to sign, no new ones are made.
	next.Timing.Inactive = j.Now
	require.NoError(t, j.Keys.Write(next))
	_, err = again(t, j, apex)
	require.ErrorContains(t, err, next.Name()+" is inactive since")
	require.ErrorContains(t, err, zsk.Name()+" is deleted since")
}

// A revoked key signs the keys, and is in neither the DS set nor the CDS set.
func TestRevokedKeyIsNoDS(t *testing.T) {
	j := job(t, t.TempDir(), apex)
	j.CDS = true
	first, err := j.Run(t.Context())
	require.NoError(t, err)
	next, err := j.Keys.Generate(keystore.Spec{Origin: j.Origin, Algorithm: j.Algorithm, Use: dnssec.KSK}, j.Now)
	require.NoError(t, err)
	for _, key := range first.Keys {
		if key.Use&dnssec.SignKeys != 0 {
			key.Timing.Revoke = j.Now
			require.NoError(t, j.Keys.Write(key))
		}
	}
	outcome, err := again(t, j, apex)
	require.NoError(t, err)
	require.Len(t, outcome.DS(), 1)
	require.Contains(t, outcome.DS()[0], fmt.Sprintf("DS\t%d 15 2 ", next.Tag()))
	text, err := os.ReadFile(j.Out)
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(text), "\tCDS\t"))
	require.Contains(t, string(text), "DNSKEY\t385 3 15")
	_, err = again(t, j, apex)
	require.NoError(t, err, "the key is still the one that the zone was signed by")
}

// Keys in the clear are sealed once there is a secret, which is told.
func TestKeysAreSealed(t *testing.T) {
	j := job(t, t.TempDir(), apex)
	first, err := j.Run(t.Context())
	require.NoError(t, err)
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte(strings.Repeat("k", 32)), 0o600))
	j.Keys.Secret, err = keystore.KeyFile(secret)
	require.NoError(t, err)
	var told []string
	j.Warn = func(format string, args ...any) { told = append(told, fmt.Sprintf(format, args...)) }
	j.Stdin = strings.NewReader(apex)
	steps, err := j.Plan(t.Context())
	require.NoError(t, err)
	require.Contains(t, strings.Join(steps, "\n"), "# seal "+filepath.Join(j.Keys.Path, first.Keys[0].Name()+".private"))
	for _, key := range first.Keys {
		require.FileExists(t, filepath.Join(j.Keys.Path, key.Name()+".private"))
	}
	outcome, err := again(t, j, apex)
	require.NoError(t, err)
	require.True(t, outcome.Unchanged)
	for _, key := range first.Keys {
		require.Contains(t, fmt.Sprint(told), key.Name()+".private was in the clear, and is sealed now")
		require.NoFileExists(t, filepath.Join(j.Keys.Path, key.Name()+".private"))
	}
}
