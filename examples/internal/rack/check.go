package rack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"strings"

	"github.com/berryrack/berryrack/nfsroot"
)

// Check returns what on the fileserver whose root is destdir ("" is this
// machine) is not as planned: files that differ, Pis' roots that are missing or
// share a file system, and on this machine what is running.
func (r *Rack) Check(ctx context.Context, destdir, state string) ([]string, error) {
	tree, err := r.Tree()
	if err != nil {
		return nil, err
	}
	in, err := tree.install(destdir, state)
	if err != nil {
		return nil, err
	}
	var problems []string
	for _, s := range in.Files {
		problems = append(problems, "/"+s.File.Path+": "+map[string]string{
			"new": "missing", "changed": "not as planned", "removed": "no longer planned",
		}[s.Action])
	}
	problems = append(problems, in.Notes...)
	problems = append(problems, r.filesystems(Device(destdir))...)
	if destdir != "" {
		return problems, nil
	}
	if len(in.Files) == 0 && len(in.Commands) > 0 {
		problems = append(problems, "an install was cut short: run pirack install")
	}
	return append(problems, r.running(ctx)...), nil
}

// own are directories of the fileserver that no Pi may reach.
var own = []string{"/", "/etc", "/home", "/root", "/srv", "/usr", "/var"}

// filesystems names the roots that are missing, or share a file system with
// each other or with the fileserver's own files.
func (r *Rack) filesystems(device func(string) (uint64, error)) []string {
	exports, seen := []nfsroot.Export(nil), map[uint64]bool{}
	for _, dir := range own {
		if dev, err := device(dir); err == nil && !seen[dev] {
			seen[dev] = true
			exports = append(exports, nfsroot.Export{Path: dir})
		}
	}
	for _, pi := range r.Pis {
		exports = append(exports, pi.Export)
	}
	if err := nfsroot.CheckFilesystems(exports, device); err != nil {
		return strings.Split(err.Error(), "\n")
	}
	return nil
}

// running names what this machine's kernel and NFS server do not have.
func (r *Rack) running(ctx context.Context) []string {
	var problems []string
	links, err := r.links(ctx)
	if err != nil {
		problems = append(problems, err.Error())
	}
	for i := range r.Pis {
		name := r.VLANs.Server.Interfaces[i].IfName()
		if links[name] != "up" && err == nil {
			problems = append(problems, name+" is missing or down: run ifup "+name+", or pirack apply")
			continue
		}
		problems = append(problems, sysctlProblems(name)...)
	}
	if output, err := exec.CommandContext(ctx, "nft", "list", "table", "inet", nftTable).CombinedOutput(); err != nil {
		problems = append(problems, fmt.Sprintf("the kernel has no table inet %s, so that Pis can take each other's addresses: run %v (%v: %s)",
			nftTable, commands[1], err, strings.TrimSpace(string(output))))
	}
	return append(problems, r.unexported()...)
}

// sysctlProblems names the keys of an interface that are not as planned.
func sysctlProblems(name string) []string {
	var problems []string
	for _, key := range []string{"net/ipv4/conf/" + name + "/rp_filter", "net/ipv6/conf/" + name + "/disable_ipv6"} {
		data, err := os.ReadFile(path.Join("/proc/sys", key))
		if errors.Is(err, fs.ErrNotExist) {
			continue // a kernel without IPv6
		}
		if strings.TrimSpace(string(data)) != "1" {
			problems = append(problems, fmt.Sprintf("%s is not 1: run %v", key, commands[0]))
		}
	}
	return problems
}

// unexported names the exports that the NFS server does not have.
func (r *Rack) unexported() []string {
	table, err := os.ReadFile("/var/lib/nfs/etab")
	if err != nil {
		return []string{err.Error()}
	}
	has := map[string]bool{}
	for line := range strings.Lines(string(table)) {
		dir, client, _ := strings.Cut(line, "\t")
		client, _, _ = strings.Cut(client, "(")
		has[dir+" "+client] = true
	}
	var problems []string
	for _, pi := range r.Pis {
		if !has[fmt.Sprintf("%s %v", pi.Export.Path, pi.Export.Client)] {
			problems = append(problems, fmt.Sprintf("%s is not exported to %v: run exportfs -ra", pi.Export.Path, pi.Export.Client))
		}
	}
	return problems
}
