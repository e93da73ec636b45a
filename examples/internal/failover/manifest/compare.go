package manifest

import (
	"fmt"
	"io"
	"math/rand/v2"
)

// Compare goes through two sorted lists at once, and calls found for each path: with
// the difference of the standby from the primary, or "".
func Compare(primary, standby Entries, found func(path, difference string)) error {
	p, errP := primary.Next()
	s, errS := standby.Next()
	for {
		order := byPath(p, s)
		switch {
		case errP != nil && errP != io.EOF:
			return errP
		case errS != nil && errS != io.EOF:
			return errS
		case errP == io.EOF && errS == io.EOF:
			return nil
		case errS == io.EOF || errP == nil && order < 0:
			found(p.Path, "missing at the standby")
			p, errP = primary.Next()
		case errP == io.EOF || order > 0:
			found(s.Path, "at the standby alone")
			s, errS = standby.Next()
		default:
			found(p.Path, difference(p, s))
			p, errP = primary.Next()
			s, errS = standby.Next()
		}
	}
}

func difference(p, s Entry) string {
	switch {
	case p.Size >= 0 && s.Size >= 0 && p.Size != s.Size:
		return fmt.Sprintf("%d bytes, the primary's has %d", s.Size, p.Size)
	case p.Hash != s.Hash:
		return "other contents"
	}
	return ""
}

// Sample keeps a random sample of the entries that go through it, each with the
// same chance.
type Sample struct {
	From Entries
	Size int
	Kept []Entry

	seen int
}

// Next returns the next entry, which the sample may keep.
func (r *Sample) Next() (Entry, error) {
	e, err := r.From.Next()
	if err == nil {
		r.add(e)
	}
	return e, err
}

func (r *Sample) add(e Entry) {
	r.seen++
	if len(r.Kept) < r.Size {
		r.Kept = append(r.Kept, e)
	} else if i := rand.IntN(r.seen); i < r.Size {
		r.Kept[i] = e
	}
}
