package client_test

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/engineio"
	"server22.local/appliance/realtime/packet"
)

// startOurs starts the server of package realtime with the events of
// testdata/server.js.
func startOurs(t *testing.T, want setup) backend {
	t.Helper()
	io := newServer(t, want)
	listener, err := net.Listen("tcp", "127.0.0.1:"+cmp.Or(want.port, "0"))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: io}
	served := make(chan struct{})
	go func() {
		defer close(served)
		server.Serve(listener)
	}()
	t.Cleanup(func() {
		io.Shutdown(soon(t))
		server.Close()
		<-served
	})
	crash := func(*testing.T) {
		server.Close()
		io.Engine().Close()
		<-served
	}
	return backend{name: "ours", url: "http://" + listener.Addr().String(), parser: want.parser, crash: crash}
}

func newServer(t *testing.T, want setup) *realtime.Server {
	io := realtime.New(realtime.Options{
		Engine:  engineio.Options{PingInterval: 2 * time.Second, PingTimeout: 2 * time.Second},
		Parsers: []packet.Parser{want.parser},
	})
	store := openStore(t, want.file)
	for _, n := range []*realtime.Namespace{io.Namespace, io.Of("/chat"), io.Of("/refuse")} {
		behave(n, store)
		if want.recovery {
			if err := n.Recover(realtime.Recovery{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	io.Of("/refuse").Use(func(s *realtime.Socket) error {
		var auth struct{ Token string }
		if s.Auth(&auth); auth.Token == "let me in" {
			return nil
		}
		return realtime.Refuse("not you", map[string]int{"code": 42})
	})
	return io
}

// store has what clients want stored, also in a file if there is one, and
// acknowledges every third time only.
type store struct {
	file string

	mu       sync.Mutex // guards all following fields
	ids      []string
	position map[string]int
	calls    int
}

func openStore(t *testing.T, file string) *store {
	s := &store{file: file, position: map[string]int{}}
	if file == "" {
		return s
	}
	content, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for id := range strings.Lines(string(content)) {
		s.add(strings.TrimSuffix(id, "\n"))
	}
	return s
}

func (s *store) add(id string) {
	s.position[id] = len(s.ids)
	s.ids = append(s.ids, id)
}

func (s *store) put(id string, ack *realtime.Ack) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.position[id]; !known {
		if err := s.keep(id); err != nil {
			return err
		}
		s.add(id)
	}
	if s.calls++; ack.Wanted() && s.calls%3 == 0 {
		return ack.Send(s.position[id])
	}
	return nil
}

func (s *store) keep(id string) error {
	if s.file == "" {
		return nil
	}
	f, err := os.OpenFile(s.file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(id + "\n")
	return err
}

func (s *store) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.ids...)
}

func behave(n *realtime.Namespace, store *store) {
	type ctx = context.Context
	type socket = *realtime.Socket
	realtime.OnArgs(n, "echo", func(_ ctx, e *realtime.Event) error { return e.Socket.Emit("echo", e.Args().Any()...) })
	realtime.OnArgs(n, "ask", func(_ ctx, e *realtime.Event) error { return e.Ack.Send(e.Args().Any()...) })
	realtime.OnArgs(n, "never", func(ctx, *realtime.Event) error { return nil })
	realtime.Handle0(n, "auth", func(_ ctx, s socket) (realtime.Value, error) { return s.Handshake().Auth, nil })
	realtime.Handle0(n, "id", func(_ ctx, s socket) (string, error) { return s.ID(), nil })
	realtime.Handle0(n, "recovered", func(_ ctx, s socket) (bool, error) { return s.Recovered(), nil })
	realtime.On0(n, "kick", func(_ ctx, s socket) error { s.Disconnect(); return nil })
	realtime.On0(n, "drop", func(_ ctx, s socket) error { s.Drop(); return nil })
	realtime.On(n, "count", func(_ ctx, s socket, count int) error {
		for i := range count {
			s.Emit("tick", i)
		}
		return nil
	})
	realtime.On(n, "quiz", func(c ctx, s socket, question int) error {
		// Not in the handler, which would hold up what the client asks before
		// it answers.
		go func() {
			if answer, err := realtime.Ask[int](c, s, "question", question); err == nil {
				s.Emit("graded", answer)
			}
		}()
		return nil
	})
	realtime.On(n, "join", func(_ ctx, s socket, room string) error { s.Join(room); return nil })
	realtime.On2(n, "say", func(_ ctx, s socket, room, text string) error { return n.To(room).Emit("said", text) })
	realtime.OnAck(n, "store", func(_ ctx, _ socket, id string, ack *realtime.Ack) error { return store.put(id, ack) })
	realtime.Handle0(n, "stored", func(ctx, socket) ([]string, error) { return store.all(), nil })
}
