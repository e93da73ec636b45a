// Package accesslog reads web servers' access logs.
package accesslog
