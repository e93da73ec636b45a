package rackbox

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berryrack/berryrack/examples/internal/rack"
	"github.com/berryrack/berryrack/internal/lab"
)

// The commands of pirack that boot starts: itself in new namespaces, and the
// fileserver's first program.
const (
	BoxCommand        = "boot-box"
	FileserverCommand = "boot-fileserver"
)

// packages says of which Debian package a program is that boot runs.
var packages = map[string]string{
	"busybox": "busybox-static", "ip": "iproute2", "nft": "nftables", "sysctl": "procps",
	"rpcbind": "rpcbind", "rpcinfo": "rpcbind", "rpc.nfsd": "nfs-kernel-server", "rpc.mountd": "nfs-kernel-server", "exportfs": "nfs-kernel-server",
}

// kernelPackages are what a kernel is built with.
const kernelPackages = "linux-source-6.1 bc bison flex gcc libc6-dev make xz-utils"

// needs returns an error that says everything that is missing to boot a rack.
func needs() error {
	if os.Geteuid() != 0 {
		return errors.New("boot needs root, for network namespaces and machines that end with it")
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		return fmt.Errorf("boot needs network interfaces of its own: %w", err)
	}
	var missing []string
	for program, name := range packages {
		if find(program) == "" && !slices.Contains(missing, name) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return fmt.Errorf("boot needs what this machine lacks: apt-get install %s", strings.Join(missing, " "))
	}
	return nil
}

// find returns the path of a program, also of one that only root has on its path.
func find(name string) string {
	for _, dir := range []string{"", "/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	return ""
}

func busybox() string { return find("busybox") }

// Options are what a rack is booted with.
type Options struct {
	Rack    *rack.Rack
	Golden  string // the tree that roots are copies of; "" is a small one of busybox
	State   string // where commands look for the rack
	Console bool   // log what the machines print
	Logger  *slog.Logger
	Stderr  io.Writer // of the process in the namespaces
}

// Boot boots a rack, calls ready once its Pis are up or known not to be, and
// runs it until ctx ends. Everything is in one child process and its children,
// in namespaces that die with this process, whatever ends it.
func Boot(ctx context.Context, o Options, ready func()) error {
	if err := needs(); err != nil {
		return err
	}
	order, err := o.order(ctx)
	if err != nil {
		return err
	}
	listener, err := listen(o.State)
	if err != nil {
		return err
	}
	defer listener.Close()
	commands, err := listener.File()
	if err != nil {
		return err
	}
	defer commands.Close()
	said, says, err := os.Pipe()
	if err != nil {
		return err
	}
	defer said.Close()
	defer says.Close()

	data, err := json.Marshal(order)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe", BoxCommand)
	cmd.Args[0] = "pirack"
	cmd.Stdin, cmd.Stderr, cmd.ExtraFiles = bytes.NewReader(data), o.Stderr, []*os.File{commands, says}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC, Setpgid: true, Pdeathsig: syscall.SIGKILL,
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	// The signal of Pdeathsig comes when the thread ends that started the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	says.Close()
	go func() {
		problem, err := io.ReadAll(said)
		if err != nil || len(problem) == 0 {
			return // it ended
		}
		o.announce(strings.TrimSpace(string(problem)), cmd.Process.Pid, time.Since(began))
		ready()
	}()
	err = cmd.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("the rack has ended: %w", err)
}

// order works out what the child needs, and builds the kernel if there is none.
func (o Options) order(ctx context.Context) (Order, error) {
	booted, err := Booted(o.Rack)
	if err != nil {
		return Order{}, err
	}
	program, err := program()
	if err != nil {
		return Order{}, err
	}
	binary, err := filepath.EvalSymlinks(program)
	if err != nil {
		return Order{}, err
	}
	golden := o.Golden
	memory := fileserverMemory
	if golden != "" {
		if golden, err = filepath.Abs(golden); err != nil {
			return Order{}, err
		}
		size, err := sizeOf(golden)
		if err != nil {
			return Order{}, err
		}
		memory += int(size >> 20 * int64(len(o.Rack.Pis)+1))
	}
	kernel, err := o.kernel(ctx)
	if err != nil {
		return Order{}, err
	}
	community := rand.Text()
	return Order{
		Errand: errand{Rack: booted, Golden: golden, Program: program, Binary: binary, Secrets: map[string]string{communityFile: community + "\n"}},
		Kernel: kernel, Community: community, Memory: memory, Console: o.Console,
	}, nil
}

// kernel returns the path of the machines' kernel. The first time it is built, and
// says so: that takes minutes.
func (o Options) kernel(ctx context.Context) (string, error) {
	began := sync.OnceValue(func() time.Time {
		o.Logger.Info("building the machines' kernel, which takes minutes, once")
		return time.Now()
	})
	build := &lines{line: func(string) { began() }}
	kernel, err := lab.NFSRootKernel(ctx, build)
	said := build.tail()
	if err != nil && said != "" {
		err = fmt.Errorf("%w; the build ends with:\n%s", err, said)
	}
	if err != nil {
		return "", fmt.Errorf("the machines' kernel (apt-get install %s): %w", kernelPackages, err)
	}
	if said != "" {
		o.Logger.Info("built the machines' kernel", "took", time.Since(began()).Round(time.Second).String(), "file", kernel)
	}
	return kernel, nil
}

// fileserverMemory is what the fileserver has beside the Pis' roots, in MiB.
const fileserverMemory = 384

// program returns the path of this program, as it was called: it may be one
// that looks at its name.
func program() (string, error) {
	path, err := exec.LookPath(os.Args[0])
	if err != nil {
		return os.Executable()
	}
	return filepath.Abs(path)
}

// sizeOf sums up the files of a tree, in bytes.
func sizeOf(dir string) (int64, error) {
	var size int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	return size, err
}

// announce says that the rack is up.
func (o Options) announce(problem string, pid int, took time.Duration) {
	if problem != allUp {
		o.Logger.Error("not all Pis are up", "error", problem)
	}
	o.Logger.Info("the rack is up", "pis", len(o.Rack.Pis), "took", took.Round(10*time.Millisecond).String(),
		"status", "pirack status --state "+o.State, "outside", fmt.Sprintf("nsenter --net=/proc/%d/ns/net", pid))
}

// allUp is what the child says when no Pi has a problem.
const allUp = "up"

// BoxMain is the child's program: it reads its order from standard input.
func BoxMain(ctx context.Context, logger *slog.Logger) error {
	var order Order
	if err := json.NewDecoder(os.Stdin).Decode(&order); err != nil {
		return err
	}
	commands, says := os.NewFile(firstFD, "commands"), os.NewFile(firstFD+1, "ready")
	listener, err := listenerOf(commands)
	if err != nil {
		return err
	}
	unix.CloseOnExec(firstFD + 1)
	return Box(ctx, order, listener, func(problem string) {
		if problem == "" {
			problem = allUp
		}
		says.WriteString(problem)
		says.Close()
	}, logger)
}
