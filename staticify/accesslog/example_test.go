package accesslog_test

import (
	"fmt"
	"strings"

	"github.com/berryrack/berryrack/staticify/accesslog"
)

func ExampleMerge() {
	format, err := accesslog.ParseFormat(`$remote_addr [$time_local] "$request" $status $request_time`)
	if err != nil {
		panic(err)
	}
	one := strings.NewReader(`2001:db8::1 [01/Mar/2026:12:00:00 +0000] "GET / HTTP/1.1" 200 0.120
2001:db8::2 [01/Mar/2026:12:00:02 +0000] "GET /blog/ HTTP/1.1" 200 0.340
`)
	two := strings.NewReader(`192.0.2.9 [01/Mar/2026:12:00:01 +0000] "POST /login HTTP/1.1" 302 0.080
`)
	for hit, err := range accesslog.Merge(accesslog.NewReader(one, format), accesslog.NewReader(two, format)) {
		if err != nil {
			panic(err)
		}
		fmt.Printf("%s %s %q %d %s\n", hit.Time.Format("15:04:05"), hit.Client, hit.Target, hit.Status, hit.Took)
	}
	// Output:
	// 12:00:00 2001:db8::1 "/" 200 120ms
	// 12:00:01 192.0.2.9 "/login" 302 80ms
	// 12:00:02 2001:db8::2 "/blog/" 200 340ms
}
