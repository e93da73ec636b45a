package staticify

import (
	"fmt"

	"github.com/alecthomas/kong"

	"github.com/berryrack/berryrack/examples/internal/cli"
)

// Source is the flags that say which site it is. They may stand before or after
// a command.
type Source struct {
	File  string `short:"f" placeholder:"staticify.yaml" help:"The site. Without it: /etc/berryrack/staticify.yaml."`
	State string `placeholder:"DIR" default:"/var/lib/berryrack/staticify" help:"Where places in logs and counts are kept (${default})."`
}

// AfterApply hands the flags to the command.
func (s *Source) AfterApply(c *kong.Context) error {
	c.Bind(s)
	return nil
}

// Config reads the configuration. It is nil when no file is named and none is
// there.
func (s *Source) Config() (*Config, error) {
	name, data, err := cli.ConfigFile("staticify", s.File, nil)
	if err != nil || data == nil && s.File == "" {
		return nil, err
	}
	c, err := Parse(name, data)
	if err != nil {
		return nil, &cli.UsageError{Err: err}
	}
	return c, nil
}

// MustConfig is Config for commands that can do nothing without one.
func (s *Source) MustConfig() (*Config, error) {
	c, err := s.Config()
	if c == nil && err == nil {
		err = &cli.UsageError{Err: fmt.Errorf("no configuration: name one with -f, or write /etc/berryrack/staticify.yaml; `staticify plan --log FILE` and `staticify simulate` need none")}
	}
	return c, err
}
