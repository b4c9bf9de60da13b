package packet

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// maxDepth bounds how deep a Go value is followed when it is encoded: a
// pointer that leads back to itself ends in an error.
const maxDepth = 512

// Marshal encodes Go values as arguments: the JSON texts, and the bytes that
// they refer to by placeholders.
//
// Values become what encoding/json makes of them, with two differences: a
// []byte is an attachment wherever it stands, and <, > and & are not escaped.
// A [Value] and a [json.RawMessage] are passed on as they are; the latter has
// to be valid. Neither a []byte nor a RawMessage is copied: they must not be
// changed afterwards.
func Marshal(values ...any) (args []json.RawMessage, attachments [][]byte, err error) {
	var p Packet
	if err := p.marshal(nil, values); err != nil {
		return nil, nil, err
	}
	return p.Args, p.Attachments, nil
}

// marshal sets the arguments of a packet, with one ahead of the values unless
// it is nil. It uses the packet's Args if they have room enough.
func (p *Packet) marshal(first json.RawMessage, values []any) error {
	n := len(values)
	if first != nil {
		n++
	}
	if p.Args == nil || n > cap(p.Args) {
		p.Args = make([]json.RawMessage, 0, n)
	}
	if first != nil {
		p.Args = append(p.Args, first)
	}
	var m marshaler
	for i, v := range values {
		raw, err := m.arg(v)
		if err != nil {
			return fmt.Errorf("argument %d: %w", i+1, err)
		}
		p.Args = append(p.Args, raw)
	}
	if m.literal && len(m.attachments) > 0 {
		return errPlaceholder
	}
	p.Attachments, p.leases = m.attachments, m.leases
	return nil
}

// errPlaceholder: an object of a client that looks like a placeholder cannot
// be told from one in a packet that has attachments; passing it on would let
// the client make others drop their connections.
var errPlaceholder = errors.New("an object with the key _placeholder beside binary data")

// marshaler collects the attachments of one packet.
type marshaler struct {
	attachments [][]byte
	leases      []Lease // of memory in which there are attachments
	literal     bool    // there is an object that looks like a placeholder
}

// arg takes the quick way for what is there already, and for the kinds of
// values that arguments mostly are.
func (m *marshaler) arg(v any) (json.RawMessage, error) {
	switch v := v.(type) {
	case Value:
		if v.from == nil {
			m.look(v.raw)
			return v.JSON(), nil
		}
	case json.RawMessage:
		raw, err := scanText(v, maxDepth)
		if err != nil {
			return nil, err
		}
		m.look(raw)
		return raw, nil
	}
	return m.append(nil, v)
}

func (m *marshaler) look(raw []byte) {
	m.literal = m.literal || mayHavePlaceholder(raw) && len(findPlaceholders(nil, raw)) > 0
}

func (m *marshaler) append(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case string:
		return appendString(dst, v), nil
	case bool:
		return strconv.AppendBool(dst, v), nil
	case int:
		return strconv.AppendInt(dst, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(dst, v, 10), nil
	case uint64:
		return strconv.AppendUint(dst, v, 10), nil
	case []byte:
		return m.bytes(dst, v), nil
	case Value:
		return m.value(dst, v)
	}
	return m.reflect(dst, reflect.ValueOf(v), maxDepth)
}

func (m *marshaler) bytes(dst, b []byte) []byte {
	if b == nil {
		return append(dst, "null"...)
	}
	m.attachments = append(m.attachments, b)
	return appendPlaceholder(dst, len(m.attachments)-1)
}

// value numbers the attachments of a value anew.
func (m *marshaler) value(dst []byte, v Value) ([]byte, error) {
	found := v.placeholders()
	if found == nil {
		m.look(v.raw)
		return append(dst, v.JSON()...), nil
	}
	if err := v.from.hold(); err != nil {
		return nil, err
	}
	m.leases = append(m.leases, v.from.leases...)
	return append(dst, replacePlaceholders(v.raw, found, func(dst []byte, num int) []byte {
		return m.bytes(dst, v.from.Attachments[num])
	})...), nil
}

// json is the way of all types in which there can be no bytes.
func (m *marshaler) json(dst []byte, v reflect.Value) ([]byte, error) {
	buf := bytes.NewBuffer(dst)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v.Interface()); err != nil {
		return nil, err
	}
	out := buf.Bytes()
	out = out[:len(out)-1] // Encode ends with a newline
	m.look(out[len(dst):])
	return out, nil
}

func (m *marshaler) reflect(dst []byte, v reflect.Value, depth int) ([]byte, error) {
	if !v.IsValid() {
		return append(dst, "null"...), nil
	}
	if depth == 0 {
		return nil, errors.New("a value nested too deep")
	}
	if !mayHoldBytes(v.Type()) {
		return m.json(dst, v)
	}
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		return m.reflect(dst, v.Elem(), depth-1)
	case reflect.Struct:
		if v.Type() == valueType {
			return m.value(dst, v.Interface().(Value))
		}
		return m.structure(dst, v, depth)
	case reflect.Map:
		return m.mapping(dst, v, depth)
	case reflect.Slice:
		if v.IsNil() {
			return append(dst, "null"...), nil
		}
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return m.bytes(dst, v.Bytes()), nil
		}
	}
	return m.list(dst, v, depth)
}

func (m *marshaler) list(dst []byte, v reflect.Value, depth int) ([]byte, error) {
	dst = append(dst, '[')
	for i := range v.Len() {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = m.reflect(dst, v.Index(i), depth-1); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

func (m *marshaler) mapping(dst []byte, v reflect.Value, depth int) ([]byte, error) {
	if v.IsNil() {
		return append(dst, "null"...), nil
	}
	type entry struct {
		key   string
		value reflect.Value
	}
	entries := make([]entry, 0, v.Len())
	for iter := v.MapRange(); iter.Next(); {
		entries = append(entries, entry{iter.Key().String(), iter.Value()})
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	dst = append(dst, '{')
	for i, e := range entries {
		if i > 0 {
			dst = append(dst, ',')
		}
		m.literal = m.literal || e.key == placeholderKey
		dst = append(appendString(dst, e.key), ':')
		var err error
		if dst, err = m.reflect(dst, e.value, depth-1); err != nil {
			return nil, err
		}
	}
	return append(dst, '}'), nil
}

func (m *marshaler) structure(dst []byte, v reflect.Value, depth int) ([]byte, error) {
	dst = append(dst, '{')
	begin := len(dst)
	for _, f := range fieldsOf(v.Type()) {
		value, err := v.FieldByIndexErr(f.index)
		if err != nil || f.omits(value) {
			continue // of an embedded pointer that is nil, or empty
		}
		if len(dst) > begin {
			dst = append(dst, ',')
		}
		dst = append(dst, f.key...)
		if dst, err = m.member(dst, f, value, depth-1); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return append(dst, '}'), nil
}

// member puts the value into quotes where the field's tag asks for it.
func (m *marshaler) member(dst []byte, f field, v reflect.Value, depth int) ([]byte, error) {
	if !f.quoted || !quotable(v.Kind()) {
		return m.reflect(dst, v, depth)
	}
	text, err := m.reflect(nil, v, depth)
	return appendString(dst, string(text)), err
}

func quotable(k reflect.Kind) bool {
	return k == reflect.String || k == reflect.Bool || k >= reflect.Int && k <= reflect.Uintptr ||
		k == reflect.Float32 || k == reflect.Float64
}

// appendString appends a string as JSON. Invalid UTF-8 becomes U+FFFD.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' || c >= 0x80 {
			return appendEscaped(dst, s)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

func appendEscaped(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, '\\', 'n')
		case r < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}

var (
	valueType         = reflect.TypeFor[Value]()
	marshalerType     = reflect.TypeFor[json.Marshaler]()
	textMarshalerType = reflect.TypeFor[encoding.TextMarshaler]()
)

// heldBytes remembers per type whether bytes can be in it. It is a cache of
// facts about the program's types, hence one for all.
var heldBytes sync.Map // reflect.Type → bool

func mayHoldBytes(t reflect.Type) bool {
	if known, ok := heldBytes.Load(t); ok {
		return known.(bool)
	}
	held := holdsBytes(t, map[reflect.Type]bool{})
	heldBytes.Store(t, held)
	return held
}

func holdsBytes(t reflect.Type, seen map[reflect.Type]bool) bool {
	if t == valueType {
		return true
	}
	if seen[t] {
		return false
	}
	seen[t] = true
	if t.Kind() != reflect.Interface && marshalsItself(t) {
		return false
	}
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Slice:
		return t.Elem().Kind() == reflect.Uint8 && !marshalsItself(t.Elem()) || holdsBytes(t.Elem(), seen)
	case reflect.Array, reflect.Pointer:
		return holdsBytes(t.Elem(), seen)
	case reflect.Map:
		return t.Key().Kind() == reflect.String && !marshalsItself(t.Key()) && holdsBytes(t.Elem(), seen)
	case reflect.Struct:
		for _, f := range fieldsOf(t) {
			if !f.quoted && holdsBytes(t.FieldByIndex(f.index).Type, seen) {
				return true
			}
		}
	}
	return false
}

func marshalsItself(t reflect.Type) bool {
	if t == valueType {
		return false
	}
	return t.Implements(marshalerType) || t.Implements(textMarshalerType) ||
		reflect.PointerTo(t).Implements(marshalerType) || reflect.PointerTo(t).Implements(textMarshalerType)
}
