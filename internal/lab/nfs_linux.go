package lab

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/osfs"
	nfs "github.com/willscott/go-nfs"
	"github.com/willscott/go-nfs/helpers"
)

// nfsHandles bounds the file handles that a server remembers.
const nfsHandles = 1 << 16

// ServeNFS serves the directories below dir as NFSv3 exports on l, which answers
// MOUNT and NFS on its one port, until the test ends. dir stands before each
// path that a client asks for.
func ServeNFS(t testing.TB, l net.Listener, dir string) {
	t.Helper()
	handler := helpers.NewCachingHandler(exports{helpers.NewNullAuthHandler(osfs.New(dir)), dir}, nfsHandles)
	done := make(chan error, 1)
	go func() { done <- nfs.Serve(l, handler) }()
	t.Cleanup(func() {
		l.Close()
		if err := <-done; err != nil && !errors.Is(err, net.ErrClosed) {
			t.Errorf("NFS server: %v", err)
		}
	})
}

// exports mounts what a client asks for; go-nfs' own handlers know one directory.
type exports struct {
	nfs.Handler
	dir string
}

func (e exports) Mount(_ context.Context, _ net.Conn, request nfs.MountRequest) (nfs.MountStatus, billy.Filesystem, []nfs.AuthFlavor) {
	dir := filepath.Join(e.dir, filepath.Clean("/"+string(request.Dirpath)))
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nfs.MountStatusErrNoEnt, nil, nil
	}
	return nfs.MountStatusOk, osfs.New(dir), []nfs.AuthFlavor{nfs.AuthFlavorNull, nfs.AuthFlavorUnix}
}

// Root makes a root file system of busybox and an /init that runs the lines of
// script and then powers the machine off.
func Root(t testing.TB, script string) string {
	t.Helper()
	Need(t, "busybox")
	root := t.TempDir()
	for _, dir := range []string{"bin", "proc", "sys", "dev", "etc", "run", "tmp"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	busybox, err := os.ReadFile(find("busybox"))
	if err != nil {
		t.Fatal(err)
	}
	init := "#!/bin/busybox sh\nbusybox() { /bin/busybox \"$@\"; }\nbusybox mount -t proc proc /proc\n" + script + "\nbusybox poweroff -f\n"
	for name, data := range map[string][]byte{"bin/busybox": busybox, "init": []byte(init)} {
		if err := os.WriteFile(filepath.Join(root, name), data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return root
}
