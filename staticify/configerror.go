package staticify

import (
	"fmt"
	"strings"
)

// ConfigError is a configuration that a web server's own test, or the command that reloads it, did not accept.
type ConfigError struct {
	Command []string // that refused it, with its arguments
	Output  string   // what the command printed
	Foreign bool     // it refuses the configuration without our change too
	Err     error    // how it ended
}

func (e *ConfigError) Error() string {
	whose := "our change was taken back"
	if e.Foreign {
		whose = "it refuses its configuration without our change too, which was taken back"
	}
	return fmt.Sprintf("staticify: %s: %v; %s: %s", strings.Join(e.Command, " "), e.Err, whose, strings.TrimSpace(e.Output))
}

func (e *ConfigError) Unwrap() error { return e.Err }
