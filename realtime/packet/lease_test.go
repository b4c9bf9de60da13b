package packet

import (
	"errors"
	"testing"
)

// countedLease counts its holders.
type countedLease struct{ holders int }

func (l *countedLease) Hold() bool {
	if l.holders == 0 {
		return false
	}
	l.holders++
	return true
}

func (l *countedLease) Release() { l.holders-- }

// arrives decodes a packet with one attachment that is leased.
func arrives(t *testing.T, parser Parser) (*Packet, *countedLease) {
	t.Helper()
	sent, err := NewEvent("/", "e", []byte("bytes"), "text", map[string]any{"deep": []byte("deep")})
	if err != nil {
		t.Fatal(err)
	}
	frames, err := parser.Encode(nil, sent)
	if err != nil {
		t.Fatal(err)
	}
	l := &countedLease{holders: 1}
	last := len(frames) - 1
	frames[last].Lease = l
	d := parser.NewDecoder(Limits{})
	var p *Packet
	for _, f := range frames {
		if p, err = d.Decode(f); err != nil {
			t.Fatal(err)
		}
	}
	if !p.Leased() {
		t.Fatal("the lease is lost")
	}
	return p, l
}

// TestLease looks at who holds the memory of an event: its packet, and the
// acknowledgement that passes it on, until each is released.
func TestLease(t *testing.T) {
	for _, parser := range []Parser{JSON, MessagePack} {
		p, l := arrives(t, parser)
		ack, err := NewAck("/", 1, Args(p.Values()).Any()...)
		if err != nil {
			t.Fatal(err)
		}
		p.Release()
		if l.holders == 0 {
			t.Errorf("%s: released while the acknowledgement needs it", parser.Name())
		}
		if _, err := parser.Encode(nil, ack); err != nil {
			t.Error(err)
		}
		ack.Release()
		if l.holders != 0 {
			t.Errorf("%s: %d hold it in the end", parser.Name(), l.holders)
		}
	}
}

// TestReleased has nobody see the memory that others use by then.
func TestReleased(t *testing.T) {
	p, _ := arrives(t, JSON)
	values := p.Values()
	p.Release()
	if b, ok := values[0].Bytes(); ok {
		t.Errorf("%q are there after the release", b)
	}
	for name, into := range map[string]any{"bytes": new([]byte), "any": new(any), "map": new(map[string]any)} {
		from := values[0]
		if name == "map" {
			from = values[2]
		}
		if err := from.Decode(into); !errors.Is(err, ErrReleased) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, v := range []Value{values[0], values[2]} {
		if _, err := NewEvent("/", "e", v); !errors.Is(err, ErrReleased) {
			t.Errorf("emitted after the release: %v", err)
		}
		if _, err := NewEvent("/", "e", map[string]any{"in": v}); !errors.Is(err, ErrReleased) {
			t.Errorf("emitted within another value after the release: %v", err)
		}
	}
	var text string
	if err := values[1].Decode(&text); err != nil || text != "text" {
		t.Errorf("the text: %q, %v", text, err)
	}
}

// TestKept leaves memory alone that somebody has a slice of, or that is on its
// way to others than the sender.
func TestKept(t *testing.T) {
	for name, use := range map[string]func(p *Packet) error{
		"bytes":  func(p *Packet) error { _, _ = p.Value(0).Bytes(); return nil },
		"decode": func(p *Packet) error { return p.Value(0).Decode(new([]byte)) },
		"any":    func(p *Packet) error { return p.Value(2).Decode(new(any)) },
		"emit":   func(p *Packet) error { _, err := NewEvent("/", "e", p.Value(0)); return err },
		"value":  func(p *Packet) error { _, err := NewValue(map[string]any{"in": p.Value(0)}); return err },
		"kept":   func(p *Packet) error { _, _, err := Marshal(p.Value(2)); return err },
	} {
		p, l := arrives(t, JSON)
		if err := use(p); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		p.Release()
		if l.holders == 0 {
			t.Errorf("%s: the memory is taken away", name)
		}
	}
}
