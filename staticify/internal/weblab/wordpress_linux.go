package weblab

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// WordPressHost is what WordPress believes that it is.
const WordPressHost = "www.example.org"

// User and password of WordPress's administrator.
const (
	WordPressUser     = "admin"
	WordPressPassword = "correct horse battery staple"
)

// WordPress is Debian's WordPress with nginx, php-fpm and MariaDB of its own.
type WordPress struct {
	*Nginx          // answers at Address for any host
	Root     string // its files
	FPM      string // the socket of php-fpm
	socket   string // of the database
	fpm      *Process
	database *Process
}

// StartWordPress installs a site with pretty permalinks and some posts, pages, comments and a category.
func StartWordPress(t testing.TB) *WordPress {
	t.Helper()
	w := &WordPress{Root: filepath.Join(Dir(t), "wordpress")}
	w.startDatabase(t)
	w.startFPM(t)
	w.copyFiles(t)
	address := Address(t)
	w.Nginx = StartNginx(t, address, w.ServerBlock(address))
	w.install(t)
	return w
}

// Programs are the judges that StartWordPress needs.
func Programs() []string {
	return []string{"root", "nginx", "php-fpm8.2", "mariadbd", "mariadb-install-db", "mariadb", "/usr/share/wordpress/wp-content/themes/twentytwentyone"}
}

// ServerBlock is a server of nginx's that hands all programs to php-fpm.
func (w *WordPress) ServerBlock(listen string) string {
	return fmt.Sprintf(`
	include /etc/nginx/mime.types;
	server {
		listen %s default_server;
		root %s;
		index index.php;
		client_max_body_size 16m;
		location / { try_files $uri $uri/ /index.php$is_args$args; }
		location ~ \.php$ {
			try_files $uri =404;
			include /etc/nginx/fastcgi_params;
			fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
			fastcgi_pass unix:%s;
			fastcgi_read_timeout 60s;
		}
	}`, listen, w.Root, w.FPM)
}

func (w *WordPress) startDatabase(t testing.TB) {
	dir := Dir(t)
	w.socket = filepath.Join(dir, "sock")
	data := filepath.Join(dir, "data")
	Run(t, "mariadb-install-db", "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal", "--skip-test-db", "--user=root",
		"--innodb-log-file-size=8M", "--innodb-buffer-pool-size=32M")
	w.database = Start(t, nil, "mariadbd", "--no-defaults", "--datadir="+data, "--socket="+w.socket, "--skip-networking", "--user=root",
		"--innodb-log-file-size=8M", "--innodb-buffer-pool-size=32M", "--innodb-flush-log-at-trx-commit=0", "--pid-file="+filepath.Join(dir, "pid"))
	w.database.Await(t, "unix", w.socket)
	w.SQL(t, "CREATE DATABASE wordpress CHARACTER SET utf8mb4", "mysql")
}

// SQL runs statements in the database and returns what they print, without headings.
func (w *WordPress) SQL(t testing.TB, statements string, database ...string) string {
	t.Helper()
	name := "wordpress"
	if len(database) > 0 {
		name = database[0]
	}
	cmd := exec.Command(program("mariadb"), "--no-defaults", "--socket="+w.socket, "--user=root", "--batch", "--skip-column-names", name)
	cmd.Stdin = strings.NewReader(statements)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", statements, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (w *WordPress) startFPM(t testing.TB) {
	dir := Dir(t)
	w.FPM = filepath.Join(dir, "sock")
	conf := WriteFile(t, filepath.Join(dir, "fpm.conf"), fmt.Sprintf(`
[global]
error_log = %[1]s/error.log
daemonize = no
[www]
user = root
group = root
listen = %[2]s
pm = static
pm.max_children = 4
catch_workers_output = yes
php_admin_value[sendmail_path] = /bin/true
php_admin_value[error_log] = %[1]s/php.log
php_admin_value[opcache.revalidate_freq] = 60
`, dir, w.FPM))
	w.fpm = Start(t, nil, "php-fpm8.2", "-R", "-F", "-y", conf)
	w.fpm.Await(t, "unix", w.FPM)
}

func (w *WordPress) copyFiles(t testing.TB) {
	Run(t, "cp", "-rL", "--reflink=auto", "/usr/share/wordpress", w.Root)
	os.Remove(filepath.Join(w.Root, ".htaccess"))
	WriteFile(t, filepath.Join(w.Root, "wp-config.php"), fmt.Sprintf(`<?php
define('DB_NAME', 'wordpress');
define('DB_USER', 'root');
define('DB_PASSWORD', '');
define('DB_HOST', 'localhost:%s');
define('DB_CHARSET', 'utf8mb4');
define('DB_COLLATE', '');
define('AUTH_KEY', 'a'); define('SECURE_AUTH_KEY', 'b'); define('LOGGED_IN_KEY', 'c'); define('NONCE_KEY', 'd');
define('AUTH_SALT', 'e'); define('SECURE_AUTH_SALT', 'f'); define('LOGGED_IN_SALT', 'g'); define('NONCE_SALT', 'h');
define('WP_HOME', 'http://%[2]s');
define('WP_SITEURL', 'http://%[2]s');
define('WP_DEFAULT_THEME', 'twentytwentyone');
define('WP_HTTP_BLOCK_EXTERNAL', true);
define('DISABLE_WP_CRON', true);
define('AUTOMATIC_UPDATER_DISABLED', true);
$table_prefix = 'wp_';
if (!defined('ABSPATH')) define('ABSPATH', __DIR__ . '/');
require_once ABSPATH . 'wp-settings.php';
`, w.socket, WordPressHost))
}

// Posts is how many posts there are, beside WordPress's own.
const Posts = 120

// PostPath is where post n is, from 1 on.
func PostPath(n int) string { return fmt.Sprintf("/2016/04/%02d/post-%d/", 1+n%28, n) }

func (w *WordPress) install(t testing.TB) {
	response := w.Do(t, "POST", "/wp-admin/install.php?step=2", "", url.Values{
		"weblog_title": {"Raspberry Pi"}, "user_name": {WordPressUser}, "admin_password": {WordPressPassword}, "admin_password2": {WordPressPassword},
		"pw_weak": {"1"}, "admin_email": {"admin@example.org"}, "blog_public": {"1"}, "Submit": {"Install WordPress"}, "language": {""},
	})
	if !strings.Contains(response, "Success") {
		t.Fatalf("WordPress was not installed: %s", response)
	}
	var sql strings.Builder
	sql.WriteString("UPDATE wp_options SET option_value='/%year%/%monthnum%/%day%/%postname%/' WHERE option_name='permalink_structure';\n")
	sql.WriteString("UPDATE wp_options SET option_value='' WHERE option_name='rewrite_rules';\n")
	for n := 1; n <= Posts; n++ {
		date := fmt.Sprintf("2016-04-%02d 10:%02d:00", 1+n%28, n/28) // no two alike: MySQL would shuffle them
		fmt.Fprintf(&sql, `INSERT INTO wp_posts (ID, post_author, post_date, post_date_gmt, post_content, post_title, post_excerpt, post_status, comment_status,
			ping_status, post_name, to_ping, pinged, post_modified, post_modified_gmt, post_content_filtered, post_parent, guid, menu_order, post_type)
			VALUES (%d, 1, '%s', '%s', '%s', 'Post %d', '', 'publish', 'open', 'open', 'post-%d', '', '', '%[2]s', '%[2]s', '', 0, 'http://%s/?p=%[1]d', 0, 'post');
			INSERT INTO wp_term_relationships VALUES (%[1]d, 1, 0);`+"\n", 1000+n, date, date, strings.Repeat("<p>The little computer that did.</p>", 20), n, n, WordPressHost)
	}
	fmt.Fprintf(&sql, "UPDATE wp_term_taxonomy SET count = %d WHERE term_id = 1;\n", Posts+1)
	w.SQL(t, sql.String())
}

// Do sends a request to WordPress, with a form if there is one, and returns the body.
func (w *WordPress) Do(t testing.TB, method, target, cookie string, form url.Values) string {
	t.Helper()
	request, err := http.NewRequest(method, "http://"+w.Address+target, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Host = WordPressHost
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if cookie != "" {
		request.Header.Set("Cookie", cookie)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode >= 400 {
		t.Fatalf("%s %s: %s\n%s", method, target, response.Status, body)
	}
	return string(body)
}

// Login returns the Cookie header of the administrator.
func (w *WordPress) Login(t testing.TB) string {
	t.Helper()
	request, err := http.NewRequest("POST", "http://"+w.Address+"/wp-login.php", strings.NewReader(url.Values{
		"log": {WordPressUser}, "pwd": {WordPressPassword}, "wp-submit": {"Log In"}, "testcookie": {"1"},
	}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Host = WordPressHost
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Cookie", "wordpress_test_cookie=WP%20Cookie%20check")
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	var cookies []string
	for _, c := range response.Cookies() {
		cookies = append(cookies, c.Name+"="+c.Value)
	}
	header := strings.Join(cookies, "; ")
	if !strings.Contains(header, "wordpress_logged_in_") {
		t.Fatalf("not logged in: %s %v", response.Status, response.Header)
	}
	return header
}

// Questions is how many queries the database was asked, this one included.
func (w *WordPress) Questions(t testing.TB) string {
	return w.SQL(t, "SHOW GLOBAL STATUS LIKE 'Questions'")
}

// FPMProcess is php-fpm's master.
func (w *WordPress) FPMProcess() *Process { return w.fpm }
