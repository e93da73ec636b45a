//go:build unix

package command_test

import (
	"context"
	"fmt"

	"github.com/berryrack/berryrack/poe/command"
)

func Example() {
	pse := &command.PSE{Argv: []string{"sh", "-c", `echo '{"ports": [{"port": "1.1", "admin": "enabled", "watts": 3.2}]}'`, "sh"}}
	ports, err := pse.Status(context.Background())
	fmt.Println(ports, err)
	// Output: [1.1 enabled, unknown, 3.2 W] <nil>
}
