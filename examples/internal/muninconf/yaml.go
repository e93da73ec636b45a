package muninconf

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// strict decodes a document into a struct, and returns every unknown key and
// every wrong type, each with its line and column.
func strict(name string, text []byte, into any) error {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return fmt.Errorf("%s: %s", name, yaml.FormatError(err, false, false))
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		return fmt.Errorf("%s: want one YAML document, found %d", name, len(file.Docs))
	}
	d := decoder{name: name}
	d.value(file.Docs[0].Body, reflect.ValueOf(into).Elem())
	return errors.Join(d.errs...)
}

type decoder struct {
	name string
	errs []error
}

func (d *decoder) add(node ast.Node, format string, args ...any) {
	at := node.GetToken().Position
	d.errs = append(d.errs, fmt.Errorf("%s:%d:%d: %s", d.name, at.Line, at.Column, fmt.Sprintf(format, args...)))
}

func (d *decoder) value(node ast.Node, into reflect.Value) {
	if _, ok := node.(*ast.NullNode); ok {
		return
	}
	if l, ok := into.Addr().Interface().(lined); ok {
		l.setLine(node.GetToken().Position.Line)
	}
	text, isText := into.Addr().Interface().(encoding.TextUnmarshaler)
	switch {
	case isText:
		d.text(node, text)
	case into.Kind() == reflect.Struct:
		d.mapping(node, into)
	case into.Kind() == reflect.Slice:
		d.sequence(node, into)
	case into.Kind() == reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		d.value(node, into.Elem())
	case into.Kind() == reflect.Map:
		d.texts(node, into)
	default:
		d.scalar(node, into)
	}
}

// scalar takes a boolean, a text or a number, and none of them for another.
func (d *decoder) scalar(node ast.Node, into reflect.Value) {
	_, isBool := node.(*ast.BoolNode)
	_, isNumber := node.(*ast.IntegerNode)
	_, isString := node.(*ast.StringNode)
	_, isBlock := node.(*ast.LiteralNode)
	switch kind := into.Kind(); {
	case kind == reflect.Bool && !isBool:
		d.add(node, "want true or false")
		return
	case kind == reflect.String && !isString && !isBlock:
		d.add(node, "want a text: put it in quotes")
		return
	case kind == reflect.Uint16 && !isNumber:
		d.add(node, "want a number from 0 to 65535")
		return
	}
	if err := yaml.NodeToValue(node, into.Addr().Interface()); err != nil {
		d.add(node, "%s", firstLine(err))
	}
}

// texts takes a mapping of keys that are not known beforehand.
func (d *decoder) texts(node ast.Node, into reflect.Value) {
	fields, ok := node.(ast.MapNode)
	if !ok {
		d.add(node, "want a mapping of keys to values")
		return
	}
	into.Set(reflect.MakeMap(into.Type()))
	for entries := fields.MapRange(); entries.Next(); {
		value := reflect.New(into.Type().Elem()).Elem()
		d.value(entries.Value(), value)
		into.SetMapIndex(reflect.ValueOf(entries.Key().GetToken().Value), value)
	}
}

func (d *decoder) text(node ast.Node, into encoding.TextUnmarshaler) {
	scalar, ok := node.(*ast.StringNode)
	if !ok {
		d.add(node, "want a text: put it in quotes")
		return
	}
	if err := into.UnmarshalText([]byte(scalar.Value)); err != nil {
		d.add(node, "%v", err)
	}
}

// firstLine is the message without the position, which is ours, and the source.
func firstLine(err error) string {
	message, _, _ := strings.Cut(err.Error(), "\n")
	if _, text, ok := strings.Cut(message, "] "); ok {
		message = text
	}
	return message
}

// lined is what wants to know its line.
type lined interface{ setLine(int) }

func (d *decoder) mapping(node ast.Node, into reflect.Value) {
	fields, ok := node.(ast.MapNode)
	if !ok {
		d.add(node, "want a mapping of keys to values")
		return
	}
	for entries := fields.MapRange(); entries.Next(); {
		key := entries.Key().GetToken().Value
		field := fieldOf(into, key)
		if !field.IsValid() {
			d.add(entries.Key(), "unknown key %q", key)
			continue
		}
		d.value(entries.Value(), field)
	}
}

// fieldOf returns the field whose yaml tag is key.
func fieldOf(v reflect.Value, key string) reflect.Value {
	for field, value := range v.Fields() {
		if field.Tag.Get("yaml") == key {
			return value
		}
	}
	return reflect.Value{}
}

func (d *decoder) sequence(node ast.Node, into reflect.Value) {
	items, ok := node.(*ast.SequenceNode)
	if !ok {
		d.add(node, "want a list")
		return
	}
	into.Set(reflect.MakeSlice(into.Type(), len(items.Values), len(items.Values)))
	for i, item := range items.Values {
		d.value(item, into.Index(i))
	}
}
