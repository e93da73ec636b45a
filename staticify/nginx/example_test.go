package nginx_test

import (
	"fmt"
	"strings"

	"github.com/berryrack/berryrack/staticify/nginx"
)

func ExampleConfig_Server() {
	c := nginx.Config{Host: "www.example.org", Root: "/var/lib/www", Origin: "http://127.0.0.1:8081"}
	text, err := c.Server(nginx.Table{})
	if err != nil {
		panic(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	fmt.Print(strings.ReplaceAll(strings.Join(lines[1:4], ""), "\t", "  "))
	// Output:
	// location / {
	//   root /var/lib/www;
	//   try_files "/current/$staticify_time$staticify_file.$staticify_coded$staticify_class" "/current/$staticify_time$staticify_file.$staticify_class" @staticify_origin;
}
