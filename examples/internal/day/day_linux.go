package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/berryrack/berryrack/examples/internal/day/visits"
	"github.com/berryrack/berryrack/examples/internal/rack"
	"github.com/berryrack/berryrack/examples/internal/rackbox"
)

const (
	site = "www.rack.example"
	page = "<!doctype html>\n<title>The rack</title>\n<p>This page comes from whoever serves it today.\n"
	// The frontend's IPv4 address, and the server's that the Pis take over from.
	frontAddress = "198.18.255.1"
	oldAddress   = "2a00:1098:0:84::beef"
	controlPort  = "8088"
	nodeAddress  = "127.0.0.1:4949"
	hostile      = "pi7"
)

// day is what is going on.
type day struct {
	out, dir, state, golden string
	began                   time.Time
	events                  []event
	rack                    *rack.Rack
	ca                      *authority
	world                   world
	old                     oldServer
	visitors                visitors
	frontend                *exec.Cmd
	boots                   *exec.Cmd
	secret                  string
	samples                 samples
	attacks                 []result
	background              sync.WaitGroup
	visiting                context.Context // of visitors, and of who looks on
	endVisits               context.CancelFunc
	names                   names
	renewed                 [2]string // the certificate's number, before and after
}

// oldServer is the one that the Pis take over from.
type oldServer struct {
	*http.Server
	visitors visits.Connections
}

// event is something that happened.
type event struct {
	at   time.Time
	what string
	took time.Duration
}

func (d *day) mark(what string) { d.events = append(d.events, event{at: time.Now(), what: what}) }

// build builds the programs: those of an operator, and the Pis' web server.
func (d *day) build(ctx context.Context) error {
	for name, pkg := range map[string]string{"pirack": "pirack", "nat64ctl": "nat64ctl", "site": "internal/day/site"} {
		cmd := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(d.dir, name), "github.com/berryrack/berryrack/examples/"+pkg)
		if name == "site" {
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // a Pi has no C library
		}
		if output, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, output)
		}
	}
	return nil
}

// certify gets the site's certificate, and makes the golden tree with it.
func (d *day) certify(ctx context.Context) (err error) {
	if d.ca, err = newAuthority(ctx, d.dir, site); err != nil {
		return err
	}
	d.visitors.roots.Store(d.ca.Pool())
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return err
	}
	if err := rackbox.MakeGolden(d.golden, busybox); err != nil {
		return err
	}
	program, err := os.ReadFile(filepath.Join(d.dir, "site"))
	if err != nil {
		return err
	}
	inittab, err := os.ReadFile(filepath.Join(d.golden, "etc/inittab"))
	if err != nil {
		return err
	}
	served := strings.Replace(string(inittab), "/bin/busybox httpd -f -h /srv/www", "/bin/site", 1)
	return errors.Join(
		os.WriteFile(filepath.Join(d.golden, "bin/site"), program, 0o755),
		os.WriteFile(filepath.Join(d.golden, "etc/inittab"), []byte(served), 0o644),
		os.WriteFile(filepath.Join(d.golden, "srv/www/index.html"), []byte(page), 0o644),
		d.ca.install(site, filepath.Join(d.golden, "srv/tls")))
}

// boot boots the story's rack, with roots that can be swapped.
func (d *day) boot(ctx context.Context) error {
	text := strings.Replace(string(rack.Story), "export: /export/{client}", "export: /export/{client}/root", 1)
	config := filepath.Join(d.dir, "rack.yaml")
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return err
	}
	var err error
	if d.rack, err = rack.Parse(config, []byte(text)); err != nil {
		return err
	}
	d.boots = exec.Command(filepath.Join(d.dir, "pirack"), "boot", "-f", config, "--golden", d.golden, "--state", d.state)
	d.boots.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stderr, err := d.boots.StderrPipe()
	if err != nil {
		return err
	}
	if err := d.boots.Start(); err != nil {
		return err
	}
	d.world.path, err = awaitUp(stderr)
	if d.visitors.world = d.world; err != nil {
		return err
	}
	for _, pi := range d.rack.Pis {
		err := until(ctx, 2*time.Minute, func() (bool, error) {
			err := d.control(ctx, pi, "/connections", nil, nil)
			return err == nil, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// awaitUp reads what pirack boot says until the rack is up, and returns where
// the world outside is.
func awaitUp(stderr io.Reader) (string, error) {
	lines := bufio.NewScanner(stderr)
	var said []string
	for lines.Scan() {
		said = append(said, lines.Text())
		var line struct{ Level, Msg, Outside string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "the rack is up" {
			go io.Copy(io.Discard, stderr)
			return strings.TrimPrefix(line.Outside, "nsenter --net="), nil
		}
	}
	return "", fmt.Errorf("pirack boot: %s", strings.Join(said, "\n"))
}

// pirack runs a command of an operator's.
func (d *day) pirack(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(d.dir, "pirack"), append(args, "--state", d.state)...)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pirack %s: %w: %s", strings.Join(args, " "), err, output)
	}
	return nil
}

// serve starts the server that there was, and the frontend before it.
func (d *day) serve(ctx context.Context) error {
	setUp := exec.CommandContext(ctx, "nsenter", "--net="+d.world.path, "ip", "-batch", "-")
	setUp.Stdin = strings.NewReader("address add 198.18.0.0/16 dev lo\naddress add " + oldAddress + "/128 dev lo nodad\n")
	if output, err := setUp.CombinedOutput(); err != nil {
		return fmt.Errorf("ip: %w: %s", err, output)
	}
	listener, err := d.world.listen("[" + oldAddress + "]:443")
	if err != nil {
		return err
	}
	d.old.Server = &http.Server{
		ConnState: d.old.visitors.Count,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Boot", "old")
			io.WriteString(w, page)
		}),
		TLSConfig: &tls.Config{GetCertificate: d.ca.manager.GetCertificate}, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0),
	}
	go d.old.ServeTLS(listener, "", "")
	if err := d.configure([]string{oldAddress}); err != nil {
		return err
	}
	output, err := os.Create(filepath.Join(d.dir, "frontend.log"))
	if err != nil {
		return err
	}
	d.frontend = exec.Command("nsenter", "--net="+d.world.path, filepath.Join(d.dir, "nat64ctl"), "frontend", "-f", filepath.Join(d.dir, "frontend.yaml"), "--munin", nodeAddress)
	d.frontend.Stdout, d.frontend.Stderr = output, output
	d.frontend.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := d.frontend.Start(); err != nil {
		return err
	}
	return until(ctx, time.Minute, func() (bool, error) {
		conn, err := d.world.dial(ctx, nil, frontAddress+":443")
		if err != nil {
			return false, err
		}
		return true, conn.Close()
	})
}

// configure writes the frontend's configuration.
func (d *day) configure(backends []string) error {
	list, err := json.Marshal(backends)
	if err != nil {
		return err
	}
	text := fmt.Sprintf(`listen: {tls: ["%s:443"], http: ["%s:80"]}
allow_backends: ["2a00:1098:0:84::/64"]
sites:
  - {names: [%s], backends: %s, health: {tcp: true, interval: 2s}}
`, frontAddress, frontAddress, site, list)
	return os.WriteFile(filepath.Join(d.dir, "frontend.yaml"), []byte(text), 0o644)
}

// reconfigure has the frontend send new connections to other backends.
func (d *day) reconfigure(backends []string) error {
	if err := d.configure(backends); err != nil {
		return err
	}
	return d.frontend.Process.Signal(syscall.SIGHUP)
}

// public returns the Pis' public addresses, without some of them.
func (d *day) public(without ...string) []string {
	var list []string
	for _, pi := range d.rack.Pis {
		if len(without) == 0 || pi.Name != without[0] {
			list = append(list, pi.Public.Addr().String())
		}
	}
	return list
}

// open lets the visitors in, and waits until all are there.
func (d *day) open(ctx context.Context) error {
	d.visitors.address, d.visitors.name, d.visitors.page = frontAddress+":443", site, page
	d.background.Go(func() { d.visitors.run(d.visiting) })
	d.background.Go(func() { d.samples.take(d.visiting, d.world) })
	return until(ctx, 5*time.Minute, func() (bool, error) {
		open := d.visitors.open.Load()
		return open >= int64(d.visitors.number)*9/10, fmt.Errorf("%d of %d are there", open, d.visitors.number)
	})
}

// attack has the hostile Pi try everything, while visitors come.
func (d *day) attack(ctx context.Context) error {
	d.secret = rand.Text()
	order := order{Device: "vec0", Secret: d.secret, Management: []string{"[fd62:6572:7279::1]:1024", "[fd62:6572:7279::2]:111"}}
	var pi rack.Pi
	for _, other := range d.rack.Pis {
		t := target{other.Link.Server, other.Link.Client, other.Export.Path}
		if other.Name == hostile {
			pi, order.Own = other, t
			continue
		}
		order.Others, order.VLANs = append(order.Others, t), append(order.VLANs, uint16(other.VLAN))
		if err := d.control(ctx, other, "/secret", []byte(d.secret), nil); err != nil {
			return err
		}
	}
	data, err := json.Marshal(order)
	if err != nil {
		return err
	}
	var results []result
	if err := d.control(ctx, pi, "/attack", data, &results); err != nil {
		return err
	}
	d.attacks = results
	return nil
}

// control asks a Pi's web server for what no visitor asks.
func (d *day) control(ctx context.Context, pi rack.Pi, path string, body []byte, answer any) error {
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			return d.world.dial(ctx, nil, address)
		},
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+net.JoinHostPort(pi.Public.Addr().String(), controlPort)+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("%s: %w", pi.Name, err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", pi.Name, response.Status, data)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(data, answer)
}

// move has the Pis take over, and ends the old server when nobody is there.
func (d *day) move(ctx context.Context) error {
	if err := d.reconfigure(d.public()); err != nil {
		return err
	}
	// Shutdown would hang up on visitors between two of their questions.
	err := until(ctx, d.visitors.longest(), func() (bool, error) {
		left := d.old.visitors.Number()
		return left == 0, fmt.Errorf("%d visitors are still there", left)
	})
	return errors.Join(err, d.old.Close())
}

// drain takes a Pi out of the frontend and waits until its visitors have left.
func (d *day) drain(ctx context.Context, name string) (rack.Pi, error) {
	pis, err := d.rack.Select([]string{name})
	if err != nil {
		return rack.Pi{}, err
	}
	if err := d.reconfigure(d.public(name)); err != nil {
		return rack.Pi{}, err
	}
	return pis[0], until(ctx, d.visitors.longest()+time.Minute, func() (bool, error) {
		var left int
		err := d.control(ctx, pis[0], "/connections", nil, &left)
		return err == nil && left == 0, errors.Join(err, fmt.Errorf("%d visitors are still there", left))
	})
}

// back lets a Pi serve again, once it does.
func (d *day) back(ctx context.Context, pi rack.Pi) error {
	err := until(ctx, 2*time.Minute, func() (bool, error) {
		err := d.control(ctx, pi, "/connections", nil, nil)
		return err == nil, err
	})
	return errors.Join(err, d.reconfigure(d.public()))
}

func (d *day) cycle(ctx context.Context) error {
	pi, err := d.drain(ctx, "pi3")
	if err != nil {
		return err
	}
	return errors.Join(d.pirack(ctx, "cycle", pi.Name), d.back(ctx, pi))
}

func (d *day) rebuild(ctx context.Context) error {
	pi, err := d.drain(ctx, "pi5")
	if err != nil {
		return err
	}
	return errors.Join(d.pirack(ctx, "roots", "rebuild", pi.Name, "--force"), d.back(ctx, pi))
}

// renew gets another certificate, puts it into the golden tree, brings the Pis'
// roots up to that while they run, and waits until all serve it.
func (d *day) renew(ctx context.Context) error {
	before, err := d.serial()
	if err != nil {
		return err
	}
	if err := errors.Join(d.ca.manager.Renew(ctx, site), d.ca.install(site, filepath.Join(d.golden, "srv/tls"))); err != nil {
		return err
	}
	after, err := d.serial()
	if err != nil {
		return err
	}
	d.renewed = [2]string{before, after}
	if err := d.pirack(ctx, "roots", "sync"); err != nil {
		return err
	}
	for _, pi := range d.rack.Pis {
		err := until(ctx, 2*time.Minute, func() (bool, error) {
			conn, err := d.world.dial(ctx, nil, net.JoinHostPort(pi.Public.Addr().String(), "443"))
			if err != nil {
				return false, err
			}
			defer conn.Close()
			client := tls.Client(conn, &tls.Config{ServerName: site, RootCAs: d.ca.Pool()})
			if err := client.HandshakeContext(ctx); err != nil {
				return false, err
			}
			serves := client.ConnectionState().PeerCertificates[0].SerialNumber.Text(16)
			return serves == after, fmt.Errorf("%s serves %s", pi.Name, serves)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// serial is the number of the certificate that there is.
func (d *day) serial() (string, error) {
	c, err := d.ca.manager.GetCertificate(&tls.ClientHelloInfo{ServerName: site, SupportedVersions: []uint16{tls.VersionTLS13}, CipherSuites: []uint16{tls.TLS_AES_128_GCM_SHA256}})
	if err != nil {
		return "", err
	}
	return c.Leaf.SerialNumber.Text(16), nil
}

// close stays for a while with everything as it is, and lets the visitors go.
func (d *day) close(ctx context.Context) error {
	sleep(ctx, 10*time.Second)
	d.endVisits()
	d.background.Wait()
	return nil
}

// stop ends the programs.
func (d *day) stop() {
	d.background.Wait()
	for _, cmd := range []*exec.Cmd{d.frontend, d.boots, d.names.unbound} {
		if cmd != nil && cmd.Process != nil {
			cmd.Process.Signal(syscall.SIGTERM)
			cmd.Wait()
		}
	}
	if d.ca != nil {
		d.ca.Stop()
	}
}
