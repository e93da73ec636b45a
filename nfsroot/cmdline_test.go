package nfsroot

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func flag(name string) Param { return Param{Name: name} }

func value(name, value string) Param { return Param{name, value, true} }

func TestParseCmdline(t *testing.T) {
	for _, test := range []struct {
		line string
		want Cmdline
	}{
		{"", nil},
		{" \t\n", nil},
		{"console=tty1 console=ttyAMA0,115200", Cmdline{value("console", "tty1"), value("console", "ttyAMA0,115200")}},
		{"quiet  ro ", Cmdline{flag("quiet"), flag("ro")}},
		{"a= b", Cmdline{value("a", ""), flag("b")}},
		{"a=b=c", Cmdline{value("a", "b=c")}},
		{"=a", Cmdline{flag("=a")}},
		{"=a=b", Cmdline{value("=a", "b")}},
		{`a="b c" d`, Cmdline{value("a", "b c"), flag("d")}},
		{`"a=b c" d`, Cmdline{value("a", "b c"), flag("d")}},
		{`a=b" c"d`, Cmdline{value("a", `b" c"d`)}},
		{`a="b c"d`, Cmdline{value("a", `b c"d`)}},
		{`a="b c d`, Cmdline{value("a", "b c d")}},
		{`"a b"`, Cmdline{flag("a b")}},
		{`a="`, Cmdline{value("a", "")}},
		{`""`, Cmdline{flag("")}},
		{`"`, Cmdline{flag("")}},
		{`a=\"b`, Cmdline{value("a", `\"b`)}},
		{`a='b c'`, Cmdline{value("a", "'b"), flag("c'")}},
		{"a\xa0b\vc\fd", Cmdline{flag("a"), flag("b"), flag("c"), flag("d")}},
		{"a\u00a0b", Cmdline{flag("a\xc2"), flag("b")}}, // NBSP in UTF-8 ends with 0xa0
		{"a -- b=c", Cmdline{flag("a"), flag("--"), value("b", "c")}},
		{"a\x00b", Cmdline{flag("a")}},
	} {
		require.Equal(t, test.want, ParseCmdline(test.line), "%q", test.line)
	}
}

func TestFormat(t *testing.T) {
	for _, test := range []struct {
		param Param
		want  string
	}{
		{flag("quiet"), "quiet"},
		{value("a", ""), "a="},
		{value("a", "b c"), `a="b c"`},
		{flag("b c"), `"b c"`},
		{flag(""), `""`},
		{value("a b", "c"), `"a b=c"`},
		{value("a", `b"c"d`), `a=b"c"d`},
		{value("a", `b c"d`), `a="b c"d`},
		{value("a", `"`), `"a="""`},
		{value("a", `b "c" d`), `a="b "c" d"`},
	} {
		text, err := Cmdline{test.param, flag("last")}.Format()
		require.NoError(t, err, "%q", test.param)
		require.Equal(t, test.want+" last", text)
	}
}

func TestFormatCannot(t *testing.T) {
	line := Cmdline{value("a", `b "c d`), flag("ok"), value("n", "x\x00"), value("e", `a "`)}
	_, err := line.Format()
	require.ErrorContains(t, err, `parameter 1, "a"`)
	require.ErrorContains(t, err, `parameter 3, "n"`)
	require.NotContains(t, err.Error(), "ok")
	require.Contains(t, line.String(), `"a=b \"c d" ok`)
	require.Error(t, line.CheckLength(CommandLineSizeARM))
}

// TestFormatComplete tries every text of a few bytes: Format must find one for
// each parameter that some text is read as, and none for the others.
func TestFormatComplete(t *testing.T) {
	const alphabet = `a= "`
	readable := map[Param]bool{}
	for _, text := range texts(alphabet, 9) {
		if text == "" || isSpace(text[0]) {
			continue
		}
		if p, rest := nextArg(text + " x"); rest == "x" {
			readable[p] = true
		}
	}
	for _, name := range texts(alphabet, 2) {
		for _, val := range texts(alphabet, 3) {
			p := value(name, val)
			_, err := Cmdline{p, flag("x")}.Format()
			require.Equal(t, readable[p], err == nil, "%+v", p)
		}
		p := flag(name)
		_, err := Cmdline{p, flag("x")}.Format()
		require.Equal(t, readable[p], err == nil, "%+v", p)
	}
}

// texts returns every string over the alphabet of at most length bytes.
func texts(alphabet string, length int) []string {
	all := []string{""}
	for start := 0; length > 0; length-- {
		end := len(all)
		for _, s := range all[start:end] {
			for _, c := range alphabet {
				all = append(all, s+string(c))
			}
		}
		start = end
	}
	return all
}

func TestCmdlineEdits(t *testing.T) {
	line := ParseCmdline("console=tty1 usb-storage.quirks=x console=ttyAMA0 ro -- console=no")
	got, ok := line.Get("console")
	require.True(t, ok)
	require.Equal(t, "ttyAMA0", got, "the last one counts")
	got, ok = line.Get("usb_storage.quirks")
	require.True(t, ok)
	require.Equal(t, "x", got)
	got, ok = line.Get("ro")
	require.True(t, ok)
	require.Empty(t, got)
	_, ok = line.Get("rw")
	require.False(t, ok)
	require.Len(t, line.All("console"), 2)
	require.Empty(t, line.All("rw"))

	before := slices.Clone(line)
	require.Equal(t, "console=tty2 usb-storage.quirks=x ro -- console=no", line.Set("console", "tty2").String())
	require.Equal(t, "console=tty1 usb-storage.quirks=x console=ttyAMA0 ro a=b -- console=no", line.Set("a", "b").String())
	require.Equal(t, "usb-storage.quirks=x ro -- console=no", line.Delete("console").String())
	require.Equal(t, "console=tty1 console=ttyAMA0 ro rw -- console=no", line.Delete("usb_storage.quirks").Add(flag("rw")).String())
	require.Equal(t, before, line, "an edit returns a new line")

	kernel, init := line.Split()
	require.Len(t, kernel, 4)
	require.Equal(t, Cmdline{value("console", "no")}, init)
	kernel, init = kernel.Split()
	require.Len(t, kernel, 4)
	require.Empty(t, init)
	require.Equal(t, "a=b", Cmdline(nil).Set("a", "b").String())
}

func TestCheckLength(t *testing.T) {
	line := Cmdline{flag(strings.Repeat("a", 1023))}
	require.NoError(t, line.CheckLength(CommandLineSizeARM))
	require.ErrorContains(t, line.Add(flag("b")).CheckLength(CommandLineSizeARM), "needs 1026 bytes")
}

// hostileLine returns a line of what next_arg has rules for.
func hostileLine(r *rand.Rand) string {
	tokens := []string{" ", "\t", "\n", "\v", "\xa0", "=", "=", `"`, `"`, `""`, "--", " -- ", "-", "_", "a", "bc", "ip=", `\`, "'", "é", "\xff"}
	var b strings.Builder
	for range r.IntN(24) {
		b.WriteString(tokens[r.IntN(len(tokens))])
	}
	return b.String()
}

func TestCmdlineRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		checkCmdline(t, hostileLine(r))
	}
}

// checkCmdline checks that a line that was read can be written, and is read
// again as it was.
func checkCmdline(t *testing.T, line string) {
	t.Helper()
	c := ParseCmdline(line)
	text, err := c.Format()
	require.NoError(t, err, "%q", line)
	require.Equal(t, c, ParseCmdline(text), "%q, written as %q", line, text)
	require.Equal(t, text, c.String())
}

func FuzzCmdline(f *testing.F) {
	for _, seed := range []string{"", "a=b c", `a="b c" -- d`, `"a=b" "`, `=a="b c"d`, "a\xa0b\x00c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) { checkCmdline(t, line) })
}
