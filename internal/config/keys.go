package config

import (
	"encoding"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Key is one value of the configuration: what its struct field says about it.
type Key struct {
	Path   string   // net.static.dns
	Doc    string   // lines, without comment signs; may be empty
	OneOf  []string // the words allowed; empty if not limited
	Secret bool     // hidden where the configuration is shown
	List   bool

	index []int // of the field in Config
}

// Env is the environment variable that sets it.
func (k Key) Env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(k.Path, ".", "_"))
}

// Table is the table that it stands in, "" at the top.
func (k Key) Table() string {
	table, _, nested := cutLast(k.Path, ".")
	if !nested {
		return ""
	}
	return table
}

// Leaf is its name within the table.
func (k Key) Leaf() string {
	if _, leaf, nested := cutLast(k.Path, "."); nested {
		return leaf
	}
	return k.Path
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// Keys returns every key, in the order of the reference file.
func Keys() []Key { return collect(reflect.TypeFor[Config](), "", nil) }

// Lookup finds a key by its path.
func Lookup(path string) (Key, bool) {
	keys := Keys()
	i := slices.IndexFunc(keys, func(k Key) bool { return k.Path == path })
	if i < 0 {
		return Key{}, false
	}
	return keys[i], true
}

func collect(t reflect.Type, prefix string, index []int) []Key {
	var keys []Key
	for i := range t.NumField() {
		field := t.Field(i)
		at := append(slices.Clone(index), i)
		path := prefix + field.Tag.Get("toml")
		if isTable(field.Type) {
			keys = append(keys, collect(field.Type, path+".", at)...)
			continue
		}
		keys = append(keys, Key{
			Path:   path,
			Doc:    field.Tag.Get("doc"),
			OneOf:  strings.Fields(field.Tag.Get("oneof")),
			Secret: field.Tag.Get("secret") != "",
			List:   field.Type.Kind() == reflect.Slice,
			index:  at,
		})
	}
	return keys
}

// isTable tells the structs of this package, which are tables, from those of
// others (netip.Addr), which are values.
func isTable(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.PkgPath() == reflect.TypeFor[Config]().PkgPath()
}

// tableDocs returns the comment above each table.
func tableDocs(t reflect.Type, prefix string) map[string]string {
	docs := map[string]string{}
	for field := range t.Fields() {
		if !isTable(field.Type) {
			continue
		}
		path := prefix + field.Tag.Get("toml")
		docs[path] = field.Tag.Get("doc")
		maps.Copy(docs, tableDocs(field.Type, path+"."))
	}
	return docs
}

// nearest is the key or table that was probably meant, "" if none is close.
func nearest(path string) string {
	var best string
	bestDistance := 3 // more slips than that are another word
	for _, k := range Keys() {
		for candidate := k.Path; candidate != ""; candidate = parent(candidate) {
			if d := distance(path, candidate); d < bestDistance {
				best, bestDistance = candidate, d
			}
		}
	}
	if best == "" {
		best = sameLeaf(path)
	}
	return best
}

// sameLeaf finds a key of that name in another table.
func sameLeaf(path string) string {
	leaf := Key{Path: path}.Leaf()
	for _, k := range Keys() {
		if k.Leaf() == leaf {
			return k.Path
		}
	}
	return ""
}

func parent(path string) string {
	p, _, nested := cutLast(path, ".")
	if !nested {
		return ""
	}
	return p
}

// distance is the number of letters to insert, delete, replace or swap with
// their neighbour (optimal string alignment).
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

// field is the value of a key within a configuration.
func (k Key) field(c *Config) reflect.Value {
	return reflect.ValueOf(c).Elem().FieldByIndex(k.index)
}

// Value is the value of a key, for those who show it: a string, bool, int or
// []string, as TOML and JSON would write it.
func (k Key) Value(c Config) any { return plain(k.field(&c)) }

func plain(v reflect.Value) any {
	switch value := v.Interface().(type) {
	case slog.Level:
		return strings.ToLower(value.String())
	case encoding.TextMarshaler:
		b, err := value.MarshalText()
		if err != nil {
			return fmt.Sprint(value)
		}
		return string(b)
	}
	switch v.Kind() {
	case reflect.Slice:
		list := make([]string, v.Len())
		for i := range list {
			list[i] = fmt.Sprint(plain(v.Index(i)))
		}
		return list
	case reflect.Bool:
		return v.Bool()
	case reflect.Int:
		return v.Int()
	default:
		return v.String()
	}
}
