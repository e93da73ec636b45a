package staticify

import "time"

// File is one file of a page, below the directory that holds a generation's pages.
type File struct {
	Name     string // slash-separated, relative: [Key.FileName], a dot or a slash, and what the server wants
	Encoding string // of what follows the prefix: "", "gzip" or "br"
	Prefix   []byte // stands before the body: a head, for a server that reads one
}

// A Layout is how a web server finds its files. The first file of a page is the one without an encoding.
type Layout interface {
	// Files names the files of a page. A page that the server could not send as it is gives a *[Refusal].
	Files(*Page) ([]File, error)
	// Bucket names the time from start on that is as long as Width, as the server computes the name for each request. An
	// empty name is a time for which nothing may be served.
	Bucket(start time.Time) string
	// Width is how long a bucket is.
	Width() time.Duration
}

// BucketWidth is how exactly a server tells the time when no page may be older than maxAge: 10 s, or 1 s when maxAge
// is less than 30 s. A page is served until the end of the last bucket that ends before it is too old, so it must be
// replaced within maxAge less one width.
func BucketWidth(maxAge time.Duration) time.Duration {
	if maxAge < 30*time.Second {
		return time.Second
	}
	return 10 * time.Second
}

// FileName is the part of a file's name that tells keys apart: the path and a circumflex, then the query, where there is
// one, and another circumflex. No legal target holds a circumflex (RFC 3986, appendix A), so no key's directory can be
// another key's file, and what a layout appends to a name is never taken for the end of a query that a visitor made up.
func (k Key) FileName() string {
	name := k.Path[1:] + "^"
	if k.Query != "" {
		name += k.Query + "^"
	}
	return name
}
