package lab

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-git/go-billy/v5/osfs"
	nfs "github.com/willscott/go-nfs"
	"github.com/willscott/go-nfs/helpers"
)

// nfsHandles bounds the file handles that a server remembers.
const nfsHandles = 1 << 16

// ServeNFS serves dir as an NFSv3 export on l, which answers MOUNT and NFS on
// its one port, until the test ends.
func ServeNFS(t testing.TB, l net.Listener, dir string) {
	t.Helper()
	handler := helpers.NewCachingHandler(helpers.NewNullAuthHandler(osfs.New(dir)), nfsHandles)
	done := make(chan error, 1)
	go func() { done <- nfs.Serve(l, handler) }()
	t.Cleanup(func() {
		l.Close()
		if err := <-done; err != nil && !errors.Is(err, net.ErrClosed) {
			t.Errorf("NFS server: %v", err)
		}
	})
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
