package rootfs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/berryrack/berryrack/internal/lab"
)

// fileServer is the kernel's NFS server in a guest that is nothing else.
type fileServer struct{ mountd int }

// Where the clients are, so that exports can tell them apart.
const (
	pi1 = "127.0.0.2"
	pi2 = "127.0.0.3"
)

// newFileServer starts rpcbind, nfsd and mountd.
func newFileServer(t *testing.T) fileServer {
	t.Helper()
	lab.Need(t, "rpcbind", "rpc.nfsd", "rpc.mountd", "exportfs", "mkfs.ext4")
	mount(t, "nfsd", "/proc/fs/nfsd", "nfsd")
	mount(t, "none", "/var/lib/nfs", "tmpfs")
	for _, name := range []string{"etab", "rmtab"} {
		write(t, "/var/lib/nfs/"+name, "")
	}
	daemon(t, "rpcbind", "-f", "-w")
	wait(t, "rpcbind", func() bool { return dials("127.0.0.1:111") })
	lab.Run(t, "rpc.nfsd", "-N", "4", "-V", "3", "2")
	s := fileServer{mountd: 2050}
	daemon(t, "rpc.mountd", "-F", "-p", fmt.Sprint(s.mountd))
	wait(t, "mountd", func() bool { return dials(fmt.Sprint("127.0.0.1:", s.mountd)) })
	return s
}

func mount(t *testing.T, source, dir, kind string) {
	t.Helper()
	require.NoError(t, unix.Mount(source, dir, kind, 0, ""), dir)
}

func daemon(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(lab.Program(t, name), args...)
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
}

func dials(address string) bool {
	c, err := net.Dial("tcp", address)
	if err == nil {
		c.Close()
	}
	return err == nil
}

func wait(t *testing.T, what string, done func() bool) {
	t.Helper()
	require.Eventually(t, done, 20*time.Second, 20*time.Millisecond, what)
}

// filesystem makes an ext4 in a file, and mounts it.
func filesystem(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o755))
	image := dir + ".ext4"
	require.NoError(t, os.WriteFile(image, nil, 0o600))
	require.NoError(t, os.Truncate(image, 16<<20))
	lab.Run(t, "mkfs.ext4", "-q", image)
	lab.Run(t, "busybox", "mount", "-o", "loop", "-t", "ext4", image, dir)
}

func (s fileServer) export(t *testing.T, client, dir string) {
	t.Helper()
	lab.Run(t, "exportfs", "-i", "-o", "rw,no_root_squash,no_subtree_check,sync", client+":"+dir)
}

// mountNFS mounts an export as a Pi does.
func (s fileServer) mountNFS(t *testing.T, export, dir string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o755))
	options := fmt.Sprintf("addr=127.0.0.1,vers=3,proto=tcp,port=2049,mountport=%d,mountproto=tcp,nolock", s.mountd)
	require.NoError(t, unix.Mount("127.0.0.1:"+export, dir, "nfs", 0, options))
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
}

// openNFS opens a file so that every read asks the server.
func openNFS(t *testing.T, p string) *os.File {
	t.Helper()
	f, err := os.OpenFile(p, os.O_RDONLY|unix.O_DIRECT, 0)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func readAt(f *os.File) error {
	_, err := f.ReadAt(make([]byte, 4096), 0)
	return err
}

// forget makes the server drop the files that it holds open between requests,
// as time does, and what it remembers of inodes.
func forget(t *testing.T) {
	t.Helper()
	lab.Run(t, "exportfs", "-f")
	require.NoError(t, os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0))
}

// requireStale waits until the server has lost a file.
func requireStale(t *testing.T, f *os.File) {
	t.Helper()
	wait(t, f.Name()+" is stale", func() bool {
		forget(t)
		return errors.Is(readAt(f), syscall.ESTALE)
	})
}

func TestOpenFilesOverNFS(t *testing.T) {
	if !lab.InGuest(t, "loop", "nfsd", "nfs", "nfsv3") {
		return
	}
	server := newFileServer(t)
	filesystem(t, "/run/pi1")
	golden, root := "/run/golden", Root{Dir: "/run/pi1/root"}
	page := func(s string) string { return strings.Repeat(s, 4096) }
	names := []string{"bin/replaced", "bin/deleted", "bin/dir/deleted", "bin/renamed over"}
	for _, name := range names {
		write(t, filepath.Join(golden, name), page("1"))
	}
	require.NoError(t, Clone(t.Context(), golden, []Root{root}, nil))
	server.export(t, "127.0.0.1", root.Dir)
	server.mountNFS(t, root.Dir, "/run/mnt")
	var open []*os.File
	for _, name := range names {
		open = append(open, openNFS(t, filepath.Join("/run/mnt", name)))
		require.NoError(t, readAt(open[len(open)-1]))
	}

	// What a plain tool does, so that this test can fail.
	last := filepath.Join(root.Dir, names[3])
	write(t, last+".new", page("2"))
	require.NoError(t, os.Rename(last+".new", last))
	requireStale(t, open[3])

	write(t, filepath.Join(golden, names[0]), page("2")+"longer")
	require.NoError(t, os.Remove(filepath.Join(golden, names[1])))
	require.NoError(t, os.RemoveAll(filepath.Join(golden, "bin/dir")))
	bringUp(t, golden, root)
	forget(t)
	for i := range 3 {
		require.NoError(t, readAt(open[i]), names[i])
	}
	got := page("")
	wait(t, "the new file", func() bool {
		data, err := os.ReadFile("/run/mnt/bin/replaced")
		got = string(data)
		return err == nil && got == page("2")+"longer"
	})
	require.NoFileExists(t, filepath.Join(root.Dir, names[1]))

	require.NoError(t, EmptyTrash(t.Context(), root.Dir, time.Now().Add(time.Hour)))
	for i := range 3 {
		requireStale(t, open[i])
	}

	// A swap is stale on everything, and a new mount has the new root.
	require.NoError(t, Rebuild(t.Context(), golden, root, Machine{Reexport: func(context.Context) error { lab.Run(t, "exportfs", "-f"); return nil }}, nil))
	_, err := os.ReadDir("/run/mnt/bin")
	require.ErrorIs(t, err, syscall.ESTALE)
	server.mountNFS(t, root.Dir, "/run/mnt2")
	require.Equal(t, page("2")+"longer", read(t, "/run/mnt2/bin/replaced"))
}

// secret is what one Pi has for itself.
const secret = "the other Pi's private key"

// TestForgedHandles is why each root wants a filesystem of its own: root on a
// Pi makes up the handle of another's file.
func TestForgedHandles(t *testing.T) {
	if !lab.InGuest(t, "loop", "nfsd", "nfs", "nfsv3") {
		return
	}
	server := newFileServer(t)
	golden := "/run/golden"
	write(t, filepath.Join(golden, "etc/hostname"), "golden\n")
	steal := func(own, other Root) bool {
		require.NoError(t, Clone(t.Context(), golden, []Root{own, other}, nil))
		require.NoError(t, os.WriteFile(filepath.Join(other.Dir, "etc/key"), []byte(secret), 0o600))
		server.export(t, pi1, own.Dir)
		server.export(t, pi2, other.Dir)
		mine, theirs := server.handle(t, pi1, own.Dir), server.handle(t, pi2, other.Dir)
		require.True(t, server.reads(t, pi2, theirs), "its owner reads it")
		return server.reads(t, pi1, mine) || server.reads(t, pi1, theirs)
	}
	filesystem(t, "/run/shared")
	filesystem(t, "/run/own1")
	filesystem(t, "/run/own2")
	require.True(t, steal(Root{Dir: "/run/shared/pi1"}, Root{Dir: "/run/shared/pi2"}), "the attack works")
	require.False(t, steal(Root{Dir: "/run/own1/root"}, Root{Dir: "/run/own2/root"}))

	device := func(dir string) uint64 {
		n, err := Device(dir)
		require.NoError(t, err)
		return n
	}
	require.Equal(t, device("/run/shared/pi1"), device("/run/shared/pi2"))
	require.NotEqual(t, device("/run/own1/root"), device("/run/own2/root"))
}

// Programs and procedures of RFC 1813.
const (
	nfsProgram, mountProgram = 100003, 100005
	procMount, procRead      = 1, 6
)

// handle asks mountd for the file handle of an export.
func (s fileServer) handle(t *testing.T, client, dir string) []byte {
	t.Helper()
	reply := rpc(t, client, s.mountd, mountProgram, procMount, opaque([]byte(dir)))
	require.Zero(t, binary.BigEndian.Uint32(reply), "mount of %s by %s", dir, client)
	size := binary.BigEndian.Uint32(reply[4:])
	return reply[8 : 8+size]
}

// reads tries the handle of every inode of the filesystem that a handle is of,
// and reports whether one of them is the secret.
func (s fileServer) reads(t *testing.T, client string, handle []byte) bool {
	t.Helper()
	for inode := range uint32(200) {
		args := append(opaque(forge(handle, inode)), make([]byte, 12)...) // offset, count
		args[len(args)-1] = byte(len(secret))
		if reply := rpc(t, client, 2049, nfsProgram, procRead, args); strings.Contains(string(reply), secret) {
			return true
		}
	}
	return false
}

// forge makes the handle of an inode, of any generation, out of that of an
// export: version, authentication type, type of file system id, type of file
// id (1: inode and generation), and the two ids.
func forge(export []byte, inode uint32) []byte {
	h := append([]byte(nil), export...)
	h[3] = 1
	h = binary.LittleEndian.AppendUint32(h, inode)
	return binary.LittleEndian.AppendUint32(h, 0)
}

// opaque encodes variable-length data (RFC 4506, section 4.10).
func opaque(data []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	out = append(out, data...)
	return append(out, make([]byte, -len(data)&3)...)
}

// rpc is one remote procedure call (RFC 5531) of root, from a port that only
// root has. It returns the results.
func rpc(t *testing.T, client string, port, program, procedure int, args []byte) []byte {
	t.Helper()
	dialer := net.Dialer{Timeout: 10 * time.Second}
	var conn net.Conn
	var err error
	for source := 600; source < 1000; source++ {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(client), Port: source}
		if conn, err = dialer.Dial("tcp", fmt.Sprint("127.0.0.1:", port)); !errors.Is(err, syscall.EADDRINUSE) && !errors.Is(err, syscall.EADDRNOTAVAIL) {
			break
		}
	}
	require.NoError(t, err)
	conn.(*net.TCPConn).SetLinger(0) // frees the port at once
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	var m []byte
	for _, word := range []int{1, 0, 2, program, 3, procedure, 1, 20, 0, 0, 0, 0, 0, 0, 0} { // AUTH_SYS, root; AUTH_NONE
		m = binary.BigEndian.AppendUint32(m, uint32(word))
	}
	m = append(m, args...)
	_, err = conn.Write(append(binary.BigEndian.AppendUint32(nil, 1<<31|uint32(len(m))), m...))
	require.NoError(t, err)
	var mark [4]byte
	_, err = io.ReadFull(conn, mark[:])
	require.NoError(t, err)
	reply := make([]byte, binary.BigEndian.Uint32(mark[:])&(1<<31-1))
	_, err = io.ReadFull(conn, reply)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(reply), 28, "%x", reply)
	return reply[24:] // after an accepted reply's header with AUTH_NONE
}
