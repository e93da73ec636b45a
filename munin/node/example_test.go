package node_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"github.com/berryrack/berryrack/munin/node"
)

func ExampleConf_Merge() {
	conf := node.Conf{Masters: []netip.Addr{netip.MustParseAddr("2A00:1098:0:82:1000:0:39:1")}}
	merged, err := conf.Merge([]byte("log_level 4\nhost *\nport 4949\n"))
	if err != nil {
		fmt.Println(err)
	}
	fmt.Printf("%s", merged)
	// Output:
	// log_level 4
	// host *
	// port 4949
	// # berryrack: the masters
	// allow ^2a00:1098:0:82:1000:0:39:1$
	// # berryrack: end
}

func ExampleServer() {
	heat := func(context.Context) ([]node.Graph, error) {
		return []node.Graph{{
			Name:       "heat",
			Attributes: []node.Attribute{{Key: "graph_title", Value: "Heat"}},
			Fields:     []node.Field{{Name: "board", Attributes: []node.Attribute{{Key: "label", Value: "Board"}}, Values: node.Now(42.5)}},
		}}, nil
	}
	s := node.Server{Name: "pi1.example.org", Plugins: []node.Plugin{{Name: "heat", Graphs: heat}}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, listener) }()

	client, err := node.Dial(ctx, listener.Addr().String(), node.Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	graphs, err := client.Fetch(ctx, "heat")
	fmt.Println(client.Name(), graphs[0].Fields[0].Name, graphs[0].Fields[0].Values[0], err)
	client.Close()
	stop()
	fmt.Println(<-ended)
	// Output:
	// pi1.example.org board 42.5 <nil>
	// <nil>
}

func ExampleEstimateRound() {
	reports, err := (&node.Prober{}).Probe(context.Background(), nil)
	fmt.Println(node.EstimateRound(reports, 0).Fits, err)
	// Output:
	// true <nil>
}
