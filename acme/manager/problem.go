package manager

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// A Problem is what an authority says it will not do, and why (RFC 8555 section
// 6.7).
type Problem struct {
	Type       string        // "urn:ietf:params:acme:error:caa"; empty: it was no problem document
	Detail     string        // the authority's words
	Status     int           // of HTTP
	Names      []string      // that it is about; none: all of the order
	RetryAfter time.Duration // 0 when it does not say
}

const problemSpace = "urn:ietf:params:acme:error:"

func (p *Problem) Error() string {
	text := p.Detail
	if p.Type != "" {
		text += " (" + strings.TrimPrefix(p.Type, problemSpace) + ")"
	}
	if p.RetryAfter > 0 {
		text += ", try again in " + p.RetryAfter.Round(time.Second).String()
	}
	if what := advice[strings.TrimPrefix(p.Type, problemSpace)]; what != "" {
		text += "; " + what
	}
	return text
}

// advice is what to do about problems of these types.
var advice = map[string]string{
	"accountDoesNotExist":     "the account is not known there: it is registered again with the next attempt",
	"caa":                     "a CAA record forbids this authority: add its name to the CAA records of the domain, or use another authority",
	"connection":              "the authority cannot reach the server of the name: see its addresses and its firewall",
	"dns":                     "the authority cannot resolve the name: see the delegation and, with DNSSEC, the signatures",
	"externalAccountRequired": "configure the external account binding that the authority has given you",
	"incorrectResponse":       "what the authority found is not what was published: see whether it asks other name servers",
	"invalidContact":          "the email address of the account is not accepted: use another",
	"invalidProfile":          "the authority has no such profile: leave it out, or name one that it has",
	"rateLimited":             "wait, or use the staging authority for experiments; it is tried again by itself",
	"rejectedIdentifier":      "the authority issues nothing for this name",
	"serverInternal":          "it is tried again by itself",
	"tls":                     "the authority cannot connect by TLS to the server of the name",
	"unauthorized":            "the authority did not find the record or file: see whether all of its points of view reach the name servers",
	"unsupportedIdentifier":   "the authority issues nothing for names of this kind",
	"userActionRequired":      "the terms of service have changed: read them at the address given, and agree",
}

// isProblem reports whether an error is of a type.
func isProblem(err error, kind string) bool {
	var p *Problem
	return errors.As(err, &p) && p.Type == problemSpace+kind
}

// refused reports whether the authority has said no, and would again.
func refused(err error) bool {
	var p *Problem
	return errors.As(err, &p) && 400 <= p.Status && p.Status < 500 && p.Status != http.StatusTooManyRequests
}

// A ValidationError says for which names the control could not be proved.
type ValidationError struct {
	Names    []string // in the order of Problems
	Problems []error  // of each
}

func (e *ValidationError) Error() string {
	lines := make([]string, len(e.Names))
	for i, name := range e.Names {
		lines[i] = fmt.Sprintf("%s: %v", name, e.Problems[i])
	}
	return "the authority does not accept the proof of control for " + strings.Join(lines, "\n\t")
}

// Unwrap returns the problems.
func (e *ValidationError) Unwrap() []error { return e.Problems }
