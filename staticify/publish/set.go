package publish

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/berryrack/berryrack/staticify"
)

// set is what is to be published, in all roots alike.
type set struct {
	pages   []*page // longest served first
	buckets []bucket
}

// page is a page with its files.
type page struct {
	*staticify.Page
	files   []staticify.File
	buckets int // how many of the set's buckets it is in
	bodies  [2]func() []byte
}

// bucket is a time, and how many of the set's pages, from the first on, it has.
type bucket struct {
	name  string
	pages int
}

// plan picks the pages that can be served, and when.
func (p *Publisher) plan(now time.Time, pages []*staticify.Page) *set {
	width, maxAge := p.Layout.Width(), p.maxAge()
	start := now.Truncate(width).Round(0)
	s := &set{}
	for _, one := range pages {
		end := now.Round(0).Add(one.Left(now, maxAge))
		buckets := int(end.Sub(start) / width)
		if files, err := p.Layout.Files(one); err == nil && p.Accepts(one) == nil && buckets > 0 {
			s.pages = append(s.pages, newPage(one, files, buckets))
		}
	}
	slices.SortStableFunc(s.pages, func(a, b *page) int { return cmp.Compare(b.buckets, a.buckets) })
	for i := 0; len(s.pages) > 0 && i < s.pages[0].buckets; i++ {
		name := p.Layout.Bucket(start.Add(time.Duration(i) * width))
		n := len(s.pages)
		for n > 0 && s.pages[n-1].buckets <= i {
			n--
		}
		if name != "" {
			s.buckets = append(s.buckets, bucket{name, n})
		}
	}
	return s
}

func newPage(one *staticify.Page, files []staticify.File, buckets int) *page {
	return &page{
		Page: one, files: files, buckets: buckets,
		bodies: [2]func() []byte{
			sync.OnceValue(func() []byte { return smaller(one.Body, gzipped) }),
			sync.OnceValue(func() []byte { return smaller(one.Body, brotlied) }),
		},
	}
}

var errUnknownEncoding = errors.New("publish: a layout wants an unknown content coding")

// body returns the page's body in a coding; nil when that would not be smaller. It is made once for all roots.
func (p *page) body(encoding string) ([]byte, error) {
	switch encoding {
	case "":
		return p.Body, nil
	case "gzip":
		return p.bodies[0](), nil
	case "br":
		return p.bodies[1](), nil
	}
	return nil, errUnknownEncoding
}
