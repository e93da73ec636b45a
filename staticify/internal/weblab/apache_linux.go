package weblab

import (
	"fmt"
	"path/filepath"
	"testing"
)

// Apache is a running httpd.
type Apache struct {
	*Process
	Dir     string   // holds apache.conf
	Test    []string // the command that tests its configuration
	Reload  []string // the command that reloads it
	Address string
}

// StartApache runs Debian's httpd at address, with what belongs into its virtual host.
func StartApache(t testing.TB, address, vhost string) *Apache {
	t.Helper()
	dir := Dir(t)
	conf := WriteFile(t, filepath.Join(dir, "apache.conf"), fmt.Sprintf(`
ServerRoot %[1]s
PidFile %[1]s/pid
Mutex file:%[1]s default
ErrorLog %[1]s/error.log
LogLevel warn
ServerName localhost
Listen %[2]s
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule mime_module /usr/lib/apache2/modules/mod_mime.so
Include /etc/apache2/mods-available/mime.conf
AddEncoding x-gzip .gz
LoadModule http2_module /usr/lib/apache2/modules/mod_http2.so
Protocols h2c http/1.1
LoadModule rewrite_module /usr/lib/apache2/modules/mod_rewrite.so
LoadModule asis_module /usr/lib/apache2/modules/mod_asis.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
LoadModule filter_module /usr/lib/apache2/modules/mod_filter.so
LoadModule deflate_module /usr/lib/apache2/modules/mod_deflate.so
LoadModule brotli_module /usr/lib/apache2/modules/mod_brotli.so
AddOutputFilterByType BROTLI_COMPRESS;DEFLATE text/css
User www-data
Group www-data
<Directory />
	Require all denied
	AllowOverride None
</Directory>
<VirtualHost *:*>
	AllowEncodedSlashes On
%[3]s
</VirtualHost>
`, dir, address, vhost))
	base := []string{program("apache2"), "-f", conf}
	a := &Apache{
		Dir: dir, Address: address,
		Test:   append(append([]string(nil), base...), "-t"),
		Reload: append(append([]string(nil), base...), "-k", "graceful"),
	}
	Run(t, a.Test[0], a.Test[1:]...)
	a.Process = Start(t, nil, base[0], append(base[1:], "-DFOREGROUND")...)
	a.Await(t, "tcp", address)
	return a
}
