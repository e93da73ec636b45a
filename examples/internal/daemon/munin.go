package daemon

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/berryrack/berryrack/munin/node"
)

// munin serves the figures as a node that calls itself as the machine does, as
// far as munin takes the name.
func (s Service) munin(ctx context.Context, group *errgroup.Group, addr string) error {
	machine, err := os.Hostname()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	s.Logger.Info("serving", "munin", listener.Addr().String())
	server := node.Server{Name: nodeName(machine), Logger: s.Logger, Plugins: []node.Plugin{{
		Name: "figures", Multigraph: true,
		Graphs: func(context.Context) ([]node.Graph, error) {
			if s.Figures == nil {
				return nil, nil
			}
			return graphs(s.Figures()), nil
		},
	}}}
	group.Go(func() error { return server.Serve(ctx, listener) })
	return nil
}

// nodeName is the machine's name as munin takes it: with hyphens for all but
// letters, digits and dots.
func nodeName(machine string) string {
	name := strings.Map(func(r rune) rune {
		if wordRune(r) == r && r != '_' || r == '.' {
			return r
		}
		return '-'
	}, machine)
	if name = strings.Trim(name, "-."); name == "" {
		return "localhost"
	}
	return name
}

// graphs makes a graph of each name, with a field for each set of labels.
func graphs(figures []Figure) []node.Graph {
	var list []node.Graph
	index := map[string]int{}
	for _, f := range figures {
		i, ok := index[f.Name]
		if !ok {
			i = len(list)
			index[f.Name] = i
			category, _, _ := strings.Cut(f.Name, "_")
			list = append(list, node.Graph{Name: f.Name, Attributes: []node.Attribute{
				{Key: "graph_title", Value: f.Name + ": " + f.Help}, {Key: "graph_category", Value: category},
			}})
		}
		list[i].Fields = append(list[i].Fields, field(f, list[i].Fields))
	}
	return list
}

// field is a figure in its graph, under a name that the others do not have.
func field(f Figure, others []node.Field) node.Field {
	label, name := "value", "value"
	if len(f.Labels) > 0 {
		var values []string
		for _, key := range slices.Sorted(maps.Keys(f.Labels)) {
			values = append(values, f.Labels[key])
		}
		label = strings.Join(values, " ")
		name = "_" + strings.Map(wordRune, label)
	}
	unique := name
	for n := 2; slices.ContainsFunc(others, func(o node.Field) bool { return o.Name == unique }); n++ {
		unique = fmt.Sprintf("%s_%d", name, n)
	}
	if label = strings.Join(strings.Fields(label), " "); label == "" {
		label = name
	}
	attributes := []node.Attribute{{Key: "label", Value: label}}
	if f.Counter {
		attributes = append(attributes, node.Attribute{Key: "type", Value: "DERIVE"}, node.Attribute{Key: "min", Value: "0"})
	}
	return node.Field{Name: unique, Attributes: attributes, Values: node.Now(f.Value)}
}

// wordRune keeps what may be in a field's name.
func wordRune(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
		return r
	}
	return '_'
}
