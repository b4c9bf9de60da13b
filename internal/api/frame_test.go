package api

import (
	"bytes"
	"encoding/json"
	"io"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"server22.local/appliance/internal/bus"
)

func FuzzFrame(f *testing.F) {
	for _, s := range []string{`{"topic":"a","data":1}`, `{"topic":"a","data":"AAE=","encoding":"base64"}`, `{"subscribe":["#"],"since":"10m"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got frame
		if json.Unmarshal(data, &got) != nil {
			return
		}
		v, err := got.value()
		if err != nil {
			return
		}
		if m := (&bus.Message{Topic: "a", Value: v}).JSON(); !json.Valid(m) {
			t.Errorf("%q is passed on as %q", data, m)
		}
	})
}

func FuzzUTF8Reader(f *testing.F) {
	f.Add([]byte("naïve ☕"), true)
	f.Add([]byte("\xe2\x98"), false)
	f.Fuzz(func(t *testing.T, data []byte, byteWise bool) {
		var from io.Reader = bytes.NewReader(data)
		if byteWise {
			from = iotest.OneByteReader(from)
		}
		got, err := io.ReadAll(&utf8Reader{r: from})
		if want := utf8.Valid(data); (err == nil) != want || want && !bytes.Equal(got, data) {
			t.Errorf("%q reads as %q, %v", data, got, err)
		}
	})
}
