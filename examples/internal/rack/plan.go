package rack

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/berryrack/berryrack/nfsroot"
)

// Summary is what a plan says of a rack, as it prints in JSON.
type Summary struct {
	Pool       string      `json:"pool"`
	Slots      int         `json:"slots"`
	PublicVLAN int         `json:"public_vlan,omitempty"`
	Pis        []PiSummary `json:"pis"`
	Warnings   []string    `json:"warnings"`
}

// PiSummary is what a plan says of a Pi.
type PiSummary struct {
	Name    string `json:"name"`
	Slot    int    `json:"slot"`
	VLAN    int    `json:"vlan"`
	Network string `json:"network"`
	Server  string `json:"server"`
	Client  string `json:"client"`
	Export  string `json:"export"`
	Switch  string `json:"switch,omitempty"`
	Port    int    `json:"switch_port"`
	Public  string `json:"public,omitempty"`
	Cmdline string `json:"cmdline"`
}

// Summarise returns what a plan prints. device tells the file system of an
// export that exists on this machine, as for [nfsroot.CheckFilesystems].
func (r *Rack) Summarise(device func(string) (uint64, error)) Summary {
	s := Summary{
		Pool: r.Pool.Prefix().String(), Slots: r.Pool.Slots(), PublicVLAN: int(r.VLANs.Public),
		Warnings: r.Warnings(device),
	}
	for _, pi := range r.Pis {
		summary := PiSummary{
			Name: pi.Name, Slot: pi.Slot, VLAN: int(pi.VLAN), Network: pi.Link.Network.String(),
			Server: pi.Link.Server.String(), Client: pi.Link.Client.String(), Export: pi.Export.Path,
			Switch: pi.Switch, Port: pi.Port, Cmdline: pi.Cmdline.String(),
		}
		if pi.Public.IsValid() {
			summary.Public = pi.Public.String()
		}
		s.Pis = append(s.Pis, summary)
	}
	return s
}

// WriteText prints the summary for a person, without the warnings.
func (s Summary) WriteText(w io.Writer) error {
	fmt.Fprintf(w, "pool %s: %d of %d slots used\n\n", s.Pool, len(s.Pis), s.Slots)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "PI\tSLOT\tVLAN\tNETWORK\tSERVER\tCLIENT\tEXPORT\tPORT\tPUBLIC")
	for _, pi := range s.Pis {
		port := fmt.Sprint(pi.Port)
		if pi.Switch != "" {
			port = pi.Switch + ":" + port
		}
		public := pi.Public
		if public == "" {
			public = "-"
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\n",
			pi.Name, pi.Slot, pi.VLAN, pi.Network, pi.Server, pi.Client, pi.Export, port, public)
	}
	if err := t.Flush(); err != nil || len(s.Pis) == 0 {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s boots with:\n%s\n", s.Pis[0].Name, s.Pis[0].Cmdline)
	return err
}

// Warnings returns what will or may not work, each once for all the Pis that it
// is true of.
func (r *Rack) Warnings(device func(string) (uint64, error)) []string {
	type rule struct {
		name, param string
		dialect     nfsroot.Dialect
	}
	var order []rule
	first, pis := map[rule]string{}, map[rule][]string{}
	for _, pi := range r.Pis {
		for _, f := range nfsroot.Lint(pi.Cmdline, nfsroot.Kernel, nfsroot.Klibc) {
			k := rule{f.Rule, f.Param, f.Dialect}
			if len(pis[k]) == 0 {
				order = append(order, k)
				first[k] = f.String()
			}
			if !slices.Contains(pis[k], pi.Name) {
				pis[k] = append(pis[k], pi.Name)
			}
		}
	}
	warnings := r.rootWarnings(device)
	for _, k := range order {
		warnings = append(warnings, names(pis[k])+": "+first[k])
	}
	return warnings
}

// rootWarnings are those of [Rack.Check] about filesystems or, on a machine that
// has no root of the rack, that they matter.
func (r *Rack) rootWarnings(device func(string) (uint64, error)) []string {
	for _, pi := range r.Pis {
		if _, err := device(pi.Export.Path); !errors.Is(err, fs.ErrNotExist) {
			return r.filesystems(device)
		}
	}
	return []string{"each export wants a filesystem of its own, or a Pi's root can forge handles to the other Pis' files: see that `pirack check` on the fileserver agrees"}
}

// names lists a few names, and how many more there are.
func names(list []string) string {
	const some = 3
	if len(list) <= some+1 {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:some], ", "), len(list)-some)
}
