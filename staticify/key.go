package staticify

import "strings"

// Limits of a [Key]. What is longer is refused as [TooLong].
const (
	MaxTarget  = 1024 // bytes of a request target, ignored parameters included
	MaxSegment = 200  // bytes between two slashes: a file system takes 255 for a name, and the publisher adds suffixes
	MaxQuery   = 180  // bytes of the query that is left
)

// Key names one page of a site. Keys come from [Query.Canonical], and two requests with equal Keys may be answered with
// the same bytes.
type Key struct {
	// Path is the path as it stands in the request line, escapes and all. It begins with a slash; /blog and /blog/
	// differ, and so do /About and /about.
	Path string
	// Query holds the parameters that were kept, in the order in which they were sent, without the question mark.
	Query string
}

// String is the request target: the path, and the query after a question mark if there is one.
func (k Key) String() string {
	if k.Query == "" {
		return k.Path
	}
	return k.Path + "?" + k.Query
}

// Compare orders keys by path, then by query.
func (k Key) Compare(other Key) int {
	if c := strings.Compare(k.Path, other.Path); c != 0 {
		return c
	}
	return strings.Compare(k.Query, other.Query)
}

func keyOf(target string) Key {
	path, query, _ := strings.Cut(target, "?")
	return Key{Path: path, Query: query}
}
