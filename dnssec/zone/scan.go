package zone

import (
	"bytes"
	"errors"
)

var (
	errParenthesis = errors.New("parenthesis is not closed")
	errNotOpened   = errors.New("closing parenthesis without an opening one")
	errQuote       = errors.New("quote is not closed on its line")
)

// token is a word of a master file, its escapes as they stand.
type token struct {
	text   []byte
	quoted bool
	// joined says that no blank sets it off from the word before.
	joined bool
}

// scanner splits a master file (RFC 1035 section 5.1) into entries, which end
// with their line unless parentheses hold them open.
type scanner struct {
	text []byte
	at   int
	// line is the line at, counted from 1.
	line int

	// The entry: its words, its first line, and whether it leaves out its owner.
	tokens []token
	first  int
	blank  bool
}

// next reads the next entry, and reports false at the end. After an error it
// goes on with the line that follows.
func (s *scanner) next() (bool, error) {
	s.tokens, s.blank, s.first = s.tokens[:0], false, s.line
	depth := 0
	for s.at < len(s.text) {
		switch c := s.text[s.at]; c {
		case '\n':
			s.at++
			s.line++
			if depth == 0 {
				if len(s.tokens) > 0 {
					return true, nil
				}
				s.blank, s.first = false, s.line
			}
		case ' ', '\t', '\r':
			if len(s.tokens) == 0 && depth == 0 && (s.at == 0 || s.text[s.at-1] == '\n') {
				s.blank = true
			}
			s.at++
		case ';':
			s.skipLine()
		case '(':
			depth++
			s.at++
		case ')':
			if depth--; depth < 0 {
				s.skipLine()
				return true, errNotOpened
			}
			s.at++
		default:
			if len(s.tokens) == 0 {
				s.first = s.line
			}
			if err := s.word(c == '"'); err != nil {
				s.skipLine()
				return true, err
			}
		}
	}
	if depth > 0 {
		return true, errParenthesis
	}
	return len(s.tokens) > 0, nil
}

func (s *scanner) skipLine() {
	if n := bytes.IndexByte(s.text[s.at:], '\n'); n >= 0 {
		s.at += n
		return
	}
	s.at = len(s.text)
}

// wordEnd is the octets that end a word without quotes.
var wordEnd = [256]bool{' ': true, '\t': true, '\r': true, '\n': true, ';': true, '(': true, ')': true, '"': true}

func (s *scanner) word(quoted bool) error {
	joined := s.at > 0 && !wordEnd[s.text[s.at-1]] || s.at > 0 && s.text[s.at-1] == '"'
	if quoted {
		s.at++
	}
	start := s.at
	for s.at < len(s.text) {
		c := s.text[s.at]
		switch {
		case c == '\\' && s.at+1 < len(s.text) && s.text[s.at+1] != '\n':
			s.at++
		case quoted && c == '"':
			s.tokens = append(s.tokens, token{s.text[start:s.at], true, joined})
			s.at++
			return nil
		case quoted && c == '\n':
			return errQuote
		case !quoted && wordEnd[c]:
			s.tokens = append(s.tokens, token{s.text[start:s.at], false, joined})
			return nil
		}
		s.at++
	}
	if quoted {
		return errQuote
	}
	s.tokens = append(s.tokens, token{s.text[start:s.at], false, joined})
	return nil
}
