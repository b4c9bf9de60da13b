package packet

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

// Value is one argument as it came from the other side: checked, not decoded.
// Emitting it again passes it on as it is, with its bytes. It does not change
// and may be kept and shared. The zero Value is null.
type Value struct {
	raw  json.RawMessage
	from *Packet // with the attachments; nil if there are none
}

// RawValue returns the JSON text as a Value, without a copy. An error says
// that it is no JSON.
func RawValue(text json.RawMessage) (Value, error) {
	raw, err := scanText(text, maxDepth)
	return Value{raw: raw}, err
}

// NewValue makes a Value of a Go value; see [Marshal].
func NewValue(v any) (Value, error) {
	var p Packet
	if err := p.marshal(nil, []any{v}); err != nil {
		return Value{}, err
	}
	return p.value(p.Args[0]), nil
}

// JSON returns the text of the value. Where the value has bytes, there are
// placeholders in it; see [Value.HasBinary]. It must not be changed.
func (v Value) JSON() json.RawMessage {
	if v.raw == nil {
		return json.RawMessage("null")
	}
	return v.raw
}

// HasBinary reports whether there are bytes in the value.
func (v Value) HasBinary() bool { return len(v.placeholders()) > 0 }

// Bytes returns the value if it is nothing but bytes. They must not be
// changed: others may be sent the same.
func (v Value) Bytes() ([]byte, bool) {
	num, ok := v.only(v.placeholders())
	if !ok || v.from.hold() != nil {
		return nil, false
	}
	return v.from.Attachments[num], true
}

// only returns the attachment that is all there is in the value.
func (v Value) only(found []placeholder) (num int, ok bool) {
	if len(found) != 1 || found[0].end-found[0].start != len(v.raw) {
		return 0, false
	}
	return found[0].num, true
}

func (v Value) placeholders() []placeholder {
	if v.from == nil {
		return nil
	}
	return findPlaceholders(nil, v.raw)
}

// Decode stores the value in what into points to, as [json.Unmarshal] does,
// with bytes in a []byte (also within a struct, a map or an any). Bytes are
// not copied and must not be changed. Into a *Value it stores the value as it
// is.
func (v Value) Decode(into any) error {
	if into, ok := into.(*Value); ok {
		*into = v
		return nil
	}
	if found := v.placeholders(); found != nil {
		return v.decodeBinary(found, into)
	}
	switch into := into.(type) {
	case *string:
		if plain, ok := plainString(v.raw); ok {
			*into = string(plain)
			return nil
		}
	case *json.RawMessage:
		*into = v.JSON()
		return nil
	}
	return v.unmarshal(v.JSON(), into)
}

func (v Value) unmarshal(raw []byte, into any) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return describe(err)
	}
	return nil
}

// describe keeps what json says about types, as it is about the sender's data,
// in JSON's words: the sender may read it, and knows nothing of Go's.
func describe(err error) error {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if t.Field != "" {
			return fmt.Errorf("%s: %s instead of %s", t.Field, t.Value, kindOf(t.Type))
		}
		return fmt.Errorf("%s instead of %s", t.Value, kindOf(t.Type))
	}
	return err
}

// kindOf is what JSON calls the values that a type takes.
func kindOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return "object"
	case reflect.Slice, reflect.Array:
		return "array"
	case reflect.Float32, reflect.Float64:
		return "number"
	default:
		return t.Kind().String()
	}
}

// MarshalJSON returns the text; bytes are lost in it. It is there for logs.
// Emitting a Value keeps its bytes.
func (v Value) MarshalJSON() ([]byte, error) { return v.JSON(), nil }

// UnmarshalJSON keeps a copy of the text.
func (v *Value) UnmarshalJSON(text []byte) error {
	*v = Value{raw: append(json.RawMessage(nil), text...)}
	return nil
}
