package engineio

import (
	"io"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

const usual = `2["message",{"text":"hello, this is of the usual size"}]`

func BenchmarkNewPacket(b *testing.B) {
	data := []byte(usual)
	b.ReportAllocs()
	for b.Loop() {
		NewPacket(Message{Data: data})
	}
}

// BenchmarkFanOut sends one packet to 100 WebSockets, and waits until it is
// written to all of them.
func BenchmarkFanOut(b *testing.B) {
	const receivers = 100
	all := newSessions(b, nil)
	bench := overTCP(b, Options{}, all.accept)
	var sockets []*Socket
	for range receivers {
		c := bench.connect(WebSocket)
		go io.Copy(io.Discard, c.ws.NetConn())
		sockets = append(sockets, all.next().s)
	}
	var batch Batch
	b.ReportAllocs()
	for b.Loop() {
		p := textPacket(usual)
		for _, s := range sockets {
			s.Send(p, SendOptions{Batch: &batch})
		}
		batch.Flush()
		for _, s := range sockets {
			for s.QueuedBytes() > 0 {
				time.Sleep(time.Microsecond)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/receivers, "ns/receiver")
}

// BenchmarkEcho is a message there and back; the client's part is included.
func BenchmarkEcho(b *testing.B) {
	for _, size := range []int{64, 64 << 10} {
		b.Run(map[int]string{64: "64B", 64 << 10: "64KB"}[size], func(b *testing.B) {
			bench := overTCP(b, Options{}, newSessions(b, echo).accept)
			ws := bench.connect(WebSocket).ws
			data := make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if err := ws.WriteMessage(websocket.BinaryMessage, data); err != nil {
					b.Fatal(err)
				}
				_, r, err := ws.NextReader()
				if err != nil {
					b.Fatal(err)
				}
				if n, err := io.Copy(io.Discard, r); err != nil || n != int64(size) {
					b.Fatal(n, err)
				}
			}
		})
	}
}

// BenchmarkHandshake opens and closes WebSocket sessions; the client's part is
// included.
func BenchmarkHandshake(b *testing.B) {
	bench := overTCP(b, Options{}, func(*Socket) Receiver { return nobody{} })
	b.ReportAllocs()
	for b.Loop() {
		ws := bench.dialWebSocket("")
		if _, _, err := ws.ReadMessage(); err != nil {
			b.Fatal(err)
		}
		ws.Close()
	}
}

// BenchmarkPoll is a message there and back by polling.
func BenchmarkPoll(b *testing.B) {
	bench := overTCP(b, Options{}, newSessions(b, echo).accept)
	c := bench.connect(Polling)
	b.ReportAllocs()
	for b.Loop() {
		c.say(usual)
		c.wantMessages(usual)
	}
}
