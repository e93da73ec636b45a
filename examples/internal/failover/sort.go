package failover

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
)

// runLength is how many entries are in memory at once while a manifest is sorted.
const runLength = 50_000

// sorter returns entries in the order of their paths. What does not fit into a run
// is kept in temporary files until close.
type sorter struct {
	length int
	files  []*os.File
}

func (s *sorter) close() {
	for _, f := range s.files {
		f.Close()
		os.Remove(f.Name())
	}
}

// sort returns the entries in order; a path that comes twice is an error.
func (s *sorter) sort(entries iter.Seq2[entry, error]) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		last, err := s.split(entries)
		if err != nil {
			yield(entry{}, err)
			return
		}
		runs := []iter.Seq2[entry, error]{withoutError(last)}
		for _, f := range s.files {
			runs = append(runs, readManifest(f.Name(), f))
		}
		before := ""
		for e, err := range merge(runs) {
			if err == nil && e.path == before {
				err = fmt.Errorf("%s comes twice", e.path)
			}
			if !yield(e, err) || err != nil {
				return
			}
			before = e.path
		}
	}
}

func withoutError(entries []entry) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		for _, e := range entries {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// split writes all sorted runs but the last one to files.
func (s *sorter) split(entries iter.Seq2[entry, error]) (last []entry, err error) {
	for e, err := range entries {
		if err != nil {
			return nil, err
		}
		if len(last) == s.length {
			if err := s.spill(last); err != nil {
				return nil, err
			}
			last = last[:0]
		}
		last = append(last, e)
	}
	slices.SortFunc(last, byPath)
	return last, nil
}

func byPath(a, b entry) int { return comparePaths(a.path, b.path) }

func (s *sorter) spill(run []entry) error {
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

// head is the next entry of a run.
type head struct {
	entry
	next func() (entry, error, bool)
}

// merge returns the entries of sorted runs in order.
func merge(runs []iter.Seq2[entry, error]) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		var heads []*head
		advance := func(h *head) (bool, error) {
			e, err, ok := h.next()
			h.entry = e
			return ok, err
		}
		for _, run := range runs {
			next, stop := iter.Pull2(run)
			defer stop()
			h := &head{next: next}
			if ok, err := advance(h); err != nil {
				yield(entry{}, err)
				return
			} else if ok {
				heads = append(heads, h)
			}
		}
		for len(heads) > 0 {
			first := slices.MinFunc(heads, func(a, b *head) int { return byPath(a.entry, b.entry) })
			if !yield(first.entry, nil) {
				return
			}
			ok, err := advance(first)
			if err != nil {
				yield(entry{}, err)
				return
			}
			if !ok {
				heads = slices.DeleteFunc(heads, func(h *head) bool { return h == first })
			}
		}
	}
}
