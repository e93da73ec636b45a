package rack

import (
	"strings"

	"github.com/berryrack/berryrack/nfsroot"
)

// Check returns what on the fileserver whose root is destdir is not as planned:
// files that differ, Pis' roots that are missing or share a file system.
func (r *Rack) Check(destdir string) ([]string, error) {
	tree, err := r.Tree()
	if err != nil {
		return nil, err
	}
	in, err := tree.Install(destdir)
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
	exports := make([]nfsroot.Export, len(r.Pis))
	for i, pi := range r.Pis {
		exports[i] = pi.Export
	}
	if err := nfsroot.CheckFilesystems(exports, Device(destdir)); err != nil {
		problems = append(problems, strings.Split(err.Error(), "\n")...)
	}
	return problems, nil
}
