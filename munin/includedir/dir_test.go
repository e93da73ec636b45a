package includedir

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/munin"
)

func hosts(n, groups int) *munin.Master {
	m := &munin.Master{}
	for i := range n {
		m.Hosts = append(m.Hosts, munin.Host{Group: fmt.Sprintf("group%d", i%groups), Name: fmt.Sprintf("host%d.example.org", i), Address: munin.IPAddress(netip.MustParseAddr("2001:db8::1"))})
	}
	return m
}

func names(t *testing.T, dir string) []string {
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	list := []string{}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func sync(t *testing.T, d Dir, m *munin.Master) *Plan {
	t.Helper()
	p, err := d.Sync(t.Context(), m)
	require.NoError(t, err)
	return p
}

func paths(p *Plan) []string {
	list := []string{}
	for _, s := range p.Steps {
		list = append(list, filepath.Base(s.Path))
	}
	return list
}

func TestSync(t *testing.T) {
	d := Dir{Path: t.TempDir()}
	m := hosts(20, 4)
	m.Settings = map[string]string{"max_processes": "32"}
	require.Len(t, sync(t, d, m).Steps, 5)
	require.Equal(t, []string{"berryrack-group0.conf", "berryrack-group1.conf", "berryrack-group2.conf", "berryrack-group3.conf", "berryrack.conf"}, names(t, d.Path))
	require.Empty(t, sync(t, d, m).Steps, "nothing to do the second time")
	info, err := os.Stat(filepath.Join(d.Path, "berryrack.conf"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o644), info.Mode(), "munin must read it")

	files, warnings, err := Load(d.Path)
	require.NoError(t, err)
	require.Empty(t, warnings)
	read, err := munin.Decode(files...)
	require.NoError(t, err)
	require.Empty(t, munin.Diff(m, read), "the directory says what was asked for")

	m.Hosts[5].Port = 4950
	p := sync(t, d, m)
	require.Equal(t, []string{"berryrack-group1.conf"}, paths(p), "one host, one file")
	require.Equal(t, []munin.Change{{Kind: munin.Set, Host: "group1;host5.example.org", Key: "port", New: "4950"}}, p.Steps[0].Changes)
	require.Contains(t, p.Steps[0].String(), "install -m 0644 /dev/stdin "+d.Path)

	m.Settings = nil
	for i := range m.Hosts {
		if m.Hosts[i].Group == "group3" {
			m.Hosts[i].Group = "group0"
		}
	}
	p = sync(t, d, m)
	require.Equal(t, []string{"berryrack-group0.conf", "berryrack-group3.conf", "berryrack.conf"}, paths(p), "hosts that move do not count as removed")
	require.Equal(t, "rm "+filepath.Join(d.Path, "berryrack.conf"), p.Steps[2].String())
	require.Equal(t, []string{"berryrack-group0.conf", "berryrack-group1.conf", "berryrack-group2.conf"}, names(t, d.Path))
}

func TestTenThousandHostsOneFile(t *testing.T) {
	d := Dir{Path: t.TempDir()}
	m := hosts(10_000, 100)
	require.Len(t, sync(t, d, m).Steps, 100)
	m.Hosts[4242].UseNodeName = true
	require.Equal(t, []string{"berryrack-group42.conf"}, paths(sync(t, d, m)))
}

func TestRemovalLimit(t *testing.T) {
	for _, test := range []struct {
		limit, leave int
		refused      bool
	}{{0, 10, false}, {0, 11, true}, {3, 3, false}, {3, 4, true}, {-1, 1, true}, {-1, 0, false}, {100, 99, false}, {100, 100, true}, {1000, 100, true}} {
		d := Dir{Path: t.TempDir(), MaxRemove: test.limit}
		sync(t, d, hosts(100, 3))
		before := names(t, d.Path)
		_, err := d.Sync(t.Context(), hosts(100-test.leave, 3))
		if !test.refused {
			require.NoError(t, err, test)
			continue
		}
		var removal *RemovalError
		require.ErrorAs(t, err, &removal, test)
		require.Len(t, removal.Hosts, test.leave)
		require.Equal(t, test.leave == 100, removal.Empty)
		require.NotEmpty(t, removal.Error())
		require.Equal(t, before, names(t, d.Path))
		require.Empty(t, sync(t, d, hosts(100, 3)).Steps, "nothing was changed")
	}
	d := Dir{Path: t.TempDir()}
	require.Empty(t, sync(t, d, &munin.Master{}).Steps, "nothing there, nothing wanted")
}

// TestRemovalCountsFullNames has the same names in many groups, which are
// different hosts: that of one group is no reason to let the others leave.
func TestRemovalCountsFullNames(t *testing.T) {
	d := Dir{Path: t.TempDir()}
	var all munin.Master
	for i := range 50 {
		all.Hosts = append(all.Hosts, munin.Host{Group: fmt.Sprintf("site%02d", i), Name: "router", Address: munin.NameAddress("router")})
	}
	sync(t, d, &all)
	_, err := d.Sync(t.Context(), &munin.Master{Hosts: all.Hosts[:1]})
	var removal *RemovalError
	require.ErrorAs(t, err, &removal)
	require.Len(t, removal.Hosts, 49)
	require.Equal(t, 5, removal.Limit)
	require.Len(t, names(t, d.Path), 50)
	_, err = d.Sync(t.Context(), &munin.Master{Hosts: []munin.Host{{Group: "new", Name: "router", Address: munin.NameAddress("router")}}})
	require.ErrorAs(t, err, &removal, "which of them moved is not known")
	require.Len(t, removal.Hosts, 50)
	sync(t, d, &munin.Master{Hosts: all.Hosts[:45]})
}

func TestForeignFiles(t *testing.T) {
	d := Dir{Path: t.TempDir()}
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(d.Path, name), []byte(text), 0o600))
	}
	write("static.conf", "[static;a]\naddress 192.0.2.1\n[group0;host0.example.org]\nport 1\n")
	write("berryrack-mine.conf", "[mine;a]\naddress 192.0.2.1\n")
	write("broken.conf", "[x;a_b]\naddress 192.0.2.1\n")
	write("hosts.dpkg-old", "")
	write("ignored~", "nonsense\n")
	write(".hidden", "nonsense\n")
	require.NoError(t, os.Mkdir(filepath.Join(d.Path, "sub"), 0o755))
	require.NoError(t, os.Symlink("/nonexistent", filepath.Join(d.Path, "dangling.conf")))
	before := names(t, d.Path)
	p := sync(t, d, hosts(1, 1))
	text := strings.Join(p.Warnings, "\n")
	for _, want := range []string{"hosts.dpkg-old: munin loads it too", "sub: munin-update stops at a directory", "dangling.conf: munin-update stops at it", "broken.conf:2: x;a_b", "static.conf: it has group0;host0.example.org too"} {
		require.Contains(t, text, want)
	}
	require.NotContains(t, text, "nonsense")
	require.Equal(t, append([]string{}, insert(before, "berryrack-group0.conf")...), names(t, d.Path))
	_, err := d.Sync(t.Context(), &munin.Master{Hosts: append(hosts(1, 1).Hosts, munin.Host{Group: "mine", Name: "b", Address: munin.NameAddress("b")})})
	require.ErrorContains(t, err, "berryrack-mine.conf exists and is not ours")
	other := Dir{Path: d.Path, Prefix: "other"}
	require.Equal(t, []string{"other-group0.conf"}, paths(sync(t, other, hosts(1, 1))), "another prefix, other files")
	require.Empty(t, sync(t, d, hosts(1, 1)).Steps)
}

// TestCopies keeps what an admin copied from our files.
func TestCopies(t *testing.T) {
	d := Dir{Path: t.TempDir()}
	sync(t, d, hosts(2, 1))
	text, err := os.ReadFile(filepath.Join(d.Path, "berryrack-group0.conf"))
	require.NoError(t, err)
	copies := []string{"berryrack-.conf", "berryrack-group0.conf.bak", "berryrack-group0.old", "berryrackgroup0.conf"}
	for _, name := range copies {
		require.NoError(t, os.WriteFile(filepath.Join(d.Path, name), text, 0o600))
	}
	p := sync(t, d, hosts(2, 1))
	require.Empty(t, p.Steps)
	for _, name := range copies {
		require.Contains(t, strings.Join(p.Warnings, "\n"), name+": it begins as a file of ours")
	}
}

func TestPrefix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b")
	require.NoError(t, os.MkdirAll(path, 0o755))
	for _, prefix := range []string{"../../escaped", ".hidden", "a/b", "a.conf", "a b", "x\n"} {
		_, err := Dir{Path: path, Prefix: prefix}.Sync(t.Context(), hosts(1, 1))
		require.ErrorIs(t, err, ErrPrefix, prefix)
	}
	require.Empty(t, names(t, path))
	sync(t, Dir{Path: path, Prefix: "Rack_1-b"}, hosts(1, 1))
	require.Equal(t, []string{"Rack_1-b-group0.conf"}, names(t, path))
}

func insert(list []string, name string) []string {
	for i, other := range list {
		if other > name {
			return append(append(append([]string{}, list[:i]...), name), list[i:]...)
		}
	}
	return append(list, name)
}

func TestSyncRefuses(t *testing.T) {
	d := Dir{Path: t.TempDir()}
	_, err := d.Sync(t.Context(), &munin.Master{Hosts: []munin.Host{{Group: "a", Name: "b_c"}}})
	require.Error(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = d.Sync(ctx, hosts(1, 1))
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, names(t, d.Path))
	_, err = Dir{Path: filepath.Join(d.Path, "none")}.Sync(t.Context(), hosts(1, 1))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestUndo makes a later step fail, and finds the earlier ones taken back.
func TestUndo(t *testing.T) {
	d := Dir{Path: t.TempDir()}
	sync(t, d, hosts(4, 2))
	before, err := os.ReadFile(filepath.Join(d.Path, "berryrack-group0.conf"))
	require.NoError(t, err)
	m := hosts(4, 2)
	m.Hosts[0].Port, m.Hosts[1].Port = 1, 1
	m.Hosts = append(m.Hosts, munin.Host{Group: "azure", Name: "x", Address: munin.NameAddress("x")})
	p, err := d.Plan(m)
	require.NoError(t, err)
	require.Equal(t, []string{"berryrack-azure.conf", "berryrack-group0.conf", "berryrack-group1.conf"}, paths(p))
	temps := make([]string, 3)
	for i, s := range p.Steps[:2] {
		temps[i], err = writeBeside(s.Path, s.Content)
		require.NoError(t, err)
	}
	temps[2] = filepath.Join(d.Path, "none")
	require.ErrorIs(t, p.commit(temps), os.ErrNotExist)
	after, err := os.ReadFile(filepath.Join(d.Path, "berryrack-group0.conf"))
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))
	require.Equal(t, []string{"berryrack-group0.conf", "berryrack-group1.conf"}, names(t, d.Path))
}

// TestApplyOfAnOldPlan changes files between Plan and Apply.
func TestApplyOfAnOldPlan(t *testing.T) {
	for name, meddle := range map[string]func(path string) error{
		"appeared": func(path string) error {
			return os.WriteFile(filepath.Join(filepath.Dir(path), "berryrack-new.conf"), []byte("[new;mine]\n"), 0o644)
		},
		"empty appeared": func(path string) error {
			return os.WriteFile(filepath.Join(filepath.Dir(path), "berryrack-new.conf"), nil, 0o644)
		},
		"dangling link": func(path string) error {
			return os.Symlink("/nonexistent", filepath.Join(filepath.Dir(path), "berryrack-new.conf"))
		},
		"changed":   func(path string) error { return os.WriteFile(path, []byte("[group0;mine]\n"), 0o644) },
		"removed":   os.Remove,
		"directory": func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o755)) },
	} {
		d := Dir{Path: t.TempDir()}
		sync(t, d, hosts(4, 1))
		m := hosts(4, 1)
		m.Hosts[0].Port = 1
		m.Hosts = append(m.Hosts, munin.Host{Group: "new", Name: "x", Address: munin.NameAddress("x")})
		p, err := d.Plan(m)
		require.NoError(t, err)
		require.NoError(t, meddle(filepath.Join(d.Path, "berryrack-group0.conf")))
		before := state(t, d.Path)
		require.Error(t, p.Apply(t.Context()), name)
		require.Equal(t, before, state(t, d.Path), name)
	}
}

// state is what is in a directory's files.
func state(t *testing.T, dir string) map[string]string {
	files := map[string]string{}
	for _, name := range names(t, dir) {
		text, _ := os.ReadFile(filepath.Join(dir, name))
		files[name] = string(text)
	}
	return files
}

// TestSyncAtOnce has two inventories written at the same time: the directory
// is the one or the other.
func TestSyncAtOnce(t *testing.T) {
	d := Dir{Path: t.TempDir()}
	var states []map[string]string
	masters := []*munin.Master{hosts(12, 6), hosts(12, 6)}
	for i := range masters[1].Hosts {
		masters[1].Hosts[i].Port = 4950
	}
	for _, m := range masters {
		sync(t, d, m)
		states = append(states, state(t, d.Path))
	}
	for range 20 {
		errs := make(chan error)
		for _, m := range masters {
			go func() {
				_, err := d.Sync(t.Context(), m)
				errs <- err
			}()
		}
		require.NoError(t, errors.Join(<-errs, <-errs))
		require.Contains(t, states, state(t, d.Path))
	}
}

// TestSweep has what a killed run left beside go, when nothing else is to do.
func TestSweep(t *testing.T) {
	d := Dir{Path: t.TempDir()}
	sync(t, d, hosts(1, 1))
	require.NoError(t, os.WriteFile(filepath.Join(d.Path, ".berryrack-group0.conf.1"+tempSuffix), nil, 0o600))
	require.Empty(t, sync(t, d, hosts(1, 1)).Steps)
	require.Equal(t, []string{"berryrack-group0.conf"}, names(t, d.Path))
}

func TestLoadMain(t *testing.T) {
	dir := t.TempDir()
	sub := filepath.Join(dir, "conf.d")
	main := filepath.Join(dir, "munin.conf")
	require.NoError(t, os.WriteFile(main, []byte("includedir /wrong\nincludedir "+sub+"\n[web;a]\naddress [::1]\n"), 0o644))
	_, warnings, err := Load(main)
	require.NoError(t, err)
	require.Len(t, warnings, 1)
	require.NoError(t, os.Mkdir(sub, 0o755))
	sync(t, Dir{Path: sub}, hosts(2, 2))
	files, warnings, err := Load(main)
	require.NoError(t, err)
	require.Empty(t, warnings)
	require.Len(t, files, 3)
	_, _, err = Load(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

const syncVar = "BERRYRACK_TEST_SYNC"

// TestKilled lets a child Sync two inventories in turn, kills it again and
// again, and reads the directory all the time, as munin would: each file is
// whole, and the one or the other.
func TestKilled(t *testing.T) {
	small, large := hosts(300, 3), hosts(300, 3)
	for i := range large.Hosts {
		large.Hosts[i].Port, large.Hosts[i].UseNodeName = 4950, true
	}
	if dir := os.Getenv(syncVar); dir != "" {
		for {
			sync(t, Dir{Path: dir}, small)
			sync(t, Dir{Path: dir}, large)
		}
	}
	dir := t.TempDir()
	whole := map[string]bool{}
	for _, m := range []*munin.Master{small, large} {
		sync(t, Dir{Path: dir}, m)
		for _, name := range names(t, dir) {
			text, err := os.ReadFile(filepath.Join(dir, name))
			require.NoError(t, err)
			whole[name+string(text)] = true
		}
	}
	seen := map[string]bool{}
	reads := 0
	kills := 8
	if os.Getenv("BERRYRACK_REQUIRE") != "" {
		kills = 25
	}
	for range kills {
		kill := startSync(t, dir)
		began, now := time.Now(), map[string]bool{}
		// The child may take its time to begin: it has when a file was seen to change.
		for ; time.Since(began) < 60*time.Millisecond || len(now) <= 3 && time.Since(began) < 30*time.Second; reads++ {
			readAsMunin(t, dir, whole, now)
		}
		maps.Copy(seen, now)
		kill()
		readAsMunin(t, dir, whole, seen)
	}
	require.Len(t, seen, 6, "both states of all files were seen, in %d reads", reads)
	sync(t, Dir{Path: dir}, small)
	require.Equal(t, []string{"berryrack-group0.conf", "berryrack-group1.conf", "berryrack-group2.conf"}, names(t, dir), "what was beside is gone")
}

func startSync(t *testing.T, dir string) (kill func()) {
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestKilled$")
	cmd.Env = append(os.Environ(), syncVar+"="+dir)
	require.NoError(t, cmd.Start())
	return func() {
		require.NoError(t, cmd.Process.Kill())
		var exit *exec.ExitError
		require.ErrorAs(t, cmd.Wait(), &exit)
		require.Equal(t, -1, exit.ExitCode(), "it was killed, and did not fail")
	}
}

func readAsMunin(t *testing.T, dir string, whole, seen map[string]bool) {
	t.Helper()
	loaded := 0
	for _, name := range names(t, dir) {
		if !isLoaded(name) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.True(t, whole[name+string(text)], "%s is neither the one nor the other: %q", name, text)
		seen[name+string(text)] = true
		loaded++
	}
	require.Equal(t, 3, loaded, "no file is ever missing")
}

func TestErrorsAreForTheReader(t *testing.T) {
	err := error(&RemovalError{Hosts: []string{"a;1", "a;2", "a;3", "a;4", "a;5", "a;6"}, Limit: 4})
	require.EqualError(t, err, "includedir: 6 hosts would leave, and the limit is 4: a;1, a;2, a;3, a;4, a;5, ...")
	require.False(t, errors.Is(err, os.ErrNotExist))
}
