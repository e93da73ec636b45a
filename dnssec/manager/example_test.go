package manager_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/berryrack/berryrack/dnssec/manager"
	"github.com/berryrack/berryrack/dnssec/wire"
)

func ExampleManager_Do() {
	dir, _ := os.MkdirTemp("", "")
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "example.org.zone")
	_ = os.WriteFile(file, []byte("$TTL 300\n@ SOA ns host 1 7200 3600 1209600 300\n@ NS ns.example.net.\n"), 0o600)
	origin, _ := wire.ParseName("example.org")

	m := &manager.Manager{Dir: filepath.Join(dir, "state")}
	fmt.Println(m.Configure([]manager.Zone{{Origin: origin, File: file}}))
	fmt.Println(m.Do(context.Background(), origin, manager.Order{Signed: true}))
	status, _ := m.Status(origin)
	fmt.Println("serial", status.Serial, "with", len(status.State.Keys), "keys, DS records to lodge later:", len(status.DS))
	// Output:
	// <nil>
	// <nil>
	// serial 2 with 2 keys, DS records to lodge later: 1
}
