package wire

import (
	"bytes"
	"errors"
	"iter"
	"slices"
	"testing"
)

var packets = []Packet{
	{Type: Message, Data: []byte("hello")},
	{Type: Message, Data: []byte("")},
	{Type: Message, Data: []byte("€ and \U0001F600 and 1:2")},
	{Type: Message, Binary: true, Data: []byte{1, 2, 3, 4}},
	{Type: Message, Binary: true, Data: []byte{}},
	{Type: Ping, Data: []byte("probe")},
	{Type: Noop},
}

// collect runs a decoder to its end.
func collect(seq iter.Seq2[Packet, error]) (all []Packet, err error) {
	for p, err := range seq {
		if err != nil {
			return all, err
		}
		all = append(all, p)
	}
	return all, nil
}

func same(a, b Packet) bool {
	return a.Type == b.Type && a.Binary == b.Binary && bytes.Equal(a.Data, b.Data)
}

func TestPayloads(t *testing.T) {
	for name, tt := range map[string]struct {
		append func([]byte, Packet) []byte
		decode func([]byte) iter.Seq2[Packet, error]
		golden string
	}{
		"version 4": {AppendPayload4, Payload4,
			"4hello\x1e4\x1e4€ and \U0001F600 and 1:2\x1ebAQIDBA==\x1eb\x1e2probe\x1e6"},
		"version 3": {AppendPayload3, Payload3,
			"6:4hello1:417:4€ and \U0001F600 and 1:210:b4AQIDBA==2:b46:2probe1:6"},
		"version 3, binary": {AppendBinaryPayload3, BinaryPayload3,
			"\x00\x06\xff4hello\x00\x01\xff4\x00\x02\x01\xff4€ and \U0001F600 and 1:2" +
				"\x01\x05\xff\x04\x01\x02\x03\x04\x01\x01\xff\x04\x00\x06\xff2probe\x00\x01\xff6"},
	} {
		t.Run(name, func(t *testing.T) {
			var payload []byte
			for _, p := range packets {
				payload = tt.append(payload, p)
			}
			if string(payload) != tt.golden {
				t.Errorf("encoded %q\nwant    %q", payload, tt.golden)
			}
			back, err := collect(tt.decode(payload))
			if err != nil || !slices.EqualFunc(back, packets, same) {
				t.Errorf("decoded %v, %v", back, err)
			}
		})
	}
}

func TestFrames(t *testing.T) {
	for _, v := range []Version{V3, V4} {
		for _, p := range packets {
			back, err := ParseFrame(v, p.Binary, AppendFrame(nil, v, p))
			if err != nil || !same(p, back) {
				t.Errorf("version %d: %v comes back as %v, %v", v, p, back, err)
			}
		}
	}
	for text, v := range map[string]Version{"bAQID": V4, "b4AQID": V3} {
		want := Packet{Type: Message, Binary: true, Data: []byte{1, 2, 3}}
		if p, err := ParseFrame(v, false, []byte(text)); err != nil || !same(p, want) {
			t.Errorf("%s: %v, %v", text, p, err)
		}
	}
}

func TestMalformed(t *testing.T) {
	for name, tt := range map[string]struct {
		decode func([]byte) iter.Seq2[Packet, error]
		inputs []string
	}{
		"version 4": {Payload4, []string{"", "7", "x", "4a\x1e", "\x1e4a", "4a\x1e\x1e4b", "b=A", "bA", "b!!!!", "4\xff"}},
		"version 3": {Payload3, []string{"", "x", "0:", ":4", "2:4", "3:4a", "-1:4", "1:7", "99999999999999999999:4", "3000000000:4", "4294967297:4",
			"3:b4!", "1:b", "2:4\xff", "2:4\U0001F600", "6:4hello1", "1"}},
		"version 3, binary": {BinaryPayload3, []string{"", "\x02\x01\xff4", "\x00", "\x00\xff4", "\x00\x01", "\x00\x01\xff",
			"\x00\x0a\xff4", "\x00\x02\xff4", "\x00\x02\xff4\xff", "\x01\x01\xff\x07", "\x01\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\xff\x04",
			"\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff4", // negative in 32 bits
		}},
	} {
		for _, input := range tt.inputs {
			if all, err := collect(tt.decode([]byte(input))); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s: %q gives %v, %v", name, input, all, err)
			}
		}
	}
	for _, binary := range []bool{false, true} {
		if _, err := ParseFrame(V3, binary, nil); !errors.Is(err, ErrMalformed) {
			t.Errorf("empty frame of version 3: %v", err)
		}
	}
	if _, err := ParseFrame(V3, true, []byte{9}); !errors.Is(err, ErrMalformed) {
		t.Errorf("unknown type: %v", err)
	}
}

// TestEarlyStop ends a range over a payload before its end.
func TestEarlyStop(t *testing.T) {
	for _, seq := range []iter.Seq2[Packet, error]{
		Payload4([]byte("4a\x1e4b")), Payload3([]byte("2:4a2:4b")), BinaryPayload3([]byte("\x00\x02\xff4a\x00\x02\xff4b")),
	} {
		n := 0
		for range seq {
			n++
			break
		}
		if n != 1 {
			t.Errorf("%d packets", n)
		}
	}
}

func FuzzPayload4(f *testing.F) {
	fuzz(f, AppendPayload4, Payload4)
}

func FuzzPayload3(f *testing.F) {
	fuzz(f, AppendPayload3, Payload3)
}

func FuzzBinaryPayload3(f *testing.F) {
	fuzz(f, AppendBinaryPayload3, BinaryPayload3)
}

// fuzz checks that what decodes encodes to something that decodes the same.
func fuzz(f *testing.F, appendTo func([]byte, Packet) []byte, decode func([]byte) iter.Seq2[Packet, error]) {
	var seed []byte
	for _, p := range packets {
		seed = appendTo(seed, p)
	}
	f.Add(seed)
	f.Add([]byte("4hello\x1ebAQIDBA=="))
	f.Add([]byte("6:4hello10:b4AQIDBA=="))
	f.Add([]byte("\x00\x06\xff4hello\x01\x05\xff\x04\x01\x02\x03\x04"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		all, err := collect(decode(payload))
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("error %v", err)
			}
			return
		}
		var again []byte
		for _, p := range all {
			again = appendTo(again, p)
		}
		back, err := collect(decode(again))
		if err != nil || !slices.EqualFunc(all, back, same) {
			t.Fatalf("%q decodes to %v, then %q to %v, %v", payload, all, again, back, err)
		}
	})
}

func BenchmarkPayload4(b *testing.B) {
	var payload []byte
	for range 10 {
		payload = AppendPayload4(payload, Packet{Type: Message, Data: []byte(`2["message",{"text":"hello, this is of the usual size"}]`)})
	}
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for _, err := range Payload4(payload) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
	}
}

func BenchmarkAppendPayload4(b *testing.B) {
	p := Packet{Type: Message, Data: []byte(`2["message",{"text":"hello, this is of the usual size"}]`)}
	dst := make([]byte, 0, 128)
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendPayload4(dst[:0], p)
	}
}
