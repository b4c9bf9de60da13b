package engineio

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// jsonpBody wraps a payload in the script that a JSONP poll of version 3
// expects. index has been checked to be digits.
func jsonpBody(payload []byte, index string) []byte {
	var b bytes.Buffer
	b.WriteString("___eio[")
	b.WriteString(index)
	b.WriteString("](")
	e := json.NewEncoder(&b) // escapes U+2028, U+2029 and HTML, as a script needs
	if err := e.Encode(string(payload)); err != nil {
		panic(fmt.Sprintf("encoding a string: %v", err))
	}
	b.Truncate(b.Len() - 1) // the encoder's line feed
	b.WriteString(");")
	return b.Bytes()
}

// jsonpPosted takes the payload out of a form as version 3 posts it: line
// feeds come as "\n", and a backslash before an n as two.
func jsonpPosted(form []byte) ([]byte, error) {
	values, err := url.ParseQuery(string(form))
	if err != nil {
		return nil, fmt.Errorf("parsing a JSONP form: %w", err)
	}
	return []byte(jsonpLines.Replace(values.Get("d"))), nil
}

var jsonpLines = strings.NewReplacer(`\\n`, `\n`, `\n`, "\n")

// digits returns text if it is a small decimal number.
func digits(text string) string {
	if _, err := strconv.ParseUint(text, 10, 31); err != nil {
		return ""
	}
	return text
}
