package frame

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
)

// clientFrame appends a masked frame; first is its first byte.
func clientFrame(dst []byte, first byte, payload []byte) []byte {
	dst = append(dst, first)
	switch n := len(payload); {
	case n <= 125:
		dst = append(dst, 0x80|byte(n))
	case n <= 0xffff:
		dst = binary.BigEndian.AppendUint16(append(dst, 0x80|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 0x80|127), uint64(n))
	}
	key := [4]byte{0xa1, 0x5e, 0, 0x77}
	dst = append(dst, key[:]...)
	start := len(dst)
	dst = append(dst, payload...)
	for i := range dst[start:] {
		dst[start+i] ^= key[i&3]
	}
	return dst
}

// readAll feeds a stream in steps and collects the events.
func readAll(r *Reader, stream []byte, step int) (events []Event, err error) {
	for len(stream) > 0 {
		if direct := r.Direct(); direct != nil {
			n := copy(direct, stream[:min(step, len(stream))])
			stream = stream[n:]
			r.Filled(n)
		} else {
			n := min(step, len(stream))
			r.Feed(bytes.Clone(stream[:n]))
			stream = stream[n:]
		}
		for {
			ev, ok, err := r.Next()
			if err != nil {
				return events, err
			}
			if !ok {
				break
			}
			ev.Data = bytes.Clone(ev.Data)
			events = append(events, ev)
		}
	}
	return events, nil
}

// TestSteps reads the same stream in pieces of every size: the events are the
// same.
func TestSteps(t *testing.T) {
	var stream []byte
	var want []string
	for _, n := range []int{0, 1, 125, 126, 127, 2000, 5000, 16<<10 - 1, 16 << 10, 70_000, 300_000} {
		payload := []byte(strings.Repeat("abcdefg", n/7+1)[:n])
		want = append(want, string(payload), "ping", string(payload))
		stream = clientFrame(stream, 0x82, payload)
		half := n / 2
		stream = clientFrame(stream, 0x01, payload[:half])
		stream = clientFrame(stream, 0x89, []byte("ping"))
		stream = clientFrame(stream, 0x00, nil)
		stream = clientFrame(stream, 0x80, payload[half:])
	}
	for _, step := range []int{1, 2, 3, 100, 1000, 4096, 1 << 20} {
		r := &Reader{Limit: 1 << 20}
		events, err := readAll(r, stream, step)
		if err != nil || len(events) != len(want) {
			t.Fatalf("steps of %d: %d events, %v; want %d", step, len(events), err, len(want))
		}
		for i, ev := range events {
			if string(ev.Data) != want[i] {
				t.Errorf("steps of %d, event %d: %d bytes, want %d", step, i, len(ev.Data), len(want[i]))
			}
		}
		if !r.Empty() {
			t.Errorf("steps of %d: something left at the end", step)
		}
	}
}

// TestOwned checks that what is called owned stays as it is.
func TestOwned(t *testing.T) {
	r := &Reader{Limit: 1 << 20}
	var kept []Event
	for i := range 20 {
		payload := bytes.Repeat([]byte{byte(i)}, 20_000)
		stream := clientFrame(nil, 0x82, payload)
		for len(stream) > 0 {
			n := min(1000, len(stream))
			r.Feed(stream[:n])
			stream = stream[n:]
			for {
				ev, ok, err := r.Next()
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					break
				}
				if !ev.Owned {
					t.Fatal("an assembled message of 20,000 bytes is not owned")
				}
				kept = append(kept, ev)
			}
		}
	}
	for i, ev := range kept {
		if !bytes.Equal(ev.Data, bytes.Repeat([]byte{byte(i)}, 20_000)) {
			t.Errorf("message %d has changed", i)
		}
	}
}

// TestAnnouncementCostsLittle has a client announce much and send nothing.
func TestAnnouncementCostsLittle(t *testing.T) {
	r := &Reader{Limit: 1 << 30}
	r.Feed([]byte{0x82, 0xff, 0, 0, 0, 0, 0x3f, 0, 0, 0, 1, 2, 3, 4, 'x'})
	if _, ok, err := r.Next(); ok || err != nil {
		t.Fatal(ok, err)
	}
	if c := cap(r.message); c > firstGrab {
		t.Errorf("%d bytes allocated", c)
	}
}

func TestUnmask(t *testing.T) {
	for n := range 100 {
		key := [4]byte{1, 2, 3, 4}
		got, want := make([]byte, n), make([]byte, n)
		for i := range got {
			got[i] = byte(i * 7)
			want[i] = byte(i*7) ^ key[i%4]
		}
		unmask(got, key)
		if !bytes.Equal(got, want) {
			t.Errorf("%d bytes: %x, want %x", n, got, want)
		}
	}
}

func TestDeflate(t *testing.T) {
	for _, text := range []string{"", "x", strings.Repeat("compressible ", 1000)} {
		deflated := Deflate([]byte(text))
		back, err := inflate(deflated, int64(len(text)))
		if err != nil || string(back) != text {
			t.Errorf("%d bytes: %d come back, %v", len(text), len(back), err)
		}
		if len(text) > 0 {
			if _, err := inflate(deflated, int64(len(text)-1)); !errors.Is(err, ErrTooBig) {
				t.Errorf("beyond the limit: %v", err)
			}
		}
	}
	if _, err := inflate([]byte("not deflate at all"), 1000); err == nil {
		t.Error("nonsense inflates")
	}
}

func TestParseClose(t *testing.T) {
	for payload, want := range map[string]int{"": CodeNone, "\x03\xe8": 1000, "\x03\xe8bye": 1000, "\x0f\xa0": 4000} {
		if code, err := ParseClose([]byte(payload)); err != nil || code != want {
			t.Errorf("%q: %d, %v", payload, code, err)
		}
	}
	for _, payload := range []string{"x", "\x00\x00", "\x03\xec", "\x03\xed", "\x03\xee", "\x13\x88", "\x03\xe8\xff"} {
		if code, err := ParseClose([]byte(payload)); err == nil {
			t.Errorf("%q: %d", payload, code)
		}
	}
}

// FuzzReader checks that however a stream is cut, the events are the same, and
// that nothing panics.
func FuzzReader(f *testing.F) {
	f.Add(clientFrame(clientFrame(nil, 0x81, []byte("hello")), 0x88, []byte("\x03\xe8")), uint64(1), false)
	f.Add(clientFrame(clientFrame(nil, 0x01, []byte("he")), 0x80, bytes.Repeat([]byte("x"), 3000)), uint64(2), false)
	f.Add(clientFrame(nil, 0xc1, Deflate([]byte("deflated"))), uint64(3), true)
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64, deflate bool) {
		const limit = 1 << 16
		whole, err := readAll(&Reader{Limit: limit, Inflate: deflate}, stream, len(stream)+1)
		step := 1 + int(rand.New(rand.NewPCG(seed, 0)).Uint64()%5000)
		pieces, err2 := readAll(&Reader{Limit: limit, Inflate: deflate}, stream, step)
		if !errors.Is(err, err2) || len(whole) != len(pieces) {
			t.Fatalf("steps of %d: %d events, %v; at once %d, %v", step, len(pieces), err2, len(whole), err)
		}
		for i := range whole {
			if whole[i].Op != pieces[i].Op || !bytes.Equal(whole[i].Data, pieces[i].Data) {
				t.Fatalf("event %d differs", i)
			}
			if len(whole[i].Data) > limit {
				t.Fatalf("event of %d bytes", len(whole[i].Data))
			}
		}
	})
}

func BenchmarkSmallFrames(b *testing.B) {
	frame := clientFrame(nil, 0x81, []byte(`42["message",{"text":"hello, this is of the usual size"}]`))
	var chunk []byte
	for range 16 {
		chunk = append(chunk, frame...)
	}
	r := &Reader{Limit: 1 << 20}
	fed := make([]byte, len(chunk))
	b.SetBytes(int64(len(chunk)))
	b.ReportAllocs()
	for b.Loop() {
		copy(fed, chunk)
		r.Feed(fed)
		n := 0
		for {
			_, ok, err := r.Next()
			if err != nil {
				b.Fatal(err)
			}
			if !ok {
				break
			}
			n++
		}
		if n != 16 {
			b.Fatal(n)
		}
	}
}

func BenchmarkLargeFrame(b *testing.B) {
	stream := clientFrame(nil, 0x82, make([]byte, 64<<10))
	r := &Reader{Limit: 1 << 20}
	fed := make([]byte, 4096)
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		rest := stream
		for len(rest) > 0 {
			if direct := r.Direct(); direct != nil {
				n := copy(direct, rest)
				r.Filled(n)
				rest = rest[n:]
			} else {
				n := copy(fed, rest)
				r.Feed(fed[:n])
				rest = rest[n:]
			}
			if _, _, err := r.Next(); err != nil {
				b.Fatal(err)
			}
		}
	}
}
