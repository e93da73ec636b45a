package failover

import (
	"bufio"
	"iter"
	"os"
	"regexp"
	"strconv"
	"time"
)

// hit is one request of an access log.
type hit struct {
	time   time.Time
	method string
	target string
	status int
}

var interim = regexp.MustCompile(`^\S+ \S+ \S+ \[([^\]]+)\] "(\S+) (\S+)[^"]*" (\d+) `)

// readLogs returns the requests of access logs, one file after the other.
func readLogs(paths []string) iter.Seq2[hit, error] {
	return func(yield func(hit, error) bool) {
		for _, path := range paths {
			f, err := os.Open(path)
			if err != nil {
				yield(hit{}, err)
				return
			}
			defer f.Close()
			lines := bufio.NewScanner(f)
			for lines.Scan() {
				m := interim.FindStringSubmatch(lines.Text())
				if m == nil {
					continue
				}
				at, _ := time.Parse("02/Jan/2006:15:04:05 -0700", m[1])
				status, _ := strconv.Atoi(m[4])
				if !yield(hit{at, m[2], m[3], status}, nil) {
					return
				}
			}
		}
	}
}
