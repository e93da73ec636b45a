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

	"github.com/berryrack/berryrack/nfsroot/rootfs"
)

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
	Commands []Command // that make the running server obey the files
	// Notes say what the operator has to do beyond this.
	Notes []string

	dir   string // the server's root
	state string // pirack's own directory below it
	tree  Tree
}

// Command makes one installed file take effect.
type Command struct {
	Args []string
	file string
	// undo is run instead when the file is gone again.
	undo []string
}

// String returns the command as a person would type it.
func (c Command) String() string { return strings.Join(c.Args, " ") }

// commands are in the order in which the Pis may be let in: bound to their
// addresses first, served then. -e: an interface that is not there yet has no
// keys, and the files are read again when it appears.
var commands = []Command{
	{[]string{"sysctl", "-q", "-e", "-p", "/etc/sysctl.d/60-berryrack.conf"}, "etc/sysctl.d/60-berryrack.conf", nil},
	{[]string{"nft", "-f", "/etc/nftables.d/berryrack.nft"}, "etc/nftables.d/berryrack.nft", []string{"nft", "delete", "table", "inet", nftTable}},
	{[]string{"exportfs", "-ra"}, "etc/exports.d/berryrack.exports", []string{"exportfs", "-ra"}},
}

// Installation returns what installs on the server whose root is destdir ("" is
// this machine) what a write has put into dir, which must be what the rack
// says. With a destdir nothing of this machine is touched: the commands are
// left out. In the directory state, below destdir, stands what was installed.
func (r *Rack) Installation(dir, destdir, state string) (*Installation, error) {
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
	in, err := tree.install(destdir, state)
	if err != nil {
		return nil, err
	}
	return in, r.exportsExist(destdir)
}

// exportsExist returns an error that names the Pis' roots that are missing:
// exportfs would refuse them.
func (r *Rack) exportsExist(destdir string) error {
	var errs []error
	for _, pi := range r.Pis {
		if _, err := os.Stat(filepath.Join(destdir, pi.Export.Path)); err != nil {
			errs = append(errs, fmt.Errorf("%s's root: %w: make its filesystem and directory first", pi.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (t Tree) install(destdir, state string) (*Installation, error) {
	in := &Installation{dir: destdir, state: strings.TrimPrefix(path.Clean(state), "/"), tree: t.Server()}
	if destdir == "" {
		in.dir = "/"
	}
	root, err := os.OpenRoot(in.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	installed, err := readList(root, path.Join(in.state, "installed"))
	if err != nil {
		return nil, err
	}
	in.Files, err = in.tree.steps(in.dir, plain{root, map[string]error{}}.read, installed)
	if err != nil {
		return nil, err
	}
	if destdir == "" && (len(in.Files) > 0 || in.pending(root)) {
		in.Commands = commands
	}
	in.notes(root)
	return in, nil
}

// pending reports whether an install was cut short: it has copied files,
// perhaps, and run nothing.
func (in *Installation) pending(root *os.Root) bool {
	_, err := root.Stat(path.Join(in.state, "pending"))
	return err == nil
}

// notes says what the server's own files must have, and what must start again.
func (in *Installation) notes(root *os.Root) {
	for _, need := range []struct {
		file  string
		lines []string // one of them
	}{
		{"etc/nftables.conf", []string{`include "/etc/nftables.d/*.nft"`, `include "/etc/nftables.d/*"`}},
		{"etc/network/interfaces", []string{"source /etc/network/interfaces.d/*", "source-directory /etc/network/interfaces.d"}},
	} {
		data, err := root.ReadFile(need.file)
		if errors.Is(err, fs.ErrNotExist) {
			in.Notes = append(in.Notes, fmt.Sprintf("there is no /%s: make one with the line: %s", need.file, need.lines[0]))
		} else if err == nil && !hasLine(string(data), need.lines) {
			in.Notes = append(in.Notes, fmt.Sprintf("/%s lacks the line: %s", need.file, need.lines[0]))
		}
	}
	for dir, what := range map[string]string{
		"etc/nfs.conf.d": "systemctl restart nfs-server", "etc/dnsmasq.d": "systemctl restart dnsmasq",
		"etc/network/interfaces.d": "ifup -a (or pirack apply)",
	} {
		if slices.ContainsFunc(in.Files, func(s Step) bool { return path.Dir(s.File.Path) == dir }) {
			in.Notes = append(in.Notes, "to take effect: "+what)
		}
	}
	slices.Sort(in.Notes)
}

// hasLine reports whether one of the text's lines is one of those wanted.
func hasLine(text string, wanted []string) bool {
	for line := range strings.Lines(text) {
		if slices.Contains(wanted, strings.Join(strings.Fields(line), " ")) {
			return true
		}
	}
	return false
}

// Steps returns everything that Apply does, as the commands of a person.
func (in *Installation) Steps() []string {
	var steps []string
	for _, s := range in.Files {
		steps = append(steps, s.String())
	}
	for _, c := range in.Commands {
		steps = append(steps, c.String())
	}
	return steps
}

// Apply installs, and tells done of each step. When one fails, the files are put
// back as they were and the commands run for them; of what sysctl has set,
// only what the former file says is set again.
func (in *Installation) Apply(ctx context.Context, done func(step string)) error {
	if len(in.Steps()) == 0 {
		return nil
	}
	root, err := os.OpenRoot(in.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.MkdirAll(in.state, 0o700); err != nil {
		return err
	}
	own, err := root.OpenRoot(in.state)
	if err != nil {
		return err
	}
	defer own.Close()
	release, err := lock(own)
	if err != nil {
		return err
	}
	defer release()
	installed, err := readList(own, "installed")
	if err != nil {
		return err
	}
	now := make([]string, len(in.tree))
	for i, f := range in.tree {
		now[i] = f.Path
	}
	// What to undo, remove or run after a crash is known before it happens.
	if err := errors.Join(writeList(own, "pending", nil), writeList(own, "installed", append(installed, now...))); err != nil {
		return err
	}
	undo, err := in.copy(root, done)
	if err == nil {
		err = run(ctx, in.Commands, done)
	}
	if err != nil {
		return errors.Join(err, undo(), in.rerun(context.WithoutCancel(ctx), root))
	}
	return errors.Join(writeList(own, "installed", now), own.Remove("pending"))
}

// copy carries out the file steps and returns what reverses those it has done.
func (in *Installation) copy(root *os.Root, done func(string)) (undo func() error, err error) {
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
		done(s.String())
	}
	return undo, nil
}

// rerun makes the running server obey the files that are there again.
func (in *Installation) rerun(ctx context.Context, root *os.Root) error {
	var errs []error
	for _, c := range in.Commands {
		if _, err := root.Stat(c.file); err != nil {
			c.Args = c.undo
		}
		if len(c.Args) == 0 {
			continue
		}
		if err := run(ctx, []Command{c}, func(string) {}); err != nil {
			errs = append(errs, fmt.Errorf("undo: %w", err))
		}
	}
	return errors.Join(errs...)
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

// run runs commands until one fails.
func run(ctx context.Context, commands []Command, done func(string)) error {
	for _, c := range commands {
		if output, err := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w\n%s", c, err, output)
		}
		done(c.String())
	}
	return nil
}

// Device returns what tells the file system of a path below destdir.
func Device(destdir string) func(string) (uint64, error) {
	return func(name string) (uint64, error) { return rootfs.Device(filepath.Join(destdir, name)) }
}
