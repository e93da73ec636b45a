package poe_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/berryrack/berryrack/poe"
	"github.com/berryrack/berryrack/poe/poetest"
)

func ExampleController_Cycle() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	journal, err := poe.OpenJournal(filepath.Join(dir, "sw1.json"))
	if err != nil {
		panic(err)
	}
	defer journal.Close()

	pi1 := poe.PortID{Group: 1, Port: 1}
	sw := poetest.New(poetest.Config{Ports: 8}) // or a real one's backend
	sw1 := poe.Controller{
		PSE:     sw,
		Guard:   poe.Guard{Ports: map[poe.PortID]poe.Port{pi1: {Name: "pi1", Up: sw.Up(pi1)}}},
		Journal: journal,
		Hold:    10 * time.Millisecond,
	}
	ctx := context.Background()
	report, err := sw1.Cycle(ctx, pi1)
	fmt.Println(report.Name, report.After.Detection, err)
	_, err = sw1.Cycle(ctx, pi1)
	fmt.Println(errors.Is(err, poe.ErrCooldown))
	_, err = sw1.Cycle(ctx, poe.PortID{Group: 1, Port: 8})
	fmt.Println(err)
	// Output:
	// pi1 deliveringPower <nil>
	// true
	// poe: port 1.8: port is not on the guard's list
}

func ExampleWatch() {
	sw := poetest.New(poetest.Config{Ports: 4})
	for now, err := range poe.Watch(context.Background(), sw, time.Minute) {
		fmt.Printf("%.1f W on %d ports, %v\n", now.Watts(), len(now.Ports), err)
		break
	}
	// Output: 12.8 W on 4 ports, <nil>
}
