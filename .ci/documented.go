//go:build ignore

// Documented lists the packages without a package comment or an Example, and the
// exported names without a comment. It exits with 1 when there are any.
//
// A comment on a group is for all of it. A field, in a package that users may import,
// has one of its own or is named in another one of its type. The comment of an
// interface with one method is for that.
//
//	go run .ci/documented.go
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"
)

// wellKnown are methods whose meaning the interface that they are for has said.
var wellKnown = map[string]bool{
	"Error": true, "Unwrap": true, "Is": true, "String": true, "GoString": true, "LogValue": true,
	"MarshalText": true, "UnmarshalText": true, "AppendText": true, "MarshalJSON": true, "UnmarshalJSON": true,
	"MarshalBinary": true, "UnmarshalBinary": true, "Len": true, "Less": true, "Swap": true,
	"Read": true, "Write": true, "Close": true, "ServeHTTP": true, "ServeDNS": true,
}

// directory is what the files of one directory have.
type directory struct {
	name     string // of the package
	comment  bool
	example  bool
	problems []string
}

func main() {
	files := token.NewFileSet()
	directories := map[string]*directory{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		file, err := parser.ParseFile(files, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		in := directories[filepath.Dir(path)]
		if in == nil {
			in = &directory{}
			directories[filepath.Dir(path)] = in
		}
		in.add(files, path, file)
		return nil
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if report(directories) {
		os.Exit(1)
	}
}

// report prints all problems, and reports whether there are any.
func report(directories map[string]*directory) (failed bool) {
	for dir, d := range directories {
		if d.name == "" {
			continue // tests alone
		}
		if !d.comment {
			d.problems = append(d.problems, dir+": no package comment")
		}
		if !d.example && public(dir) {
			d.problems = append(d.problems, dir+": no Example")
		}
		for _, problem := range d.problems {
			fmt.Fprintln(os.Stderr, problem)
			failed = true
		}
	}
	return failed
}

// public reports whether users may import the package in a directory.
func public(dir string) bool {
	return !strings.Contains("/"+dir+"/", "/internal/") && !strings.HasPrefix(dir, "examples"+string(filepath.Separator))
}

func (d *directory) add(files *token.FileSet, path string, file *ast.File) {
	if strings.HasSuffix(path, "_test.go") {
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Example") {
				d.example = true
			}
		}
		return
	}
	d.name = file.Name.Name
	d.comment = d.comment || file.Doc != nil
	missing := func(at token.Pos, name string) {
		d.problems = append(d.problems, fmt.Sprintf("%s: %s has no comment", files.Position(at), name))
	}
	for _, decl := range file.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if name, exported := function(decl); exported && decl.Doc == nil {
				missing(decl.Pos(), name)
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				values(path, file, decl, spec, missing)
			}
		}
	}
}

// function returns the name of a function or method, and whether it needs a comment.
func function(f *ast.FuncDecl) (name string, exported bool) {
	if f.Recv == nil {
		return f.Name.Name, f.Name.IsExported()
	}
	receiver := f.Recv.List[0].Type
	for {
		switch t := receiver.(type) {
		case *ast.StarExpr:
			receiver = t.X
			continue
		case *ast.IndexExpr:
			receiver = t.X
			continue
		case *ast.IndexListExpr:
			receiver = t.X
			continue
		case *ast.Ident:
			return t.Name + "." + f.Name.Name, t.IsExported() && f.Name.IsExported() && !wellKnown[f.Name.Name]
		}
		return f.Name.Name, false
	}
}

// values looks at one type, constant or variable. A comment on a group is for all.
func values(path string, file *ast.File, decl *ast.GenDecl, spec ast.Spec, missing func(token.Pos, string)) {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		if !spec.Name.IsExported() {
			return
		}
		if decl.Doc == nil && spec.Doc == nil && spec.Comment == nil {
			missing(spec.Pos(), spec.Name.Name)
		}
		switch t := spec.Type.(type) {
		case *ast.StructType:
			if !public(filepath.Dir(path)) {
				return
			}
			fields(spec.Name.Name, t.Fields, words(file, decl, spec), missing)
		case *ast.InterfaceType:
			if len(t.Methods.List) > 1 {
				fields(spec.Name.Name, t.Methods, nil, missing)
			}
		}
	case *ast.ValueSpec:
		for _, name := range spec.Names {
			if name.IsExported() && decl.Doc == nil && spec.Doc == nil && spec.Comment == nil {
				missing(name.Pos(), name.Name)
			}
		}
	}
}

// words returns those of all comments on a type and in it.
func words(file *ast.File, decl *ast.GenDecl, spec *ast.TypeSpec) map[string]bool {
	said := map[string]bool{}
	for _, comment := range file.Comments {
		inside := comment.Pos() >= spec.Pos() && comment.End() <= spec.End()
		if comment == decl.Doc || comment == spec.Doc || inside {
			for _, word := range strings.FieldsFunc(comment.Text(), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
				said[word] = true
			}
		}
	}
	return said
}

// fields looks at a type's fields or methods.
func fields(of string, list *ast.FieldList, said map[string]bool, missing func(token.Pos, string)) {
	for _, field := range list.List {
		for _, name := range field.Names {
			if name.IsExported() && field.Doc == nil && field.Comment == nil && !said[name.Name] {
				missing(name.Pos(), of+"."+name.Name)
			}
		}
	}
}
