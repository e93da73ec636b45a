package manifest

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
)

// What a sorter that is told nothing else keeps in memory, and takes.
const (
	DefaultRun = 50_000
	DefaultMax = 20_000_000
)

// Sorter has entries in the order of their paths. What does not fit into a run is
// kept in temporary files until Close.
type Sorter struct {
	Run int // entries in memory; 0 is DefaultRun
	Max int // entries in all, more are an error; 0 is DefaultMax

	files  []*os.File
	runs   []*run // what is left of each, none of them empty
	before string // the last path
}

// run are sorted entries, and the first one of them.
type run struct {
	first Entry
	rest  Entries
}

// list are entries in memory.
type list []Entry

func (l *list) Next() (Entry, error) {
	if len(*l) == 0 {
		return Entry{}, io.EOF
	}
	first := (*l)[0]
	*l = (*l)[1:]
	return first, nil
}

func byPath(a, b Entry) int { return comparePaths(a.Path, b.Path) }

// Close removes the temporary files.
func (s *Sorter) Close() {
	for _, f := range s.files {
		f.Close()
		os.Remove(f.Name())
	}
}

// Read takes all entries. It is called once.
func (s *Sorter) Read(from Entries) error {
	var last list
	for n := 0; ; n++ {
		e, err := from.Next()
		if err == io.EOF {
			break
		}
		if limit := cmp.Or(s.Max, DefaultMax); n == limit && err == nil {
			err = fmt.Errorf("more than %d files", limit)
		}
		if err != nil {
			return err
		}
		if len(last) == cmp.Or(s.Run, DefaultRun) {
			if err := s.spill(last); err != nil {
				return err
			}
			last = last[:0]
		}
		last = append(last, e)
	}
	slices.SortFunc(last, byPath)
	readers := []Entries{&last}
	for _, f := range s.files {
		readers = append(readers, NewReader(f.Name(), f))
	}
	for _, r := range readers {
		if err := s.advance(&run{rest: r}); err != nil {
			return err
		}
	}
	return nil
}

// spill writes a run to a file.
func (s *Sorter) spill(run list) error {
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
func (s *Sorter) advance(r *run) error {
	var err error
	if r.first, err = r.rest.Next(); err == nil {
		s.runs = append(s.runs, r)
	} else if err == io.EOF {
		err = nil
	}
	return err
}

// Next returns the entries in order; a path that comes twice is an error.
func (s *Sorter) Next() (Entry, error) {
	if len(s.runs) == 0 {
		return Entry{}, io.EOF
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
		return Entry{}, err
	}
	if e.Path == s.before {
		return Entry{}, fmt.Errorf("%q comes twice", e.Path)
	}
	s.before = e.Path
	return e, nil
}
