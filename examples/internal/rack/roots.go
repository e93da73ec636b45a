package rack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/berryrack/berryrack/nfsroot/rootfs"
)

// Select returns the named Pis, in the rack's order; all of them without names.
func (r *Rack) Select(names []string) ([]Pi, error) {
	var pis []Pi
	for _, pi := range r.Pis {
		if len(names) == 0 || slices.Contains(names, pi.Name) {
			pis = append(pis, pi)
		}
	}
	var errs []error
	for _, name := range names {
		if !slices.ContainsFunc(pis, func(pi Pi) bool { return pi.Name == name }) {
			errs = append(errs, fmt.Errorf("the rack has no Pi %q", name))
		}
	}
	return pis, errors.Join(errs...)
}

// Roots returns the Pis' roots on the server whose root is destdir, each with
// what makes a copy of the golden tree this Pi's own.
func (r *Rack) Roots(destdir, golden string, pis []Pi) ([]rootfs.Root, error) {
	tree, err := r.Tree()
	if err != nil {
		return nil, err
	}
	places := networkPlaces(golden)
	roots := make([]rootfs.Root, len(pis))
	for i, pi := range pis {
		dir, err := pi.rootDir(destdir)
		if err != nil {
			return nil, err
		}
		roots[i] = rootfs.Root{Dir: dir, Keep: r.Config.Keep, Identity: rootfs.Identity{Hostname: pi.Name, Files: tree.own(pi, places)}}
	}
	return roots, nil
}

// rootDir returns where the Pi's root is on the server.
func (pi Pi) rootDir(destdir string) (string, error) {
	return filepath.Abs(filepath.Join(destdir, pi.Export.Path))
}

// own returns the Pi's files of the tree, by their places in its root.
func (t Tree) own(pi Pi, places map[string]string) []rootfs.File {
	var files []rootfs.File
	for _, f := range t {
		name, mine := strings.CutPrefix(f.Path, path.Join("pis", pi.Name)+"/")
		if !mine {
			continue
		}
		dir, rest, below := strings.Cut(name, "/")
		if place, ok := places[dir]; ok && below {
			files = append(files, rootfs.File{Path: path.Join(place, rest), Data: []byte(f.Data), Mode: f.Mode})
		} else if ok {
			files = append(files, rootfs.File{Path: place, Data: []byte(f.Data), Mode: f.Mode})
		}
	}
	return files
}

// networkPlaces says where in a root the Pi's own files go. Of the network's,
// only those of what the golden tree configures its network with: two programs
// that both made the public interface would be at odds.
func networkPlaces(golden string) map[string]string {
	places := map[string]string{"resolv.conf": "etc/resolv.conf", "munin-node.conf": "etc/munin/munin-node.conf"}
	has := func(name string) bool {
		_, err := os.Lstat(filepath.Join(golden, name))
		return err == nil
	}
	switch {
	case has("etc/systemd/system/multi-user.target.wants/systemd-networkd.service"):
		places["networkd"] = "etc/systemd/network"
	case has("usr/sbin/NetworkManager"):
		places["NetworkManager"] = "etc/NetworkManager"
	default:
		places["interfaces"] = "etc/network/interfaces"
	}
	if !has("etc/munin") {
		delete(places, "munin-node.conf")
	}
	return places
}

// Power switches a Pi.
type Power interface {
	// Off returns when the Pi's port feeds nothing.
	Off(ctx context.Context, pi Pi) error
	// On returns when the port feeds the Pi again.
	On(ctx context.Context, pi Pi) error
}

// PlannedPower stands for the Pi's power in a dry run, and switches nothing; nil
// when the Pi has none.
func PlannedPower(r *Rack, pi Pi) Power {
	if !r.HasPower(pi) {
		return nil
	}
	return planned{}
}

type planned struct{}

var errPlanned = errors.New("a dry run switches no power")

func (planned) Off(context.Context, Pi) error { return errPlanned }
func (planned) On(context.Context, Pi) error  { return errPlanned }

// The ports of RFC 4253, section 4.1, and RFC 1813, section 2.1.
const (
	sshPort = "22"
	nfsPort = "2049"
)

// Machine returns the hooks with which a root is swapped: the Pi answers on its
// private network, power switches it unless that is nil, and the NFS server of
// this machine forgets the former root. With a destdir, the root is not one that
// this machine serves.
func (r *Rack) Machine(pi Pi, power Power, destdir string, force bool) rootfs.Machine {
	m := rootfs.Machine{
		Reachable: func(ctx context.Context) (bool, error) { return answers(ctx, pi.Link.Client.String(), sshPort) },
		Force:     force,
	}
	if destdir == "" {
		m.Reexport = func(ctx context.Context) error {
			return run(ctx, []Command{{Args: []string{"exportfs", "-f"}}}, func(string) {})
		}
		m.Serving = func(ctx context.Context) error { return serving(ctx, pi.Link.Server.String()) }
	}
	if power != nil {
		m.PowerOff = func(ctx context.Context) error { return power.Off(ctx, pi) }
		m.PowerOn = func(ctx context.Context) error { return power.On(ctx, pi) }
	}
	return m
}

// answers reports whether a host is there: one that refuses a connection is.
func answers(ctx context.Context, host, port string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	if err == nil {
		conn.Close()
		return true, nil
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return true, nil
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTDOWN):
		return false, nil
	}
	return false, err
}

// serving returns once the NFS server of an address accepts connections.
func serving(ctx context.Context, server string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(server, nfsPort))
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the NFS server does not answer: %w", err)
		case <-tick.C:
		}
	}
}
