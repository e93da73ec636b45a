// Package failover is the program of that name: it tells whether a standby is
// up to date, keeps up with the load and has every service, and moves the
// addresses of a site to it and back.
package failover
