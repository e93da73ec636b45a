package wire

import (
	"bytes"
	"errors"
)

var (
	errParenthesis = errors.New("parenthesis is not closed")
	errNotOpened   = errors.New("closing parenthesis without an opening one")
	errQuote       = errors.New("quote is not closed on its line")
)

// Word is a word of a master file: its escapes as they stand, without its quotes.
type Word struct {
	Text   []byte // with its escapes
	Quoted bool   // it stood in quotes
	// Joined says that no blank sets it off from the word before.
	Joined bool
}

// Scanner splits a master file (RFC 1035 section 5.1) into entries, which end
// with their line unless parentheses hold them open.
type Scanner struct {
	Text []byte // the whole file
	at   int
	// Line is the number of the line that comes next; the first one's when it starts.
	Line int

	// The entry: its words, its first line, and whether it leaves out its owner.
	Words []Word
	First int  // number of the entry's first line
	Blank bool // the entry begins with a blank: its owner is that of the one before
}

// Next reads the next entry, and reports false at the end. After an error it
// goes on with the line that follows.
func (s *Scanner) Next() (bool, error) {
	s.Words, s.Blank, s.First = s.Words[:0], false, s.Line
	depth := 0
	for s.at < len(s.Text) {
		switch c := s.Text[s.at]; c {
		case '\n':
			s.at++
			s.Line++
			if depth == 0 {
				if len(s.Words) > 0 {
					return true, nil
				}
				s.Blank, s.First = false, s.Line
			}
		case ' ', '\t', '\r':
			if len(s.Words) == 0 && depth == 0 && (s.at == 0 || s.Text[s.at-1] == '\n') {
				s.Blank = true
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
			if len(s.Words) == 0 {
				s.First = s.Line
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
	return len(s.Words) > 0, nil
}

func (s *Scanner) skipLine() {
	if n := bytes.IndexByte(s.Text[s.at:], '\n'); n >= 0 {
		s.at += n
		return
	}
	s.at = len(s.Text)
}

// wordEnd is the octets that end a word without quotes.
var wordEnd = [256]bool{' ': true, '\t': true, '\r': true, '\n': true, ';': true, '(': true, ')': true, '"': true}

func (s *Scanner) word(quoted bool) error {
	joined := s.at > 0 && !wordEnd[s.Text[s.at-1]] || s.at > 0 && s.Text[s.at-1] == '"'
	if quoted {
		s.at++
	}
	start := s.at
	for s.at < len(s.Text) {
		c := s.Text[s.at]
		switch {
		case c == '\\' && s.at+1 < len(s.Text) && s.Text[s.at+1] != '\n':
			s.at++
		case quoted && c == '"':
			s.Words = append(s.Words, Word{s.Text[start:s.at], true, joined})
			s.at++
			return nil
		case quoted && c == '\n':
			return errQuote
		case !quoted && wordEnd[c]:
			s.Words = append(s.Words, Word{s.Text[start:s.at], false, joined})
			return nil
		}
		s.at++
	}
	if quoted {
		return errQuote
	}
	s.Words = append(s.Words, Word{s.Text[start:s.at], false, joined})
	return nil
}
