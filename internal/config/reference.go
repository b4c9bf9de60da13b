package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// Reference is the commented file with every key at its default. Each value
// is commented out: such a file configures nothing, and says everything.
func Reference(place Place) []byte {
	var b bytes.Buffer
	b.WriteString("# appliance.toml: every key, at its default. Uncomment what you want to change.\n" +
		"# appliance.d/*.toml beside this file, the settings of the admin page,\n" +
		"# APPLIANCE_* in the environment, and flags come after it and win.\n\n")
	docs := tableDocs(reflect.TypeFor[Config](), "")
	defaults := Defaults(place)
	var table string
	for _, k := range Keys() {
		if k.Table() != table {
			table = k.Table()
			b.WriteString("\n")
			writeDoc(&b, docs[table])
			fmt.Fprintf(&b, "[%s]\n", table)
		}
		writeDoc(&b, k.Doc)
		if len(k.OneOf) > 0 {
			writeDoc(&b, "One of: "+strings.Join(k.OneOf, " | "))
		}
		fmt.Fprintf(&b, "#%s = %s\n", k.Leaf(), tomlValue(k.Value(defaults)))
	}
	return b.Bytes()
}

func writeDoc(b *bytes.Buffer, doc string) {
	if doc == "" {
		return
	}
	for line := range strings.SplitSeq(doc, "\n") {
		fmt.Fprintf(b, "# %s\n", line)
	}
}

// Show writes the configuration as it is, each value that is not the default
// with its origin behind it. Secrets show that they are set, not what they
// are.
func (l *Loaded) Show() []byte {
	var b bytes.Buffer
	var table string
	for _, k := range Keys() {
		if k.Table() != table {
			table = k.Table()
			fmt.Fprintf(&b, "\n[%s]\n", table)
		}
		line := k.Leaf() + " = " + tomlValue(l.Shown(k))
		if o := l.Origin(k.Path); o.Source != "default" {
			line = fmt.Sprintf("%-40s # %v", line, o)
		}
		b.WriteString(line + "\n")
	}
	return b.Bytes()
}

// Shown is the value of a key as anybody may see it.
func (l *Loaded) Shown(k Key) any {
	value := k.Value(l.Config)
	if k.Secret && value != "" {
		return "(hidden)"
	}
	return value
}

// tomlValue writes what Key.Value returns.
func tomlValue(v any) string {
	switch v := v.(type) {
	case string:
		return tomlString(v)
	case []string:
		quoted := make([]string, len(v))
		for i, s := range v {
			quoted[i] = tomlString(s)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	case bool:
		return strconv.FormatBool(v)
	default:
		return fmt.Sprint(v)
	}
}

// tomlString writes a basic string; TOML's escapes are those of JSON, but for
// the solidus, which json does not escape. DEL must be escaped in TOML.
func tomlString(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return strconv.Quote(s)
	}
	return strings.ReplaceAll(strings.TrimSuffix(b.String(), "\n"), "\x7f", `\u007f`)
}

// Diff names the keys whose values are not the same in both.
func Diff(a, b Config) []string {
	var paths []string
	for _, k := range Keys() {
		if !reflect.DeepEqual(k.Value(a), k.Value(b)) {
			paths = append(paths, k.Path)
		}
	}
	return paths
}
