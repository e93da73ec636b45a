package rack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// stateDir is pirack's own, below the server's root.
const stateDir = "var/lib/berryrack/pirack"

// serverDirs says where the fileserver keeps what [Rack.Tree] has for it.
var serverDirs = map[string]string{
	"server/interfaces.d": "etc/network/interfaces.d",
	"server/exports.d":    "etc/exports.d",
	"server/sysctl.d":     "etc/sysctl.d",
	"server/nftables.d":   "etc/nftables.d",
	"server/nfs.conf.d":   "etc/nfs.conf.d",
	"server/dnsmasq.d":    "etc/dnsmasq.d",
}

// Server returns the files of the tree that are the fileserver's own, by their
// paths below its root.
func (t Tree) Server() Tree {
	var server Tree
	for _, f := range t {
		dir, name := path.Split(f.Path)
		to, ok := serverDirs[strings.TrimSuffix(dir, "/")]
		if rest, tftp := strings.CutPrefix(f.Path, "tftp/"); tftp {
			to, name, ok = strings.TrimPrefix(tftpRoot, "/"), rest, true
		}
		if ok {
			server = append(server, File{path.Join(to, name), f.Mode, f.Data})
		}
	}
	return server
}

// Installation is what an install would do.
type Installation struct {
	Files    []Step
	Commands [][]string // that make the running server obey the files
	// Notes say what the operator has to do beyond this.
	Notes []string

	dir  string // the server's root
	live bool   // dir is this machine's own root
	tree Tree
}

// commands make what install copied take effect. -e: an interface that is not
// up yet has no keys; the files are read again when it appears.
var commands = [][]string{
	{"exportfs", "-ra"},
	{"sysctl", "-q", "-e", "-p", "/etc/sysctl.d/60-berryrack.conf"},
	{"nft", "-f", "/etc/nftables.d/berryrack.nft"},
}

// Install returns what brings the server whose root is destdir ("" is this
// machine) to the tree. With a destdir nothing of this machine is touched: the
// commands are left out.
func (t Tree) Install(destdir string) (*Installation, error) {
	in := &Installation{dir: destdir, live: destdir == "", tree: t.Server()}
	if in.live {
		in.dir = "/"
	}
	root, err := os.OpenRoot(in.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	installed, err := readList(root, path.Join(stateDir, "installed"))
	if err != nil {
		return nil, err
	}
	in.Files, err = in.tree.steps(in.dir, func(name string) (string, fs.FileMode, error) { return readFile(root, name) }, installed)
	if err != nil {
		return nil, err
	}
	// An install that was cut short has copied files, perhaps, and run nothing.
	_, pending := root.Stat(path.Join(stateDir, "pending"))
	if in.live && (len(in.Files) > 0 || pending == nil) {
		in.Commands = commands
	}
	in.notes(root)
	return in, nil
}

// notes says what the server's own files must have, and what must start again.
func (in *Installation) notes(root *os.Root) {
	for _, need := range []struct{ file, line string }{
		{"etc/nftables.conf", `include "/etc/nftables.d/*.nft"`},
		{"etc/network/interfaces", "source /etc/network/interfaces.d/*"},
	} {
		if data, err := root.ReadFile(need.file); err == nil && !strings.Contains(string(data), need.line) {
			in.Notes = append(in.Notes, fmt.Sprintf("/%s lacks the line: %s", need.file, need.line))
		}
	}
	for dir, service := range map[string]string{"etc/nfs.conf.d": "nfs-server", "etc/dnsmasq.d": "dnsmasq"} {
		if slices.ContainsFunc(in.Files, func(s Step) bool { return path.Dir(s.File.Path) == dir }) {
			in.Notes = append(in.Notes, "to take effect: systemctl restart "+service)
		}
	}
	slices.Sort(in.Notes)
}

// Steps returns everything that Apply does, as the commands of a person.
func (in *Installation) Steps() []string {
	var steps []string
	for _, s := range in.Files {
		steps = append(steps, s.String())
	}
	for _, c := range in.Commands {
		steps = append(steps, strings.Join(c, " "))
	}
	return steps
}

// Apply installs. When a command fails the files are put back as they were, and
// the commands are run once more for them.
func (in *Installation) Apply(ctx context.Context) error {
	root, err := os.OpenRoot(in.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.MkdirAll(stateDir, 0o700); err != nil {
		return err
	}
	installed, err := readList(root, path.Join(stateDir, "installed"))
	if err != nil {
		return err
	}
	now := make([]string, len(in.tree))
	for i, f := range in.tree {
		now[i] = f.Path
	}
	if err := errors.Join(
		writeList(root, path.Join(stateDir, "pending"), nil),
		writeList(root, path.Join(stateDir, "installed"), append(installed, now...)),
	); err != nil {
		return err
	}
	undo, err := in.copy(root)
	if err == nil {
		err = run(ctx, in.Commands)
	}
	if err != nil {
		return errors.Join(err, undo(), run(context.WithoutCancel(ctx), in.Commands))
	}
	return errors.Join(
		writeList(root, path.Join(stateDir, "installed"), now),
		root.Remove(path.Join(stateDir, "pending")),
	)
}

// copy carries out the file steps and returns what reverses those it has done.
func (in *Installation) copy(root *os.Root) (undo func() error, err error) {
	var undos []func() error
	undo = func() error {
		var errs []error
		for _, u := range slices.Backward(undos) {
			errs = append(errs, u())
		}
		return errors.Join(errs...)
	}
	for _, s := range in.Files {
		name := s.File.Path
		before, mode, err := readFile(root, name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			undos = append(undos, func() error { return removeFile(root, name) })
		case err != nil:
			return undo, err
		default:
			undos = append(undos, func() error { return replaceFile(root, File{name, mode, before}) })
		}
		if s.Action == "removed" {
			err = removeFile(root, name)
		} else {
			err = replaceFile(root, s.File)
		}
		if err != nil {
			return undo, err
		}
	}
	return undo, nil
}

// replaceFile puts a file in its place, whole and on the disk.
func replaceFile(root *os.Root, f File) error {
	dir := path.Dir(f.Path)
	if err := root.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	// Programs that read all of a directory pass over names with a dot.
	staged := path.Join(dir, "."+path.Base(f.Path)+".new")
	if err := root.Remove(staged); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeFile(root, staged, f); err != nil {
		return err
	}
	if err := errors.Join(syncFile(root, staged), root.Rename(staged, f.Path)); err != nil {
		return err
	}
	return syncFile(root, dir)
}

func removeFile(root *os.Root, name string) error {
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return syncFile(root, path.Dir(name))
}

func syncFile(root *os.Root, name string) error {
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func writeList(root *os.Root, name string, lines []string) error {
	lines = slices.Compact(slices.Sorted(slices.Values(lines)))
	return replaceFile(root, File{name, 0o600, strings.Join(append(lines, ""), "\n")})
}

func run(ctx context.Context, commands [][]string) error {
	for _, c := range commands {
		if output, err := exec.CommandContext(ctx, c[0], c[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(c, " "), err, output)
		}
	}
	return nil
}

// Device returns the st_dev of a path below destdir.
func Device(destdir string) func(string) (uint64, error) {
	return func(name string) (uint64, error) { return device(filepath.Join(destdir, name)) }
}

// Installation returns what installs on the server whose root is destdir what a
// write has put into dir, which must be what the rack says.
func (r *Rack) Installation(dir, destdir string) (*Installation, error) {
	tree, err := r.Tree()
	if err != nil {
		return nil, err
	}
	steps, err := tree.Diff(dir)
	if err != nil {
		return nil, err
	}
	if len(steps) > 0 {
		return nil, fmt.Errorf("%s is not what the rack says (%d files differ, %s first): run pirack write -o %s", dir, len(steps), steps[0].File.Path, dir)
	}
	return tree.Install(destdir)
}
