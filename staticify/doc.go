// Package staticify makes files of a site's busy pages, never older than 60 seconds, so that a small machine's web
// server sends what visitors ask for most without asking the program and the database behind it.
//
//	origin := &url.URL{Scheme: "http", Host: "127.0.0.1:8081"}
//	server := nginx.Config{Host: "www.example.org", Root: "/var/lib/www", Origin: origin.String()}
//	site := &staticify.Site{
//		Logs:      []staticify.Log{&accesslog.Follower{Path: "/var/log/nginx/access.log"}},
//		Ranker:    &staticify.Ranker{UserAgent: render.UserAgent},
//		Renderer:  &render.Renderer{Origin: origin, Host: server.Host},
//		Publisher: &publish.Publisher{Roots: []string{server.Root}, Layout: server},
//		Server:    &nginx.Server{Config: server, Dir: "/etc/nginx/staticify"},
//	}
//	err := site.Run(ctx)
//
// Access logs say what is asked for ([Ranker], with package accesslog and topk below it), rules say which requests are
// for the same page ([Query], [Key]), a [Budget] says how many pages may be rendered again and again, and a [Site] has
// them rendered, published and served. [Planner] foretells from logs alone what that would give.
//
// # What is never a file
//
// A request with another method than GET and HEAD, with Authorization, with a cookie that is not on the list of those to
// ignore, with a parameter that no rule names, or with a target that is not in normal form, goes to the origin. So does
// one for a page that was refused: for its status, Set-Cookie, Cache-Control, Vary, for marks of a logged-in visitor, or
// because two renders of it differ. [Reason] lists them all, and every refusal is a [*Refusal].
//
// # The promise
//
// No page is served that was rendered more than 60 seconds ago (MaxAge), whether this program runs or not: files are
// found by the time, and a page that has not been replaced is no longer found.
//
// # One bot does not fill the cache
//
// Pages are ranked by requests, but those of one client count as no more than ten on average, and a page that fewer
// than two clients ask for is none. An IPv6 /64 is one client. So logs must hold the visitors' addresses: behind a
// proxy, have the server's realip module put them there.
//
// # Standards
//
// Targets are those of RFC 9112, section 3.2.1, in the normal form of RFC 3986, section 6.2.2; what may be stored is
// narrower than RFC 9111, section 3 allows a shared cache.
//
// # What it needs, and what it will not do
//
// It reads logs, makes requests to the origin, writes into the roots, and, for a Server, writes its configuration and
// reloads it: no more privileges than these take. It is no cache: it never stores what a visitor's request brought about.
// It does not find out what changed at the origin; pages are rendered again whether they did or not, unless the origin
// answers conditional requests. Redirects are not published. One Site is for one host.
//
// The limits of targets stand with [MaxTarget]; those of pages, times and headers with the packages render, publish, nginx
// and apache. A Site has all pages that are files in memory: Budget.Pages and the Important ones, with bodies of 4 MiB each
// at most, by package render's default. The interface may change before version 1.
package staticify
