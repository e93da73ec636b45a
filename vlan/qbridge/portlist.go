package qbridge

import (
	"fmt"
	"strconv"
	"strings"
)

// maxBridgePort is the highest number of a bridge port (dot1dBasePort).
const maxBridgePort = 65535

// bitmap returns the ports of a PortList (RFC 4363, section 5): the most
// significant bit of the first octet is port 1.
func bitmap(list []byte) []int {
	var ports []int
	for i, octet := range list {
		for bit := range 8 {
			if octet&(0x80>>bit) != 0 {
				ports = append(ports, 8*i+bit+1)
			}
		}
	}
	return ports
}

// text returns the ports of a list as Junos writes it, 4097,4099: it has 0 for
// none.
func text(list []byte) ([]int, error) {
	var ports []int
	for _, word := range strings.Split(strings.TrimRight(string(list), "\x00"), ",") {
		word = strings.TrimSpace(word)
		if word == "" {
			continue
		}
		port, err := strconv.ParseUint(word, 10, 64)
		if err != nil || port > maxBridgePort {
			return nil, fmt.Errorf("%q is no bridge port", word)
		}
		if port > 0 {
			ports = append(ports, int(port))
		}
	}
	return ports, nil
}

// portLists reads all lists of a switch, which are of one form. Three octets
// that are "1,2" can be a bitmap, too. What decides is which of the forms names
// only ports that there are; if both do, whether the switch is a Junos.
func portLists(lists [][]byte, ports map[int]int, junos bool) ([][]int, error) {
	asText, textErr := readAll(lists, ports, text)
	asBitmap, bitmapErr := readAll(lists, ports, func(list []byte) ([]int, error) { return bitmap(list), nil })
	switch {
	case textErr == nil && (junos || bitmapErr != nil):
		return asText, nil
	case bitmapErr == nil:
		return asBitmap, nil
	}
	return nil, fmt.Errorf("a list of ports is neither a bitmap nor text of the ports that there are: %w", bitmapErr)
}

func readAll(lists [][]byte, ports map[int]int, read func([]byte) ([]int, error)) ([][]int, error) {
	all := make([][]int, len(lists))
	for i, list := range lists {
		members, err := read(list)
		if err != nil {
			return nil, err
		}
		for _, port := range members {
			if _, ok := ports[port]; !ok {
				return nil, fmt.Errorf("% x names bridge port %d, which is not there", list, port)
			}
		}
		all[i] = members
	}
	return all, nil
}
