package nfsroot

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

// ParseCmdline reads a command line exactly as the kernel's next_arg and
// parse_args do: `"` toggles quoting wherever it stands, nothing escapes, the
// first "=" but one in first place ends the name, and one `"` is removed at
// each end of a parameter and of a value. Blanks are those of the kernel's
// isspace, which has 0xa0 among them; the line ends with the first NUL. Every
// string is a command line.
func ParseCmdline(line string) Cmdline { return nil }

// Format writes the line with single blanks and only the quotes that it needs.
// Reading it again gives an equal Cmdline. Parameters that no text reads as
// are errors: some of those that hold both blanks and `"`.
func (c Cmdline) Format() (string, error) { return "", nil }

// String is Format for printing: a parameter that cannot be written is shown
// as a Go string.
func (c Cmdline) String() string { return "" }

// Get returns the value of the last parameter of that name among the kernel's,
// which is the one that counts where a parameter has one value. ok is false
// when there is none, and for a parameter without value the value is "".
func (c Cmdline) Get(name string) (value string, ok bool) { return "", false }

// All returns every parameter of that name among the kernel's, in order.
func (c Cmdline) All(name string) []Param { return nil }

// Set gives the first parameter of that name the value, in its place, and
// deletes the others; without one it is added.
func (c Cmdline) Set(name, value string) Cmdline { return nil }

// Add puts parameters at the end of the kernel's, before a "--".
func (c Cmdline) Add(params ...Param) Cmdline { return nil }

// Delete removes every parameter of that name from the kernel's.
func (c Cmdline) Delete(name string) Cmdline { return nil }

// Split returns the kernel's parameters and, without the "--", those of init.
func (c Cmdline) Split() (kernel, init Cmdline) { return nil, nil }

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

// CheckLength returns an error when the line written by Format and the NUL
// after it need more than limit bytes.
func (c Cmdline) CheckLength(limit int) error { return nil }
