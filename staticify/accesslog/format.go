package accesslog

import (
	"errors"
	"fmt"
	"strings"
)

// Format says what stands where in a line. The zero Format is combined. A Format is not changed by its use, and may be
// shared.
type Format struct {
	json     bool   // an object with the variables' names as keys
	raw      bool   // escape=none
	combined bool   // start and steps are those of combined
	start    string // before the first field
	steps    []step
}

// step is one variable, and the text after it.
type step struct {
	field  field
	quoted bool // between quotation marks, with escapes inside
	stop   string
}

// field is a part of a Hit that a variable gives.
type field uint8

const (
	skipped field = iota
	client
	user
	timeLocal
	timeISO
	timeUnix
	request
	method
	target
	host
	status
	size
	requestTime
	upstreamTime
	userAgent
)

// fieldOf maps a variable of nginx to what it gives. $uri and $args are missing on purpose: they are not what was sent.
func fieldOf(variable string) field {
	switch variable {
	case "remote_addr":
		return client
	case "remote_user":
		return user
	case "time_local":
		return timeLocal
	case "time_iso8601":
		return timeISO
	case "msec":
		return timeUnix
	case "request":
		return request
	case "request_method":
		return method
	case "request_uri":
		return target
	case "host", "http_host":
		return host
	case "status":
		return status
	case "body_bytes_sent", "bytes_sent":
		return size
	case "request_time":
		return requestTime
	case "upstream_response_time":
		return upstreamTime
	case "http_user_agent":
		return userAgent
	}
	return skipped
}

// What the names that ParseFormat knows stand for.
const (
	common        = `$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent`
	combined      = common + ` "$http_referer" "$http_user_agent"`
	vhostCombined = `$host:$server_port ` + combined
)

// ParseFormat understands the names combined, common, vhost_combined (both nginx's and Apache's logs) and json, and any
// string of nginx's log_format, perhaps with escape=default, escape=json or escape=none before it. The name json means
// objects in lines, flat, whose keys are names of nginx's variables in any order. Variables that a [Hit] has no field
// for are skipped. The empty string is combined.
func ParseFormat(s string) (Format, error) {
	switch s {
	case "", "combined":
		return compile(combined)
	case "common":
		return compile(common)
	case "vhost_combined":
		return compile(vhostCombined)
	case "json":
		return Format{json: true}, nil
	}
	escape, rest, found := strings.Cut(s, " ")
	if mode, ok := strings.CutPrefix(escape, "escape="); ok && found {
		f, err := compile(strings.TrimSpace(rest))
		if mode != "default" && mode != "json" && mode != "none" {
			err = errors.Join(err, fmt.Errorf("accesslog: format: escape=%s: want default, json or none", mode))
		}
		f.raw = mode == "none"
		return f, err
	}
	return compile(s)
}

func compile(s string) (Format, error) {
	var f Format
	text, rest := literal(s)
	f.start = text
	var problems []error
	for rest != "" {
		var name string
		before := text
		name, rest = variable(rest)
		text, rest = literal(rest)
		if text == "" && rest != "" {
			problems = append(problems, fmt.Errorf("accesslog: format: nothing between $%s and what follows it: a reader cannot tell them apart", name))
		}
		f.steps = append(f.steps, step{
			field:  fieldOf(name),
			quoted: strings.HasSuffix(before, `"`) && strings.HasPrefix(text, `"`),
			stop:   text,
		})
	}
	if !f.has(request) && !f.has(target) {
		problems = append(problems, fmt.Errorf("accesslog: format %q: neither $request nor $request_uri is in it", s))
	}
	f.combined = s == combined
	return f, errors.Join(problems...)
}

func (f Format) has(want field) bool {
	for _, s := range f.steps {
		if s.field == want {
			return true
		}
	}
	return false
}

// literal cuts s before its first variable.
func literal(s string) (text, rest string) {
	for i := 0; i+1 < len(s); i++ {
		if s[i] == '$' && (s[i+1] == '{' || isName(s[i+1])) {
			return s[:i], s[i:]
		}
	}
	return s, ""
}

// variable cuts $name or ${name} off.
func variable(s string) (name, rest string) {
	if strings.HasPrefix(s, "${") {
		name, rest, _ = strings.Cut(s[2:], "}")
		return name, rest
	}
	end := 1
	for end < len(s) && isName(s[end]) {
		end++
	}
	return s[1:end], s[end:]
}

func isName(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_'
}
