package packet

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strconv"
)

// Bytes within a value are decoded by encoding/json, which knows nothing of
// attachments, in two steps: each placeholder becomes a string (a token) that
// is base64 of a mark and a number, and when json has put that into a []byte
// or an any, the attachment takes its place. A token that a client has made
// up itself can name nothing but that client's own attachments.

// tokenMark is what no text has by accident.
const tokenMark = "\x9d\x1b\xf5\x03\xc4\x6a\x81\xee\x57\xb2\x0f"

const tokenLen = len(tokenMark) + 1

func tokenBytes(num int) []byte { return append([]byte(tokenMark), byte(num)) }

func tokenText(num int) string { return base64.StdEncoding.EncodeToString(tokenBytes(num)) }

// decodeBinary is Decode for a value with placeholders. Their numbers fit a
// byte, as Limits.Attachments is far below.
func (v Value) decodeBinary(found []placeholder, into any) error {
	if err := v.from.hold(); err != nil { // for good: who has the bytes may keep them
		return err
	}
	attachments := v.from.Attachments
	if num, ok := v.only(found); ok {
		switch into := into.(type) {
		case *[]byte:
			*into = attachments[num]
			return nil
		case *any:
			*into = attachments[num]
			return nil
		}
	}
	if len(attachments) > 255 {
		return invalid("too many attachments")
	}
	raw := replacePlaceholders(v.raw, found, func(dst []byte, num int) []byte {
		return strconv.AppendQuote(dst, tokenText(num))
	})
	if err := v.unmarshal(raw, into); err != nil {
		return err
	}
	putBack{v.from}.walk(reflect.ValueOf(into), maxDepth)
	return nil
}

// putBack puts the attachments where json left tokens.
type putBack struct{ from *Packet }

func (p putBack) token(b []byte) ([]byte, bool) {
	if len(b) != tokenLen || string(b[:len(tokenMark)]) != tokenMark {
		return nil, false
	}
	num := int(b[len(tokenMark)])
	if num >= len(p.from.Attachments) {
		return nil, false
	}
	return p.from.Attachments[num], true
}

func (p putBack) text(s string) ([]byte, bool) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, false
	}
	return p.token(b)
}

// walk changes what v leads to in place.
func (p putBack) walk(v reflect.Value, depth int) {
	if depth == 0 || !v.IsValid() {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			p.walk(v.Elem(), depth-1)
		}
	case reflect.Interface:
		p.inInterface(v, depth)
	case reflect.Struct:
		p.inStruct(v, depth)
	case reflect.Map:
		p.inMap(v, depth)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			p.inBytes(v)
			return
		}
		p.elements(v, depth)
	case reflect.Array:
		p.elements(v, depth)
	}
}

func (p putBack) elements(v reflect.Value, depth int) {
	for i := range v.Len() {
		p.walk(v.Index(i), depth-1)
	}
}

func (p putBack) inBytes(v reflect.Value) {
	if b, ok := p.token(v.Bytes()); ok && v.CanSet() {
		v.SetBytes(b)
		return
	}
	if v.CanSet() && v.Type() == reflect.TypeFor[json.RawMessage]() {
		v.SetBytes(p.placeholders(v.Bytes()))
	}
}

// placeholders brings back the placeholders in a text that json has copied.
func (p putBack) placeholders(raw []byte) []byte {
	for num := range p.from.Attachments {
		token := strconv.AppendQuote(nil, tokenText(num))
		raw = bytes.ReplaceAll(raw, token, appendPlaceholder(nil, num))
	}
	return raw
}

func (p putBack) inInterface(v reflect.Value, depth int) {
	if v.IsNil() {
		return
	}
	if s, ok := v.Interface().(string); ok {
		if b, ok := p.text(s); ok && v.CanSet() {
			v.Set(reflect.ValueOf(b))
		}
		return
	}
	p.walk(v.Elem(), depth-1)
}

func (p putBack) inStruct(v reflect.Value, depth int) {
	if v.Type() == valueType {
		if v.CanSet() {
			raw := p.placeholders(v.Interface().(Value).raw)
			v.Set(reflect.ValueOf(Value{raw: raw, from: p.from}))
		}
		return
	}
	for _, f := range v.Fields() {
		if f.CanSet() || f.Kind() == reflect.Pointer {
			p.walk(f, depth-1)
		}
	}
}

// inMap works on copies, as what is in a map cannot be changed in place.
func (p putBack) inMap(v reflect.Value, depth int) {
	if !mayHoldBytes(v.Type().Elem()) {
		return
	}
	for iter := v.MapRange(); iter.Next(); {
		value := reflect.New(v.Type().Elem()).Elem()
		value.Set(iter.Value())
		p.walk(value, depth-1)
		v.SetMapIndex(iter.Key(), value)
	}
}
