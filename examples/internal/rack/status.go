package rack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"text/tabwriter"

	"golang.org/x/sync/errgroup"

	"github.com/berryrack/berryrack/nfsroot/rootfs"
	"github.com/berryrack/berryrack/poe"
	"github.com/berryrack/berryrack/vlan"
)

// PiStatus is how a Pi is, as far as the fileserver can tell. What it cannot is
// "unknown", and why stands in Problems.
type PiStatus struct {
	Name     string   `json:"name"`
	Power    string   `json:"power"` // of the switch's port: delivering, searching, ...
	Watts    float64  `json:"watts"`
	VLAN     string   `json:"vlan"` // up, down or missing, of the fileserver's interface
	Root     string   `json:"root"` // whole, missing or interrupted
	Boot     string   `json:"boot"` // mounted: its kernel holds its root over NFS; no
	Answers  string   `json:"answers"`
	Problems []string `json:"problems,omitempty"`
}

const unknown = "unknown"

// Status asks the switches, the kernel, the roots and the Pis how they are.
func (r *Rack) Status(ctx context.Context, destdir string) []PiStatus {
	statuses := make([]PiStatus, len(r.Pis))
	for i, pi := range r.Pis {
		statuses[i] = PiStatus{Name: pi.Name, Power: unknown, VLAN: unknown, Root: unknown, Boot: unknown, Answers: unknown}
	}
	r.vlans(ctx, statuses)
	r.boots(statuses)
	var group errgroup.Group
	group.SetLimit(atOnce)
	for _, s := range r.Config.Switches {
		group.Go(func() error { r.power(ctx, s, statuses); return nil }) // no Pi has two switches
	}
	group.Wait()
	for i, pi := range r.Pis {
		group.Go(func() error { statuses[i].pi(ctx, pi, destdir); return nil })
	}
	group.Wait()
	return statuses
}

// atOnce bounds how many things are asked at a time.
const atOnce = 64

func (s *PiStatus) note(err error) {
	if err != nil {
		s.Problems = append(s.Problems, err.Error())
	}
}

// pi looks at the Pi's root, and whether it answers.
func (s *PiStatus) pi(ctx context.Context, pi Pi, destdir string) {
	up, err := answers(ctx, pi.Link.Client.String(), sshPort)
	s.note(err)
	if err == nil {
		s.Answers = map[bool]string{true: "yes", false: "no"}[up]
	}
	dir, err := pi.rootDir(destdir)
	var look rootfs.Status
	if err == nil {
		look, err = rootfs.Look(dir)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && !look.Exists:
		s.Root = "missing"
	case err != nil:
		s.note(err)
	case look.Interrupted:
		s.Root = "interrupted"
	default:
		s.Root = "whole"
	}
}

// vlans says how the fileserver's VLAN interfaces are.
func (r *Rack) vlans(ctx context.Context, statuses []PiStatus) {
	links, err := r.links(ctx)
	for i := range statuses {
		statuses[i].note(err)
		if err == nil {
			statuses[i].VLAN = cmp.Or(links[r.VLANs.Server.Interfaces[i].IfName()], "missing")
		}
	}
}

// boots says whose kernel has a connection to this machine's NFS server: the
// one over which it holds its root.
func (r *Rack) boots(statuses []PiStatus) {
	clients, err := nfsClients()
	for i, pi := range r.Pis {
		statuses[i].note(err)
		if err == nil {
			statuses[i].Boot = map[bool]string{true: "mounted", false: "no"}[clients[pi.Link.Client]]
		}
	}
}

// power says how the switch's ports of its Pis are.
func (r *Rack) power(ctx context.Context, s Switch, statuses []PiStatus) {
	if !s.hasPower() {
		return
	}
	ports, err := s.ports(ctx)
	for i, pi := range r.Pis {
		if pi.Switch != s.Name {
			continue
		}
		statuses[i].note(err)
		id, _ := s.port(pi.Port) // checked with the rack
		if status, ok := ports[id]; ok {
			statuses[i].Power, statuses[i].Watts = status.Detection.String(), status.Watts
			if status.Dark() {
				statuses[i].Boot = "no" // whatever the server has not noticed yet
			}
		}
	}
}

// ports asks the switch for all its ports.
func (s Switch) ports(ctx context.Context) (map[poe.PortID]poe.Status, error) {
	pse, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer pse.Close()
	list, err := pse.Status(ctx)
	ports := map[poe.PortID]poe.Status{}
	for _, status := range list {
		ports[status.Port] = status
	}
	return ports, err
}

// links returns the state of the fileserver's VLAN interfaces by their names.
func (r *Rack) links(ctx context.Context) (map[string]string, error) {
	have, err := vlan.Namespace{}.Current(ctx, r.Config.Server.Interface)
	if err != nil {
		return nil, err
	}
	states := map[string]string{}
	for _, link := range have.Links {
		states[link.IfName()] = map[bool]string{true: "up", false: "down"}[link.Up]
	}
	return states, nil
}

// WriteStatus prints statuses for a person.
func WriteStatus(w io.Writer, statuses []PiStatus) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "PI\tPOWER\tWATTS\tVLAN\tROOT\tBOOT\tANSWERS")
	for _, s := range statuses {
		fmt.Fprintf(t, "%s\t%s\t%.1f\t%s\t%s\t%s\t%s\n", s.Name, s.Power, s.Watts, s.VLAN, s.Root, s.Boot, s.Answers)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, s := range statuses {
		for _, problem := range s.Problems {
			fmt.Fprintf(w, "%s: %s\n", s.Name, problem)
		}
	}
	return nil
}
