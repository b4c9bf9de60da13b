package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"server22.local/appliance/realtime/engineio"
)

// engineClient is the server of engine.io-client's own tests.
func engineClient(log *slog.Logger) server {
	posts := &lastPosts{headers: make(map[string]http.Header)}
	engine := engineio.NewServer(engineio.Options{
		PingInterval: 500 * time.Millisecond,
		MaxPayload:   100,
		Logger:       log,
		AllowRequest: func(r *http.Request) error {
			if r.URL.Query().Has("deny") {
				return errors.New("denied")
			}
			return nil
		},
		Headers: setCookies,
	}, func(s *engineio.Socket) engineio.Receiver {
		s.Send(text("hi"), engineio.SendOptions{})
		return &bouncer{echo{s}, posts}
	})
	mux := http.NewServeMux()
	mux.HandleFunc("/engine.io/", func(w http.ResponseWriter, r *http.Request) {
		posts.see(r)
		engine.ServeHTTP(w, r)
	})
	return server{mux, engine.Close}
}

func text(s string) *engineio.Packet { return engineio.NewPacket(engineio.Message{Data: []byte(s)}) }

func setCookies(h http.Header, _ *http.Request, initial bool) {
	if !initial {
		return
	}
	for _, c := range []*http.Cookie{
		{Name: "1", Value: "1", MaxAge: 86400},
		{Name: "2", Value: "2", SameSite: http.SameSiteStrictMode, Path: "/", HttpOnly: true, Secure: true},
		{Name: "3", Value: "3", MaxAge: -1},
		{Name: "4", Value: "4", Expires: time.Now()},
	} {
		h.Add("Set-Cookie", c.String())
	}
}

// bouncer answers a few words in its own way and echoes the rest.
type bouncer struct {
	echo
	posts *lastPosts
}

func (b *bouncer) Message(m engineio.Message) {
	if m.Binary {
		b.echo.Message(m)
		return
	}
	switch string(m.Data) {
	case "give binary":
		b.echo.Message(engineio.Message{Data: []byte{0, 1, 2, 3, 4}, Binary: true})
	case "give utf8":
		b.s.Send(text("пойду спать всем спокойной ночи"), engineio.SendOptions{})
	case "sendHeaders":
		b.echo.Message(engineio.Message{Data: b.posts.json(b.s.ID())})
	default:
		b.echo.Message(engineio.Message{Data: bytes.Clone(m.Data)})
	}
}

// lastPosts keeps the headers of each session's last POST.
type lastPosts struct {
	mu      sync.Mutex // guards all following
	headers map[string]http.Header
}

func (l *lastPosts) see(r *http.Request) {
	if r.Method != http.MethodPost {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.headers[r.URL.Query().Get("sid")] = r.Header
}

// json writes the headers as Node shows them: names in lower case, values
// joined.
func (l *lastPosts) json(sid string) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	headers := make(map[string]string)
	for name, values := range l.headers[sid] {
		headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	text, err := json.Marshal(headers)
	if err != nil {
		return []byte("{}")
	}
	return text
}
