package store

import (
	"bytes"
	"slices"
	"testing"
)

func FuzzUnpack(f *testing.F) {
	f.Add(pack([][]byte{{1, 2}, {}, []byte("x")}))
	f.Add([]byte{0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		parts, err := unpack(b)
		if err != nil {
			return
		}
		again, err := unpack(pack(parts))
		if err != nil || !slices.EqualFunc(parts, again, bytes.Equal) {
			t.Errorf("%q became %q, %v", parts, again, err)
		}
	})
}

func FuzzMatchWords(f *testing.F) {
	for _, s := range []string{`cafe`, `"a" OR b*`, `^NEAR(x, 5)`, "\x00", `-`} {
		f.Add(s)
	}
	s, _ := open(f, Config{Path: f.TempDir() + "/store.db"})
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := s.Log("chat").Search(t.Context(), []string{"lobby"}, text, 1); err != nil {
			t.Errorf("searching %q: %v", text, err)
		}
	})
}
