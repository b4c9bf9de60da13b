package packet

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
)

func TestMessagePackReadsForeignEncoder(t *testing.T) {
	in, err := msgpack.Marshal(map[string]any{
		"type": 2, "nsp": "/x", "id": 300,
		"data":    []any{"up", []byte("bytes"), map[string]any{"f": 1.5, "n": nil, "neg": -70000, "t": true, "s": "é\n"}},
		"options": map[string]any{"compress": true},
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := MessagePack.NewDecoder(Limits{}).Decode(Frame{Data: in, Binary: true})
	if err != nil {
		t.Fatal(err)
	}
	if p.Type != Event || p.Namespace != "/x" || p.ID != 300 || !p.HasID || p.Name() != "up" {
		t.Errorf("got %+v", p)
	}
	var b []byte
	if err := p.Values()[0].Decode(&b); err != nil || string(b) != "bytes" {
		t.Errorf("got %q, %v", b, err)
	}
	var m map[string]any
	if err := p.Values()[1].Decode(&m); err != nil || m["f"] != 1.5 || m["neg"] != -70000.0 || m["s"] != "é\n" || m["t"] != true {
		t.Errorf("got %v, %v", m, err)
	}
}

func TestMessagePackIsReadByForeignDecoder(t *testing.T) {
	p, err := NewEvent("/", "up", []byte("bytes"), map[string]any{"f": 1.5, "list": []int{1, -200, 70000}, "in": []byte("side")}, "é\"")
	if err != nil {
		t.Fatal(err)
	}
	p.ID, p.HasID = 7, true
	frames, err := MessagePack.Encode(nil, p)
	if err != nil || len(frames) != 1 || !frames[0].Binary {
		t.Fatal(frames, err)
	}
	var got struct {
		Type int    `msgpack:"type"`
		Nsp  string `msgpack:"nsp"`
		ID   int    `msgpack:"id"`
		Data []any  `msgpack:"data"`
	}
	if err := msgpack.Unmarshal(frames[0].Data, &got); err != nil {
		t.Fatal(err)
	}
	inner := got.Data[2].(map[string]any)
	if got.Type != 2 || got.Nsp != "/" || got.ID != 7 || string(got.Data[1].([]byte)) != "bytes" ||
		inner["f"] != 1.5 || string(inner["in"].([]byte)) != "side" || got.Data[3] != "é\"" {
		t.Errorf("got %+v", got)
	}
}

func TestMessagePackRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"nothing":             "",
		"no map":              "\x01",
		"no type":             "\x80",
		"type 5":              "\x81\xa4type\x05",
		"event without data":  "\x81\xa4type\x02",
		"huge array":          "\x82\xa4type\x02\xa4data\xdd\xff\xff\xff\xff",
		"huge string":         "\x82\xa4type\x02\xa4data\x91\xdb\xff\xff\xff\xff",
		"ends early":          "\x82\xa4type\x02\xa4data\x91",
		"reserved name":       "\x82\xa4type\x02\xa4data\x91\xa7connect",
		"bad namespace":       "\x82\xa4type\x00\xa3nsp\xa1x",
		"bytes after":         "\x81\xa4type\x00\x00",
		"ack without id":      "\x82\xa4type\x03\xa4data\x90",
		"invalid UTF-8":       "\x82\xa4type\x02\xa4data\x91\xa1\xff",
		"connect with array":  "\x82\xa4type\x00\xa4data\x90",
		"unknown extension":   "\x82\xa4type\x02\xa4data\x92\xa1x\xd4\x07\x00",
		"a number for a key":  "\x82\xa4type\x02\xa4data\x92\xa1x\x81\x01\x01",
		"placeholder + bytes": "\x82\xa4type\x02\xa4data\x93\xa1x\xc4\x01a\x81\xac_placeholder\xc3",
	} {
		if p, err := MessagePack.NewDecoder(Limits{}).Decode(bin(in)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %+v, %v", name, p, err)
		}
	}
	deep := "\x82\xa4type\x02\xa4data\x92\xa1x" + strings.Repeat("\x91", 200)
	if _, err := MessagePack.NewDecoder(Limits{}).Decode(bin(deep + "\x01")); !errors.Is(err, ErrInvalid) {
		t.Errorf("nested 200 deep: %v", err)
	}
	if _, err := MessagePack.NewDecoder(Limits{}).Decode(text(`2["x"]`)); !errors.Is(err, ErrInvalid) {
		t.Errorf("text: %v", err)
	}
}

func TestNotepackExtensions(t *testing.T) {
	in := "\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x93\xa1x\xd4\x00\x00\xd7\x00\x00\x00\x01\x8b\xcf\xe5\x68\x00"
	p, err := MessagePack.NewDecoder(Limits{}).Decode(bin(in))
	if err != nil {
		t.Fatal(err)
	}
	if string(p.Args[1]) != "null" {
		t.Errorf("undefined became %s", p.Args[1])
	}
	var date string
	if err := json.Unmarshal(p.Args[2], &date); err != nil || date != "2023-11-14T22:13:20.000Z" {
		t.Errorf("a date became %s, %v", p.Args[2], err)
	}
}

func FuzzMessagePack(f *testing.F) {
	f.Add([]byte("\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x93\xa1x\xc4\x01a\x81\xa1k\xcb\x40\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x82\xa4type\x00\xa4data\x81\xa1t\xd7\xff\x00\x00\x00\x00\x65\x53\xf1\x00"))
	f.Fuzz(func(t *testing.T, in []byte) {
		p, err := MessagePack.NewDecoder(Limits{}).Decode(Frame{Data: in, Binary: true})
		if err != nil {
			return
		}
		reencodes(t, p)
		frames, err := MessagePack.Encode(nil, p)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeAll(MessagePack.NewDecoder(Limits{}), frames...)
		if err != nil || !same(p, again) {
			t.Fatalf("%+v became %+v, %v", p, again, err)
		}
	})
}
