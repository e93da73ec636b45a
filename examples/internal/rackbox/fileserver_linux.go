package rackbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/berryrack/berryrack/examples/internal/rack"
	"github.com/berryrack/berryrack/nfsroot/rootfs"
	"github.com/berryrack/berryrack/vlan"
)

// errand is what the fileserver's first program is to do. It is given in a file
// that the environment names.
type errand struct {
	Rack    []byte // rack.yaml
	Golden  string // the tree that roots are copies of, on the machine; "" is the small one
	Secrets map[string]string
	Program string // the path of pirack on the machine, as it was called
	Binary  string // and where that leads to
}

// errandVar names the file.
const errandVar = "BERRYRACK_ERRAND"

// Where the fileserver has what.
const (
	goldenDir = "/srv/golden"
	writtenTo = "/srv/rack"
	hostDir   = "/host" // the machine's own files, which it can only read
	stateDir  = "/var/lib/berryrack/pirack"
)

// Fileserver is the first program of the fileserver, a guest that sees the
// machine's files: it makes itself a root of its own, does what an operator does
// with pirack on a new fileserver, switches the Pis on, and then runs what it is
// sent. When something fails it says so, and ends the machine.
func Fileserver(ctx context.Context, logger *slog.Logger) error {
	logger.Error("fileserver", "error", fileserve(ctx, logger))
	return unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

func fileserve(ctx context.Context, logger *slog.Logger) error {
	data, err := os.ReadFile(os.Getenv(errandVar))
	if err != nil {
		return err
	}
	var e errand
	if err := json.Unmarshal(data, &e); err != nil {
		return err
	}
	r, err := rack.Parse("rack.yaml", e.Rack)
	if err != nil {
		return err
	}
	f := &fileserver{errand: e, rack: r, config: []string{"-f", confDir + "/pirack.yaml"}, log: logger}
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"root", f.root}, {"network", f.network}, {"VLANs", f.vlans}, {"roots", f.roots}, {"install", f.install}, {"NFS", f.nfs},
	} {
		began := time.Now()
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("fileserver: %s: %w", step.name, err)
		}
		logger.Info("fileserver", "done", step.name, "took", time.Since(began).Round(time.Millisecond).String())
	}
	return f.serve(ctx)
}

type fileserver struct {
	errand
	rack   *rack.Rack
	config []string // the arguments that say where rack.yaml is
	log    *slog.Logger
}

// root makes a root of the guest's own: programs are the machine's, and all
// that is written is in memory.
func (f *fileserver) root(context.Context) error {
	const at = "/run"
	if err := mount("tmpfs", at, "tmpfs", 0, "mode=0755"); err != nil {
		return err
	}
	var errs []error
	for _, dir := range []string{"dev", "etc/network", "host", "proc", "run", "srv", "sys", "tmp", "var/lib/nfs", confDir, stateDir} {
		errs = append(errs, os.MkdirAll(filepath.Join(at, dir), 0o755))
	}
	for _, dir := range []string{"bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr"} {
		errs = append(errs, same("/"+dir, filepath.Join(at, dir)))
	}
	errs = append(errs, mount("/", at+hostDir, "", unix.MS_BIND, ""), os.Chdir(at), mount(".", "/", "", unix.MS_MOVE, ""), unix.Chroot("."), os.Chdir("/"))
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return errors.Join(
		mount("proc", "/proc", "proc", 0, ""), mount("sys", "/sys", "sysfs", 0, ""), mount("dev", "/dev", "devtmpfs", 0, ""), mount("nfsd", "/proc/fs/nfsd", "nfsd", 0, ""),
		f.etc(), unix.Sethostname([]byte("fileserver")))
}

// same makes a path of the new root what it is in the old one: a link, or the
// same directory.
func same(from, to string) error {
	info, err := os.Lstat(from)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(from)
		return errors.Join(err, os.Symlink(target, to))
	}
	return errors.Join(os.Mkdir(to, 0o755), mount(from, to, "", unix.MS_BIND, ""))
}

func mount(source, dir, kind string, flags uintptr, options string) error {
	if err := unix.Mount(source, dir, kind, flags, options); err != nil {
		return &os.PathError{Op: "mount", Path: dir, Err: err}
	}
	return nil
}

// etc makes the files that programs look for, and those of a new Debian server
// that pirack's README asks to be changed.
func (f *fileserver) etc() error {
	var errs []error
	for _, name := range []string{"passwd", "group", "nsswitch.conf", "protocols", "services", "rpc", "netconfig", "ld.so.cache", "nfs.conf"} {
		data, err := os.ReadFile(filepath.Join(hostDir, "etc", name))
		if err == nil {
			err = os.WriteFile("/etc/"+name, data, 0o644)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	for name, text := range map[string]string{
		"/etc/hosts":              "127.0.0.1 localhost\n::1 localhost\n",
		"/etc/exports":            "",
		"/etc/network/interfaces": "source /etc/network/interfaces.d/*\n",
		"/etc/nftables.conf":      "flush ruleset\ninclude \"/etc/nftables.d/*.nft\"\n",
		"/var/lib/nfs/etab":       "",
		"/var/lib/nfs/rmtab":      "",
		confDir + "/pirack.yaml":  string(f.Rack),
	} {
		errs = append(errs, os.WriteFile(name, []byte(text), 0o644))
	}
	for name, secret := range f.Secrets {
		errs = append(errs, os.WriteFile(name, []byte(secret), 0o600))
	}
	return errors.Join(append(errs, os.Setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"))...)
}

// network gives the interfaces, which user-mode Linux calls vec0 and vec1, the
// names that they have in a rack, and brings up the one that leads to the
// switch's agent and to pirack boot.
func (f *fileserver) network(context.Context) error {
	parent := f.rack.Config.Server.Interface
	return ip("link set lo up", "link set vec0 name "+parent, "link set "+parent+" up",
		"link set vec1 name "+management, fmt.Sprintf("address add %v dev %s nodad", fileserverAddress, management),
		"link set "+management+" up")
}

// vlans does what `pirack apply` does.
func (f *fileserver) vlans(ctx context.Context) error {
	want := f.rack.Wanted(false)
	have, err := vlan.Namespace{}.Current(ctx, want.Parents...)
	if err != nil {
		return err
	}
	changes, err := vlan.Diff(want, have)
	if err != nil {
		return err
	}
	return vlan.Namespace{}.Apply(ctx, changes.Steps)
}

// roots makes a filesystem for each root, and does what `pirack roots clone`
// does. Where each Pi has a directory above its root, that is the mount, and
// the root can be swapped; otherwise the root is mounted where it is exported.
func (f *fileserver) roots(ctx context.Context) error {
	dir, template := filepath.Join(hostDir, f.Golden), f.rack.Config.Export
	if err := os.Symlink(dir, goldenDir); f.Golden != "" && err != nil {
		return err
	} else if f.Golden == "" {
		if err := errors.Join(os.Remove(goldenDir), MakeGolden(goldenDir, busybox())); err != nil {
			return err
		}
	}
	roots, err := f.rack.Roots("", goldenDir, f.rack.Pis)
	if err != nil {
		return err
	}
	var binds []func() error
	for i, pi := range f.rack.Pis {
		at := path.Dir(pi.Export.Path)
		if !strings.Contains(path.Dir(template), "{") {
			at = path.Join("/srv/roots", pi.Name)
			roots[i].Dir = path.Join(at, "root")
			binds = append(binds, func() error {
				return errors.Join(os.MkdirAll(pi.Export.Path, 0o755), mount(roots[i].Dir, pi.Export.Path, "", unix.MS_BIND, ""))
			})
		}
		if err := errors.Join(os.MkdirAll(at, 0o755), mount(pi.Name, at, "tmpfs", 0, "mode=0755")); err != nil {
			return err
		}
	}
	if err := rootfs.Clone(ctx, goldenDir, roots, nil); err != nil {
		return err
	}
	for _, bind := range binds {
		if err := bind(); err != nil {
			return err
		}
	}
	return nil
}

// nfs starts the kernel's NFS server, as what is installed says, and waits until
// it answers.
func (f *fileserver) nfs(ctx context.Context) error {
	if err := f.start("rpcbind", "-f"); err != nil {
		return err
	}
	if err := until(ctx, "rpcinfo", "-p", "127.0.0.1"); err != nil {
		return err
	}
	// The Pis boot with version 3.
	if output, err := exec.CommandContext(ctx, "rpc.nfsd", "-N", "4").CombinedOutput(); err != nil {
		return fmt.Errorf("rpc.nfsd: %w: %s", err, output)
	}
	if err := f.start("rpc.mountd", "-F"); err != nil {
		return err
	}
	return until(ctx, "rpcinfo", "-t", "127.0.0.1", "mountd", "3")
}

// start starts a program that goes on.
func (f *fileserver) start(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { f.log.Error("fileserver", "ended", name, "error", cmd.Wait()) }()
	return nil
}

// until runs a program until it succeeds.
func until(ctx context.Context, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		output, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w: %s", name, err, output)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// install does what `pirack write` and `pirack install` do.
func (f *fileserver) install(ctx context.Context) error {
	tree, err := f.rack.Tree()
	if err != nil {
		return err
	}
	steps, err := tree.Diff(writtenTo)
	if err != nil {
		return err
	}
	if err := tree.Write(ctx, writtenTo, steps); err != nil {
		return err
	}
	in, err := f.rack.Installation(writtenTo, "", stateDir)
	if err != nil {
		return err
	}
	return in.Apply(ctx, func(string) {})
}

// serve switches the Pis on, says how that went, and runs what it is sent.
func (f *fileserver) serve(ctx context.Context) error {
	agents := make(chan error, 1)
	go func() { agents <- f.agent(ctx) }()
	if err := f.report(f.powerOn(ctx)); err != nil {
		return err
	}
	return <-agents
}

// report says to pirack boot that the Pis are up, or why one is not.
func (f *fileserver) report(err error) error {
	conn, dialErr := net.Dial("tcp", boxAddress)
	if dialErr != nil {
		return dialErr
	}
	defer conn.Close()
	return json.NewEncoder(conn).Encode(hello{Ready: true, Problem: text(err)})
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// onAtOnce is how many Pis start together.
const onAtOnce = 4

// powerOn switches the Pis on by their switch, each until it answers.
func (f *fileserver) powerOn(ctx context.Context) error {
	power, err := f.rack.Power(ctx, stateDir, f.rack.Pis, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer power.Close()
	errs := make([]error, len(f.rack.Pis))
	var group errgroup.Group
	group.SetLimit(onAtOnce)
	for i, pi := range f.rack.Pis {
		group.Go(func() error {
			if err := power.On(ctx, pi); err != nil {
				errs[i] = fmt.Errorf("%s: %w", pi.Name, err)
			}
			return nil
		})
	}
	group.Wait()
	return errors.Join(errs...)
}
