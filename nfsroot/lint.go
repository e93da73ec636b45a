package nfsroot

// Finding is something on a command line that will not work, or not as it reads.
type Finding struct {
	// Rule names the kind of finding, for programs; see [Lint].
	Rule string
	// Dialect is who trips over it.
	Dialect Dialect
	// Param is the parameter's name as written, "" for the whole line.
	Param string
	// Problem says what happens, why, and what to write instead.
	Problem string
}

// String returns one line: dialect, parameter, problem and rule.
func (f Finding) String() string { return "" }

// Lint returns what will not work on the line, for whom and why; for the
// kernel when no dialect is given.
func Lint(c Cmdline, dialects ...Dialect) []Finding { return nil }
