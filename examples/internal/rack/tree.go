package rack

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path"
	"strings"

	"github.com/berryrack/berryrack/munin"
	"github.com/berryrack/berryrack/munin/node"
	"github.com/berryrack/berryrack/nat64/frontend"
	"github.com/berryrack/berryrack/nfsroot"
	"github.com/berryrack/berryrack/vlan"
	"github.com/berryrack/berryrack/vlan/switchconf"
)

// tftpRoot is where the fileserver keeps what the Pis' firmware asks for.
const tftpRoot = "/srv/tftp"

// nftTable is the fileserver's own table.
const nftTable = "berryrack"

// Tree is the files of a rack.
type Tree []File

// File is one file of a tree.
type File struct {
	Path string // with slashes, below the tree's directory
	Mode fs.FileMode
	Data string
}

func (t *Tree) add(path, data string) { *t = append(*t, File{path, 0o644, data}) }

// network adds the files of a network configuration's directory.
func (t *Tree) network(dir string, files []vlan.File) {
	for _, f := range files {
		mode := fs.FileMode(0o644)
		if f.Secret {
			mode = 0o600
		}
		*t = append(*t, File{path.Join(dir, f.Name), mode, f.Text})
	}
}

// Tree returns every file that the fileserver, the switches and the Pis need.
func (r *Rack) Tree() (Tree, error) {
	var t Tree
	var errs []error
	for _, pi := range r.Pis {
		errs = append(errs, r.piFiles(&t, pi))
	}
	errs = append(errs, r.serverFiles(&t), r.switchFiles(&t), r.muninFiles(&t))
	r.balancerFiles(&t)
	return t, errors.Join(errs...)
}

func (r *Rack) piFiles(t *Tree, pi Pi) error {
	line, err := nfsroot.FormatCmdlineTxt(pi.Cmdline)
	if err != nil {
		return fmt.Errorf("%s: %w", pi.Name, err)
	}
	dir := path.Join("pis", pi.Name)
	t.add(dir+"/cmdline.txt", line)
	t.add(dir+"/interfaces", pi.Host.Ifupdown())
	t.network(dir+"/networkd", pi.Host.Networkd())
	t.network(dir+"/NetworkManager", pi.Host.NetworkManager())
	if len(r.Config.Resolvers) > 0 {
		t.add(dir+"/resolv.conf", r.resolvConf())
	}
	eeprom, err := nfsroot.FormatEEPROM(pi.Link, nfsroot.BootNetwork)
	if err != nil {
		return fmt.Errorf("%s: %w", pi.Name, err)
	}
	t.add(dir+"/eeprom.txt", eeprom)
	if pi.Serial == 0 {
		return nil
	}
	// An initramfs would read ip= and nfsroot= in the kernel's stead.
	config, err := nfsroot.FormatConfigTxt([]nfsroot.Setting{{Key: "auto_initramfs", Value: "0"}})
	if err != nil {
		return fmt.Errorf("%s: %w", pi.Name, err)
	}
	t.add(path.Join("tftp", pi.Serial.String(), "cmdline.txt"), line)
	t.add(path.Join("tftp", pi.Serial.String(), "config.txt"), config)
	return nil
}

func (r *Rack) resolvConf() string {
	var b strings.Builder
	for _, addr := range r.Config.Resolvers {
		fmt.Fprintf(&b, "nameserver %v\n", addr)
	}
	return b.String()
}

// switchFiles adds the configuration of each switch whose dialect is known.
func (r *Rack) switchFiles(t *Tree) error {
	var errs []error
	for _, s := range r.Config.Switches {
		write, ok := dialects[s.Dialect]
		if !ok {
			continue
		}
		text, err := write(r.VLANs, s.Name)
		errs = append(errs, err)
		t.add("switch/"+s.Name+"."+s.Dialect, text)
		if s.Dialect == "linux" {
			files, err := switchconf.Networkd(r.VLANs, s.Name)
			errs = append(errs, err)
			t.network("switch/"+s.Name+".networkd", files)
		}
	}
	return errors.Join(errs...)
}

// balancerFiles adds what puts the Pis behind the sites' names: for our own
// frontend, for nginx and for HAProxy. Without sites there are none.
func (r *Rack) balancerFiles(t *Tree) {
	if len(r.Config.Sites) == 0 || r.Config.Public == nil {
		return
	}
	var backends []netip.Addr
	for _, pi := range r.Pis {
		backends = append(backends, pi.Public.Addr())
	}
	allow := netip.PrefixFrom(backends[0], r.Config.Public.PrefixLength).Masked()
	config := frontend.Config{
		Listen: frontend.Listen{TLS: []string{"0.0.0.0:443", "[::]:443"}, HTTP: []string{"0.0.0.0:80", "[::]:80"}},
		Allow:  []netip.Prefix{allow},
	}
	var nginx, haproxy strings.Builder
	for _, s := range r.Config.Sites {
		site := frontend.Site{Names: s.Names, Backends: backends, Health: frontend.Health{TCP: true}}
		config.Sites = append(config.Sites, site)
		nginx.WriteString(site.Nginx())
		haproxy.WriteString(site.HAProxy())
	}
	t.add("lb/frontend.yaml", config.YAML())
	t.add("lb/nginx-upstream.conf", nginx.String())
	t.add("lb/haproxy-backend.cfg", haproxy.String())
}

// muninGroup is what the Pis are called together in munin.
const muninGroup = "rack"

// muninFiles adds the fragment for the master and each Pi's munin-node.conf. An
// IPv4 address of a private network is of no use to a master elsewhere, and a
// node without masters would let everybody in: without them there are no files.
func (r *Rack) muninFiles(t *Tree) error {
	masters := r.Config.Munin.Masters
	if len(masters) == 0 || r.Config.Public == nil {
		return nil
	}
	var m munin.Master
	for _, pi := range r.Pis {
		m.Hosts = append(m.Hosts, munin.Host{Group: muninGroup, Name: pi.Name, Address: munin.IPAddress(pi.Public.Addr())})
		conf, err := node.Conf{Masters: masters, HostName: pi.Name}.AppendText(nil)
		if err != nil {
			return err
		}
		t.add(path.Join("pis", pi.Name, "munin-node.conf"), string(conf))
	}
	if err := m.Validate(); err != nil {
		return err
	}
	fragment, err := m.AppendText(nil)
	t.add("munin/berryrack.conf", string(fragment))
	return err
}

func (r *Rack) serverFiles(t *Tree) error {
	var exports []nfsroot.Export
	var clients []nfsroot.TFTPClient
	var peers []vlan.Peer
	var names []string
	for i, pi := range r.Pis {
		name := r.VLANs.Server.Interfaces[i].IfName()
		names = append(names, name)
		exports = append(exports, pi.Export)
		peers = append(peers, vlan.Peer{Interface: name, Address: pi.Link.Client, Server: pi.Link.Server})
		clients = append(clients, nfsroot.TFTPClient{Interface: name, Link: pi.Link, Name: pi.Name, MAC: pi.MAC, Serial: pi.Serial})
	}
	export, err1 := nfsroot.FormatExports(exports)
	dnsmasq, err2 := nfsroot.FormatDnsmasq(tftpRoot, clients)
	nft, err3 := vlan.Nftables(nftTable, peers)
	t.add("server/interfaces.d/berryrack", r.VLANs.Server.Ifupdown())
	t.add("server/exports.d/berryrack.exports", export)
	t.add("server/sysctl.d/60-berryrack.conf", vlan.Sysctl(names))
	t.add("server/nftables.d/berryrack.nft", nft)
	t.add("server/nfs.conf.d/berryrack.conf", nfsConf(len(r.Pis)))
	t.add("server/dnsmasq.d/berryrack.conf", dnsmasq)
	return errors.Join(err1, err2, err3)
}

// nfsConf returns nfs.conf(5) text: mountd on a port that a firewall can name,
// and threads for every Pi to boot at once.
func nfsConf(pis int) string {
	return fmt.Sprintf(`# Written by pirack. The Pis boot with NFSv3, which asks mountd first.
[mountd]
port=%d
[nfsd]
threads=%d
`, mountdPort, min(max(8, 2*pis), 256))
}

// mountdPort is just below the kernel's ephemeral ports: nothing takes it by chance.
const mountdPort = 32767
