package publish_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/berryrack/berryrack/staticify"
	"github.com/berryrack/berryrack/staticify/nginx"
	"github.com/berryrack/berryrack/staticify/publish"
)

func ExamplePublisher() {
	root, err := os.MkdirTemp("", "www")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(root)
	p := &publish.Publisher{Roots: []string{root}, Layout: nginx.Config{Host: "www.example.org", Root: root}}
	page := &staticify.Page{
		Key: staticify.Key{Path: "/downloads/", Query: "page=2"}, Header: http.Header{"Content-Type": {"text/html"}},
		Body: []byte("<html></html>"), Rendered: time.Now(),
	}
	if err := p.Publish(context.Background(), []*staticify.Page{page}); err != nil {
		panic(err)
	}
	now := fmt.Sprint(time.Now().Unix() / 10)
	files, _ := filepath.Glob(filepath.Join(root, "current", now, "downloads", "*"))
	for _, file := range files {
		fmt.Println(filepath.Base(file))
	}
	// Output:
	// ^page=2^.h97230b32826a
}
