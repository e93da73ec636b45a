package includedir_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/berryrack/berryrack/munin"
	"github.com/berryrack/berryrack/munin/includedir"
)

func ExampleDir_Sync() {
	path, err := os.MkdirTemp("", "munin-conf.d")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(path)
	dir := includedir.Dir{Path: path}
	m := &munin.Master{Hosts: []munin.Host{{Group: "web", Name: "fenrir", Address: munin.NameAddress("fenrir.example.org")}}}
	for range 2 {
		plan, err := dir.Sync(context.Background(), m)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, step := range plan.Steps {
			fmt.Println(filepath.Base(step.Path), step.Changes)
		}
	}
	_, err = dir.Sync(context.Background(), &munin.Master{})
	fmt.Println(err)
	// Output:
	// berryrack-web.conf [web;fenrir: added web;fenrir: address: fenrir.example.org]
	// includedir: the inventory is empty, and 1 hosts would leave: remove the files by hand if that is meant
}
