package apache_test

import (
	"fmt"
	"strings"

	"github.com/berryrack/berryrack/staticify/apache"
)

func ExampleConfig_VirtualHost() {
	text, err := apache.Config{Host: "www.example.org", Root: "/var/lib/www"}.VirtualHost()
	if err != nil {
		panic(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "RewriteCond %{HTTP:Host}") {
			fmt.Print(line)
		}
	}
	// Output:
	// RewriteCond %{HTTP:Host} "^www\.example\.org$"
}
