// Package apache has Apache's httpd 2.4 serve published pages.
//
//	config := apache.Config{Host: "www.example.org", Root: "/var/lib/www"}
//	server := &apache.Server{Config: config, Dir: "/etc/apache2/staticify"}
//	err := server.Configure(ctx, nil)
//
// One file is written, vhost.conf, which the site's VirtualHost includes before its own rewrite rules. Each page's file
// holds its headers too, so that file never changes, and httpd is reloaded once. As with nginx the name of a file is made from the
// request and the present time; when nobody publishes, httpd finds nothing, and its other rules have the request.
//
// # Who gets a file
//
// As with package nginx: GET and HEAD for the one Host, anonymous, and for the very target of a page. Ranges are not answered.
//
// # What it needs, and its limits
//
// mod_rewrite and mod_asis (a2enmod asis rewrite). httpd knows only the local time: it must run in the time zone that
// [Config.Location] says, and in the two hours in which local time is ambiguous, when summer time ends, the origin has all
// requests. mod_asis answers no conditional requests, so a visitor who returns gets the page again. A page that is
// withdrawn between the moment in which httpd looks for it and the next, in which it opens it, is answered with 404. An escaped question
// mark in a path is for the origin.
//
// Its interface may change before version 1.
package apache
