package accesslog

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// scene is a log that a server writes and a Follower reads.
type scene struct {
	*testing.T
	path, state string
	server      *os.File
	follower    *Follower
}

func newScene(t *testing.T) *scene {
	dir := t.TempDir()
	s := &scene{T: t, path: filepath.Join(dir, "access.log"), state: filepath.Join(dir, "place")}
	s.reopen()
	s.restart()
	t.Cleanup(func() {
		s.server.Close()
		s.follower.Close()
	})
	return s
}

// reopen is what a server does after rotation.
func (s *scene) reopen() {
	if s.server != nil {
		require.NoError(s, s.server.Close())
	}
	var err error
	s.server, err = os.OpenFile(s.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(s, err)
}

// restart begins with a new process, which knows what the last one saved.
func (s *scene) restart() {
	if s.follower != nil {
		require.NoError(s, s.follower.Close())
	}
	s.follower = &Follower{Path: s.path, State: s.state}
}

func (s *scene) write(text string) {
	_, err := s.server.WriteString(text)
	require.NoError(s, err)
}

func (s *scene) rename(to string) string {
	old := filepath.Join(filepath.Dir(s.path), to)
	require.NoError(s, os.Rename(s.path, old))
	return old
}

// poll expects to read just these targets.
func (s *scene) poll(want ...string) {
	s.Helper()
	var got []string
	require.NoError(s, s.follower.Poll(func(h *Hit) error {
		got = append(got, string(h.Target))
		return nil
	}))
	require.Equal(s, want, got)
	require.NoError(s, s.follower.Save())
}

func TestFollow(t *testing.T) {
	s := newScene(t)
	s.poll()
	s.write(line(1, "/1") + line(2, "/2"))
	s.poll("/1", "/2")
	s.poll()
	third := line(3, "/3")
	s.write(third[:20])
	s.poll()
	s.write(third[20:] + line(4, "/4"))
	s.poll("/3", "/4")
	require.Equal(t, Stats{Lines: 4}, s.follower.Stats())
}

func TestFollowAcrossProcesses(t *testing.T) {
	s := newScene(t)
	second := line(2, "/2")
	s.write(line(1, "/1") + second[:30])
	s.poll("/1")
	s.restart()
	s.write(second[30:])
	s.poll("/2")
	s.restart()
	s.poll()
}

func TestFollowRename(t *testing.T) {
	s := newScene(t)
	second := line(2, "/2")
	s.write(line(1, "/1") + second[:30])
	s.poll("/1")
	s.rename("access.log.1")
	s.poll()
	// The server has not been told: it goes on in the old file, and rotation may make an empty new one.
	require.NoError(t, os.WriteFile(s.path, nil, 0o600))
	s.write(second[30:] + line(3, "/3"))
	s.poll("/2", "/3")
	old := s.server
	s.server = nil
	s.reopen()
	s.write(line(5, "/5"))
	s.poll("/5")
	// A worker that was still at it.
	_, err := old.WriteString(line(4, "/4"))
	require.NoError(t, err)
	require.NoError(t, old.Close())
	s.write(line(6, "/6"))
	s.poll("/4", "/6")
	s.poll()
	require.Len(t, s.follower.tails, 1)
}

func TestFollowRenameWhileStopped(t *testing.T) {
	for _, name := range []string{"access.log.1", "access.log-20001010"} {
		s := newScene(t)
		s.write(line(1, "/1"))
		s.poll("/1")
		s.write(line(2, "/2"))
		s.rename(name)
		s.reopen()
		s.write(line(3, "/3"))
		s.restart()
		s.poll("/2", "/3")
		s.restart()
		s.poll()
	}
}

// The process ends after rotation, while the old file is still being drained.
func TestStoppedWhileDraining(t *testing.T) {
	s := newScene(t)
	s.write(line(1, "/1"))
	s.poll("/1")
	s.rename("access.log.1")
	old := s.server
	s.server = nil
	s.reopen()
	s.write(line(3, "/3"))
	s.poll("/3")
	s.restart()
	_, err := old.WriteString(line(2, "/2"))
	require.NoError(t, err)
	require.NoError(t, old.Close())
	s.poll("/2")
}

func TestRotatedInTheMiddleOfALine(t *testing.T) {
	s := newScene(t)
	s.write(line(1, "/1") + line(2, "/2")[:30])
	s.poll("/1")
	s.rename("access.log.1")
	s.reopen()
	s.write(line(3, "/3"))
	s.poll("/3")
	s.poll()
	require.Equal(t, Stats{Lines: 3, Malformed: 1}, s.follower.Stats(), "the half line is counted")
}

func TestCopyTruncate(t *testing.T) {
	for _, restart := range []bool{false, true} {
		for _, after := range []string{"short", "long"} {
			s := newScene(t)
			s.write(line(1, "/1") + line(2, "/2") + line(3, "/3")[:20])
			s.poll("/1", "/2")
			require.NoError(t, s.server.Truncate(0))
			want := []string{"/4"}
			s.write(line(4, "/4"))
			if after == "long" { // past the old place before anybody looked
				s.write(line(5, "/"+strings.Repeat("5", 500)))
				want = append(want, "/"+strings.Repeat("5", 500))
			}
			if restart {
				s.restart()
			}
			s.poll(want...)
		}
	}
}

// Another file has the inode of the old one, and is longer.
func TestInodeUsedAgain(t *testing.T) {
	s := newScene(t)
	s.write(line(1, "/1"))
	s.poll("/1")
	s.restart()
	require.NoError(t, s.server.Truncate(0))
	s.write(line(2, "/two") + line(3, "/3"))
	s.poll("/two", "/3")
}

func TestFollowTooLong(t *testing.T) {
	s := newScene(t)
	s.write(strings.Repeat("a", 3*MaxLine))
	s.poll()
	s.write(strings.Repeat("a", 3*MaxLine))
	s.poll()
	s.restart() // in the middle of it
	s.write("\n" + line(1, "/1"))
	s.poll("/1")
}

func TestFollowErrors(t *testing.T) {
	s := newScene(t)
	none := &Follower{Path: filepath.Join(t.TempDir(), "none")}
	require.ErrorIs(t, none.Poll(nil), os.ErrNotExist)
	require.ErrorContains(t, (&Follower{Path: t.TempDir()}).Poll(nil), "no regular file")
	fifo := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	require.ErrorContains(t, (&Follower{Path: fifo}).Poll(nil), "no regular file", "nobody writes to it")

	require.NoError(t, os.WriteFile(s.state, []byte("{"), 0o600))
	require.ErrorContains(t, s.follower.Poll(nil), "remove it to read "+s.path)
	require.NoError(t, os.Remove(s.state))

	s.write(line(1, "/1") + line(2, "/2"))
	stop := errors.New("stop")
	require.ErrorIs(t, s.follower.Poll(func(*Hit) error { return stop }), stop)
	s.poll("/2")
}

// What a saved place says is checked against the file.
func TestHostilePlace(t *testing.T) {
	for _, text := range []string{
		`[{"device":1,"inode":1,"offset":-5,"head":{"size":-1}}]`, `[{"head":{"size":9999999999}}]`, `[]`, `null`,
		`[{"offset":99999999999999}]`,
	} {
		s := newScene(t)
		s.write(line(1, "/1"))
		require.NoError(t, os.WriteFile(s.state, []byte(text), 0o600))
		s.poll("/1")
	}
}

// A rotated file has the inode of the place, but is another one: it is not read.
func TestInodeOfAnotherFile(t *testing.T) {
	for _, h := range []head{{Size: 10, Hash: 1}, {Size: -1}, {Size: 1 << 60}} {
		s := newScene(t)
		s.write(line(1, "/old"))
		info, err := os.Stat(s.rename("access.log.1"))
		require.NoError(t, err)
		s.reopen()
		s.write(line(2, "/new"))
		device, inode := identity(info)
		text, err := json.Marshal([]place{{Device: device, Inode: inode, Offset: 10, Head: h}})
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(s.state, text, 0o600))
		s.poll("/new")
	}
}

// Saving replaces the file, and leaves nothing beside it when it cannot.
func TestSave(t *testing.T) {
	s := newScene(t)
	s.poll()
	require.NoError(t, os.Remove(s.state))
	require.NoError(t, os.Mkdir(s.state, 0o700))
	require.ErrorContains(t, s.follower.Save(), "place in")
	names, err := os.ReadDir(filepath.Dir(s.state))
	require.NoError(t, err)
	require.Len(t, names, 2)
}
