// Day is a day in the life of a rack, in a few minutes: visitors come through
// the frontend while its servers are changed below them, and one Pi is hostile.
// It needs what pirack boot needs. What it saw is in a report, with a graph.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	d := &day{}
	flag.StringVar(&d.out, "out", "day-report", "where the report goes")
	flag.IntVar(&d.visitors.number, "connections", 3000, "how many visitors there are at a time, each with a connection")
	flag.Float64Var(&d.visitors.rate, "rate", 400, "requests a second")
	flag.DurationVar(&d.visitors.stay, "stay", 40*time.Second, "how long a visitor stays, on average")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := d.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "day:", err)
		os.Exit(1)
	}
}

// run lives through the day and writes the report. It fails when a visitor had
// an error, or the hostile Pi could do what it must not.
func (d *day) run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "day")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	d.dir, d.state, d.golden = dir, filepath.Join(dir, "state"), filepath.Join(dir, "golden")
	d.began = time.Now()
	ctx, cancel := context.WithCancel(ctx)
	defer d.stop()
	defer cancel() // visitors leave first
	d.visiting, d.endVisits = context.WithCancel(ctx)
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"building the programs", d.build},
		{"certificate", d.certify},
		{"booting the rack", d.boot},
		{"the zone is signed, and unbound validates it", d.sign},
		{"the old server and the frontend", d.serve},
		{"visitors come", d.open},
		{"pi7 turns hostile", d.attack},
		{"one SIGHUP: eight Pis in, the old server out", d.move},
		{"pi3 is power cycled", d.cycle},
		{"pi5 gets a new root", d.rebuild},
		{"the certificate is renewed, and brought to the Pis", d.renew},
		{"the zone's ZSK is rolled over", d.roll},
		{"the end of the day", d.close},
	} {
		began := time.Now()
		d.mark(step.name)
		if err := step.do(ctx); err != nil {
			said, _ := os.ReadFile(filepath.Join(d.dir, "frontend.log"))
			return fmt.Errorf("%s: %w\nthe frontend said:\n%s", step.name, err, said)
		}
		d.events[len(d.events)-1].took = time.Since(began)
		fmt.Printf("%6.1f s  %s (%.1f s)\n", time.Since(d.began).Seconds(), step.name, time.Since(began).Seconds())
	}
	return d.report()
}
