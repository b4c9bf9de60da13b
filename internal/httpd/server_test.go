package httpd

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// start serves handlers on a loopback port and returns its address.
func start(t *testing.T, maxConns int64, handlers map[string]http.HandlerFunc) (addr string, s *Server) {
	t.Helper()
	listeners, err := Listen(t.Context(), []string{"127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	s = New(Config{
		Listeners: listeners, Guard: NewGuard(Policy{}), Log: slog.New(slog.DiscardHandler),
		MaxBody: 1000, MaxConns: maxConns, Uploads: map[string]int64{"/upload": 2000},
	})
	for pattern, h := range handlers {
		s.Handle(pattern, h)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx, time.Second) }()
	<-s.Ready()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return listeners[0].Addr().String(), s
}

func TestBodyLimit(t *testing.T) {
	addr, _ := start(t, 10, map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.WriteHeader(http.StatusTeapot)
		}
	}})
	for _, tt := range []struct {
		path       string
		size, want int
	}{{"/", 0, 200}, {"/", 1000, 200}, {"/", 1001, 413}, {"/upload", 2000, 200}, {"/upload", 2001, 413}} {
		resp, err := http.Post("http://"+addr+tt.path, "text/plain", bytes.NewReader(make([]byte, tt.size)))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != tt.want {
			t.Errorf("%d bytes to %s: answered %d; want %d", tt.size, tt.path, resp.StatusCode, tt.want)
		}
	}
	// Without a length, the handler meets the limit.
	resp, err := http.Post("http://"+addr, "text/plain", io.LimitReader(zeros{}, 2000))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusTeapot {
		t.Errorf("2000 bytes in chunks: answered %d", resp.StatusCode)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func ask(conn net.Conn) (*http.Response, error) {
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err == nil {
		resp.Body.Close()
	}
	return resp, err
}

func TestConnectionLimit(t *testing.T) {
	addr, s := start(t, 2, map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, _ *http.Request) {}})
	first, second := dial(t, addr), dial(t, addr)
	for _, conn := range []net.Conn{first, second} {
		if _, err := ask(conn); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ask(dial(t, addr)); err == nil {
		t.Error("a third connection was served")
	}
	if got := s.Stats(); got.Open != 2 || got.Rejected != 1 {
		t.Errorf("stats %+v", got)
	}
	first.Close()
	// The place is free once the server has noticed.
	for range 100 {
		if _, err := ask(dial(t, addr)); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the place of a closed connection was not given away")
}

func TestEndWaitsForRequests(t *testing.T) {
	listeners, err := Listen(t.Context(), []string{"127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{Listeners: listeners, Guard: NewGuard(Policy{}), Log: slog.New(slog.DiscardHandler), MaxBody: 1, MaxConns: 10})
	begun, release := make(chan bool), make(chan bool)
	s.Handle("/slow", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-release
		_, _ = io.WriteString(w, "done")
	}))
	// What holds requests open is told to let go.
	s.OnShutdown(func() { close(release) })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx, 5*time.Second) }()
	answer := make(chan string)
	go func() {
		resp, err := http.Get("http://" + listeners[0].Addr().String() + "/slow")
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		answer <- string(body)
	}()
	<-begun
	cancel()
	if got := <-answer; got != "done" {
		t.Errorf("the request that was being answered got %q", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
}

// Who was let in is answered, whether it asks for the first time or once more,
// and told that it was the last time.
func TestTheLastCall(t *testing.T) {
	listeners, err := Listen(t.Context(), []string{"127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{
		Listeners: listeners, Guard: NewGuard(Policy{}), Log: slog.New(slog.DiscardHandler),
		MaxBody: 1, MaxConns: 10, LastCall: time.Minute,
	})
	s.Handle("/", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx, time.Second) }()
	fresh, kept := dial(t, listeners[0].Addr().String()), dial(t, listeners[0].Addr().String())
	if resp, err := ask(kept); err != nil || resp.Close {
		t.Fatal(resp, err)
	}
	for s.Stats().Open < 2 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	for !s.ending.Load() {
		time.Sleep(time.Millisecond)
	}
	for name, conn := range map[string]net.Conn{"fresh": fresh, "kept": kept} {
		if resp, err := ask(conn); err != nil || resp.StatusCode != http.StatusOK || !resp.Close {
			t.Errorf("the %s connection got %+v, %v", name, resp, err)
		}
	}
	// The last one has left, so the end need not wait.
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestListenErrors(t *testing.T) {
	taken, err := Listen(t.Context(), []string{"127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer taken[0].Close()
	addr := taken[0].Addr().String()
	for _, test := range []struct {
		addr string
		is   error
		hint string
	}{
		{addr, syscall.EADDRINUSE, "another program serves there"},
		{"203.0.113.1:80", syscall.EADDRNOTAVAIL, "no interface has this address"},
	} {
		_, err := Listen(t.Context(), []string{"127.0.0.1:0", test.addr})
		listenErr, ok := errors.AsType[*ListenError](err)
		if !ok || !errors.Is(err, test.is) || !strings.Contains(listenErr.Hint(), test.hint) {
			t.Errorf("%s: %v", test.addr, err)
		}
	}
	some, errs := ListenAny(t.Context(), []string{addr, "127.0.0.1:0"})
	if len(some) != 1 || len(errs) != 1 {
		t.Errorf("ListenAny opened %d, with %v", len(some), errs)
	}
	closeAll(some)
}
