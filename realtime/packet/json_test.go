package packet

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// decodeAll feeds text frames and, for what begins with a 0 byte, binary ones.
func decodeAll(d Decoder, frames ...Frame) (*Packet, error) {
	var p *Packet
	for _, f := range frames {
		var err error
		if p, err = d.Decode(f); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func text(s string) Frame { return Frame{Data: []byte(s)} }

func bin(s string) Frame { return Frame{Data: []byte(s), Binary: true} }

func TestJSONDecodes(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want Packet
	}{
		{`0`, Packet{Type: Connect, Namespace: "/"}},
		{`0/`, Packet{Type: Connect, Namespace: "/"}},
		{`0/x`, Packet{Type: Connect, Namespace: "/x"}},
		{`0/x,{"a":1}`, Packet{Type: Connect, Namespace: "/x", Payload: json.RawMessage(`{"a":1}`)}},
		{`1/admin,`, Packet{Type: Disconnect, Namespace: "/admin"}},
		{`2["hey"]`, Packet{Type: Event, Namespace: "/", Args: raws(`"hey"`)}},
		{`2[5,1]`, Packet{Type: Event, Namespace: "/", Args: raws(`5`, `1`)}},
		{`2/a-b,12[ "hey" , {"x":[1, 2]} ]`, Packet{Type: Event, Namespace: "/a-b", ID: 12, HasID: true, Args: raws(`"hey"`, `{"x":[1, 2]}`)}},
		{`318446744073709551615[]`, Packet{Type: Ack, Namespace: "/", ID: 1<<64 - 1, HasID: true}},
		{`4"no"`, Packet{Type: ConnectError, Namespace: "/", Payload: json.RawMessage(`"no"`)}},
		{`50-["x"]`, Packet{Type: Event, Namespace: "/", Args: raws(`"x"`)}},
	} {
		got, err := JSON.NewDecoder(Limits{}).Decode(text(tt.in))
		if err != nil || got == nil {
			t.Errorf("%s: %v", tt.in, err)
			continue
		}
		if !same(got, &tt.want) {
			t.Errorf("%s: got %+v", tt.in, got)
		}
	}
}

func raws(s ...string) (out []json.RawMessage) {
	for _, s := range s {
		out = append(out, json.RawMessage(s))
	}
	return out
}

func same(a, b *Packet) bool {
	if a.Type != b.Type || a.Namespace != b.Namespace || a.ID != b.ID || a.HasID != b.HasID ||
		!bytes.Equal(a.Payload, b.Payload) || len(a.Args) != len(b.Args) || len(a.Attachments) != len(b.Attachments) {
		return false
	}
	for i := range a.Args {
		if !bytes.Equal(a.Args[i], b.Args[i]) {
			return false
		}
	}
	for i := range a.Attachments {
		if !bytes.Equal(a.Attachments[i], b.Attachments[i]) {
			return false
		}
	}
	return true
}

func TestJSONRefuses(t *testing.T) {
	deep := `2["x",` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `]`
	for _, in := range []string{
		``, `7`, `9`, `x`, `2`, `2{}`, `2[]`, `2[null]`, `2["x"`, `2["x",]`, `2["x"]]`, `2["x"] x`, `2[{}]`, `2[true]`,
		`2["connect"]`, `2["disconnect"]`, `2["disconnecting"]`, `2["connect_error"]`, `2["newListener"]`, `2["removeListener"]`,
		`2["\u0063onnect"]`, `0[]`, `0"x"`, `0null`, `01`, `1{}`, `1/x,""`, `4[]`, `41`, `3[]`, `31`, `31{}`,
		`2` + strings.Repeat("9", 21) + `["x"]`, `318446744073709551616[]`,
		`5["x"]`, `51["x"]`, `5-["x"]`, `5a-["x"]`, `51.5-["x"]`, `511-["x"]`, `6x-1[]`,
		`51-["x",{"_placeholder":true,"num":1}]`, `51-["x",{"_placeholder":true,"num":-1}]`,
		`51-["x",{"_placeholder":true,"num":"0"}]`, `51-["x",{"_placeholder":true}]`, `51-["x",{"\u005fplaceholder":true,"num":7}]`,
		deep, "2[\"a\x01\"]", `2["\x"]`, `2["\u12g4"]`, `2["x",01]`, `2["x",1.]`, `2["x",-]`, `2["x",1e]`, `2["x",tru]`,
		`2/` + strings.Repeat("n", 600) + `,["x"]`, `2["x"` + strings.Repeat(",1", 1100) + `]`,
	} {
		p, err := JSON.NewDecoder(Limits{}).Decode(text(in))
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("%.60q: got %v, %v", in, p, err)
		}
	}
}

func TestJSONAttachments(t *testing.T) {
	d := JSON.NewDecoder(Limits{})
	p, err := decodeAll(d, text(`52-/x,7["up",{"_placeholder":true,"num":1},{"a":[{"num":0,"_placeholder":true}]}]`), bin("first"), bin("second"))
	if err != nil || p == nil {
		t.Fatal(p, err)
	}
	var b []byte
	var m map[string]any
	values := p.Values()
	if err := values[0].Decode(&b); err != nil || string(b) != "second" {
		t.Errorf("got %q, %v", b, err)
	}
	if err := values[1].Decode(&m); err != nil {
		t.Error(err)
	}
	if got := m["a"].([]any)[0].([]byte); string(got) != "first" {
		t.Errorf("got %q", got)
	}

	for name, frames := range map[string][]Frame{
		"text in place of an attachment": {text(`51-["x",{"_placeholder":true,"num":0}]`), text(`2["y"]`)},
		"an attachment without a packet": {bin("x")},
		"one too many":                   {text(`51-["x",{"_placeholder":true,"num":0}]`), bin("x"), bin("y")},
	} {
		if _, err := decodeAll(JSON.NewDecoder(Limits{}), frames...); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPlaceholderInTextIsData(t *testing.T) {
	const object = `{"_placeholder":true,"num":99}`
	p, err := decodeAll(JSON.NewDecoder(Limits{}), text(`2["x",`+object+`]`))
	if err != nil {
		t.Fatal(err)
	}
	v := p.Values()[0]
	if again, err := NewEvent("/", "y", v); err != nil || string(again.Args[1]) != object {
		t.Errorf("passing it on: %s, %v", again.Args[1], err)
	}
	// Beside an attachment it would make receivers look for the 100th.
	if _, err := NewEvent("/", "y", v, []byte("z")); err == nil {
		t.Error("it went out beside an attachment")
	}
	if _, err := NewEvent("/", "y", map[string]any{"_placeholder": true}, []byte("z")); err == nil {
		t.Error("a map went out beside an attachment")
	}
}

func FuzzJSON(f *testing.F) {
	for _, s := range []string{`0{"a":1}`, `2/x,1["a",1.5e3,"\u00e9",{"b":[null,true]}]`, `51-["x",{"_placeholder":true,"num":0}]`, `3[]`} {
		f.Add([]byte(s), []byte("attached"))
	}
	f.Fuzz(func(t *testing.T, in, attachment []byte) {
		d := JSON.NewDecoder(Limits{})
		p, err := d.Decode(Frame{Data: in})
		for i := 0; err == nil && p == nil && i < 10; i++ {
			p, err = d.Decode(Frame{Data: attachment, Binary: true})
		}
		if err != nil {
			return
		}
		reencodes(t, p)
	})
}

// reencodes checks that a packet survives both parsers.
func reencodes(t *testing.T, p *Packet) {
	t.Helper()
	frames, err := JSON.Encode(nil, p)
	if err != nil {
		t.Fatal(err)
	}
	again, err := decodeAll(JSON.NewDecoder(Limits{}), frames...)
	if err != nil || !same(p, again) {
		t.Fatalf("JSON: %+v became %+v, %v", p, again, err)
	}
	for _, arg := range p.Args {
		if !json.Valid(arg) {
			t.Fatalf("passed as JSON: %q", arg)
		}
	}
	for _, v := range p.Values() {
		var into any
		if err := v.Decode(&into); err != nil && !strings.Contains(err.Error(), "number") {
			t.Fatalf("decoding %s: %v", v.JSON(), err)
		}
	}
	if _, err := MessagePack.Encode(nil, p); err != nil {
		t.Fatal(err)
	}
}

func FuzzScanner(f *testing.F) {
	f.Add([]byte(`{"a":[1,-0.5e+10,"\ud83d",true,false,null]} `))
	f.Fuzz(func(t *testing.T, in []byte) {
		_, err := scanText(in, 5000)
		if (err == nil) != json.Valid(in) {
			t.Errorf("%q: %v, but json.Valid says %v", in, err, json.Valid(in))
		}
	})
}

func BenchmarkDecodeEvent(b *testing.B) {
	d := JSON.NewDecoder(Limits{})
	in := text(`2/chat,17["message",{"room":"lobby","text":"` + strings.Repeat("x", 64) + `"}]`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Decode(in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeEvent(b *testing.B) {
	type message struct{ Room, Text string }
	m := message{"lobby", strings.Repeat("x", 64)}
	var frames [1]Frame
	b.ReportAllocs()
	for b.Loop() {
		p, err := NewEvent("/chat", "message", m)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := JSON.Encode(frames[:0], p); err != nil {
			b.Fatal(err)
		}
	}
}
