package lab

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// kernelConfig is what the kernel has on top of `make tinyconfig`.
//
//go:embed kernel.config
var kernelConfig string

// kernelScript builds the kernel in the directory that it is started in.
// Without NFSv4, which needs much more of the kernel, nfsd stops reading an
// export at the word secinfo, and never sees the UUID of the filesystem behind
// it: it is made to read on.
const kernelScript = `
tar --extract --xz --strip-components=1 --file "$SOURCE"
sed --in-place '/^secinfo_parse(.*{ return 0; }$/s/{ return 0; }/{ int n, x; if (get_int(mesg, \&n)) return -EINVAL; for (; n > 0; n--) if (get_int(mesg, \&x) || get_int(mesg, \&x)) return -EINVAL; return 0; }/' fs/nfsd/export.c
grep --quiet 'int n, x;' fs/nfsd/export.c
make ARCH=um tinyconfig
scripts/kconfig/merge_config.sh -m .config "$FRAGMENT"
make ARCH=um olddefconfig
make ARCH=um -j"$(nproc)" linux
strip linux
`

// NFSRootKernel returns the path of a user-mode Linux kernel that configures
// its network and mounts its root as its command line says (CONFIG_IP_PNP,
// CONFIG_ROOT_NFS), which Debian's kernels leave to an initramfs, and that can
// serve NFS to others of its kind. It has no modules. It is built
// once, which takes minutes, and kept in the user's cache directory under the
// hash of its configuration. What the build prints goes to log.
func NFSRootKernel(ctx context.Context, log io.Writer) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "berryrack")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	source, err := os.Stat(kernelSource)
	if err != nil {
		return "", fmt.Errorf("lab: the kernel's source is Debian's linux-source-6.1: %w", err)
	}
	hash := sha256.Sum256(fmt.Appendf(nil, "%s%s%d", kernelConfig, kernelScript, source.Size()))
	kernel := filepath.Join(dir, fmt.Sprintf("linux-%x", hash[:8]))

	// Packages are tested side by side: the first one builds, the others wait.
	lock, err := os.OpenFile(kernel+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return "", err
	}
	if _, err := os.Stat(kernel); err == nil {
		return kernel, nil
	}
	return kernel, buildKernel(ctx, log, kernel)
}

// buildKernel builds the kernel in a directory beside it, which a build that was
// killed may have left.
func buildKernel(ctx context.Context, log io.Writer, kernel string) error {
	work := kernel + ".build"
	if err := errors.Join(os.RemoveAll(work), os.Mkdir(work, 0o755)); err != nil {
		return err
	}
	defer os.RemoveAll(work)
	fragment := filepath.Join(work, "fragment")
	if err := os.WriteFile(fragment, []byte(kernelConfig), 0o644); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "sh", "-euc", kernelScript)
	cmd.Dir, cmd.Stdout, cmd.Stderr = work, log, log
	cmd.Env = append(os.Environ(), "SOURCE="+kernelSource, "FRAGMENT="+fragment)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // make's children, too
	runtime.LockOSThread()                                                               // Pdeathsig is that of the thread
	defer runtime.UnlockOSThread()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("lab: build a kernel: %w", err)
	}
	return os.Rename(filepath.Join(work, "linux"), kernel)
}

// Kernel is [NFSRootKernel] for a test.
func Kernel(t testing.TB) string {
	t.Helper()
	Need(t, "kernel")
	kernel, err := NFSRootKernel(t.Context(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	return kernel
}
