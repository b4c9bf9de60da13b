package packet

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestOddTargets: what cannot be decoded into is an error.
func TestOddTargets(t *testing.T) {
	v, err := NewValue(map[string]any{"a": []byte("bytes"), "b": 1})
	if err != nil {
		t.Fatal(err)
	}
	type private struct{ a []byte }
	for _, target := range []any{
		nil, 1, "text", private{a: nil}, (*int)(nil), (*map[string]int)(nil), new(chan int), new(func()), make(chan int),
		new(map[int]int), new([1]int), new(json.Number), []any{}, map[string]any{}, new(error),
	} {
		if err := v.Decode(target); err == nil {
			t.Errorf("decoded into %T", target)
		}
	}
	if err := v.Decode(new(private)); err != nil {
		t.Errorf("a field that cannot be set is in the way: %v", err)
	}
}

// TestZeroValue is null.
func TestZeroValue(t *testing.T) {
	var v Value
	x := any("before")
	if err := v.Decode(&x); err != nil || x != nil {
		t.Errorf("decoded to %v, %v", x, err)
	}
	if _, ok := v.Bytes(); ok {
		t.Error("has bytes")
	}
	if text := string(v.JSON()); text != "null" {
		t.Errorf("JSON %q", text)
	}
	p, err := NewEvent("/", "e", v)
	if err != nil {
		t.Fatal(err)
	}
	frames, err := JSON.Encode(nil, p)
	if err != nil || !strings.Contains(string(frames[0].Data), `["e",null]`) {
		t.Errorf("encoded as %s, %v", frames[0].Data, err)
	}
	if _, err := MessagePack.Encode(nil, p); err != nil {
		t.Error(err)
	}
}
