// Package cli is what the example programs have in common on the command line:
// exit statuses, version, signals, where configuration and secrets are found.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"
)

// The exit statuses of every program.
const (
	Done      = 0
	Failed    = 1
	Usage     = 2 // or configuration
	Different = 3 // differences found, or not yet safe
)

// ErrDifferent is returned by a command that has printed differences, or why
// something is not yet safe.
var ErrDifferent = errors.New("differences found")

// UsageError is a mistake in the arguments or the configuration.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }

// Streams are what a command prints to: answers to Out, diagnostics to Err.
type Streams struct{ Out, Err io.Writer }

// Flags are those of every program; its grammar embeds them.
type Flags struct {
	Version kong.VersionFlag `help:"Print the version and exit."`
}

// Program is a program's name and its grammar: a pointer to a kong struct
// whose commands have a tag example, and a method Run(context.Context, Streams) error.
type Program struct {
	Name        string
	Description string // ends with an example
	Grammar     any
}

// Main runs the program as a process: on its arguments, until SIGINT or SIGTERM.
// A second signal kills it, whatever it waits for.
func (p Program) Main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(p.Run(ctx, os.Args[1:], Streams{os.Stdout, os.Stderr}))
}

// exit carries a status out of kong, which wants its Exit not to return.
type exit int

// Run runs the command that args name and returns the exit status.
func (p Program) Run(ctx context.Context, args []string, std Streams) (status int) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case exit:
			status = int(r)
		default:
			panic(r)
		}
	}()
	parser, err := kong.New(p.Grammar,
		kong.Name(p.Name), kong.Description(p.Description), kong.Vars{"version": version()},
		kong.Writers(std.Out, std.Err), kong.Exit(func(code int) { panic(exit(code)) }),
		kong.UsageOnError(), kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(std))
	if err == nil {
		err = p.examples(parser.Model.Node)
	}
	if err != nil {
		panic(err) // a mistake in the grammar
	}
	command, err := parser.Parse(args)
	if err != nil {
		err = &UsageError{fmt.Errorf("%w (see %s --help)", err, p.Name)}
	} else {
		err = command.Run()
	}
	return p.status(err, std.Err)
}

// examples has the help of each command end with its example: what follows the
// program's name, in the tag of that name.
func (p Program) examples(node *kong.Node) error {
	for _, child := range node.Children {
		if err := p.examples(child); err != nil {
			return err
		}
	}
	if node.Type != kong.CommandNode || node.Hidden || len(node.Children) > 0 {
		return nil
	}
	example := node.Tag.Get("example")
	if example == "" {
		return fmt.Errorf("%s has no example", node.FullPath())
	}
	node.Detail = "Example: " + p.Name + " " + example
	return nil
}

// status reports err and returns the exit status that it means.
func (p Program) status(err error, stderr io.Writer) int {
	if err == nil {
		return Done
	}
	if errors.Is(err, ErrDifferent) {
		return Different
	}
	fmt.Fprintf(stderr, "%s: %v\n", p.Name, err)
	if usage := (*UsageError)(nil); errors.As(err, &usage) {
		return Usage
	}
	return Failed
}

// IsTerminal reports whether w is a file that is a terminal.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// version tells what the go command recorded of the build.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	text := info.Main.Version
	if text == "" {
		text = "(devel)"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			text += " " + s.Value
		}
	}
	return text + " " + info.GoVersion
}
