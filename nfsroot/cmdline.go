package nfsroot

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Param is one parameter of a command line.
type Param struct {
	// Name is what stands before the first "=", without quotes. Names are
	// compared as the kernel does: "-" equals "_".
	Name string
	// Value is what stands after it, without the quotes around it. It is ""
	// when HasValue is false.
	Value string
	// HasValue tells "name=" from "name".
	HasValue bool
}

// Cmdline is a kernel command line: its parameters in their order, repeats
// included. The parameter "--" ends the kernel's arguments; what follows it is
// init's. The zero value is an empty line.
//
// Its methods never change the line that they are called on: those that
// return a Cmdline return a new one.
type Cmdline []Param

// Limits of a command line in bytes, for [Cmdline.CheckLength]. The kernel's
// COMMAND_LINE_SIZE counts the NUL that ends it: the text is a byte shorter.
const (
	CommandLineSizeARM   = 1024 // arch/arm, the 32-bit kernels of a Pi
	CommandLineSizeARM64 = 2048 // arch/arm64, the 64-bit ones
	CommandLineSizeX86   = 2048 // arch/x86
	// FirmwareBudget is what a cmdline.txt can have on any Pi: the firmware
	// puts its own parameters before it into the CommandLineSizeARM of the
	// 32-bit kernels, about 300 bytes of them.
	FirmwareBudget = 700
)

// endOfKernel is the parameter behind which everything is init's.
var endOfKernel = Param{Name: "--"}

// ParseCmdline reads a command line exactly as the kernel's next_arg and
// parse_args do: `"` toggles quoting wherever it stands, nothing escapes, the
// first "=" but one in first place ends the name, and one `"` is removed at
// each end of a parameter and of a value. Blanks are those of the kernel's
// isspace, which has 0xa0 among them; the line ends with the first NUL. Every
// string is a command line.
func ParseCmdline(line string) Cmdline {
	line, _, _ = strings.Cut(line, "\x00")
	var c Cmdline
	for line = skipSpaces(line); line != ""; {
		var p Param
		p, line = nextArg(line)
		c = append(c, p)
	}
	return c
}

// nextArg reads the parameter that s, not empty, begins with, and returns what
// follows it and its blanks.
func nextArg(s string) (p Param, rest string) {
	quoted := s[0] == '"'
	if quoted {
		s = s[1:]
	}
	end, equals := scanArg(s, quoted)
	arg, rest := s[:end], skipSpaces(s[end:])

	closed := strings.HasSuffix(arg, `"`)
	if equals == 0 {
		if quoted && closed {
			arg = arg[:end-1]
		}
		return Param{Name: arg}, rest
	}
	p = Param{Name: arg[:equals], Value: arg[equals+1:], HasValue: true}
	opened := strings.HasPrefix(p.Value, `"`)
	if opened {
		p.Value = p.Value[1:]
	}
	if closed && (opened || quoted) {
		p.Value = strings.TrimSuffix(p.Value, `"`)
	}
	return p, rest
}

// scanArg returns where the argument at the start of s ends, and where its
// "=" is: 0 for none, and for the kernel one at 0 is none.
func scanArg(s string, inQuote bool) (end, equals int) {
	for i := range len(s) {
		switch c := s[i]; {
		case isSpace(c) && !inQuote:
			return i, equals
		case c == '=' && equals == 0:
			equals = i
		case c == '"':
			inQuote = !inQuote
		}
	}
	return len(s), equals
}

// isSpace is the kernel's isspace, by the table of lib/ctype.c.
func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' || c == 0xa0 }

func skipSpaces(s string) string {
	for s != "" && isSpace(s[0]) {
		s = s[1:]
	}
	return s
}

// Format writes the line with single blanks and only the quotes that it needs.
// Reading it again gives an equal Cmdline. A parameter that no text is read as
// is an error: one with a single `"` between two blanks, say, or with a "="
// inside its name.
func (c Cmdline) Format() (string, error) {
	words := make([]string, len(c))
	var errs []error
	for i, p := range c {
		word, ok := p.format(i == len(c)-1)
		if !ok {
			errs = append(errs, fmt.Errorf("nfsroot: parameter %d, %q: no command line can say it, because nothing escapes a quote among blanks, or a NUL", i+1, p.Name))
		}
		words[i] = word
	}
	if len(errs) > 0 {
		return "", errors.Join(errs...)
	}
	return strings.Join(words, " "), nil
}

// format writes the parameter so that the kernel reads it as it is. Reading
// removes at most three quotes, one in front of the parameter, one in front of
// its value and one at the end, so that a text exists if and only if one with
// some of these three is read back.
func (p Param) format(last bool) (string, bool) {
	if strings.Contains(p.Name+p.Value, "\x00") {
		return "", false
	}
	// In the order of preference: a, a="b c", "a=b c" and the odd ones.
	for _, quotes := range [][3]string{{"", "", ""}, {"", `"`, `"`}, {`"`, "", `"`}, {"", `"`, ""}, {`"`, "", ""}, {`"`, `"`, ""}, {`"`, `"`, `"`}} {
		if word := p.quoted(quotes); p.readAs(word+" x", "x") {
			return word, true
		}
		// A quote may stay open at the end of the line.
		if word := p.quoted(quotes); last && p.readAs(word, "") {
			return word, true
		}
	}
	return "", false
}

func (p Param) quoted(quotes [3]string) string {
	if !p.HasValue {
		return quotes[0] + p.Name + quotes[2]
	}
	return quotes[0] + p.Name + "=" + quotes[1] + p.Value + quotes[2]
}

// readAs reports whether the kernel reads the text as p, with that rest.
func (p Param) readAs(text, rest string) bool {
	if text == "" || isSpace(text[0]) {
		return false
	}
	got, left := nextArg(text)
	return got == p && left == rest
}

// String is Format for printing: a parameter that cannot be written is shown
// as a Go string.
func (c Cmdline) String() string {
	words := make([]string, len(c))
	for i, p := range c {
		word, ok := p.format(i == len(c)-1)
		if !ok {
			word = strconv.Quote(p.quoted([3]string{}))
		}
		words[i] = word
	}
	return strings.Join(words, " ")
}

// Get returns the value of the last parameter of that name among the kernel's,
// which is the one that counts where a parameter has one value. ok is false
// when there is none, and for a parameter without value the value is "".
func (c Cmdline) Get(name string) (value string, ok bool) {
	for _, p := range slices.Backward(c[:c.kernelEnd()]) {
		if sameName(p.Name, name) {
			return p.Value, true
		}
	}
	return "", false
}

// All returns every parameter of that name among the kernel's, in order.
func (c Cmdline) All(name string) []Param {
	var all []Param
	for _, p := range c[:c.kernelEnd()] {
		if sameName(p.Name, name) {
			all = append(all, p)
		}
	}
	return all
}

// Set gives the first parameter of that name the value, in its place, and
// deletes the others; without one it is added.
func (c Cmdline) Set(name, value string) Cmdline {
	set := Param{Name: name, Value: value, HasValue: true}
	first := slices.IndexFunc(c[:c.kernelEnd()], func(p Param) bool { return sameName(p.Name, name) })
	if first < 0 {
		return c.Add(set)
	}
	return slices.Concat(c[:first], Cmdline{set}, c[first+1:].Delete(name))
}

// Add puts parameters at the end of the kernel's, before a "--".
func (c Cmdline) Add(params ...Param) Cmdline {
	end := c.kernelEnd()
	return slices.Concat(c[:end], params, c[end:])
}

// Delete removes every parameter of that name from the kernel's.
func (c Cmdline) Delete(name string) Cmdline {
	end := c.kernelEnd()
	kept := slices.DeleteFunc(slices.Clone(c[:end]), func(p Param) bool { return sameName(p.Name, name) })
	return append(kept, c[end:]...)
}

// Split returns the kernel's parameters and, without the "--", those of init.
func (c Cmdline) Split() (kernel, init Cmdline) {
	end := c.kernelEnd()
	if end == len(c) {
		return slices.Clone(c), nil
	}
	return slices.Clone(c[:end]), slices.Clone(c[end+1:])
}

// kernelEnd returns where the kernel's parameters end.
func (c Cmdline) kernelEnd() int {
	if end := slices.Index(c, endOfKernel); end >= 0 {
		return end
	}
	return len(c)
}

// sameName compares as the kernel's parameq does.
func sameName(a, b string) bool {
	return strings.ReplaceAll(a, "-", "_") == strings.ReplaceAll(b, "-", "_")
}

// CheckLength returns an error when the line written by Format and the NUL
// after it need more than limit bytes.
func (c Cmdline) CheckLength(limit int) error {
	line, err := c.Format()
	if err != nil {
		return err
	}
	if size := len(line) + 1; size > limit {
		return fmt.Errorf("nfsroot: the command line needs %d bytes with the NUL at its end, and %d fit: shorten it by %d", size, limit, size-limit)
	}
	return nil
}
