package history

import (
	"encoding/json"
	"testing"
	"time"
)

func TestSince(t *testing.T) {
	for _, c := range []struct {
		json string
		want Since
		ok   bool
	}{
		{`41`, Since{Given: true, Seq: 41}, true},
		{`0`, Since{Given: true}, true},
		{`"41"`, Since{Given: true, Seq: 41}, true},
		{`"10m"`, Since{Given: true, Back: 10 * time.Minute}, true},
		{`"all"`, Since{Given: true}, true},
		{`null`, Since{}, true},
		{`""`, Since{}, true},
		{`-1`, Since{}, false},
		{`1.5`, Since{}, false},
		{`"-10m"`, Since{}, false},
		{`"yesterday"`, Since{}, false},
		{`{}`, Since{}, false},
		{`18446744073709551616`, Since{}, false},
	} {
		var got Since
		if err := json.Unmarshal([]byte(c.json), &got); (err == nil) != c.ok || got != c.want {
			t.Errorf("%s is %+v, %v; want %+v", c.json, got, err, c.want)
		}
	}
}

func FuzzSince(f *testing.F) {
	f.Add("10m")
	f.Add("41")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSince(text)
		if err == nil && s.Back < 0 {
			t.Errorf("%q is %v back", text, s.Back)
		}
	})
}
