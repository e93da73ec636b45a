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
	Plan     staticify.Plan     `cmd:"" help:"Tell from access logs which pages would be files, and what that would save. Changes nothing." example:"plan --log /var/log/nginx/access.log --svg plan.svg"`
	Once     staticify.Once     `cmd:"" help:"Read the logs, render what is due, and publish it." example:"once -n"`
	Run      staticify.Run      `cmd:"" help:"Keep the busy pages published, until stopped. SIGHUP reads the configuration again." example:"run --metrics [::1]:9634"`
	Purge    staticify.Purge    `cmd:"" help:"Stop serving pages as files at once, and have them rendered anew." example:"purge /downloads/"`
	Status   staticify.Status   `cmd:"" help:"Show which pages are files, how old they are, and why others are not. Exits with 3 when nothing runs." example:"status"`
	Config   staticify.Server   `cmd:"" help:"Print what the web server must include." example:"config nginx"`
	Simulate staticify.Simulate `cmd:"" help:"Show the hit ratio rise: a slow site, its visitors and a web server, all in this process." example:"simulate --duration 30s"`
}

func main() {
	cli.Program{Name: "staticify", Description: description, Grammar: &grammar{}}.Main()
}
