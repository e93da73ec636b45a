package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"time"
)

// A root looks like this:
//
//	current -> generations/1780000000
//	generations/1780000000/pages0/blog/^.html        every page that can be served now
//	generations/1780000000/pages1/...                those of them that can be served longer, as links
//	generations/1780000000/178000000 -> pages0
//	generations/1780000000/178000001 -> pages1
//	lock
//
// so that a server, which walks the path for each request, walks few steps.
//
// The number of a generation is the time at which it was made, or one more than that of the generation before when
// the clock says less. It is also the time of modification of all files that are new in it: a file that changes gets
// a later time, whatever the clock does, and its validators with it.
type generation struct {
	root     *os.Root
	set      *set
	id       int64
	previous int64 // 0: none
	step     func(string)
}

// The directories of pages. No layout may name a time so.
const (
	pagesPrefix = "pages"
	allPages    = pagesPrefix + "0"
)

func (g *generation) temporary() string { return fmt.Sprintf("generations/%d.new", g.id) }

// make writes the generation and switches to it.
func (g *generation) make(ctx context.Context) error {
	temporary, final := g.temporary(), strconv.FormatInt(g.id, 10)
	if err := g.root.MkdirAll("generations", 0o755); err != nil {
		return err
	}
	// What a process that was killed has left under these names was never served.
	if err := errors.Join(g.root.RemoveAll(temporary), g.root.RemoveAll("generations/"+final)); err != nil {
		return err
	}
	g.reach("begun")
	if err := g.write(ctx, temporary); err != nil {
		return err
	}
	g.reach("written")
	if err := syncAll(g.root); err != nil {
		return err
	}
	g.reach("synced")
	if err := g.root.Rename(temporary, "generations/"+final); err != nil {
		return err
	}
	g.reach("in place")
	if err := g.flip("generations/" + final); err != nil {
		return errors.Join(err, g.root.RemoveAll("generations/"+final))
	}
	g.reach("switched")
	return syncAll(g.root)
}

// flip points current at a generation, in one step.
func (g *generation) flip(target string) error {
	if err := g.root.Remove("current.new"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := g.root.Symlink(target, "current.new"); err != nil {
		return err
	}
	g.reach("linked")
	return g.root.Rename("current.new", "current")
}

// write makes the directories of pages, and the times' links to them.
func (g *generation) write(ctx context.Context, dir string) error {
	if err := g.root.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	sets := map[int]string{} // by the number of their pages
	for _, b := range g.set.buckets {
		name, ok := sets[b.pages]
		if !ok {
			name = pagesPrefix + strconv.Itoa(len(sets))
			if err := g.pages(ctx, dir, name, b.pages); err != nil {
				return err
			}
			sets[b.pages] = name
		}
		if err := g.root.Symlink(name, dir+"/"+b.name); err != nil {
			return err
		}
		g.reach("time")
	}
	return nil
}

// pages makes one directory of the first n pages.
func (g *generation) pages(ctx context.Context, dir, name string, n int) error {
	base := path.Join(dir, name)
	if err := g.root.MkdirAll(base, 0o755); err != nil {
		return err
	}
	made := map[string]bool{}
	for _, p := range g.set.pages[:n] {
		if err := ctx.Err(); err != nil {
			return err
		}
		if in := path.Dir(path.Join(base, p.files[0].Name)); !made[in] {
			if err := g.root.MkdirAll(in, 0o755); err != nil {
				return err
			}
			made[in] = true
		}
		var err error
		if name == allPages {
			err = g.page(p, base)
		} else {
			err = g.link(p, path.Join(dir, allPages), base)
		}
		if err != nil {
			return err
		}
		g.reach("page")
	}
	return nil
}

// page makes the files of one page: links to those of the previous generation when the page has not changed.
func (g *generation) page(p *page, base string) error {
	before := fmt.Sprintf("generations/%d/%s", g.previous, allPages)
	if g.unchanged(p, before) {
		if err := g.link(p, before, base); err == nil {
			return nil
		}
		// A file may be missing, or have as many links as it can: write all of them.
		for _, f := range p.files {
			if err := g.root.Remove(path.Join(base, f.Name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	for _, f := range p.files {
		body, err := p.body(f.Encoding)
		if err != nil {
			return err
		}
		if body == nil && f.Encoding != "" {
			continue
		}
		if err := g.file(path.Join(base, f.Name), f.Prefix, body); err != nil {
			return err
		}
	}
	return nil
}

// unchanged reports whether the generation before has the same page in the same place.
func (g *generation) unchanged(p *page, before string) bool {
	if g.previous == 0 {
		return false
	}
	name, prefix := path.Join(before, p.files[0].Name), p.files[0].Prefix
	if info, err := g.root.Lstat(name); err != nil || info.Size() != int64(len(prefix)+len(p.Body)) {
		return false
	}
	old, err := g.root.ReadFile(name)
	return err == nil && bytes.HasPrefix(old, prefix) && bytes.Equal(old[len(prefix):], p.Body)
}

// link gives the files of a page another name each.
func (g *generation) link(p *page, from, to string) error {
	for _, f := range p.files {
		err := g.root.Link(path.Join(from, f.Name), path.Join(to, f.Name))
		if errors.Is(err, fs.ErrNotExist) && f.Encoding != "" {
			continue // not worth compressing
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// file writes a new file.
func (g *generation) file(name string, parts ...[]byte) error {
	f, err := g.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	for _, part := range parts {
		if _, err := f.Write(part); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	// The server reads it for as long as the page does not change, whatever the umask of this process is.
	if err := errors.Join(f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	modified := time.Unix(g.id, 0)
	return g.root.Chtimes(name, modified, modified)
}

func (g *generation) reach(step string) {
	if g.step != nil {
		g.step(step)
	}
}
