// Staticify makes files of a site's busy pages, never older than 60 seconds.
package main

import (
	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/examples/internal/staticify"
)

const description = `Makes files of a site's busy pages, never older than 60 seconds, and has the web server send them.

Example: staticify plan --log /var/log/nginx/access.log --svg plan.svg`

type grammar struct {
	cli.Flags
	staticify.Source
	Plan     staticify.Plan     `cmd:"" help:"Tell from access logs which pages would be files, and what that would save. Changes nothing."`
	Simulate staticify.Simulate `cmd:"" help:"Show the hit ratio rise: a slow site, its visitors and a web server, all in this process."`
}

func main() {
	cli.Program{Name: "staticify", Description: description, Grammar: &grammar{}}.Main()
}
