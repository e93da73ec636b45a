// Package nginx has nginx serve published pages.
package nginx
