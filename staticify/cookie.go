package staticify

// DefaultCookies are the names of cookies that tell visitors apart for statistics and change no page. A request with
// any other cookie is for the origin: lists of cookies that matter are never complete.
func DefaultCookies() []string { return []string{"_ga*", "_gid", "__utm*"} }
