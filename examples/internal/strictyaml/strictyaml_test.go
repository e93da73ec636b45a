package strictyaml

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type rack struct {
	Pool  netip.Prefix      `yaml:"pool"`
	First int               `yaml:"first"`
	Hold  time.Duration     `yaml:"hold"`
	On    *bool             `yaml:"on"`
	Load  float64           `yaml:"load"`
	Names []string          `yaml:"names"`
	Ports map[string]port   `yaml:"ports"`
	Extra map[string]string `yaml:"extra"`
	VLAN  uint16            `yaml:"vlan"`
}

type port struct {
	Port string `yaml:"port"`
}

func TestDecode(t *testing.T) {
	var r rack
	_, err := Decode("rack.yaml", []byte(`
# a comment
pool: 10.0.0.0/24
first: 10
hold: 5s
on: true
load: 0.5
names: &names [a, "b c", 12]
ports: {pi1: {port: 1.10}}
extra:
  text: |
    two
    lines
`), &r)
	require.NoError(t, err)
	on := true
	require.Equal(t, rack{
		Pool: netip.MustParsePrefix("10.0.0.0/24"), First: 10, Hold: 5 * time.Second, On: &on, Load: 0.5,
		Names: []string{"a", "b c", "12"},
		Ports: map[string]port{"pi1": {"1.10"}},
		Extra: map[string]string{"text": "two\nlines\n"},
	}, r)
}

func TestDecodeReportsEverythingAtOnce(t *testing.T) {
	var r rack
	_, err := Decode("rack.yaml", []byte(`pool: 10.0.0.0
first: many
hold: 5
on: maybe
names: one
ports: [a]
vlan: 70000
colour: red
first: 11
extra: {a: [1]}
`), &r)
	require.EqualError(t, err, `rack.yaml:1:7: pool: netip.ParsePrefix("10.0.0.0"): no '/'
rack.yaml:2:8: first: want a whole number, not "many"
rack.yaml:3:7: hold: want a duration such as 5s, not "5"
rack.yaml:4:5: on: want true or false, not "maybe"
rack.yaml:5:8: names: want a list, not "one"
rack.yaml:6:8: ports: want keys and values, not a list
rack.yaml:7:7: vlan: want a whole number, not "70000"
rack.yaml:8:1: unknown key "colour"; known are pool, first, hold, on, load, names, ports, extra, vlan
rack.yaml:9:1: key "first" is given twice
rack.yaml:10:12: extra.a: want text, not a list`)
}

func TestErrorf(t *testing.T) {
	var r rack
	d, err := Decode("rack.yaml", []byte("first: 1\nports:\n  pi1: {port: x}\n"), &r)
	require.NoError(t, err)
	require.EqualError(t, d.Errorf("ports.pi1.port", "no such port"), "rack.yaml:3:15: ports.pi1.port: no such port")
	require.EqualError(t, d.Errorf("ports.pi1.mac", "missing"), "rack.yaml:3:8: ports.pi1.mac: missing")
	require.EqualError(t, d.Errorf("names[3]", "missing"), "rack.yaml:1:1: names[3]: missing")
}

func TestRead(t *testing.T) {
	var r rack
	d, err := Decode("x", []byte("first: many\nports: [a]\nnames: [b]\n"), &r)
	require.Error(t, err)
	require.False(t, d.Read("first"))
	require.False(t, d.Read("ports.pi1.port"))
	require.True(t, d.Read("names[0]"))
	require.True(t, d.Read("vlan"))
	require.True(t, d.Given("names[0]"))
	require.False(t, d.Given("vlan"))
}

func TestProblem(t *testing.T) {
	var r rack
	d, err := Decode("x", []byte("first: 1\nhold: 5\nvlan: 2\n"), &r)
	require.Error(t, err)
	d.Problem("vlan", "is taken")
	d.Problem("hold", "is too short")
	d.Problem("first", "is %d", r.First)
	require.EqualError(t, d.Err(), "x:1:8: first: is 1\nx:2:7: hold: want a duration such as 5s, not \"5\"\nx:3:7: vlan: is taken")
}

func TestAliases(t *testing.T) {
	var r rack
	_, err := Decode("x", []byte("extra: &e {a: b}\nports: {p: &p {port: 1}, q: *p, r: *nothing}\n"), &r)
	require.ErrorContains(t, err, "an alias of no anchor")
	require.Equal(t, "1", r.Ports["q"].Port)
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("pool: 10.0.0.0/24\nports: {pi1: {port: 1.10}}\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("? [x]: y\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var r rack
		Decode("x", data, &r)
	})
}
