// Package apache has Apache's httpd 2.4 serve published pages.
package apache
