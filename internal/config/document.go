package config

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// document is one TOML file: its values, and where each of them stands.
type document struct {
	source  string
	text    []byte
	values  map[string]any
	entries []entry
}

// entry is one leaf of the file, or a table that holds none.
type entry struct {
	path  string
	table bool
	key   span
	value span
}

// span is a place in the text.
type span struct{ line, column, width int }

// parse reads TOML, forgiving what Windows' editors do to it: a byte order
// mark, UTF-16, CRLF.
func parse(source string, text []byte) (*document, error) {
	doc := &document{source: source, text: bytes.ReplaceAll(UTF8(text), []byte("\r\n"), []byte("\n"))}
	if err := toml.Unmarshal(doc.text, &doc.values); err != nil {
		return nil, doc.syntax(err)
	}
	doc.locate()
	return doc, nil
}

// UTF8 is the text of a file as it is on any other system: Windows' editors
// write UTF-16, and a byte order mark in front.
func UTF8(text []byte) []byte {
	switch {
	case bytes.HasPrefix(text, []byte{0xff, 0xfe}):
		text = fromUTF16(text[2:], binary.LittleEndian)
	case bytes.HasPrefix(text, []byte{0xfe, 0xff}):
		text = fromUTF16(text[2:], binary.BigEndian)
	}
	return bytes.TrimPrefix(text, []byte("\ufeff"))
}

// fromUTF16 reads what Notepad calls "Unicode".
func fromUTF16(text []byte, order binary.ByteOrder) []byte {
	units := make([]uint16, len(text)/2)
	for i := range units {
		units[i] = order.Uint16(text[2*i:])
	}
	return []byte(string(utf16.Decode(units)))
}

func (d *document) syntax(err error) error {
	e := &Error{Source: d.source, Message: strings.TrimPrefix(err.Error(), "toml: "), text: d.text}
	var decode *toml.DecodeError
	if errors.As(err, &decode) {
		e.Line, e.Column = decode.Position()
		e.Hint = "strings need quotes; see 'appliance config default' for every key"
	}
	return Errors{e}
}

// locate walks the syntax tree for the places that the decoder does not tell.
func (d *document) locate() {
	p := &unstable.Parser{}
	p.Reset(d.text)
	var table string
	for p.NextExpression() {
		node := p.Expression()
		switch node.Kind {
		case unstable.KeyValue:
			d.locateValue(p, table, node)
		case unstable.Table, unstable.ArrayTable:
			var at span
			table, at = d.keyOf(p, "", node)
			d.entries = append(d.entries, entry{path: table, table: true, key: at})
		}
	}
}

func (d *document) locateValue(p *unstable.Parser, table string, node *unstable.Node) {
	path, at := d.keyOf(p, table, node)
	value := node.Value()
	if value.Kind != unstable.InlineTable {
		d.entries = append(d.entries, entry{path: path, key: at, value: d.valueSpan(p, value, at)})
		return
	}
	d.entries = append(d.entries, entry{path: path, table: true, key: at})
	children := value.Children()
	for children.Next() {
		d.locateValue(p, path, children.Node())
	}
}

func (d *document) keyOf(p *unstable.Parser, table string, node *unstable.Node) (path string, at span) {
	var first, last unstable.Range
	parts := node.Key()
	for parts.Next() {
		part := parts.Node()
		if path == "" {
			first = part.Raw
		}
		last = part.Raw
		path = strings.TrimPrefix(path+"."+string(part.Data), ".")
	}
	at = d.span(p, unstable.Range{Offset: first.Offset, Length: last.Offset + last.Length - first.Offset})
	return strings.TrimPrefix(table+"."+path, "."), at
}

// valueSpan is the value where the parser kept its place, else the key.
func (d *document) valueSpan(p *unstable.Parser, value *unstable.Node, key span) span {
	if value.Raw.Length > 0 {
		return d.span(p, value.Raw)
	}
	return key
}

func (d *document) span(p *unstable.Parser, r unstable.Range) span {
	start := p.Shape(r).Start
	width := int(r.Length)
	if i := bytes.IndexByte(d.text[r.Offset:r.Offset+r.Length], '\n'); i >= 0 {
		width = i
	}
	return span{start.Line, start.Column, width}
}

// at finds the value of a path in what the decoder made.
func (d *document) at(path string) any {
	var v any = d.values
	for part := range strings.SplitSeq(path, ".") {
		table, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = table[part]
	}
	return v
}

func (d *document) errorAt(at span, key, hint, format string, args ...any) *Error {
	return &Error{
		Source: d.source, Line: at.line, Column: at.column, Width: at.width,
		Key: key, Message: fmt.Sprintf(format, args...), Hint: hint, text: d.text,
	}
}
