package zonesign

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/keystore"
	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

const apex = "$TTL 3600\n@ SOA ns host 7 7200 3600 604800 300\n@ NS ns\nns AAAA 2001:db8::1\n"

// job signs a zone with the given text to a file in a directory.
func job(t *testing.T, dir, text string) *Job {
	t.Helper()
	origin, err := wire.ParseName("example.org")
	require.NoError(t, err)
	return &Job{
		Origin: origin, File: "-", Stdin: strings.NewReader(text), Out: filepath.Join(dir, "out"),
		Keys: keystore.Dir{Path: filepath.Join(t.TempDir(), "keys")}, Algorithm: dnssec.ED25519, Verify: true, Now: time.Now(),
		Warn: func(format string, args ...any) { t.Logf(format, args...) },
	}
}

func TestServe(t *testing.T) {
	outcome, err := job(t, t.TempDir(), apex).Run(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	address, done := make(chan string, 1), make(chan error, 1)
	for {
		go func() {
			done <- Serve(ctx, "127.0.0.1:0", outcome.Zone, slog.New(slog.NewTextHandler(io.Discard, nil)), func(a string) { address <- a })
		}()
		select {
		case err := <-done:
			require.ErrorIs(t, err, syscall.EADDRINUSE, "the port that TCP got may not be free for UDP")
			continue
		case at := <-address:
			m := new(dns.Msg)
			m.SetQuestion("ns.example.org.", dns.TypeAAAA)
			m.SetEdns0(1232, true)
			reply, _, err := new(dns.Client).ExchangeContext(ctx, m, at)
			require.NoError(t, err)
			require.Len(t, reply.Answer, 2)
		}
		break
	}
	cancel()
	require.NoError(t, <-done)
}

// An unreadable key is told with its file, and nothing is written.
func TestWrongPermissions(t *testing.T) {
	dir := t.TempDir()
	j := job(t, dir, apex)
	outcome, err := j.Run(t.Context())
	require.NoError(t, err)
	require.NoError(t, os.Remove(j.Out))
	for _, key := range outcome.Keys {
		require.NoError(t, os.Chmod(filepath.Join(j.Keys.Path, key.Name()+".private"), 0o644))
	}
	j.Stdin = strings.NewReader(apex)
	_, err = j.Run(t.Context())
	for _, key := range outcome.Keys {
		require.ErrorContains(t, err, key.Name()+".private: mode is 0644")
	}
	_, err = os.Stat(j.Out)
	require.ErrorIs(t, err, os.ErrNotExist)
}

// A zone that is not valid is not written.
func TestVerifyKeepsBadZonesOut(t *testing.T) {
	j := job(t, t.TempDir(), apex+"@ CDS 1 15 2 "+strings.Repeat("00", 32)+"\n")
	_, err := j.Run(t.Context())
	require.ErrorContains(t, err, "example.org. CDS: asks for a key")
	require.NoFileExists(t, j.Out)
}

// No keys are made for a zone that is not signed then, and a dry run does not say
// that they would be.
func TestNoKeysForWhatIsNotSigned(t *testing.T) {
	for text, change := range map[string]func(*Job){
		"DS: is not at a zone cut": func(j *Job) {
			j.Stdin = strings.NewReader(apex + "@ DS 1 15 2 " + strings.Repeat("00", 32) + "\n")
		},
		"more than 68 years": func(j *Job) { j.Signer.Inception = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		for _, run := range []func(*Job) error{
			func(j *Job) error { _, err := j.Run(t.Context()); return err },
			func(j *Job) error { _, err := j.Plan(t.Context()); return err },
		} {
			j := job(t, t.TempDir(), apex)
			change(j)
			require.ErrorContains(t, run(j), text)
			require.NoDirExists(t, j.Keys.Path)
		}
	}
}

// again runs the job on a zone once more.
func again(t *testing.T, j *Job, text string) (*Outcome, error) {
	t.Helper()
	j.Stdin = strings.NewReader(text)
	return j.Run(t.Context())
}

// A signature that was damaged in the file is made anew; the others are kept.
func TestDamagedFile(t *testing.T) {
	j := job(t, t.TempDir(), apex)
	first, err := j.Run(t.Context())
	require.NoError(t, err)
	text, err := os.ReadFile(j.Out)
	require.NoError(t, err)
	require.True(t, isIntact(text))
	for _, damaged := range []string{
		strings.Replace(string(text), "RRSIG\tAAAA 15 3 3600 2", "RRSIG\tAAAA 15 3 3600 3", 1), // a later end
		string(text[:len(text)-1]), "", "\n", string(text) + "\n",
	} {
		require.False(t, isIntact([]byte(damaged)))
		require.NoError(t, os.WriteFile(j.Out, []byte(damaged), 0o600))
		outcome, err := again(t, j, apex)
		require.NoError(t, err)
		require.Equal(t, damaged != "" && damaged != "\n", outcome.Reused >= first.Signed-1)
		repaired, err := os.ReadFile(j.Out)
		require.NoError(t, err)
		require.Equal(t, string(text), string(repaired))
	}
}

// A zone that is as it was is not written again, and a dry run knows.
func TestUnchanged(t *testing.T) {
	j := job(t, t.TempDir(), apex)
	plan := func(text string) []string {
		j.Stdin = strings.NewReader(text)
		steps, err := j.Plan(t.Context())
		require.NoError(t, err)
		return steps
	}
	require.Len(t, plan(apex), 4)
	_, err := again(t, j, apex)
	require.NoError(t, err)
	before, err := os.Stat(j.Out)
	require.NoError(t, err)
	require.Empty(t, plan(apex))
	_, err = again(t, j, apex)
	require.NoError(t, err)
	after, err := os.Stat(j.Out)
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after))
	require.Len(t, plan(apex+"new A 192.0.2.1\n"), 1)
	_, err = again(t, j, apex+"new A 192.0.2.1\n")
	require.NoError(t, err)
	require.Empty(t, plan(apex+"new A 192.0.2.1\n"))
	j.Now = j.Now.Add(13 * 24 * time.Hour) // signatures are due
	require.Len(t, plan(apex+"new A 192.0.2.1\n"), 1)
}

func TestParseTime(t *testing.T) {
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"": {}, "20260102030405": time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), "2026-01-02T03:04:05Z": time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		"24h": now.Add(24 * time.Hour), "-1h": now.Add(-time.Hour),
	} {
		at, err := ParseTime(text, now)
		require.NoError(t, err)
		require.True(t, want.Equal(at), text)
	}
	_, err := ParseTime("tomorrow", now)
	require.Error(t, err)
}
