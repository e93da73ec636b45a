// Package staticify makes files of a site's busy pages, never older than 60 seconds.
package staticify
