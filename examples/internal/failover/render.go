package failover

import (
	"bytes"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// A page is compared by its words. Nonces, times and tokens are the words in which
// two renders by the same host differ: those do not count. A page in which most
// words do, or whose renders have different numbers of words, is not comparable.

// maxUnstable is the share of words that may differ between renders.
const maxUnstable = 0.5

// separators end a word, and are words themselves.
const separators = " \t\r\n\"'<>&?;,:()[]{}|="

// words splits a page, so that its words joined are the page.
func words(page []byte) [][]byte {
	var words [][]byte
	for len(page) > 0 {
		n := bytes.IndexAny(page, separators)
		switch {
		case n < 0:
			n = len(page)
		case n == 0:
			n = 1
		}
		words = append(words, page[:n])
		page = page[n:]
	}
	return words
}

// unstable tells which words differ between two renders by one host; false when
// they cannot be told.
func unstable(a, b [][]byte) ([]bool, bool) {
	if len(a) != len(b) {
		return nil, false
	}
	differs, n := make([]bool, len(a)), 0
	for i := range a {
		if differs[i] = !bytes.Equal(a[i], b[i]); differs[i] {
			n++
		}
	}
	return differs, float64(n) <= maxUnstable*float64(len(a))
}

// comparison are the rules of a comparison.
type comparison struct {
	headers []string
	ignore  []*regexp.Regexp
}

// compare returns in what the standby's renders of a page differ from the
// primary's. State is Same, Different, or Unknown for a page that cannot be
// compared.
func (c comparison) compare(primary, standby [2]render) (State, string) {
	p, s := primary[0], standby[0]
	if p.status != s.status {
		return Different, fmt.Sprintf("status %d, the primary's is %d", s.status, p.status)
	}
	for _, name := range c.headers {
		if a, b := header(p, name), header(s, name); a != b {
			return Different, fmt.Sprintf("%s %q, the primary's is %q", name, b, a)
		}
	}
	if len(p.body) > maxPage || len(s.body) > maxPage {
		return Unknown, fmt.Sprintf("larger than %d MiB: compare it as a mirror's file", maxPage>>20)
	}
	if bytes.Equal(p.body, s.body) {
		return Same, ""
	}
	return c.bodies(primary, standby)
}

func header(r render, name string) string {
	return strings.Join(r.header[http.CanonicalHeaderKey(name)], ", ")
}

func (c comparison) bodies(primary, standby [2]render) (State, string) {
	p, s := c.words(primary[0]), c.words(standby[0])
	ignored, ok := unstable(p, c.words(primary[1]))
	if !ok {
		return Unknown, "two renders of the primary's differ too much to compare: add what changes to pages.ignore"
	}
	more, ok := unstable(s, c.words(standby[1]))
	if !ok {
		return Unknown, "two renders of the standby's differ too much to compare: add what changes to pages.ignore"
	}
	for i := range min(len(p), len(s)) {
		if !ignored[i] && !more[i] && !bytes.Equal(p[i], s[i]) {
			return Different, fmt.Sprintf("%q, the primary has %q", excerpt(s, i), excerpt(p, i))
		}
	}
	if len(p) != len(s) {
		i := min(len(p), len(s))
		return Different, fmt.Sprintf("it ends with %q, the primary's with %q", excerpt(s, i), excerpt(p, i))
	}
	return Same, ""
}

func (c comparison) words(r render) [][]byte {
	body := r.body
	for _, expression := range c.ignore {
		body = expression.ReplaceAll(body, nil)
	}
	return words(body)
}

const (
	excerptWords = 6
	excerptBytes = 60
)

// excerpt returns the words around the i-th one, for a person to find.
func excerpt(words [][]byte, i int) string {
	from, to := max(0, i-excerptWords), min(len(words), i+excerptWords)
	text := bytes.Join(words[min(from, len(words)):to], nil)
	if len(text) > excerptBytes {
		text = slices.Concat(text[:excerptBytes], []byte("..."))
	}
	return string(text)
}
