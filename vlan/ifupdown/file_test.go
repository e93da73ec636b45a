package ifupdown_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berryrack/berryrack/internal/lab"
	"github.com/berryrack/berryrack/vlan/ifupdown"
	"github.com/stretchr/testify/require"
)

const everything = `# interfaces(5) file used by ifup(8) and ifdown(8)
source /etc/network/interfaces.d/*
source-directory more

auto lo eth0 \
	eth0.10
iface lo inet loopback

allow-hotplug eth1
no-auto-down eth0
no-scripts eth1
rename mac/b8:27:eb:*=pi

mapping wlan*
	script /usr/local/sbin/map-scheme
	# the second one wins
	map HOME wlan0-home
	map WORK wlan0-work

iface template inet static
	mtu 1400

   # the fileserver
iface eth0.10 inet static inherits template
	address 10.46.189.1

	# a /30
	netmask   255.255.255.252
	up  ip route add 192.0.2.0/24 \
		via 10.46.189.2   # not a comment
	up echo "two   blanks"
# the end \
`

func TestParse(t *testing.T) {
	file, err := ifupdown.Parse(everything)
	require.NoError(t, err)
	var keywords []string
	for _, stanza := range file.Stanzas {
		keywords = append(keywords, fmt.Sprint(stanza.Line, " ", stanza.Keyword, " ", len(stanza.Args), " ", len(stanza.Options)))
	}
	require.Equal(t, []string{"2 source 1 0", "3 source-directory 1 0", "5 auto 3 0", "7 iface 3 0", "9 allow-hotplug 1 0",
		"10 no-auto-down 1 0", "11 no-scripts 1 0", "12 rename 1 0", "14 mapping 1 3", "20 iface 3 1", "24 iface 5 4"}, keywords)
	eth := file.Stanzas[10]
	require.Equal(t, []string{"eth0.10", "inet", "static", "inherits", "template"}, eth.Args)
	require.Equal(t, "\n   # the fileserver\n", eth.Comment)
	require.Equal(t, []string{"255.255.255.252"}, eth.Values("netmask"))
	require.Equal(t, []string{"ip route add 192.0.2.0/24 \t\tvia 10.46.189.2   # not a comment", `echo "two   blanks"`}, eth.Values("up"))
	require.Equal(t, "# the end \\\n", file.Trailer)
}

func TestParseProblems(t *testing.T) {
	_, err := ifupdown.Parse(`address 10.0.0.1
iface
iface eth0
iface eth0 inet
iface eth0 inherits
iface eth0 inet static
	address
auto eth0
	netmask 30
mapping eth*
	scrip x
	script x
	script y
`)
	require.EqualError(t, err, strings.Join([]string{
		`ifupdown: line 1: "address" is no stanza, and an option only after iface or mapping`,
		`ifupdown: line 2: iface has no name`,
		`ifupdown: line 3: iface eth0: want a family and a method, as in "inet static", or inherits`,
		`ifupdown: line 4: iface eth0: want a family and a method, as in "inet static", or inherits`,
		`ifupdown: line 5: iface eth0 inherits nothing: want the name of another iface`,
		`ifupdown: line 7: option "address" has no value`,
		`ifupdown: line 9: "netmask" is no stanza, and an option only after iface or mapping`,
		`ifupdown: line 11: "scrip" is no option of a mapping: script and map are`,
		`ifupdown: line 13: a second script in a mapping`,
	}, "\n"))
}

func TestChangeTouchesNothingElse(t *testing.T) {
	file, err := ifupdown.Parse(everything)
	require.NoError(t, err)
	file.Stanzas[10].Set("netmask", "255.255.255.0")
	file.Stanzas[10].Set("up", "true")
	file.Stanzas[9].Set("mtu", "1500")
	file.Stanzas[9].Set("gateway", "10.46.189.9")
	text, err := file.Format()
	require.NoError(t, err)
	want := strings.Replace(everything, "\tnetmask   255.255.255.252\n", "\tnetmask 255.255.255.0\n", 1)
	want = strings.Replace(want, "\tup  ip route add 192.0.2.0/24 \\\n\t\tvia 10.46.189.2   # not a comment\n\tup echo \"two   blanks\"\n", "\tup true\n", 1)
	want = strings.Replace(want, "\tmtu 1400\n", "\tmtu 1500\n\tgateway 10.46.189.9\n", 1)
	require.Equal(t, want, text)
}

func TestAddAfterUnendedLine(t *testing.T) {
	file, err := ifupdown.Parse("iface eth0 inet manual\n up true")
	require.NoError(t, err)
	file.Stanzas[0].Set("down", "false")
	text, err := file.Format()
	require.NoError(t, err)
	require.Equal(t, "iface eth0 inet manual\n up true\n\tdown false\n", text)
}

func TestFormatRefusesWhatItCannotWrite(t *testing.T) {
	for name, stanza := range map[string]ifupdown.Stanza{
		"line feed":         {Keyword: "iface", Args: []string{"a", "inet", "manual"}, Options: []ifupdown.Option{{Name: "up", Value: "a\nauto b"}}},
		"blank in a word":   {Keyword: "auto", Args: []string{"a b"}},
		"backslash":         {Keyword: "iface", Args: []string{"a", "inet", "manual"}, Options: []ifupdown.Option{{Name: "up", Value: `a\`}}},
		"blanks around":     {Keyword: "iface", Args: []string{"a", "inet", "manual"}, Options: []ifupdown.Option{{Name: "up", Value: " a"}}},
		"no keyword":        {Keyword: "address", Args: []string{"a"}},
		"comment that says": {Comment: "auto b\n", Keyword: "auto", Args: []string{"a"}},
		"options of auto":   {Keyword: "auto", Args: []string{"a"}, Options: []ifupdown.Option{{Name: "up", Value: "a"}}},
		"option as keyword": {Keyword: "iface", Args: []string{"a", "inet", "manual"}, Options: []ifupdown.Option{{Name: "auto", Value: "a"}}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ifupdown.File{Stanzas: []ifupdown.Stanza{stanza, {Keyword: "auto", Args: []string{"z"}}}}.Format()
			require.Error(t, err)
		})
	}
}

func FuzzRoundTrip(f *testing.F) {
	f.Add(everything)
	f.Add("iface a inet manual\n up x \\ \n down\ty\\\\\n z\\")
	f.Add("auto a\r\n\\\n#b\n")
	f.Fuzz(func(t *testing.T, text string) {
		file, err := ifupdown.Parse(text)
		if err != nil {
			return
		}
		written, err := file.Format()
		require.NoError(t, err)
		require.Equal(t, text, written)
		for i := range file.Stanzas {
			if file.Stanzas[i].Keyword != "iface" {
				continue
			}
			file.Stanzas[i].Set("mtu", "1400")
			if written, err = file.Format(); err == nil {
				again, err := ifupdown.Parse(written)
				require.NoError(t, err)
				require.Equal(t, []string{"1400"}, again.Stanzas[i].Values("mtu"))
			}
		}
	})
}

// ifquery prints every option of an iface, one a line, after joining what is
// continued: what it reads and refuses, we read and refuse.
func TestIfqueryReadsTheSame(t *testing.T) {
	lab.Need(t, "ifquery")
	for n, text := range []string{
		everything,
		"iface a inet manual\n up x\\\n# no comment\n down y\n",
		"iface a inet manual\n # c \\\n down y\n",
		"iface a inet manual\n up  two   blanks \t end  \t\n",
		"iface a inet manual\n up x \\ \n down y\n",
		"iface a inet manual\nup x\\\\\n y\n",
		"iface a inet manual\n\\\n#foo bar\n",
		"iface a inet manual\n \\\n\nup x\n",
		"iface a inet manual\n up\\\n\\\n\\\n x\n",
		"iface a inet manual\r\n up x\r\n",
		"iface a inet manual\n\f up z\n\v down y\n",
		"iface a inet manual\n up x\\",
		"iface b inet manual\n up z\niface a inherits b inet static\n\\\n",
		"iface a inet manual\nallow- a\n",
		"iface a inet manual\nallow-x a\n up y\n",
		"iface a inet manual\nauto a\n up y\n",
		"iface a inet manual\n up\n",
		"iface a inet manual\nsource /nonexistent\n up y\n",
		"iface a\n", "iface\n", "iface a inet\n", "iface a inherits\n", "template x\n",
		"mapping a\n script b\n script c\n", "mapping a\n map b\n map c\n", "mapping a\n up c\n",
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "interfaces")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		file, parseErr := ifupdown.Parse(text)
		// The word `lo` is always known: a file that is refused is refused for it, too.
		output, err := exec.CommandContext(t.Context(), lab.Program(t, "ifquery"), "--state-dir="+dir, "-i", path, "lo").CombinedOutput()
		require.Equal(t, err != nil, parseErr != nil, "case %d %q: ifquery: %s ours: %v", n, text, output, parseErr)
		for _, stanza := range file.Stanzas {
			if stanza.Keyword != "iface" || len(stanza.Args) > 3 || stanza.Args[0] == "lo" {
				continue
			}
			output, err := exec.CommandContext(t.Context(), lab.Program(t, "ifquery"), "--state-dir="+dir, "-i", path, stanza.Args[0]).Output()
			require.NoError(t, err)
			for _, option := range stanza.Options {
				require.Contains(t, string(output), option.Name+": "+option.Value+"\n", "case %d %q", n, text)
			}
			if stanza.Args[2] == "manual" { // others get options that we did not give them
				require.Equal(t, len(stanza.Options), strings.Count(string(output), "\n"), "case %d %q", n, text)
			}
		}
	}
}
