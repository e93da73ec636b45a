// Package strictyaml reads the configuration of the example programs: YAML in
// which an unknown key, a key given twice and a value of the wrong type are
// errors, all of them reported at once and each with its line and column.
package strictyaml

import (
	"cmp"
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Document remembers where each value of a file stands.
type Document struct {
	name    string
	at      map[string]*token.Position
	unread  map[string]bool
	anchors map[string]ast.Node
	errs    []located
}

// located is an error and its place, to sort by.
type located struct {
	error
	line, column int
}

// Decode reads one YAML document into the struct that into points to. Keys are
// the fields' yaml tags. A field is a string, bool, integer, float,
// [time.Duration], [encoding.TextUnmarshaler], or a struct, pointer, slice or
// map of these. The name stands at the beginning of each error.
//
// The document is returned even with an error, so that what was read can be
// checked and reported with it.
func Decode(name string, data []byte, into any) (*Document, error) {
	d := &Document{name: name, at: map[string]*token.Position{}, unread: map[string]bool{}, anchors: map[string]ast.Node{}}
	file, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		d.unread[""] = true // all of it
		d.errs = []located{{error: d.syntax(err)}}
		return d, d.Err()
	}
	var root ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType {
			continue
		}
		if root != nil {
			return d, d.fail(doc.Body.GetToken().Position, "", "a second document; one is wanted")
		}
		root = doc.Body
	}
	if root == nil {
		return d, nil
	}
	d.decode(root, reflect.ValueOf(into).Elem(), "")
	return d, d.Err()
}

// Err returns all problems, those of Decode and those added by Problem, in the
// order of their places; nil when there are none.
func (d *Document) Err() error {
	slices.SortStableFunc(d.errs, func(a, b located) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.column, b.column))
	})
	var errs []error
	for _, e := range d.errs {
		errs = append(errs, e.error)
	}
	return errors.Join(errs...)
}

// Problem adds what [Document.Errorf] returns to the document's problems, unless
// the value at path could not even be read, which has been reported.
func (d *Document) Problem(path, format string, args ...any) {
	if !d.Read(path) {
		return
	}
	at := d.position(path)
	if at == nil {
		at = &token.Position{}
	}
	d.errs = append(d.errs, located{d.Errorf(path, format, args...), at.Line, at.Column})
}

// Name is the name that was given to Decode.
func (d *Document) Name() string { return d.name }

// Read reports whether the value at path is as the file says: false when it,
// or what holds it, was of the wrong type and is reported already.
func (d *Document) Read(path string) bool {
	for !d.unread[path] && path != "" {
		path = holder(path)
	}
	return !d.unread[path]
}

// Given reports whether the file has something at path.
func (d *Document) Given(path string) bool { return d.at[path] != nil }

// holder returns the path of what holds the value at path.
func holder(path string) string { return path[:max(strings.LastIndexAny(path, ".["), 0)] }

// Errorf returns an error about the value at path ("pis[3].slot"), with the
// line and column of it or, when the file leaves it out, of what holds it.
func (d *Document) Errorf(path, format string, args ...any) error {
	return d.fail(d.position(path), path, fmt.Sprintf(format, args...))
}

// position returns where the value at path stands or, when the file leaves it
// out, what holds it; nil in an empty file.
func (d *Document) position(path string) *token.Position {
	for d.at[path] == nil && path != "" {
		path = holder(path)
	}
	return d.at[path]
}

func (d *Document) fail(at *token.Position, path, problem string) error {
	if path != "" {
		problem = path + ": " + problem
	}
	if at == nil {
		return fmt.Errorf("%s: %s", d.name, problem)
	}
	return fmt.Errorf("%s:%d:%d: %s", d.name, at.Line, at.Column, problem)
}

func (d *Document) add(node ast.Node, path, format string, args ...any) {
	at := begin(node)
	d.errs = append(d.errs, located{d.fail(at, path, fmt.Sprintf(format, args...)), at.Line, at.Column})
}

// wrong adds an error about a value that could not be read.
func (d *Document) wrong(node ast.Node, path, format string, args ...any) {
	d.unread[path] = true
	d.add(node, path, format, args...)
}

// begin returns where a value begins: for keys and values, the first key.
func begin(node ast.Node) *token.Position {
	switch n := node.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return begin(n.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return begin(n.Key)
	}
	return node.GetToken().Position
}

func (d *Document) syntax(err error) error {
	var located yaml.Error
	if errors.As(err, &located) && located.GetToken() != nil {
		return d.fail(located.GetToken().Position, "", located.GetMessage())
	}
	return d.fail(nil, "", err.Error())
}

// resolve follows anchors, aliases and tags to the value itself.
func (d *Document) resolve(node ast.Node) ast.Node {
	for range 16 {
		switch n := node.(type) {
		case *ast.AnchorNode:
			d.anchors[n.Name.GetToken().Value] = n.Value
			node = n.Value
		case *ast.AliasNode:
			to := d.anchors[n.Value.GetToken().Value]
			if to == nil {
				return node
			}
			node = to
		case *ast.TagNode:
			node = n.Value
		default:
			return node
		}
	}
	return node
}

func (d *Document) decode(node ast.Node, v reflect.Value, path string) {
	node = d.resolve(node)
	d.at[path] = begin(node)
	if node.Type() == ast.NullType {
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		d.decode(node, v.Elem(), path)
		return
	}
	if _, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		d.scalar(node, v, path)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.object(node, v, path)
	case reflect.Slice:
		d.list(node, v, path)
	case reflect.Map:
		d.dictionary(node, v, path)
	default:
		d.scalar(node, v, path)
	}
}

// entries returns the keys and values of a mapping, and reports keys that come twice.
func (d *Document) entries(node ast.Node, path string) []*ast.MappingValueNode {
	var values []*ast.MappingValueNode
	switch n := node.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		d.wrong(node, path, "want keys and values, not %s", describe(node))
		return nil
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(values), func(e *ast.MappingValueNode) bool {
		key := e.Key.GetToken().Value
		twice := seen[key]
		if seen[key] = true; twice {
			d.add(e.Key, path, "key %q is given twice", key)
		}
		return twice
	})
}

func (d *Document) object(node ast.Node, v reflect.Value, path string) {
	fields, known := map[string]int{}, []string(nil)
	for i := range v.NumField() {
		if tag := v.Type().Field(i).Tag.Get("yaml"); tag != "" && tag != "-" {
			fields[tag] = i
			known = append(known, tag)
		}
	}
	for _, e := range d.entries(node, path) {
		key := e.Key.GetToken().Value
		if i, ok := fields[key]; ok {
			d.decode(e.Value, v.Field(i), join(path, key))
		} else {
			d.add(e.Key, path, "unknown key %q; known are %s", key, strings.Join(known, ", "))
		}
	}
}

func (d *Document) list(node ast.Node, v reflect.Value, path string) {
	sequence, ok := node.(*ast.SequenceNode)
	if !ok {
		d.wrong(node, path, "want a list, not %s", describe(node))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(sequence.Values), len(sequence.Values)))
	for i, value := range sequence.Values {
		d.decode(value, v.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
}

func (d *Document) dictionary(node ast.Node, v reflect.Value, path string) {
	v.Set(reflect.MakeMap(v.Type()))
	for _, e := range d.entries(node, path) {
		key := e.Key.GetToken().Value
		value := reflect.New(v.Type().Elem()).Elem()
		d.decode(e.Value, value, join(path, key))
		v.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), value)
	}
}

func (d *Document) scalar(node ast.Node, v reflect.Value, path string) {
	text, ok := text(node)
	if !ok {
		d.wrong(node, path, "want %s, not %s", wanted(v), describe(node))
		return
	}
	if err := set(v, text, node); err != nil {
		d.wrong(node, path, "%v", err)
	}
}

// text returns a scalar as it was written: 1.10 is a port's name before it is a number.
func text(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case ast.ScalarNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func set(v reflect.Value, text string, node ast.Node) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	wrong := fmt.Errorf("want %s, not %s", wanted(v), describe(node))
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		if node.Type() != ast.BoolType {
			return wrong
		}
		v.SetBool(strings.EqualFold(text, "true"))
	case reflect.Float32, reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return wrong
		}
		v.SetFloat(f)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, err := integer(v, text)
		if err != nil || v.OverflowInt(n) {
			return wrong
		}
		v.SetInt(n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil || v.OverflowUint(n) {
			return wrong
		}
		v.SetUint(n)
	default:
		panic("strictyaml: no reader for " + v.Type().String())
	}
	return nil
}

func integer(v reflect.Value, text string) (int64, error) {
	if v.Type() == reflect.TypeFor[time.Duration]() {
		d, err := time.ParseDuration(text)
		return int64(d), err
	}
	return strconv.ParseInt(text, 10, 64)
}

// wanted says what a value of v's type looks like.
func wanted(v reflect.Value) string {
	switch {
	case v.Type() == reflect.TypeFor[time.Duration]():
		return "a duration such as 5s"
	case v.Kind() == reflect.String:
		return "text"
	case v.Kind() == reflect.Bool:
		return "true or false"
	case v.CanInt(), v.CanUint():
		return "a whole number"
	case v.CanFloat():
		return "a number"
	}
	return "one value"
}

func describe(node ast.Node) string {
	switch node.(type) {
	case *ast.SequenceNode:
		return "a list"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "keys and values"
	case *ast.AliasNode:
		return "an alias of no anchor before it"
	}
	return strconv.Quote(node.GetToken().Value)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
