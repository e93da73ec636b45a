// Package publish writes pages as files into the roots of web servers, and switches to them in one step.
//
//	p := &publish.Publisher{Roots: []string{"/var/lib/www"}, Layout: nginx.Config{Host: "www.example.org", Root: "/var/lib/www"}}
//	err := p.Publish(ctx, pages)
//
// A root holds generations, and a symbolic link to the current one. In a generation there is a directory for each time
// in which something may be served, in steps of 10 s (or of 1 s, for a MaxAge of less than 30 s), and a web server looks
// into that of the present time alone. So no page is found that is older than MaxAge, even when nobody publishes any
// more; and a page is found for MaxAge less one step at least.
//
// A file that has not changed is a hard link to the one before, and keeps its time of modification. One that has
// changed gets a later time than any file before it, so that no validator stands for two texts. Each page is also
// there in gzip and in brotli where that is smaller.
//
// # Nothing lost
//
// A generation is written beside its place, synced with one syncfs(2) and renamed; then the link is. A process that is
// killed at any step, or a disk that is full, leaves the old generation. The one before the current stays, for requests
// that are on their way; all others are removed. All names are resolved below the root (os.Root), whatever they are.
//
// # What it needs, and its limits
//
// A file system with symbolic and hard links, that the web server can read: umask 022, for the directories' sake. Roots on
// a tmpfs cost no write to a disk. Where the web server is another machine, as one that has its root by NFS, its clock must be right: what it is
// behind is added to the age of pages. So is what a clock is set back by, until the next generation, or, with nobody to
// publish one, until the last time of the present one is over. A name of more than 255 bytes is no file.
//
// Its interface may change before version 1.
package publish
