// Package nginx has nginx serve published pages. Its judge is nginx 1.22.
//
//	config := nginx.Config{Host: "www.example.org", Root: "/var/lib/www", Origin: "http://127.0.0.1:8081"}
//	server := &nginx.Server{Config: config, Dir: "/etc/nginx/staticify"}
//	err := server.Configure(ctx, pages)
//
// Two files are written for it: http.conf, which the http block includes, and server.conf, which the site's server block
// includes in place of its "location /"; a third, table.json, is for the next process. nginx makes the name of a file from the request, the present time and nothing
// else; where there is no such file the request goes to the origin. So the configuration is the same whatever is
// published, and when nobody publishes any more nginx sends everything to the origin, by itself.
//
// # Who gets a file
//
// GET and HEAD for the one Host, with no cookie that is not ignored, without Authorization, without a body, without
// If-Match and If-Unmodified-Since (the origin may mean something else by them), and with a target that is byte by byte
// that of a page, ignored parameters at the beginning or the end of the query aside. Ranges are not answered. A file's
// answer has Cache-Status (RFC 9211), "staticify; hit".
//
// Other locations of the server block, for PHP say, or with a password, are as they were.
//
// # Headers
//
// Pages with the same headers are a class, named by the hash of these. The name is the extension of their files, and the
// configuration has each class's headers, and which pages are not of the most frequent one. So nginx never finds a page with
// other headers than its own; a page of a new class is found after a reload, which [Server] does once a minute at most.
// In WordPress each post has its own Link, and costs one line. What the server block says by add_header is for its other
// locations: headers of pages are for the origin to send.
//
// # What it needs
//
// No module beyond the usual ones: compressed copies are files with other names. pcre_jit on, in the main configuration, makes
// requests cheaper. [Server.Configure] runs nginx -t and
// nginx -s reload, or what it is told, and needs their privileges. The main configuration must not set map_hash_bucket_size and
// map_hash_max_size, or [Config.OwnHash] says that it does.
//
// A worker keeps up to 200 files open (open_file_cache), deleted ones too, which worker_rlimit_nofile must have room for.
// That is nothing to the promised age, since the name of a file has its time; but a page that was withdrawn or replaced may
// be served for a second more, or, when the clock is set back, until its time is over for the second time.
//
// # Limits
//
// A header of more than 1,750 bytes makes a page [staticify.Unpublishable], where a dollar sign counts as 75, since that
// is what it takes in a configuration. nginx takes the time once for each round of its event loop. Targets that differ
// in case alone may share a class's name: one is then served by the origin.
//
// Its interface may change before version 1.
package nginx
