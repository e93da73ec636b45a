// Package render fetches pages from the origin as a visitor of whom it knows nothing, and refuses what is not for
// everybody.
//
//	r := &render.Renderer{Origin: &url.URL{Scheme: "http", Host: "127.0.0.1:8081"}, Host: "www.example.org"}
//	page, err := r.Render(ctx, staticify.Key{Path: "/downloads/"}, nil)
//	if refusal := (*staticify.Refusal)(nil); errors.As(err, &refusal) {
//		log.Print(refusal.Reason, refusal.Detail)
//	}
//
// # What is asked
//
// Every request is the same but for its target and validators: GET, HTTP/1.1, the Host, four fixed headers and what
// [Renderer.Header] adds. It goes straight to the origin, through no proxy. Nothing that a visitor has sent is in it,
// so no visitor can have a page made that others then get.
//
// # What is refused
//
// Any status but 200; Set-Cookie; Cache-Control and its likes with private, no-store, no-cache or no time left
// (RFC 9111, section 5.2.2); Pragma where there is no Cache-Control, and Expires where that gives no lifetime; Vary on
// more than Accept-Encoding; a body that is not whole, too large or too slow; HTML that begins and does not end; marks of
// a logged-in visitor or a page that asks for a password; and a page of which two cold renders differ, and then two at
// once: that is looked at whenever a page is new or has changed. X-Staticify: off in an answer refuses too: that is how
// a program says it.
//
// Two renders are compared without HTML comments. There is no mask for nonces: WordPress gives all anonymous visitors
// the same one for twelve hours, so a copy of a minute is as good as the page; and a token that differs each time is a
// reason to leave the page to the origin. [Renderer.Mask] is for those who know better.
//
// # Limits
//
// 4 MiB of body and 20 s by default, 64 KiB of headers. Only what [Renderer.Keep] names is sent with a page. An answer
// that calls itself old (Age, RFC 9111, section 5.1) is as old as it says. Two renders find what differs each time, not
// what differs by the hour or the visitor's address: such an origin must say so in its headers.
//
// Its interface may change before version 1.
package render
