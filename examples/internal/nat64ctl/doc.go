// Package nat64ctl holds the commands of the program nat64ctl.
package nat64ctl
