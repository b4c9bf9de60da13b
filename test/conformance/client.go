package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/engineio"
)

// jsTime is a time as Date.toJSON writes it.
const jsTime = "2006-01-02T15:04:05.000Z"

// client is the server of socket.io-client's own tests.
func client(log *slog.Logger) server {
	io := realtime.New(realtime.Options{
		Engine: engineio.Options{
			PingInterval: 2 * time.Second,
			AllowRequest: func(*http.Request) error {
				time.Sleep(10 * time.Millisecond) // the tests look at what the client does meanwhile
				return nil
			},
			Logger: log,
		},
		Logger: log,
	})
	for _, name := range []string{"/", "/foo", "/timeout_socket", "/valid", "/asd", "/abc", "/no"} {
		if err := io.Of(name).Recover(realtime.Recovery{}); err != nil {
			panic(err) // in memory, nothing can fail
		}
	}
	io.Use(func(s *realtime.Socket) error {
		if s.Handshake().Query["fail"] != "" {
			return realtime.Refuse("Auth failed (main namespace)", nil)
		}
		return nil
	})
	io.Of("/no").Use(func(*realtime.Socket) error { return realtime.Refuse("Auth failed (custom namespace)", nil) })
	io.Of("/abc").OnConnect(func(s *realtime.Socket) { s.Emit("handshake", s.Handshake()) })
	realtime.Handle0(io.Of("/foo"), "getId", id)
	realtime.Handle0(io, "getId", id)
	talk(io)
	binary(io)

	mux := http.NewServeMux()
	mux.Handle("/socket.io/", io)
	return server{mux, io.Engine().Close}
}

func id(_ context.Context, s *realtime.Socket) (string, error) { return s.ID(), nil }

// answer handles an event by one or more others, without an acknowledgement.
func answer(on realtime.Events, event string, fn func(s *realtime.Socket) error) {
	realtime.OnArgs(on, event, func(_ context.Context, e *realtime.Event) error { return fn(e.Socket) })
}

func talk(io *realtime.Server) {
	answer(io, "hi", func(s *realtime.Socket) error { return s.Emit("hi") })
	answer(io, "false", func(s *realtime.Socket) error { return s.Emit("false", false) })
	realtime.Handle(io, "echo", func(_ context.Context, _ *realtime.Socket, v realtime.Value) (realtime.Value, error) { return v, nil })
	realtime.Handle0(io, "getAckDate", func(context.Context, *realtime.Socket) (string, error) {
		return time.Now().UTC().Format(jsTime), nil
	})
	realtime.Handle0(io, "getHandshake", func(_ context.Context, s *realtime.Socket) (*realtime.Handshake, error) {
		return s.Handshake(), nil
	})
	answer(io, "getDate", func(s *realtime.Socket) error { return s.Emit("takeDate", time.Now().UTC().Format(jsTime)) })
	answer(io, "getDateObj", func(s *realtime.Socket) error {
		return s.Emit("takeDateObj", map[string]string{"date": time.Now().UTC().Format(jsTime)})
	})
	answer(io, "getUtf8", func(s *realtime.Socket) error {
		for _, text := range []string{"てすと", "Я Б Г Д Ж Й", "Ä ä Ü ü ß", "utf8 — string", "utf8 — string"} {
			if err := s.Emit("takeUtf8", text); err != nil {
				return err
			}
		}
		return nil
	})
	answer(io, "ack", func(s *realtime.Socket) error {
		go ask(s)
		return nil
	})
}

// ask asks back, and says so if the answer is the one that the tests give.
func ask(s *realtime.Socket) {
	answer, err := realtime.Ask[realtime.Args](s.Context(), s, "ack")
	var n int
	var object struct{ Test bool }
	if err == nil && answer.Scan(&n, &object) == nil && n == 5 && object.Test {
		s.Emit("got it")
	}
}

var errNotBinary = errors.New("not as binary as expected")

// binary handles the events with attachments: which of them the tests sent
// before is kept with the socket.
func binary(io *realtime.Server) {
	file := []byte("asdfasdf")
	answer(io, "doge", func(s *realtime.Socket) error { return s.Emit("doge", file) })
	answer(io, "getbin", func(s *realtime.Socket) error { return s.Emit("takebin", file) })
	expectBytes(io, "buffa", func(s *realtime.Socket) error { return s.Emit("buffack") })
	expectBytes(io, "blob", func(s *realtime.Socket) error { return s.Emit("back") })
	expectBytes(io, "abuff1", func(s *realtime.Socket) error { s.Set("abuff1", true); return nil })
	expectBytes(io, "blob1", func(s *realtime.Socket) error { s.Set("blob1", true); return nil })
	expectMixed(io, "jsonbuff", "jsonbuff-ack")
	expectMixed(io, "jsonblob", "jsonblob-ack")
	answer(io, "abuff2", func(s *realtime.Socket) error { return after(s, "abuff1", "abuff2-ack") })
	expectBytes(io, "blob3", func(s *realtime.Socket) error { return after(s, "blob2", "blob3-ack") })
	realtime.OnArgs(io, "blob2", func(_ context.Context, e *realtime.Event) error {
		var text string
		if err := e.Scan(&text); err != nil || text != "second" {
			return errNotBinary
		}
		if first, _ := realtime.Get[bool](e.Socket, "blob1"); first {
			e.Socket.Set("blob2", true)
		}
		return nil
	})
}

func after(s *realtime.Socket, key, event string) error {
	if before, _ := realtime.Get[bool](s, key); !before {
		return errors.New("out of order")
	}
	return s.Emit(event)
}

func expectBytes(io *realtime.Server, event string, then func(*realtime.Socket) error) {
	realtime.OnArgs(io, event, func(_ context.Context, e *realtime.Event) error {
		if e.Len() == 0 {
			return errNotBinary
		}
		if _, ok := e.Args()[0].Bytes(); !ok {
			return errNotBinary
		}
		return then(e.Socket)
	})
}

func expectMixed(io *realtime.Server, event, reply string) {
	realtime.OnArgs(io, event, func(_ context.Context, e *realtime.Event) error {
		var mixed struct {
			Hello, Goodbye string
			Message        realtime.Value
		}
		if err := e.Scan(&mixed); err != nil {
			return err
		}
		if _, ok := mixed.Message.Bytes(); !ok || mixed.Hello != "lol" || mixed.Goodbye != "gotcha" {
			return errNotBinary
		}
		return e.Socket.Emit(reply)
	})
}
