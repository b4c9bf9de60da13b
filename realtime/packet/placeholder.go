package packet

import (
	"bytes"
	"encoding/json"
	"strconv"
)

const placeholderKey = "_placeholder"

// placeholder is where in a JSON text an object stands for an attachment.
type placeholder struct{ start, end, num int }

// findPlaceholders appends those of a valid JSON text, in order. As
// socket.io-parser does, it takes every object for one that says
// "_placeholder": true, whatever else it says.
func findPlaceholders(dst []placeholder, raw []byte) []placeholder {
	if !mayHavePlaceholder(raw) {
		return dst
	}
	f := finder{raw: raw, found: dst}
	f.value(space(raw, 0))
	return f.found
}

// mayHavePlaceholder is the quick way to no. A key that is written with
// escapes has a backslash.
func mayHavePlaceholder(raw []byte) bool {
	return bytes.Contains(raw, []byte(placeholderKey)) || bytes.Contains(raw, []byte(`\u00`))
}

// finder walks over JSON that has been checked already.
type finder struct {
	raw   []byte
	found []placeholder
}

func (f *finder) value(i int) int {
	switch f.raw[i] {
	case '{':
		return f.object(i)
	case '[':
		for i = space(f.raw, i+1); f.raw[i] != ']'; {
			if i = space(f.raw, f.value(i)); f.raw[i] == ',' {
				i = space(f.raw, i+1)
			}
		}
		return i + 1
	}
	end, _ := scanValue(f.raw, i, 1)
	return end
}

func (f *finder) object(start int) int {
	before := len(f.found)
	is, num := false, -1
	i := space(f.raw, start+1)
	for f.raw[i] != '}' {
		keyEnd, _ := scanString(f.raw, i)
		key := f.raw[i:keyEnd]
		i = space(f.raw, space(f.raw, keyEnd)+1)
		end := f.value(i)
		switch value := f.raw[i:end]; {
		case keyIs(key, placeholderKey):
			is = string(value) == "true"
		case keyIs(key, "num"):
			num = index(value)
		}
		if i = space(f.raw, end); f.raw[i] == ',' {
			i = space(f.raw, i+1)
		}
	}
	if is {
		f.found = append(f.found[:before], placeholder{start, i + 1, num})
	}
	return i + 1
}

func keyIs(key []byte, want string) bool {
	if plain, ok := plainString(key); ok {
		return string(plain) == want
	}
	return name(key) == want
}

// index returns -1 for what is no index of an attachment.
func index(raw []byte) int {
	n, err := strconv.Atoi(string(raw))
	if err != nil || n < 0 {
		return -1
	}
	return n
}

func checkPlaceholders(args []json.RawMessage, attachments int) error {
	var found []placeholder
	for _, arg := range args {
		found = findPlaceholders(found[:0], arg)
		for _, p := range found {
			if p.num < 0 || p.num >= attachments {
				return invalid("a placeholder for an attachment that is not there")
			}
		}
	}
	return nil
}

// replacePlaceholders returns raw with what with appends in place of each.
func replacePlaceholders(raw []byte, found []placeholder, with func(dst []byte, num int) []byte) []byte {
	out := make([]byte, 0, len(raw)+8*len(found))
	last := 0
	for _, p := range found {
		out = append(out, raw[last:p.start]...)
		out = with(out, p.num)
		last = p.end
	}
	return append(out, raw[last:]...)
}

func appendPlaceholder(dst []byte, num int) []byte {
	dst = append(dst, `{"_placeholder":true,"num":`...)
	dst = strconv.AppendInt(dst, int64(num), 10)
	return append(dst, '}')
}
