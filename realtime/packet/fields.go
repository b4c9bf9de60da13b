package packet

import (
	"reflect"
	"slices"
	"strings"
	"sync"
)

// field is a member of a struct as encoding/json names it.
type field struct {
	name      string
	key       []byte // "name":
	index     []int
	omitEmpty bool
	omitZero  bool
	quoted    bool // the option "string"
}

func (f *field) omits(v reflect.Value) bool {
	return f.omitZero && v.IsZero() || f.omitEmpty && empty(v)
}

func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}

var structFields sync.Map // reflect.Type → []field

// fieldsOf returns the members that encoding/json would write, in its order:
// those of embedded structs as if they were of the outer one, the outermost
// of a name winning.
func fieldsOf(t reflect.Type) []field {
	if known, ok := structFields.Load(t); ok {
		return known.([]field)
	}
	var fields []field
	var named [][]int // embedded structs that have a name of their own
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Tag.Get("json") == "-" || within(f.Index, named) {
			continue
		}
		if f.Anonymous && name == "" && structOf(f.Type) {
			continue // its members come by themselves
		}
		if f.Anonymous {
			named = append(named, f.Index)
		}
		if !f.IsExported() {
			continue
		}
		if name == "" {
			name = f.Name
		}
		fields = append(fields, newField(name, f.Index, strings.Split(options, ",")))
	}
	fields = outermost(fields)
	structFields.Store(t, fields)
	return fields
}

func newField(name string, index []int, options []string) field {
	return field{
		name:      name,
		key:       append(appendString(nil, name), ':'),
		index:     index,
		omitEmpty: slices.Contains(options, "omitempty"),
		omitZero:  slices.Contains(options, "omitzero"),
		quoted:    slices.Contains(options, "string"),
	}
}

func structOf(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Kind() == reflect.Struct && t != valueType && !marshalsItself(t)
}

func within(index []int, outer [][]int) bool {
	return slices.ContainsFunc(outer, func(o []int) bool {
		return len(index) > len(o) && slices.Equal(index[:len(o)], o)
	})
}

// outermost drops fields whose name stands less deep as well.
func outermost(fields []field) []field {
	depth := make(map[string]int, len(fields))
	for _, f := range fields {
		if d, ok := depth[f.name]; !ok || len(f.index) < d {
			depth[f.name] = len(f.index)
		}
	}
	return slices.DeleteFunc(fields, func(f field) bool { return len(f.index) > depth[f.name] })
}
