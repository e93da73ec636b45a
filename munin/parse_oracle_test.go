package munin

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/munin/internal/oracle"
)

// heldByMunin is what munin-update holds of a file.
type heldByMunin struct {
	Refused  int                           `json:"refused"`
	Sections map[string]map[string]*string `json:"sections"`
}

// heldByUs is the same of ours, with munin's defaults for hosts.
func heldByUs(t testing.TB, text []byte) heldByMunin {
	f, err := Parse("munin.conf", bytes.NewReader(text))
	require.NoError(t, err)
	require.Equal(t, string(text), string(f.Bytes()), "written back as read")
	var ps problems
	held := tree{}
	f.load(held, &ps)
	if len(ps) > 0 {
		require.Error(t, ps.join())
		return heldByMunin{Refused: 1}
	}
	sections := map[string]map[string]*string{}
	for name, s := range held {
		sections[name] = map[string]*string{}
		if s.host != "" {
			sections[name] = map[string]*string{"port": new("4949"), "update": new("1"), "use_node_name": new("0"), "host_name": &s.host}
		}
		for key, v := range s.settings {
			value := &v.value
			if isBoolean(lastWord(key)) {
				on, _ := parseBool(v.value)
				value = new(map[bool]string{true: "1", false: "0"}[on])
			}
			if v.bare {
				value = nil
			}
			sections[name][key] = value
		}
	}
	return heldByMunin{Sections: sections}
}

// latin1 is how the oracle's JSON carries bytes.
func latin1(s string) string {
	runes := make([]rune, 0, len(s))
	for _, b := range []byte(s) {
		runes = append(runes, rune(b))
	}
	return string(runes)
}

func compare(t testing.TB, o *oracle.Oracle, text []byte) {
	t.Helper()
	ours, theirs := heldByUs(t, text), heldByMunin{}
	o.Ask(t, "config", text, &theirs)
	recoded := map[string]map[string]*string{}
	for name, settings := range ours.Sections {
		recoded[latin1(name)] = map[string]*string{}
		for key, value := range settings {
			if value != nil {
				value = new(latin1(*value))
			}
			recoded[latin1(name)][latin1(key)] = value
		}
	}
	if ours.Refused == 0 {
		ours.Sections = recoded
	}
	require.Equal(t, theirs, ours, "%q", text)
}

// TestParseAsMunin compares our parse with the installed Munin::Master::Config,
// on files that were written by hand, on generated ones and on a great number
// of broken ones.
func TestParseAsMunin(t *testing.T) {
	o := startOracle(t)
	texts := hostileTexts(t)
	for _, text := range texts {
		compare(t, o, text)
	}
	random := rand.New(rand.NewPCG(1, 2))
	refused := 0
	for range 20_000 {
		text := scramble(random, texts)
		if heldByUs(t, text).Refused == 1 {
			refused++
		}
		compare(t, o, text)
	}
	t.Logf("%d of 20,000 files refused by both", refused)
	require.Less(t, refused, 18_000, "most files must be worth comparing")
	require.Greater(t, refused, 2_000)
}

func hostileTexts(t testing.TB) [][]byte {
	paths, err := filepath.Glob("testdata/conf/*.conf")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	var texts [][]byte
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		texts = append(texts, text)
	}
	for _, text := range hostile {
		texts = append(texts, []byte(text))
	}
	return texts
}

// scramble makes a file of pieces that have a meaning to munin, or changes a
// few bytes of a whole one.
func scramble(random *rand.Rand, texts [][]byte) []byte {
	const odd = "\x00\t\n\r #\\[];:.0a\xa0\xff"
	if random.IntN(4) == 0 {
		text := bytes.Clone(texts[random.IntN(len(texts))])
		for range 1 + random.IntN(3) {
			if len(text) > 0 {
				text[random.IntN(len(text))] = odd[random.IntN(len(odd))]
			}
		}
		return text
	}
	var b strings.Builder
	for range random.IntN(8) {
		for range 1 + random.IntN(4) {
			b.WriteString(pieces[random.IntN(len(pieces))])
		}
		b.WriteString([]string{"\n", "\n", "\n", "\r\n", "", "\\\n", " \\ \n", "\n\n"}[random.IntN(8)])
	}
	return []byte(b.String())
}

var pieces = strings.Split("[|]|[a]|[a;]|[a;b]|[a;b;]|[a;b;c]|[a.b.c]|[a;b:s]|[a;b:s.f]|[;]|[;;]|[a_b]|[0]|[a;0]|[..]|[a;..]|[a:b.c]|;|:|.|#|\\#|\\|0| |\t| yes| no| On| 1| 0| abc|"+
	"address|address [::1]|port|port 4949|update|use_node_name|debug|fork no|a;b:address x|;address|;;address|;;h:address x|;a;h:port 1|a;:port 2|address.|.address|"+
	"load.load.warning 5|load.warning|:s.address 1|contact.x.command mail|includedir /x|host_name x|groups|hosts|value|\x0b|\xa0|\xc3\xa9|\r|]|[[a]|[a]]|[a] x", "|")

var hostile = []string{
	"", "\n", "0\n", "0 x\n", "00 x\n", "address", "address \\\n", "0\\\naddress x\nport \\\n1\n", "\\\naddress x\n", "[a\\\n;b]\naddress x\n",
	"[a;b] \\\n\naddress 1\n", "[]\naddress x\n", "[ ]\naddress x\n", "[a;b]\n0 x\n", "[;]\naddress x\n", "[;b]\naddress x\n", "[a;;b]\naddress x\n", "[a;b;;]\naddress x\n",
	";;h:address x\n", ";a;h:address x\n", "[0]\naddress x\n", "[a;0]\naddress x\n", "[a;b]\naddress\n", "[a;b]\naddress \\\n\n", "[a;b]\nupdate\n",
	"[a;b]\nupdate maybe\n", "[a;b]\nupdate YES\n", "[a;b]\nUPDATE yes\n", "[a_b]\naddress x\n", "[a;b c]\naddress x\n", "[a b;c]\naddress x\n",
	"[../../etc;c]\naddress x\n", "[a;..]\naddress x\n", "[a;-rf]\nport abc\n", "\xef\xbb\xbfdbdir /x\n", "dbdir\xa0/x\n", "dbdir /x\r\n[a;b]\r\naddress x\r\n",
	"[foo]\naddress 1\\\n[bar]\naddress 2\n", "contact.x.command mail -s \"\\#1\" a@b # to a\n", "[a;b]\naddress x\n[a;b]\naddress y\n[A;b]\naddress z\n",
	"address..\n", "address.x\n", "x.address\n", "[a;b:s]\naddress 1\n:f.warning 1\n", "[a.b:s]\nwarning 1\n", "[a:b;c]\nwarning 1\n", "[a:b;]\nwarning 1\n",
	"[a;b]\nload.warning 1\n", "a;b:load.load.warning 3\n", "timeout_fetch_all_nodes 240\n", "[a;]\nnode_order b c\n", "tls_verify_certificate maybe\n", "no_such_key 1\n",
	"#[a;b]\n#address x", "\\#address x\n", "address a\\#b\\\\#c #d\n", "[a;b]\nhost_name c\nport\n", "\x00\n", "address \x00\n", "address\x00x\n",
}
