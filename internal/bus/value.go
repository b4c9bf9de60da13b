package bus

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// Value is what a message says: a JSON value or bytes.
type Value struct {
	// JSON is the text of the value, compact; nil means that Bytes are the value.
	JSON  json.RawMessage
	Bytes []byte
	// Type is the media type that came with the value over HTTP. It is kept for
	// reading it again over HTTP as it was, and means nothing else.
	Type string
}

// maxDepth bounds how deep arrays and objects may be nested: clients are less
// careful than encoding/json.
const maxDepth = 100

// ParseValue says what a body or frame means, wherever it comes from: valid
// JSON is that value, other valid UTF-8 is a string, anything else is bytes.
func ParseValue(body []byte) Value {
	if !utf8.Valid(body) {
		return Value{Bytes: bytes.Clone(body)}
	}
	if json.Valid(body) {
		var compact bytes.Buffer
		if err := json.Compact(&compact, body); err == nil {
			return Value{JSON: compact.Bytes()}
		}
	}
	return Text(string(body))
}

// Text returns a string as a value.
func Text(s string) Value { return Value{JSON: quote(s)} }

// quote writes a JSON string without the escapes that HTML would need.
func quote(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string always can be
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// depth returns how deep valid JSON is nested.
func depth(text []byte) int {
	now, most := 0, 0
	inString := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '[' || c == '{':
			now++
			most = max(most, now)
		case c == ']' || c == '}':
			now--
		}
	}
	return most
}

// AsText returns the string that the value is, if it is one.
func (v Value) AsText() (string, bool) {
	if len(v.JSON) == 0 || v.JSON[0] != '"' {
		return "", false
	}
	var s string
	err := json.Unmarshal(v.JSON, &s)
	return s, err == nil
}

// Raw returns the value as a body without wrapping: a string's text, bytes as
// they are, anything else as JSON.
func (v Value) Raw() []byte {
	if v.JSON == nil {
		return v.Bytes
	}
	if s, ok := v.AsText(); ok {
		return []byte(s)
	}
	return v.JSON
}

// Size is the number of bytes that the value takes.
func (v Value) Size() int { return len(v.JSON) + len(v.Bytes) + len(v.Type) }
