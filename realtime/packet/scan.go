package packet

import (
	"encoding/json"
	"math"
)

// The scanner checks JSON (RFC 8259) in one pass without recursion into Go
// values, with a bound on nesting, and says where values end. It exists
// because encoding/json can only check a text and split it in two passes, and
// lets 10,000 levels pass: enough to exhaust the stack of those to whom the
// text is relayed.

func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// scanValue returns the index after the value that begins at i.
func scanValue(b []byte, i, depth int) (int, error) {
	if i >= len(b) {
		return 0, invalid("JSON ends early")
	}
	switch c := b[i]; {
	case c == '"':
		return scanString(b, i)
	case c == '{':
		return scanObject(b, i, depth)
	case c == '[':
		return scanArray(b, i, depth, nil)
	case c == 't':
		return scanWord(b, i, "true")
	case c == 'f':
		return scanWord(b, i, "false")
	case c == 'n':
		return scanWord(b, i, "null")
	case c == '-' || c >= '0' && c <= '9':
		return scanNumber(b, i)
	}
	return 0, invalid("unexpected byte %#02x in JSON", b[i])
}

func scanWord(b []byte, i int, word string) (int, error) {
	if len(b)-i < len(word) || string(b[i:i+len(word)]) != word {
		return 0, invalid("unexpected byte %#02x in JSON", b[i])
	}
	return i + len(word), nil
}

func scanString(b []byte, i int) (int, error) {
	for i++; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return i + 1, nil
		case c < 0x20:
			return 0, invalid("control character %#02x in a JSON string", c)
		case c == '\\':
			n, ok := escape(b[i+1:])
			if !ok {
				return 0, invalid("bad escape in a JSON string")
			}
			i += n
		}
	}
	return 0, invalid("JSON ends within a string")
}

// escape returns the length of the escape whose backslash stands before b.
func escape(b []byte) (int, bool) {
	if len(b) == 0 {
		return 0, false
	}
	switch b[0] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 1, true
	case 'u':
		if len(b) < 5 {
			return 0, false
		}
		for _, c := range b[1:5] {
			if !(c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f') {
				return 0, false
			}
		}
		return 5, true
	}
	return 0, false
}

func scanNumber(b []byte, i int) (int, error) {
	if b[i] == '-' {
		i++
	}
	switch n := digits(b, i); {
	case n == 0, n > 1 && b[i] == '0':
		return 0, invalid("bad number in JSON")
	default:
		i += n
	}
	if i < len(b) && b[i] == '.' {
		n := digits(b, i+1)
		if n == 0 {
			return 0, invalid("bad number in JSON")
		}
		i += 1 + n
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		n := digits(b, i)
		if n == 0 {
			return 0, invalid("bad number in JSON")
		}
		i += n
	}
	return i, nil
}

func digits(b []byte, i int) int {
	n := 0
	for i+n < len(b) && b[i+n] >= '0' && b[i+n] <= '9' {
		n++
	}
	return n
}

func scanObject(b []byte, i, depth int) (int, error) {
	if depth == 0 {
		return 0, invalid("JSON nested too deep")
	}
	i = space(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1, nil
	}
	for {
		if i >= len(b) || b[i] != '"' {
			return 0, invalid("expected a key in JSON")
		}
		var err error
		if i, err = scanString(b, i); err != nil {
			return 0, err
		}
		if i = space(b, i); i >= len(b) || b[i] != ':' {
			return 0, invalid("expected a colon in JSON")
		}
		if i, err = scanValue(b, space(b, i+1), depth-1); err != nil {
			return 0, err
		}
		if i = space(b, i); i >= len(b) {
			return 0, invalid("JSON ends within an object")
		}
		if b[i] == '}' {
			return i + 1, nil
		}
		if b[i] != ',' {
			return 0, invalid("expected a comma in JSON")
		}
		i = space(b, i+1)
	}
}

// scanArray calls each, if it is not nil, with the text of every element.
func scanArray(b []byte, i, depth int, each func(json.RawMessage) error) (int, error) {
	if depth == 0 {
		return 0, invalid("JSON nested too deep")
	}
	i = space(b, i+1)
	if i < len(b) && b[i] == ']' {
		return i + 1, nil
	}
	for {
		end, err := scanValue(b, i, depth-1)
		if err != nil {
			return 0, err
		}
		if each != nil {
			if err := each(b[i:end:end]); err != nil {
				return 0, err
			}
		}
		if i = space(b, end); i >= len(b) {
			return 0, invalid("JSON ends within an array")
		}
		if b[i] == ']' {
			return i + 1, nil
		}
		if b[i] != ',' {
			return 0, invalid("expected a comma in JSON")
		}
		i = space(b, i+1)
	}
}

// scanText checks a whole text and returns it without the space around it.
func scanText(b []byte, depth int) (json.RawMessage, error) {
	i := space(b, 0)
	end, err := scanValue(b, i, depth)
	if err != nil {
		return nil, err
	}
	if space(b, end) != len(b) {
		return nil, invalid("bytes after the JSON")
	}
	return b[i:end:end], nil
}

// splitArray checks a whole text that has to be an array, and returns the
// texts of its elements, at most max, appended to elements.
func splitArray(elements []json.RawMessage, b []byte, depth, max int) ([]json.RawMessage, error) {
	i := space(b, 0)
	if i >= len(b) || b[i] != '[' {
		return nil, invalid("the payload is no array")
	}
	end, err := scanArray(b, i, depth, func(element json.RawMessage) error {
		if len(elements) == max {
			return invalid("more than %d arguments", max)
		}
		elements = append(elements, element)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if space(b, end) != len(b) {
		return nil, invalid("bytes after the JSON")
	}
	return elements, nil
}

// plainString returns what stands between the quotes of a JSON string that
// has no escapes.
func plainString(raw []byte) ([]byte, bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return nil, false
	}
	for _, c := range raw[1 : len(raw)-1] {
		if c == '\\' || c >= 0x80 {
			return nil, false
		}
	}
	return raw[1 : len(raw)-1], true
}

// decimal reads the digits at i as an unsigned number. It returns n == 0 for
// none, and an error for a number that does not fit.
func decimal(b []byte, i int) (value uint64, n int, err error) {
	for ; i+n < len(b) && b[i+n] >= '0' && b[i+n] <= '9'; n++ {
		d := uint64(b[i+n] - '0')
		if value > (math.MaxUint64-d)/10 {
			return 0, 0, invalid("number out of range")
		}
		value = value*10 + d
	}
	return value, n, nil
}
