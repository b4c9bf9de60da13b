package realtime

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"server22.local/appliance/realtime/engineio"
	"server22.local/appliance/realtime/packet"
)

// sink is a connection that takes everything and keeps nothing.
type sink struct {
	request *http.Request
	packets int
	bytes   int
}

func (*sink) ID() string               { return "sink" }
func (l *sink) Request() *http.Request { return l.request }
func (*sink) Transport() string        { return "sink" }
func (*sink) Close(engineio.Reason)    {}
func (*sink) Done() <-chan struct{}    { return nil }
func (*sink) QueuedBytes() int         { return 0 }
func (*sink) Cork()                    {}
func (*sink) Uncork()                  {}
func (*sink) Work(w engineio.Worker)   { go w.Work() }
func (*sink) Yield()                   {}
func (l *sink) Send(p *engineio.Packet, _ engineio.SendOptions) bool {
	l.packets++
	l.bytes += p.Size()
	return true
}

// sunk returns a server with sockets on sinks that are all in one room.
func sunk(tb testing.TB, n int) (*Server, []*Socket) {
	io := New(Options{})
	connected := make(chan *Socket, n)
	io.OnConnect(func(s *Socket) {
		s.Join("room")
		connected <- s
	})
	request := httptest.NewRequest("GET", "/socket.io/", nil)
	sockets := make([]*Socket, n)
	for i := range n {
		c := newConn(io, &sink{request: request})
		c.Message(engineio.Message{Data: []byte("0")})
		sockets[i] = <-connected
		tb.Cleanup(func() { c.Closed(ReasonTransportClose, nil) })
	}
	return io, sockets
}

func BenchmarkFanOut(b *testing.B) {
	for _, n := range []int{1, 1000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			io, _ := sunk(b, n)
			text := text64
			room := io.To("room")
			b.ReportAllocs()
			for b.Loop() {
				if err := room.Emit("message", text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

var text64 = string(bytes.Repeat([]byte("x"), 64))

// TestFanOutAllocatesNothingPerReceiver keeps what makes a broadcast cheap.
func TestFanOutAllocatesNothingPerReceiver(t *testing.T) {
	allocs := func(n int) float64 {
		io, _ := sunk(t, n)
		room := io.To("room")
		return testing.AllocsPerRun(100, func() { room.Emit("message", "text") })
	}
	few, many := allocs(1), allocs(1000)
	if many > few+2 { // pools may be emptied meanwhile
		t.Errorf("%v allocations for a receiver, %v for a thousand", few, many)
	}
}

func BenchmarkEvent(b *testing.B) {
	for name, frame := range map[string]string{"event": `2["event",{"a":1}]`, "ack": `217["event",{"a":1}]`} {
		b.Run(name, func(b *testing.B) {
			io, sockets := sunk(b, 1)
			s := sockets[0]
			Handle(io, "event", func(_ context.Context, _ *Socket, v Value) (Value, error) { return v, nil })
			io.UseEvent(func(context.Context, *Event) error { return nil })
			d := packet.JSON.NewDecoder(packet.Limits{})
			data := []byte(frame)
			b.ReportAllocs()
			for b.Loop() {
				p, err := d.Decode(packet.Frame{Data: data})
				if err != nil {
					b.Fatal(err)
				}
				s.handle(p)
			}
		})
	}
}

func BenchmarkEmit(b *testing.B) {
	_, sockets := sunk(b, 1)
	type message struct {
		Room string `json:"room"`
		N    int    `json:"n"`
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := sockets[0].Emit("message", message{"lobby", 7}); err != nil {
			b.Fatal(err)
		}
	}
}
