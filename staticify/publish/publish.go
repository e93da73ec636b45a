package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/berryrack/berryrack/staticify"
)

// Publisher writes pages as files into one or several roots. It may be used from several goroutines and processes:
// one of them publishes into a root, the others get ErrBusy.
type Publisher struct {
	Roots  []string         // directories, made when missing; a web server, or a machine with one, for each
	Layout staticify.Layout // of the web servers
	MaxAge time.Duration    // of a page that is served; 0 means staticify.DefaultMaxAge
	Keep   int              // generations that stay beside the current one; 0 means 1

	now  func() time.Time
	step func(string) // tests end the process here
}

// ErrBusy is another process that is publishing into the same root.
var ErrBusy = errors.New(`another process is publishing here, and has the file "lock" locked`)

// Publish makes a generation of these pages in every root, and switches to it in one step. Each page can be found until
// the last bucket that ends before the page is too old. Pages that are too old already are left out, and so are those
// that the layout has no name for; all pages of earlier generations that are not among pages go.
//
// A root that fails keeps its old generation, and the others are published nonetheless: the error is then also
// [staticify.ErrPartial].
func (p *Publisher) Publish(ctx context.Context, pages []*staticify.Page) error {
	now := p.clock()
	set := p.plan(now, pages)
	group := errgroup.Group{}
	errs := make([]error, len(p.Roots))
	for i, root := range p.Roots {
		group.Go(func() error {
			if err := p.publish(ctx, root, now, set); err != nil {
				errs[i] = fmt.Errorf("publish: %s: %w", root, err)
			}
			return nil
		})
	}
	group.Wait()
	err := errors.Join(errs...)
	if err != nil && slices.Contains(errs, nil) {
		err = errors.Join(err, staticify.ErrPartial)
	}
	return err
}

// Accepts returns a *[staticify.Refusal] for a page that cannot be a file: its name is too long, the server could not
// send its headers, or the origin's own limit of age leaves no time in which it could be served.
func (p *Publisher) Accepts(page *staticify.Page) error {
	files, err := p.Layout.Files(page)
	if err != nil {
		return err
	}
	for _, f := range files {
		for name := range strings.SplitSeq(f.Name, "/") {
			if len(name) > maxName {
				return &staticify.Refusal{Reason: staticify.TooLong, Detail: fmt.Sprintf("a file's name of %d bytes", len(name))}
			}
		}
	}
	if width := p.Layout.Width(); page.Lifetime > 0 && page.Lifetime < 3*width {
		return &staticify.Refusal{Reason: staticify.CacheControl, Detail: fmt.Sprintf("good for %v only", page.Lifetime)}
	}
	return nil
}

// maxName is what file systems take for one name.
const maxName = 255

// Withdraw removes pages from what is being served, at once and without a new generation.
func (p *Publisher) Withdraw(keys ...staticify.Key) error {
	var errs []error
	for _, dir := range p.Roots {
		if err := withdraw(dir, keys); err != nil {
			errs = append(errs, fmt.Errorf("publish: %s: %w", dir, err))
		}
	}
	return errors.Join(errs...)
}

// publish makes one root's generation.
func (p *Publisher) publish(ctx context.Context, dir string, now time.Time, set *set) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	unlock, err := lock(root)
	if err != nil {
		return err
	}
	defer unlock()
	g := &generation{root: root, set: set, previous: current(root), step: p.step}
	g.id = max(now.Unix(), g.previous+1)
	err = g.make(ctx)
	if full := errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT); full && current(root) == g.previous {
		// What nobody can be sent any more may be all that keeps a generation from fitting.
		if p.makeRoom(root, now, g.previous) == nil {
			err = g.make(ctx)
		}
	}
	if err != nil {
		return errors.Join(err, root.RemoveAll(g.temporary()))
	}
	return prune(root, g.id, cmp.Or(p.Keep, 1))
}

// makeRoom removes all generations but the current one, and that too when its time is over.
func (p *Publisher) makeRoom(root *os.Root, now time.Time, current int64) error {
	if now.Sub(time.Unix(current, 0)) > p.maxAge() {
		current = 0
	}
	return prune(root, current, 0)
}

// current returns the generation that is being served, 0 when there is none.
func current(root *os.Root) int64 {
	target, err := root.Readlink("current")
	if err != nil {
		return 0
	}
	id, err := strconv.ParseInt(path.Base(target), 10, 64)
	if err != nil || path.Join("generations", strconv.FormatInt(id, 10)) != target {
		return 0
	}
	return id
}

// prune removes the generations but id and the keep latest before it, and what was left half made.
func prune(root *os.Root, id int64, keep int) error {
	entries, err := fs.ReadDir(root.FS(), "generations")
	if err != nil {
		return err
	}
	kept := 0
	var errs []error
	for i := len(entries) - 1; i >= 0; i-- { // ReadDir sorts, and the names are of one length for 260 years
		name := entries[i].Name()
		n, err := strconv.ParseInt(name, 10, 64)
		switch {
		case err == nil && n == id:
		case err == nil && n < id && kept < keep:
			kept++
		default:
			errs = append(errs, root.RemoveAll(path.Join("generations", name)))
		}
	}
	return errors.Join(errs...)
}

func withdraw(dir string, keys []staticify.Key) error {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	id := current(root)
	if id == 0 {
		return nil
	}
	base := path.Join("generations", strconv.FormatInt(id, 10))
	sets, err := fs.ReadDir(root.FS(), base)
	if errors.Is(err, fs.ErrNotExist) { // a newer one has replaced it
		return nil
	}
	errs := []error{err}
	for _, set := range sets {
		for _, key := range keys {
			if set.IsDir() {
				errs = append(errs, unlink(root, path.Join(base, set.Name()), key))
			}
		}
	}
	return errors.Join(errs...)
}

// unlink removes the files of one page, or the directory that has them.
func unlink(root *os.Root, base string, key staticify.Key) error {
	within, name := path.Split(key.FileName())
	within = path.Join(base, within)
	entries, err := fs.ReadDir(root.FS(), within)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	for _, e := range entries {
		if e.Name() == name || strings.HasPrefix(e.Name(), name+".") {
			errs = append(errs, root.RemoveAll(path.Join(within, e.Name())))
		}
	}
	return errors.Join(errs...)
}

func (p *Publisher) maxAge() time.Duration { return cmp.Or(p.MaxAge, staticify.DefaultMaxAge) }

func (p *Publisher) clock() time.Time {
	if p.now != nil {
		return p.now()
	}
	return time.Now()
}
