// Package accesslog reads web servers' access logs: nginx's in any log_format, Apache's common and combined ones, and
// objects of JSON; whole, gzipped or still being written; several servers' in one order of time.
//
//	format, err := accesslog.ParseFormat(`$remote_addr [$time_local] "$request" $status $request_time`)
//	if err != nil {
//		return err
//	}
//	one, err := accesslog.Open("/var/log/nginx/access.log.1.gz", format)
//	if err != nil {
//		return err
//	}
//	defer one.Close()
//	for hit, err := range one.All() { // or accesslog.Merge(one, another)
//		if err != nil {
//			return err
//		}
//		fmt.Printf("%s %q %d\n", hit.Client, hit.Target, hit.Status)
//	}
//
// A [Follower] reads a log that a server writes, across rotation and across restarts of the reader.
//
// # What it trusts
//
// Nothing. Most of a line is what a client liked to send. Fields that are quoted end at a mark that the server did not
// escape, so no client can move one; where a server writes a field without quotes (the user's name), what would move
// the next field makes the line malformed, or stays in its own field. Escapes are undone once, so a [Hit] holds any byte
// at all. A line that is not in the format is counted and skipped, and so is one of more than [MaxLine] bytes; numbers
// and times that do not fit make a line malformed; an address that is none is the zero one. A log of compressed zeros
// takes time, but no memory.
//
// # Speed
//
// Lines are read in place: a Hit refers to the reader's buffer, is valid until the next line, and costs no allocation.
// testdata/bench/run compares with goaccess on one file.
//
// # Limits
//
// A field ends where the text after it begins first: two variables with nothing between them cannot be told apart, and
// are an error of [ParseFormat]. Of what nginx knows, only what a [Hit] has a field for is kept; X-Forwarded-For is not,
// since clients forge it: have nginx's realip module write the right $remote_addr. gzip is the only compression.
// Rotated files are found by inode, so a file that was compressed between two polls is not read to its end.
//
// It needs no privileges but those to read the logs. A Reader and a Follower are each for one goroutine. The interface
// may change before version 1.
package accesslog
