// Command rootbench runs one function of package rootfs, for testdata/bench/run.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/berryrack/berryrack/nfsroot/rootfs"
)

func main() {
	if err := run(context.Background(), os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run clones or syncs a golden tree to directories.
func run(ctx context.Context, what, golden string, dirs []string) error {
	var roots []rootfs.Root
	for _, dir := range dirs {
		roots = append(roots, rootfs.Root{Dir: dir})
	}
	if what == "clone" {
		return rootfs.Clone(ctx, golden, roots, nil)
	}
	plans, err := rootfs.PlanSync(ctx, golden, roots)
	if err != nil {
		return err
	}
	for _, plan := range plans {
		fmt.Fprintln(os.Stderr, plan.Root.Dir+":", plan.Counts())
	}
	return rootfs.Apply(ctx, plans, nil)
}
