package qbridge

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPortLists(t *testing.T) {
	small := map[int]int{1: 1, 2: 2, 3: 3, 4: 4, 8: 8}
	for name, test := range map[string]struct {
		lists [][]byte
		ports map[int]int
		junos bool
		want  [][]int // nil is an error
	}{
		"bitmap":                  {[][]byte{{0x80}, {0x40, 0}, {}}, small, false, [][]int{{1}, {2}, nil}},
		"text":                    {[][]byte{[]byte("0,4097,4099"), []byte("0")}, map[int]int{4097: 1, 4099: 2}, false, [][]int{{4097, 4099}, nil}},
		"text that is a bitmap":   {[][]byte{[]byte("1")}, small, true, [][]int{{1}}},
		"bitmap that is text":     {[][]byte{[]byte("1")}, small, false, [][]int{{3, 4, 8}}},
		"Junos set to bitmaps":    {[][]byte{{0x80}}, small, true, [][]int{{1}}},
		"a port that is not here": {[][]byte{{0x04}}, small, false, nil},
		"one list decides":        {[][]byte{[]byte("1"), []byte("2,4")}, small, false, [][]int{{1}, {2, 4}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := portLists(test.lists, test.ports, test.junos)
			if test.want == nil {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}

func FuzzPortList(f *testing.F) {
	f.Add([]byte{0x80, 0x01})
	f.Add([]byte("0,4097,4099"))
	f.Add([]byte(" 1 ,, 2\x00"))
	f.Fuzz(func(t *testing.T, list []byte) {
		back := make([]byte, len(list))
		for _, port := range bitmap(list) {
			back[(port-1)/8] |= 0x80 >> ((port - 1) % 8)
		}
		require.Equal(t, list, back)
		ports, err := text(list)
		if err == nil {
			for _, port := range ports {
				require.Positive(t, port)
				require.LessOrEqual(t, port, maxBridgePort)
			}
		}
	})
}
