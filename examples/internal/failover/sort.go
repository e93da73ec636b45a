package failover

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
)

// runLength is how many entries are in memory at once while a manifest is sorted.
const runLength = 50_000

// sorter has entries in the order of their paths. What does not fit into a run is
// kept in temporary files until close.
type sorter struct {
	length int // of a run
	files  []*os.File
	runs   []*run // what is left of each, none of them empty
	before string // the last path
}

// run are sorted entries, and the first one of them.
type run struct {
	first entry
	rest  entries
}

// list are entries in memory.
type list []entry

func (l *list) next() (entry, error) {
	if len(*l) == 0 {
		return entry{}, io.EOF
	}
	first := (*l)[0]
	*l = (*l)[1:]
	return first, nil
}

func byPath(a, b entry) int { return comparePaths(a.path, b.path) }

func (s *sorter) close() {
	for _, f := range s.files {
		f.Close()
		os.Remove(f.Name())
	}
}

// read takes all entries.
func (s *sorter) read(from entries) error {
	var last list
	for {
		e, err := from.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if len(last) == s.length {
			if err := s.spill(last); err != nil {
				return err
			}
			last = last[:0]
		}
		last = append(last, e)
	}
	slices.SortFunc(last, byPath)
	readers := []entries{&last}
	for _, f := range s.files {
		readers = append(readers, newManifestReader(f.Name(), f))
	}
	for _, r := range readers {
		if err := s.advance(&run{rest: r}); err != nil {
			return err
		}
	}
	return nil
}

// spill writes a run to a file.
func (s *sorter) spill(run list) error {
	slices.SortFunc(run, byPath)
	f, err := os.CreateTemp("", "failover-manifest-*")
	if err != nil {
		return err
	}
	s.files = append(s.files, f)
	w := bufio.NewWriter(f)
	for _, e := range run {
		fmt.Fprintln(w, e)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err = f.Seek(0, io.SeekStart)
	return err
}

// advance keeps a run, from its next entry on, unless that was the last one.
func (s *sorter) advance(r *run) error {
	var err error
	if r.first, err = r.rest.next(); err == nil {
		s.runs = append(s.runs, r)
	} else if err == io.EOF {
		err = nil
	}
	return err
}

// next returns the entries in order; a path that comes twice is an error.
func (s *sorter) next() (entry, error) {
	if len(s.runs) == 0 {
		return entry{}, io.EOF
	}
	least := 0
	for i, r := range s.runs {
		if byPath(r.first, s.runs[least].first) < 0 {
			least = i
		}
	}
	r := s.runs[least]
	e := r.first
	s.runs = slices.Delete(s.runs, least, least+1)
	if err := s.advance(r); err != nil {
		return entry{}, err
	}
	if e.path == s.before {
		return entry{}, fmt.Errorf("%s comes twice", e.path)
	}
	s.before = e.path
	return e, nil
}
