package includedir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/berryrack/berryrack/munin"
)

// Dir is an includedir of the master's, in which it owns the files that it
// wrote: those named PREFIX.conf and PREFIX-GROUP.conf that begin with its mark.
// No other file is ever changed or removed.
type Dir struct {
	// Path is the directory, as in munin.conf's includedir. It must exist.
	Path string
	// Prefix begins the names of the files; "" is "berryrack". It has letters,
	// digits, underscores and hyphens.
	Prefix string
	// MaxRemove is how many hosts may leave at once. 0 is a tenth of those
	// there, or 4 where that is more; a negative number lets none leave. The
	// last host never leaves, whatever the limit.
	MaxRemove int
}

// RemovalError says that more hosts would leave a [Dir] than it allows.
type RemovalError struct {
	Hosts []string // their full names, sorted
	Limit int      // how many may leave
	Empty bool     // no host would remain at all
}

func (e *RemovalError) Error() string {
	if e.Empty {
		return fmt.Sprintf("includedir: the inventory is empty, and %d hosts would leave: remove the files by hand if that is meant", len(e.Hosts))
	}
	some := e.Hosts
	more := ""
	if len(some) > 5 {
		some, more = some[:5], ", ..."
	}
	return fmt.Sprintf("includedir: %d hosts would leave, and the limit is %d: %s%s", len(e.Hosts), e.Limit, strings.Join(some, ", "), more)
}

// Plan is what makes a [Dir] say what a [munin.Master] says.
type Plan struct {
	Steps []Step // writes, then removals
	// Warnings name what munin would load by accident, stop at, or hear twice.
	Warnings []string
	dir      Dir
}

// Step writes or removes one file.
type Step struct {
	Path string // of the file
	// Content is what the file is to hold; nil removes it.
	Content []byte
	// Changes are the step's, as [munin.Diff] has them.
	Changes []munin.Change
	old     []byte // nil when the file is new
}

// String returns the step as a person would type it.
func (s Step) String() string {
	if s.Content == nil {
		return "rm " + s.Path
	}
	return fmt.Sprintf("install -m 0644 /dev/stdin %s  # %d bytes", s.Path, len(s.Content))
}

// Plan returns the steps from what is in the directory to m, one file for each
// top-level group and one for what is global; none when nothing changed. It
// fails when m is not valid, when a file of a needed name is not its own, and,
// with a [*RemovalError], when too many hosts would leave; with [ErrPrefix] when
// Prefix is none.
func (d Dir) Plan(m *munin.Master) (*Plan, error) {
	if strings.Trim(d.Prefix, prefixRunes) != "" {
		return nil, fmt.Errorf("%w, not %q", ErrPrefix, d.Prefix)
	}
	if err := m.Validate(); err != nil {
		return nil, err
	}
	files, warnings, err := loadDir(d.Path)
	if err != nil {
		return nil, err
	}
	p := &Plan{Warnings: warnings, dir: d}
	owned, foreign := d.divide(files)
	if err := d.removal(owned, m); err != nil {
		return nil, err
	}
	for _, path := range slices.Sorted(maps.Keys(foreign)) {
		if d.isMarked(foreign[path]) {
			p.Warnings = append(p.Warnings, path+": it begins as a file of ours, and is none by its name: move the copy away, or munin loads it too")
		}
	}
	p.Warnings = append(p.Warnings, foreignWarnings(foreign, m)...)
	return p, p.steps(m, owned, foreign)
}

// Sync plans and applies in one go, while no other Sync or Apply can, and
// returns the plan.
func (d Dir) Sync(ctx context.Context, m *munin.Master) (*Plan, error) {
	unlock, err := d.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	p, err := d.Plan(m)
	if err != nil {
		return nil, err
	}
	return p, p.apply(ctx)
}

func (d Dir) lock() (unlock func(), err error) {
	if unlock, err = lock(d.Path); err != nil {
		return nil, fmt.Errorf("includedir: lock %s: %w", d.Path, err)
	}
	return unlock, nil
}

// ErrPrefix says that a [Dir]'s Prefix would lead out of it, or hide in it.
var ErrPrefix = errors.New("includedir: a prefix has letters, digits, underscores and hyphens")

const prefixRunes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

func (d Dir) prefix() string {
	if d.Prefix == "" {
		return "berryrack"
	}
	return d.Prefix
}

func (d Dir) mark() string {
	return "# Written by berryrack (" + d.prefix() + "): what is changed here is lost.\n"
}

// file is the path for a top-level group, "" being what is global.
func (d Dir) file(group string) string {
	name := d.prefix()
	if group != "" {
		name += "-" + group
	}
	return filepath.Join(d.Path, name+".conf")
}

// divide tells our files, by name and mark, from all others.
func (d Dir) divide(files []*munin.File) (owned, foreign map[string]*munin.File) {
	owned, foreign = map[string]*munin.File{}, map[string]*munin.File{}
	for _, f := range files {
		if d.isName(filepath.Base(f.Name)) && d.isMarked(f) {
			owned[f.Name] = f
		} else {
			foreign[f.Name] = f
		}
	}
	return owned, foreign
}

// isName reports whether a file of ours can have the name.
func (d Dir) isName(name string) bool {
	rest, ours := strings.CutPrefix(name, d.prefix())
	group, conf := strings.CutSuffix(rest, ".conf")
	return ours && conf && (group == "" || len(group) > 1 && group[0] == '-')
}

func (d Dir) isMarked(f *munin.File) bool { return bytes.HasPrefix(f.Bytes(), []byte(d.mark())) }

// removal enforces the limit on the hosts that leave. One that goes to another
// group stays, as [munin.Diff] sees it.
func (d Dir) removal(owned map[string]*munin.File, m *munin.Master) error {
	held, _ := munin.Decode(slices.Collect(maps.Values(owned))...)
	var left []string
	for _, change := range munin.Diff(held, m) {
		if change.Kind == munin.Removed {
			left = append(left, change.Host)
		}
	}
	limit := d.MaxRemove
	if limit == 0 {
		limit = max(len(held.Hosts)/10, 4)
	}
	empty := len(m.Hosts) == 0 && len(held.Hosts) > 0
	if len(left) <= max(limit, 0) && !empty {
		return nil
	}
	slices.Sort(left)
	return &RemovalError{Hosts: left, Limit: max(limit, 0), Empty: empty}
}

// foreignWarnings says where files that are not ours have problems or speak of
// our hosts.
func foreignWarnings(foreign map[string]*munin.File, m *munin.Master) []string {
	ours := make(map[string]bool, len(m.Hosts))
	for i := range m.Hosts {
		ours[m.Hosts[i].FullName()] = true
	}
	var warnings []string
	for _, path := range slices.Sorted(maps.Keys(foreign)) {
		theirs, err := munin.Decode(foreign[path])
		if err != nil {
			warnings = append(warnings, strings.Split(err.Error(), "\n")...)
		}
		for i := range theirs.Hosts {
			if name := theirs.Hosts[i].FullName(); ours[name] {
				warnings = append(warnings, fmt.Sprintf("%s: it has %s too: munin mixes the two", path, name))
			}
		}
	}
	return warnings
}

func (p *Plan) steps(m *munin.Master, owned, foreign map[string]*munin.File) error {
	var errs []error
	for group, part := range split(m) {
		path := p.dir.file(group)
		if foreign[path] != nil {
			errs = append(errs, fmt.Errorf("includedir: %s exists and is not ours: move it away, or choose another prefix", path))
			continue
		}
		text, err := part.AppendText([]byte(p.dir.mark() + "\n"))
		if err != nil {
			return err // not possible: the whole is valid
		}
		old := content(owned[path])
		delete(owned, path)
		if !bytes.Equal(old, text) {
			p.Steps = append(p.Steps, newStep(path, old, text))
		}
	}
	slices.SortFunc(p.Steps, func(a, b Step) int { return strings.Compare(a.Path, b.Path) })
	for _, path := range slices.Sorted(maps.Keys(owned)) {
		p.Steps = append(p.Steps, newStep(path, owned[path].Bytes(), nil))
	}
	return errors.Join(errs...)
}

// split returns what each top-level group's file says, and under "" what is
// global, if anything is.
func split(m *munin.Master) map[string]*munin.Master {
	parts := map[string]*munin.Master{}
	if len(m.Settings) > 0 || len(m.Contacts) > 0 || m.TLS != nil {
		parts[""] = &munin.Master{Settings: m.Settings, Contacts: m.Contacts, TLS: m.TLS}
	}
	part := func(group string) *munin.Master {
		top, _, _ := strings.Cut(group, ";")
		if parts[top] == nil {
			parts[top] = &munin.Master{}
		}
		return parts[top]
	}
	for _, g := range m.Groups {
		p := part(g.Name)
		p.Groups = append(p.Groups, g)
	}
	for _, h := range m.Hosts {
		p := part(h.Group)
		p.Hosts = append(p.Hosts, h)
	}
	return parts
}

// content is nil for no file.
func content(f *munin.File) []byte {
	if f == nil {
		return nil
	}
	return f.Bytes()
}

func newStep(path string, old, text []byte) Step {
	return Step{Path: path, Content: text, Changes: munin.Diff(meaning(path, old), meaning(path, text)), old: old}
}

// meaning is what a file says, as far as it can be understood.
func meaning(path string, text []byte) *munin.Master {
	f, err := munin.Parse(path, bytes.NewReader(text))
	if err != nil {
		return nil
	}
	m, _ := munin.Decode(f)
	return m
}

// ErrChanged says that a file is not what it was when the [Plan] was made.
var ErrChanged = errors.New("the file has changed since the plan was made: plan again")

// Apply writes all files beside their places, and then renames each and
// removes those that are to go. munin never sees half a file; when Apply is
// killed, each file is either as it was or as it is to be, and the next one
// removes what lies beside. On an error Apply puts back what it changed; with
// [ErrChanged] it changed nothing.
func (p *Plan) Apply(ctx context.Context) error {
	unlock, err := p.dir.lock()
	if err != nil {
		return err
	}
	defer unlock()
	return p.apply(ctx)
}

// apply is Apply under the lock.
func (p *Plan) apply(ctx context.Context) error {
	if err := p.dir.sweep(); err != nil {
		return err
	}
	if err := p.stale(); err != nil {
		return err
	}
	var err error
	temps := make([]string, len(p.Steps))
	defer func() {
		for _, temp := range temps {
			if temp != "" {
				os.Remove(temp)
			}
		}
	}()
	for i, s := range p.Steps {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("includedir: nothing written: %w", context.Cause(ctx))
		}
		if s.Content == nil {
			continue
		}
		if temps[i], err = writeBeside(s.Path, s.Content); err != nil {
			return fmt.Errorf("includedir: nothing written: %w", err)
		}
	}
	return p.commit(temps)
}

// stale returns which files are not as they were planned from.
func (p *Plan) stale() error {
	var errs []error
	for _, s := range p.Steps {
		present, err := os.ReadFile(s.Path)
		if _, exists := os.Lstat(s.Path); errors.Is(exists, fs.ErrNotExist) {
			present, err = nil, nil
		}
		if err == nil && ((present == nil) != (s.old == nil) || !bytes.Equal(present, s.old)) {
			err = ErrChanged
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("includedir: %s: %w", s.Path, err))
		}
	}
	return errors.Join(errs...)
}

// commit makes the steps take effect, or takes them back.
func (p *Plan) commit(temps []string) error {
	for i, s := range p.Steps {
		var err error
		if s.Content == nil {
			err = os.Remove(s.Path)
		} else if err = os.Rename(temps[i], s.Path); err == nil {
			temps[i] = ""
		}
		if err != nil {
			return errors.Join(fmt.Errorf("includedir: %w", err), undo(p.Steps[:i]))
		}
	}
	return syncDir(p.dir.Path)
}

func undo(steps []Step) error {
	var errs []error
	for _, s := range slices.Backward(steps) {
		if s.old == nil {
			errs = append(errs, os.Remove(s.Path))
			continue
		}
		temp, err := writeBeside(s.Path, s.old)
		if err == nil {
			err = os.Rename(temp, s.Path)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// tempSuffix ends the names of files that are not in place yet, which begin
// with a dot: munin does not load those.
const tempSuffix = ".tmp"

// writeBeside writes and syncs a hidden file in the same directory.
func writeBeside(path string, content []byte) (temp string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*"+tempSuffix)
	if err != nil {
		return "", err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

// sweep removes what a killed Apply left beside its files.
func (d Dir) sweep() error {
	left, err := filepath.Glob(filepath.Join(escapeGlob(d.Path), "."+d.prefix()+"*"+tempSuffix))
	if err != nil {
		return fmt.Errorf("includedir: %w", err)
	}
	for _, path := range left {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("includedir: %w", err)
		}
	}
	return nil
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("includedir: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("includedir: sync %s: %w", path, err)
	}
	return nil
}
