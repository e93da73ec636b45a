package rootfs_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/berryrack/berryrack/nfsroot/rootfs"
)

// goldenTree makes a tree and a directory for roots.
func goldenTree() (golden, export string, remove func()) {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	golden, export = filepath.Join(dir, "golden"), filepath.Join(dir, "export")
	for _, d := range []string{filepath.Join(golden, "etc"), export} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			panic(err)
		}
	}
	for name, data := range map[string]string{"etc/hostname": "raspberrypi\n", "etc/motd": "hello\n"} {
		if err := os.WriteFile(filepath.Join(golden, name), []byte(data), 0o644); err != nil {
			panic(err)
		}
	}
	return golden, export, func() { os.RemoveAll(dir) }
}

func Example() {
	golden, export, remove := goldenTree()
	defer remove()
	ctx := context.Background()
	roots := []rootfs.Root{
		{Dir: filepath.Join(export, "pi1"), Identity: rootfs.Identity{Hostname: "pi1"}},
		{Dir: filepath.Join(export, "pi2"), Identity: rootfs.Identity{Hostname: "pi2"}},
	}
	if err := rootfs.Clone(ctx, golden, roots, nil); err != nil {
		fmt.Println(err)
		return
	}
	os.WriteFile(filepath.Join(golden, "etc/motd"), []byte("welcome\n"), 0o644)
	plans, err := rootfs.PlanSync(ctx, golden, roots)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, plan := range plans {
		fmt.Println(filepath.Base(plan.Root.Dir), plan.Changes, plan.Counts())
	}
	if err := rootfs.Apply(ctx, plans, nil); err != nil {
		fmt.Println(err)
		return
	}
	name, _ := os.ReadFile(filepath.Join(roots[1].Dir, "etc/hostname"))
	motd, _ := os.ReadFile(filepath.Join(roots[1].Dir, "etc/motd"))
	fmt.Printf("%s%s", name, motd)
	// Output:
	// pi1 [replace etc/motd] 0 new, 1 replaced, 0 metadata, 0 deleted, 8 bytes to write
	// pi2 [replace etc/motd] 0 new, 1 replaced, 0 metadata, 0 deleted, 8 bytes to write
	// pi2
	// welcome
}

func ExamplePersonalise() {
	golden, _, remove := goldenTree()
	defer remove()
	for range 2 {
		edits, err := rootfs.Personalise(context.Background(), golden, rootfs.Identity{Hostname: "pi1"})
		fmt.Println(edits, err)
	}
	// Output:
	// [etc/hostname: hostname pi1 etc/hosts: 127.0.1.1 is pi1] <nil>
	// [] <nil>
}

func ExampleRebuildSteps() {
	off := func(context.Context) error { return nil }
	for _, step := range rootfs.RebuildSteps("/srv/golden", rootfs.Root{Dir: "/export/pi1"}, rootfs.Machine{PowerOff: off, PowerOn: off}) {
		fmt.Println(step)
	}
	// Output:
	// copy /srv/golden beside /export/pi1
	// power off
	// swap /export/pi1, keep the former root
	// power on
}
