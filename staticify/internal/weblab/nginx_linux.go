package weblab

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Nginx is a running nginx.
type Nginx struct {
	*Process
	Dir     string   // holds nginx.conf and access.log
	Test    []string // the command that tests its configuration
	Reload  []string // the command that reloads it
	Log     string   // in the combined format
	Address string
}

// StartNginx runs nginx at address with what belongs into its http block.
func StartNginx(t testing.TB, address, http string) *Nginx {
	t.Helper()
	dir := Dir(t)
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;"
	}
	conf := WriteFile(t, filepath.Join(dir, "nginx.conf"), fmt.Sprintf(`%s
daemon off;
pcre_jit on;
env FAKETIME_TIMESTAMP_FILE; env FAKETIME_NO_CACHE; env FAKETIME_DONT_FAKE_MONOTONIC;
worker_processes 1;
pid %[2]s/nginx.pid;
error_log %[2]s/error.log notice;
events { worker_connections 8192; }
worker_rlimit_nofile 20000;
http {
	client_body_temp_path %[2]s/body;
	proxy_temp_path %[2]s/proxy;
	fastcgi_temp_path %[2]s/fastcgi;
	uwsgi_temp_path %[2]s/uwsgi;
	scgi_temp_path %[2]s/scgi;
	access_log %[2]s/access.log;
	sendfile on;
	tcp_nopush on;
	default_type application/octet-stream;
%s
}
`, user, dir, http))
	base := []string{program("nginx"), "-e", filepath.Join(dir, "error.log"), "-p", dir, "-c", conf}
	n := &Nginx{
		Dir: dir, Address: address, Log: filepath.Join(dir, "access.log"),
		Test:   append(append([]string(nil), base...), "-t", "-q"),
		Reload: append(append([]string(nil), base...), "-s", "reload"),
	}
	Run(t, n.Test[0], n.Test[1:]...)
	n.Process = Start(t, nil, base[0], base[1:]...)
	n.Await(t, "tcp", address)
	WaitFor(t, "nginx's worker", func() bool { return len(n.Workers(t)) > 0 }) // it listens before it has any
	return n
}

// Workers returns the ids of nginx's workers.
func (n *Nginx) Workers(t testing.TB) []string {
	pid := n.Cmd.Process.Pid
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(text))
}

// Reloaded waits until the workers that were there before a reload have gone.
func (n *Nginx) Reloaded(t testing.TB, before []string) {
	WaitFor(t, "new workers", func() bool {
		now := n.Workers(t)
		return len(now) > 0 && !slices.ContainsFunc(now, func(pid string) bool { return slices.Contains(before, pid) })
	})
}

// ErrorLog returns what nginx has logged.
func (n *Nginx) ErrorLog(t testing.TB) string {
	text, err := os.ReadFile(filepath.Join(n.Dir, "error.log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
