package wire_test

import (
	"fmt"

	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/miekg/dns"
)

func Example() {
	origin, err := wire.ParseName("Example.ORG")
	if err != nil {
		fmt.Println(err)
		return
	}
	entry := wire.Scanner{Text: []byte("Mail MX ( 10\n\tSMTP ) ; over two lines")}
	if _, err := entry.Next(); err != nil {
		fmt.Println(err)
		return
	}
	reader := wire.Reader{Words: entry.Words[2:], Origin: origin}
	rdata, err := reader.Append(nil, wire.Type(dns.TypeMX))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%x\n", rdata)
	fmt.Printf("%s\n", wire.AppendText(nil, wire.Type(dns.TypeMX), rdata))
	// Output:
	// 000a04736d7470076578616d706c65036f726700
	// 10 smtp.example.org.
}

func ExampleName_Compare() {
	for _, text := range []string{"a.example", "Z.a.example", "zABC.a.example", "z.example"} {
		name, err := wire.ParseName(text)
		if err != nil {
			fmt.Println(err)
			return
		}
		before, _ := wire.ParseName("z.a.example")
		fmt.Println(name, name.Compare(before))
	}
	// Output:
	// a.example. -1
	// z.a.example. 0
	// zabc.a.example. 1
	// z.example. 1
}
