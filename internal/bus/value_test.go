package bus

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParseValue(t *testing.T) {
	for _, c := range []struct{ body, json, raw string }{
		{`21.5`, `21.5`, `21.5`},
		{` 21.50 `, `21.50`, `21.50`},
		{`"on"`, `"on"`, `on`},
		{`on`, `"on"`, `on`},
		{``, `""`, ``},
		{`null`, `null`, `null`},
		{`{"a": [1, 2]}`, `{"a":[1,2]}`, `{"a":[1,2]}`},
		{"{\n\"a\":1}\n", `{"a":1}`, `{"a":1}`},
		{`{"a":`, `"{\"a\":"`, `{"a":`},
		{`<b>&`, `"<b>&"`, `<b>&`},
		{`12345678901234567890`, `12345678901234567890`, `12345678901234567890`},
		{"\xff\x00", "", "\xff\x00"},
		{"\"\xff\"", "", "\"\xff\""}, // JSON text is UTF-8
		{"a\x00b", `"a\u0000b"`, "a\x00b"},
	} {
		v := ParseValue([]byte(c.body))
		if string(v.JSON) != c.json || string(v.Raw()) != c.raw {
			t.Errorf("%q is %s, raw %q; want %s, %q", c.body, v.JSON, v.Raw(), c.json, c.raw)
		}
	}
}

func TestDepth(t *testing.T) {
	for text, want := range map[string]int{`1`: 0, `[]`: 1, `[[],{"a":[]}]`: 3, `"[[["`: 0, `["\"[[",[]]`: 2} {
		if got := depth([]byte(text)); got != want {
			t.Errorf("%s is %d deep; want %d", text, got, want)
		}
	}
}

func FuzzParseValue(f *testing.F) {
	for _, s := range []string{`21.5`, `on`, `"on"`, "\xff", strings.Repeat("[", 50)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		v := ParseValue(body)
		if v.JSON == nil {
			if utf8.Valid(body) || !bytes.Equal(v.Bytes, body) {
				t.Errorf("%q became the bytes %q", body, v.Bytes)
			}
			return
		}
		if !json.Valid(v.JSON) {
			t.Fatalf("%q became %q, which is not JSON", body, v.JSON)
		}
		m := Message{Topic: "a", Value: v}
		if bytes.ContainsAny(m.JSON(), "\r\n") || !json.Valid(m.JSON()) {
			t.Errorf("as a line it is %q", m.JSON())
		}
	})
}
