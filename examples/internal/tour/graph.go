package tour

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/berryrack/berryrack/munin"
	"github.com/berryrack/berryrack/munin/node"
)

// graphItself writes munin.conf, and serves how long the stops took as a node.
func graphItself(ctx context.Context, t *Tour) (result, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return result{}, err
	}
	address := netip.MustParseAddrPort(listener.Addr().String())
	// shown:
	host := munin.Host{Group: "tour", Name: "tour.example.org", Address: munin.IPAddress(address.Addr()), Port: address.Port()}
	master := munin.Master{Hosts: []munin.Host{host}}
	conf, err := master.AppendText(nil)
	server := node.Server{Name: "tour.example.org", Plugins: []node.Plugin{{Name: "stops", Graphs: t.graphs}}}
	// until here
	if err != nil {
		return result{}, err
	}
	end := background(ctx, func(ctx context.Context) error { return server.Serve(ctx, listener) })
	defer end()
	values, err := collect(ctx, listener.Addr().String())
	if err != nil {
		return result{}, err
	}
	return result{
		facts: []string{
			"munin.conf:\n" + strings.TrimSpace(string(conf)),
			"collected from the node, as munin does: " + strings.Join(values, ", "),
		},
		picture: bars(t.done),
		caption: "How long each stop took, in milliseconds.",
	}, nil
}

// graphs is a plugin: how long each stop took.
func (t *Tour) graphs(context.Context) ([]node.Graph, error) {
	graph := node.Graph{Name: "stops", Attributes: []node.Attribute{
		{Key: "graph_title", Value: "Stops of the tour"}, {Key: "graph_vlabel", Value: "seconds"}, {Key: "graph_category", Value: "tour"},
	}}
	for _, r := range t.done {
		graph.Fields = append(graph.Fields, node.Field{
			Name: r.Name, Attributes: []node.Attribute{{Key: "label", Value: r.Name}}, Values: node.Now(r.Took.Seconds()),
		})
	}
	return []node.Graph{graph}, nil
}

// collect asks the node for its values, as a master does.
func collect(ctx context.Context, address string) ([]string, error) {
	client, err := node.Dial(ctx, address, node.Limits{})
	if err != nil {
		return nil, err
	}
	defer client.Close()
	graphs, err := client.Fetch(ctx, "stops")
	if err != nil {
		return nil, err
	}
	var values []string
	for _, f := range graphs[0].Fields {
		values = append(values, fmt.Sprintf("%s %.3f s", f.Name, f.Values[0].Number))
	}
	return values, nil
}
