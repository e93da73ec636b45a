package accesslog

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Follower reads a log that is being written, again and again, each line once. Its fields are set before the first
// Poll. It is not safe for use from several goroutines.
//
// It follows both ways of rotation. When another file takes the place at Path (rename and reopen), the old one is read
// to its end, also by the next Poll, since a server writes there until it has reopened its logs. When the file is cut
// to nothing and written anew (copytruncate), it is read from its start; a file is known by its device, its inode and
// its first bytes, so that neither an inode that is used again nor a file that grew past the old place deceives it. What
// was written between the last Poll and a copytruncate is lost, and so is what was rotated twice between two Polls.
type Follower struct {
	Path   string
	Format Format // of its lines
	State  string // a file that Save writes and the first Poll reads; empty: every process begins at the start of Path

	parser *parser
	tails  []*tail // the last one is the file that was at Path; one before it is being drained
	opened bool
	stats  Stats
}

// Stats returns the counts since this Follower was made.
func (f *Follower) Stats() Stats { return f.stats }

// Poll calls each for every whole line that was written since the last Poll and is in the format. Each Hit is valid
// during its call. A line whose end is not yet written waits. An error of each ends the Poll; the line counts as read.
//
// A Path that does not exist is an error, but not while its old file is still there to be read.
func (f *Follower) Poll(each func(*Hit) error) error {
	if !f.opened {
		if err := f.resume(); err != nil {
			return err
		}
		f.parser, f.opened = newParser(f.Format), true
	}
	// Whoever was replaced before the last Poll is read once more, and is done.
	for len(f.tails) > 1 {
		if err := f.finish(each); err != nil {
			return err
		}
	}
	if len(f.tails) == 1 {
		if err := f.read(f.tails[0], each); err != nil {
			return err
		}
	}
	next, err := f.replaced()
	if next == nil || err != nil {
		return err
	}
	f.tails = append(f.tails, next)
	return f.read(next, each)
}

// finish reads the oldest file to its end, and lets go of it.
func (f *Follower) finish(each func(*Hit) error) error {
	old := f.tails[0]
	if err := f.read(old, each); err != nil {
		return err
	}
	if old.lines.pending() {
		f.stats.Lines++
		f.stats.Malformed++
	}
	f.tails = f.tails[1:]
	return old.file.Close()
}

// replaced opens Path when it is not the file that is being read, and has something in it.
func (f *Follower) replaced() (*tail, error) {
	info, err := os.Stat(f.Path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) && len(f.tails) > 0 {
			return nil, nil
		}
		return nil, fmt.Errorf("accesslog: %w", err)
	}
	if n := len(f.tails); n > 0 && (os.SameFile(f.tails[n-1].info, info) || info.Size() == 0) {
		return nil, nil
	}
	return openTail(f.Path)
}

// read gives what is whole in one file to each.
func (f *Follower) read(t *tail, each func(*Hit) error) error {
	if err := t.checkTruncated(); err != nil {
		return err
	}
	for {
		line, err := t.lines.next()
		if err == io.EOF {
			return t.remember()
		}
		if err != nil {
			return fmt.Errorf("accesslog: %s: %w", f.Path, err)
		}
		f.stats.Lines++
		switch {
		case line == nil:
			f.stats.TooLong++
		case !f.parser.parse(line, t.lines.escapes):
			f.stats.Malformed++
		default:
			if err := each(&f.parser.hit); err != nil {
				return err
			}
		}
	}
}

// Save writes the place after the last line that was read to State, atomically: a crash leaves the old place or the new
// one. Call it when what the lines said is safe itself. Without State it does nothing.
func (f *Follower) Save() error {
	if f.State == "" || !f.opened {
		return nil
	}
	places := make([]place, len(f.tails))
	for i, t := range f.tails {
		places[i] = t.place()
	}
	text, err := json.Marshal(places)
	if err == nil {
		err = replaceFile(f.State, append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("accesslog: place in %s: %w", f.Path, err)
	}
	return nil
}

// Close closes the files. It does not Save.
func (f *Follower) Close() error {
	var errs []error
	for _, t := range f.tails {
		errs = append(errs, t.file.Close())
	}
	f.tails, f.opened = nil, false
	return errors.Join(errs...)
}

// resume opens the files that State names, wherever rotation has put them.
func (f *Follower) resume() error {
	if f.State == "" {
		return nil
	}
	text, err := os.ReadFile(f.State)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("accesslog: %w", err)
	}
	var places []place
	if err := json.Unmarshal(text, &places); err != nil {
		return fmt.Errorf("accesslog: %s does not hold a place: %w; remove it to read %s from its start", f.State, err, f.Path)
	}
	rotated, err := filepath.Glob(escapeGlob(f.Path) + `[.\-]*`)
	if err != nil {
		return fmt.Errorf("accesslog: %w", err)
	}
	names := slices.Insert(rotated, 0, f.Path)
	for _, p := range places {
		if t := p.find(names); t != nil {
			f.tails = append(f.tails, t)
		}
	}
	return nil
}
