package tour

import (
	_ "embed"
	"html/template"
	"os"
	"path/filepath"
	"time"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"took": func(d time.Duration) string { return d.Round(time.Millisecond).String() },
}).Parse(pageText))

// writePage writes the page beside its place and renames it.
func writePage(path string, reports []Report) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tour-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // after the rename there is nothing
	defer f.Close()
	if err := pageTemplate.Execute(f, reports); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
