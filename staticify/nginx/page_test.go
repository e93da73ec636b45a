package nginx_test

import (
	"net/http"
	"time"

	"github.com/berryrack/berryrack/staticify"
)

const host = "www.example.org"

// page is one that was rendered just now.
func page(target string, header ...string) *staticify.Page {
	key, err := staticify.Query{Keep: []string{"page", "s"}}.Canonical(target)
	if err != nil {
		panic(err)
	}
	h := http.Header{"Content-Type": {"text/html; charset=UTF-8"}}
	for i := 0; i < len(header); i += 2 {
		h.Add(header[i], header[i+1])
	}
	return &staticify.Page{Key: key, Header: h, Body: []byte("static " + key.String()), Rendered: time.Now()}
}
