package staticify

import (
	"fmt"
	"strconv"
)

// Reason says in one word why a request or a page is not for a static file. The zero Reason is no reason.
type Reason uint8

// Reasons that a request gives.
const (
	Method        Reason = iota + 1 // neither GET nor HEAD
	Authorization                   // the request named a user
	BadPath                         // not an absolute path in normal form: an empty or dot segment, a needless or forbidden escape, a stray byte
	BadQuery                        // an empty parameter, a name or a value with a byte that no key may hold
	UnknownQuery                    // a parameter that no rule names
	TooLong                         // over MaxTarget, MaxSegment or MaxQuery
	Asset                           // a style sheet, script, image or font: the server has it as a file
)

// Reasons that the origin's answer gives.
const (
	Status        Reason = iota + Asset + 1 // neither 200 nor a redirect
	Redirect                                // a redirect, where the server cannot publish one
	SetCookie                               // the answer sets a cookie
	CacheControl                            // private, no-store or no-cache
	Vary                                    // on more than Accept-Encoding
	Marked                                  // markup or a header that says: not for everybody
	Differs                                 // two renders, one after the other, are not the same
	Truncated                               // the body ended before its length
	TooLarge                                // the body is larger than the limit
	Slow                                    // no whole answer within the time limit
	Unreachable                             // no answer at all
	Unpublishable                           // the publisher or the server has no name or header for it
)

// Reasons that the ranking and the budget give.
const (
	FewClients Reason = iota + Unpublishable + 1 // too few different clients asked for it
	OverBudget                                   // other pages save more for the same processor time
	Late                                         // it cannot be rendered before its deadline
	reasonEnd
)

var reasonNames = [reasonEnd]string{
	Method: "method", Authorization: "authorization", BadPath: "bad path", BadQuery: "bad query",
	UnknownQuery: "unknown query", TooLong: "too long", Asset: "asset",
	Status: "status", Redirect: "redirect", SetCookie: "set-cookie", CacheControl: "cache-control", Vary: "vary",
	Marked: "marked", Differs: "differs", Truncated: "truncated", TooLarge: "too large", Slow: "slow",
	Unreachable: "unreachable", Unpublishable: "unpublishable",
	FewClients: "few clients", OverBudget: "over budget", Late: "late",
}

// String is a word or two in lower case, fit for a log and for the key of a counter.
func (r Reason) String() string {
	if r < reasonEnd {
		return reasonNames[r]
	}
	return "reason " + strconv.Itoa(int(r))
}

// MarshalText is String.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (r *Reason) UnmarshalText(text []byte) error {
	for reason, name := range reasonNames {
		if name == string(text) && name != "" {
			*r = Reason(reason)
			return nil
		}
	}
	return fmt.Errorf("staticify: %q is no reason", text)
}

// Refusal is the error for a request or a page that is answered by the origin, as ever.
// Use errors.As, and branch on its Reason.
type Refusal struct {
	Reason Reason
	Detail string // what was found: the parameter, the header, the status; may be empty
}

func (r *Refusal) Error() string {
	if r.Detail == "" {
		return "staticify: refused: " + r.Reason.String()
	}
	return "staticify: refused: " + r.Reason.String() + ": " + r.Detail
}

// Is reports whether target is a Refusal for the same Reason, whatever its Detail.
func (r *Refusal) Is(target error) bool {
	other, ok := target.(*Refusal)
	return ok && other.Reason == r.Reason && (other.Detail == "" || other.Detail == r.Detail)
}
