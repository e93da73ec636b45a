package nfsroot_test

import (
	"fmt"
	"net/netip"

	"github.com/berryrack/berryrack/nfsroot"
)

// The line that the first Pi of the Raspberry Pi website's rack booted from in
// 2016.
func ExampleBoot() {
	pool, err := nfsroot.NewPool(netip.MustParsePrefix("10.46.189.0/27"))
	if err != nil {
		fmt.Println(err)
		return
	}
	link, err := pool.Link(0)
	if err != nil {
		fmt.Println(err)
		return
	}
	line, err := nfsroot.Boot{
		Before: nfsroot.ParseCmdline("dwc_otg.lpm_enable=0 console=ttyAMA0,115200 console=tty1"),
		IP: nfsroot.IPConfig{
			Client: link.Client, Gateway: link.Server, Bits: link.Network.Bits(),
			Device: "eth0", Autoconf: nfsroot.AutoconfOff,
		},
		Root:  nfsroot.Root{Server: link.Server, Path: "/export/" + link.Client.String()},
		After: nfsroot.ParseCmdline("elevator=deadline fsck.repair=yes rootwait"),
	}.Cmdline()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(line)
	for _, finding := range nfsroot.Lint(line) {
		fmt.Println(finding.Rule)
	}
	// Output:
	// dwc_otg.lpm_enable=0 console=ttyAMA0,115200 console=tty1 root=/dev/nfs rootfstype=nfs ip=10.46.189.2::10.46.189.1:255.255.255.252::eth0:off nfsroot=10.46.189.1:/export/10.46.189.2 elevator=deadline fsck.repair=yes rootwait
	// nfs-version
	// nfs-proto
}

func ExamplePool_Link() {
	pool, _ := nfsroot.NewPool(netip.MustParsePrefix("10.46.189.0/24"))
	link, err := pool.Link(1)
	fmt.Println(link.Network, link.Server, link.Client, link.Broadcast, err)
	_, err = pool.Link(95)
	fmt.Println(err)
	// Output:
	// 10.46.189.4/30 10.46.189.5 10.46.189.6 10.46.189.7 <nil>
	// nfsroot: pool 10.46.189.0/24 ends with slot 63: slot 95 needs a /23
}

func ExampleCmdline() {
	line := nfsroot.ParseCmdline(`console=tty1 quiet dyndbg="file a.c +p" console=ttyAMA0 -- single`)
	line = line.Set("dyndbg", "+p").Delete("quiet").Add(nfsroot.Param{Name: "rootwait"})
	fmt.Println(line)
	fmt.Println(line.Get("console"))
	// Output:
	// console=tty1 dyndbg=+p console=ttyAMA0 rootwait -- single
	// ttyAMA0 true
}

func ExampleIPConfig_Format() {
	ip := nfsroot.IPConfig{Client: netip.MustParseAddr("10.46.189.2"), Bits: 32, Hostname: "pi1.example.org"}
	_, err := ip.Format(nfsroot.Kernel)
	fmt.Println(err)
	// Output:
	// nfsroot: ip= for kernel: hostname: the kernel ends "pi1.example.org" at the dot; what follows is the NIS domain
	// netmask: kernel reads 255.255.255.255 as an empty field
}

func ExampleFormatExports() {
	text, _ := nfsroot.FormatExports([]nfsroot.Export{
		{Path: "/export/pi 1", Client: netip.MustParseAddr("10.46.189.2")},
	})
	fmt.Print(text)
	// Output:
	// /export/pi\0401 10.46.189.2(rw,no_root_squash,no_subtree_check,sync)
}
