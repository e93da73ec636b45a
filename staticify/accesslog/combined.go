package accesslog

import "bytes"

// combined reads a line in the format combined, without escapes and with no user, as nearly all lines of nearly all logs
// are. It returns false for any that it does not know at once, a value of a single "-" too, and leaves those to the
// format's steps, which say what is right and take twice as long.
func (p *parser) combined(line []byte) bool {
	h := &p.hit
	const after = len(" - - [") + localSize + len(`] "`)
	client, n := leadingAddr(line)
	if line = line[n:]; n == 0 || len(line) < after || string(line[:6]) != " - - [" || string(line[after-3:after]) != `] "` {
		return false
	}
	if !p.setTime(timeLocal, line[6:6+localSize]) {
		return false
	}
	line = line[after:]
	end := bytes.IndexByte(line, '"')
	if end < 2 || len(line) < end+6 || line[end+1] != ' ' || line[end+5] != ' ' {
		return false
	}
	h.Client, h.User = client, nil
	h.Method, h.Target = splitRequest(line[:end])
	if h.Status, n = leadingStatus(line[end+2:]); n == 0 {
		return false
	}
	line = line[end+6:]
	h.Bytes, n = leadingDigits(line)
	if n == 0 || len(line) < n+2 || line[n] != ' ' || line[n+1] != '"' {
		return false
	}
	line = line[n+2:]
	end = 1 // of the referrer: often there is none
	if len(line) < 2 || line[1] != '"' || line[0] == '"' {
		end = bytes.IndexByte(line, '"')
	}
	if end < 0 || len(line) < end+3 || line[end+1] != ' ' || line[end+2] != '"' {
		return false
	}
	line = line[end+3:]
	end = bytes.IndexByte(line, '"')
	if end < 2 || end+1 < len(line) && line[end+1] != ' ' {
		return false
	}
	h.UserAgent = line[:end]
	return true
}
