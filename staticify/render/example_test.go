package render_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/berryrack/berryrack/staticify"
	"github.com/berryrack/berryrack/staticify/render"
)

func ExampleRenderer() {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		if r.URL.Path == "/basket/" {
			http.SetCookie(w, &http.Cookie{Name: "session", Value: "1"})
		}
		fmt.Fprintf(w, "<html>%s%s</html>", r.Host, r.URL.Path)
	}))
	defer origin.Close()
	u, _ := url.Parse(origin.URL)
	r := &render.Renderer{Origin: u, Host: "www.example.org"}
	for _, path := range []string{"/", "/basket/"} {
		page, err := r.Render(context.Background(), staticify.Key{Path: path}, nil)
		var refusal *staticify.Refusal
		if errors.As(err, &refusal) {
			fmt.Println(path, "is for the origin:", refusal.Reason, refusal.Detail)
			continue
		}
		fmt.Println(string(page.Body), page.Header.Get("Cache-Control"))
	}
	// Output:
	// <html>www.example.org/</html> no-cache
	// /basket/ is for the origin: set-cookie session
}
