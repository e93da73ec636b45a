package rackbox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/berryrack/berryrack/examples/internal/rack"
	"github.com/berryrack/berryrack/poe"
	"github.com/berryrack/berryrack/poe/poetest"
	"github.com/berryrack/berryrack/vlan"
)

// Order is what pirack boot orders of the process in the new namespaces.
type Order struct {
	Errand    errand
	Kernel    string // of all machines: the path of one that reads ip= and nfsroot=
	Community string
	Memory    int // of the fileserver, in MiB
	Console   bool
}

// box is a rack in this process and its children. The process's own network is
// the world outside: the gateway of the public VLAN.
type box struct {
	Order
	rack       *rack.Rack
	log        *slog.Logger
	ethernet   *Switch
	power      *poetest.Switch
	management *namespace
	idle       chan worker // connections on which the fileserver waits for a request
}

// worker is such a connection.
type worker struct {
	net.Conn
	reader *bufio.Reader
}

// workDir is the directory of what is gone with the process.
const workDir = "/run/berryrack"

// Box boots a rack in namespaces that hold nothing else, calls ready once the
// Pis are up, and runs it until ctx ends. It answers commands on the listener.
func Box(ctx context.Context, order Order, commands *net.UnixListener, ready func(problem string), logger *slog.Logger) error {
	r, err := rack.Parse("the booted rack.yaml", order.Errand.Rack)
	if err != nil {
		return err
	}
	if err := settle(); err != nil {
		return err
	}
	b := &box{Order: order, rack: r, log: logger, idle: make(chan worker)}
	if b.ethernet, err = NewSwitch(r.VLANs.Switches[0]); err != nil {
		return err
	}
	if b.management, err = newNamespace(); err != nil {
		return err
	}
	defer b.management.close()
	group, ctx := errgroup.WithContext(ctx)
	for _, part := range []func(context.Context, *errgroup.Group) error{
		b.gateway, b.agent, b.pis, b.fileserver,
		func(ctx context.Context, group *errgroup.Group) error { return b.connections(ctx, group, ready) },
		func(ctx context.Context, group *errgroup.Group) error { return b.serve(ctx, group, commands) },
	} {
		if err = part(ctx, group); err != nil {
			group.Go(func() error { return err })
			break
		}
	}
	return group.Wait()
}

// settle makes the new namespaces usable.
func settle() error {
	if err := errors.Join(mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), mount("proc", "/proc", "proc", 0, ""), mount("run", "/run", "tmpfs", 0, "mode=0755")); err != nil {
		return err
	}
	// A wire is a socket, and the default holds ten frames.
	return errors.Join(os.MkdirAll(workDir, 0o711), os.WriteFile("/proc/sys/net/unix/max_dgram_qlen", []byte("1000"), 0), ip("link set lo up"))
}

// gateway plugs in the router of the public VLAN, which is this namespace.
func (b *box) gateway(ctx context.Context, group *errgroup.Group) error {
	c := b.rack.Config.Public
	if c == nil {
		return nil
	}
	address := netip.PrefixFrom(c.Gateway, c.PrefixLength)
	wire, err := (*namespace)(nil).tap("public", address)
	if err != nil {
		return err
	}
	group.Go(func() error { return b.ethernet.Connect(ctx, c.SwitchPort, tagged{wire, vlan.ID(c.VLAN)}) })
	return nil
}

// agent starts the switch's SNMP agent, on the management network. Its ports
// are off: they are switched on once there is something to boot from.
func (b *box) agent(ctx context.Context, group *errgroup.Group) error {
	b.power = poetest.New(poetest.Config{Ports: lastPort(b.rack), Watts: 740, Vendor: poetest.CiscoIOS, Detect: 100 * time.Millisecond, Linger: 50 * time.Millisecond})
	for n := 1; n <= lastPort(b.rack); n++ {
		id := poe.PortID{Group: 1, Port: n}
		b.power.Attach(id, nil)
		if err := b.power.Set(ctx, id, poe.AdminDisabled); err != nil {
			return err
		}
	}
	for _, pi := range b.rack.Pis {
		b.power.Attach(poe.PortID{Group: 1, Port: pi.Port}, &poetest.Device{MAC: address(pi), Watts: 3.5, Class: poe.ClassOf(0)})
	}
	var conn net.PacketConn
	err := b.management.do(func() (err error) {
		conn, err = net.ListenPacket("udp", "[::]:"+fmt.Sprint(snmpPort))
		return err
	})
	if err != nil {
		return err
	}
	group.Go(func() error { return b.power.Serve(ctx, conn, b.Community) })
	return nil
}

// address is the Ethernet address of a Pi.
func address(pi rack.Pi) net.HardwareAddr {
	if pi.MAC != nil {
		return pi.MAC
	}
	return localMAC(pi.Port)
}

// pis runs each Pi while its port delivers power.
func (b *box) pis(ctx context.Context, group *errgroup.Group) error {
	tree, err := b.rack.Tree()
	if err != nil {
		return err
	}
	lines := map[string]string{}
	for _, f := range tree {
		lines[f.Path] = f.Data
	}
	for _, pi := range b.rack.Pis {
		supply := make(chan bool, 1)
		group.Go(func() error { return b.watch(ctx, pi, supply) })
		group.Go(func() error { b.pi(ctx, pi, lines["pis/"+pi.Name+"/cmdline.txt"], supply); return nil })
	}
	return nil
}

// powerPoll is how often a port's power is looked at.
const powerPoll = 20 * time.Millisecond

// watch tells whether a Pi has power, as often as that changes.
func (b *box) watch(ctx context.Context, pi rack.Pi, supply chan<- bool) error {
	tick := time.NewTicker(powerPoll)
	defer tick.Stop()
	defer close(supply)
	for on := false; ; {
		list, err := b.power.Status(ctx, poe.PortID{Group: 1, Port: pi.Port})
		if err != nil {
			return err
		}
		if now := list[0].Detection == poe.DetectionDelivering; now != on {
			on = now
			select {
			case supply <- on:
			case <-ctx.Done():
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// pi runs a Pi from the time when it gets power until that is taken away.
func (b *box) pi(ctx context.Context, pi rack.Pi, cmdline string, supply <-chan bool) {
	var ended chan struct{}
	off := func() {}
	for on := range supply {
		off()
		if ended != nil {
			<-ended
			ended = nil
		}
		if !on {
			b.log.Info("power off", "pi", pi.Name)
			continue
		}
		b.log.Info("power on", "pi", pi.Name)
		powered, cancel := context.WithCancel(ctx)
		off, ended = cancel, make(chan struct{})
		go func() {
			defer close(ended)
			if err := b.boot(powered, pi, cmdline); err != nil {
				b.log.Error("not booted", "pi", pi.Name, "error", err)
			}
		}()
	}
	off()
	if ended != nil {
		<-ended
	}
}

// boot runs a Pi's kernel once.
func (b *box) boot(ctx context.Context, pi rack.Pi, cmdline string) error {
	ours, theirs, err := cable(pi.Name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	plugged := make(chan error, 1)
	go func() { plugged <- b.ethernet.Connect(ctx, pi.Port, ours) }()
	// As a Pi's firmware does, the machine puts what it is before the line. Its
	// files are its own business: hostfs leads to nothing.
	args := []string{"mem=128M", fmt.Sprintf("vec0:transport=fd,fd=%d,depth=128,gro=1,mac=%v", firstFD, address(pi)), "hostfs=" + filepath.Join(workDir, "none")}
	console := b.console(pi.Name)
	err = machine{
		name: pi.Name, kernel: b.Kernel, dir: filepath.Join(workDir, pi.Name), args: append(args, strings.Fields(cmdline)...),
		nics: []*os.File{theirs}, console: console,
	}.run(ctx)
	cancel()
	if err == nil && ctx.Err() == nil {
		b.log.Warn("halted: power cycle it", "pi", pi.Name)
	}
	if err != nil {
		err = fmt.Errorf("%w: its console ends with:\n%s", err, console.tail())
	}
	return errors.Join(err, <-plugged)
}

// console returns what a machine prints to.
func (b *box) console(name string) *lines {
	return &lines{line: func(text string) {
		if b.Console {
			b.log.Info("console", "of", name, "line", text)
		}
	}}
}

// fileserver runs the fileserver.
func (b *box) fileserver(ctx context.Context, group *errgroup.Group) error {
	tap, err := b.management.tap(management, agentAddress)
	if err != nil {
		return err
	}
	trunk, theirTrunk, err := cable("fileserver")
	if err != nil {
		return err
	}
	wire, theirWire, err := cable(management)
	if err != nil {
		return err
	}
	group.Go(func() error { return b.ethernet.Connect(ctx, b.rack.Config.Server.SwitchPort, trunk) })
	group.Go(func() error { join(ctx, tap, wire); return nil })

	data, err := json.Marshal(b.Errand)
	if err != nil {
		return err
	}
	file := filepath.Join(workDir, "errand")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return err
	}
	console := b.console("fileserver")
	m := machine{
		name: "fileserver", kernel: b.Kernel, dir: filepath.Join(workDir, "fileserver"),
		args: []string{
			fmt.Sprintf("mem=%dM", b.Memory), "root=none", "rootfstype=hostfs", "rootflags=/", "ro", "quiet", "init=" + b.Errand.Program, FileserverCommand,
			fmt.Sprintf("vec0:transport=fd,fd=%d,depth=128,gro=1", firstFD), fmt.Sprintf("vec1:transport=fd,fd=%d,depth=128,gro=1", firstFD+1), errandVar + "=" + file,
		},
		nics: []*os.File{theirTrunk, theirWire}, console: console,
	}
	group.Go(func() error {
		err := m.run(ctx)
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("the fileserver has ended (%v); its console ends with:\n%s", err, console.tail())
	})
	return nil
}

// connections takes what the fileserver opens: those on which it waits, and
// the one that says that all is up.
func (b *box) connections(ctx context.Context, group *errgroup.Group, ready func(string)) error {
	var listener net.Listener
	err := b.management.do(func() (err error) {
		listener, err = net.Listen("tcp", fmt.Sprintf("[::]:%d", boxPort))
		return err
	})
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { listener.Close() })
	group.Go(func() error {
		for {
			conn, err := listener.Accept()
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return err
			}
			group.Go(func() error { b.hello(ctx, conn, ready); return nil })
		}
	})
	return nil
}

// hello reads what a connection is for.
func (b *box) hello(ctx context.Context, conn net.Conn, ready func(string)) {
	reader := bufio.NewReader(conn)
	line, err := reader.ReadBytes('\n')
	var h hello
	if err == nil {
		err = json.Unmarshal(line, &h)
	}
	switch {
	case err != nil:
		conn.Close()
	case h.Ready:
		conn.Close()
		ready(h.Problem)
	default:
		select {
		case b.idle <- worker{conn, reader}:
		case <-ctx.Done():
			conn.Close()
		}
	}
}

// serve carries commands to the fileserver, and the answers back.
func (b *box) serve(ctx context.Context, group *errgroup.Group, commands *net.UnixListener) error {
	context.AfterFunc(ctx, func() { commands.Close() })
	group.Go(func() error {
		for {
			conn, err := commands.AcceptUnix()
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return err
			}
			group.Go(func() error { b.carry(ctx, conn); return nil })
		}
	})
	return nil
}

func (b *box) carry(ctx context.Context, caller *net.UnixConn) {
	defer caller.Close()
	if trusted(caller) != nil {
		return
	}
	var fs worker
	select {
	case fs = <-b.idle:
	case <-ctx.Done():
		return
	}
	defer fs.Close()
	defer context.AfterFunc(ctx, func() { caller.Close(); fs.Close() })()
	var both sync.WaitGroup
	both.Go(func() {
		io.Copy(fs.Conn, io.MultiReader(caller))
		fs.Conn.(*net.TCPConn).CloseWrite()
	})
	both.Go(func() {
		io.Copy(caller, fs.reader)
		caller.Close()
	})
	both.Wait()
}
