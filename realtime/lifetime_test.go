package realtime_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/adapter"
	"server22.local/appliance/realtime/client"
	"server22.local/appliance/realtime/engineio"
	"server22.local/appliance/realtime/realtimetest"
	"server22.local/appliance/realtime/recovery"
)

// TestRecoveringNamespacesGo when nobody can come back to them any more.
func TestRecoveringNamespacesGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		io := realtime.New(realtime.Options{})
		parent := io.OfPattern(regexp.MustCompile(`^/r/`))
		parent.Recover(realtime.Recovery{Limits: recovery.Limits{Window: time.Minute}})
		server := realtimetest.NewServer(t, io)
		c := server.New(server.Options())
		s := c.Of("/r/a")
		server.Connect(c)
		there := func(want int, when string) {
			t.Helper()
			synctest.Wait()
			if got := len(parent.Namespaces()); got != want {
				t.Errorf("%s there are %d namespaces, want %d", when, got, want)
			}
		}
		back := func(recovered bool) {
			t.Helper()
			server.Plug()
			if err := s.WaitConnected(t.Context()); err != nil || s.Recovered() != recovered {
				t.Errorf("recovered %v, want %v; %v", s.Recovered(), recovered, err)
			}
		}
		for range 2 {
			server.Unplug()
			time.Sleep(50 * time.Second) // and the next attempt comes within 8 more
			there(1, "while the client may come back")
			back(true)
			time.Sleep(time.Hour)
			there(1, "while the client is there")
			server.Unplug()
			time.Sleep(61 * time.Second)
			there(0, "when the session is over")
			back(false)
		}
		c.Close()
		there(0, "when the client has said goodbye")
	})
}

// TestEmptyNamespacesAreBounded: strangers leave only so many behind.
func TestEmptyNamespacesAreBounded(t *testing.T) {
	const most = 1024
	synctest.Test(t, func(t *testing.T) {
		io := realtime.New(realtime.Options{MaxNamespaces: 2 * most})
		parent := io.OfPattern(regexp.MustCompile(`^/r/`))
		parent.Recover(realtime.Recovery{})
		server := realtimetest.NewServer(t, io)
		c := server.New(server.Options())
		for n := range most + 10 {
			c.Of(fmt.Sprint("/r/", n))
		}
		server.Connect(c)
		server.Unplug()
		synctest.Wait()
		if n := len(parent.Namespaces()); n != most {
			t.Errorf("%d namespaces are left behind", n)
		}
		server.Plug()
		if err := c.Of("/r/0").WaitConnected(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestMakersMayUseTheServer: what the program does while a namespace is made
// holds no lock of the server's.
func TestMakersMayUseTheServer(t *testing.T) {
	var io *realtime.Server
	io = realtime.New(realtime.Options{Adapter: func(name string, local adapter.Local) adapter.Adapter {
		if name == "/made" {
			io.Of("/by the adapter")
			io.Namespaces()
		}
		return adapter.InMemory(name, local)
	}})
	parent := io.OfPattern(regexp.MustCompile("^/made$"))
	parent.Recover(realtime.Recovery{Log: func(name string) (recovery.Log, error) {
		io.Of("/by the log")
		return recovery.NewMemory(recovery.Limits{}), nil
	}})
	io.OnNamespace(func(n *realtime.Namespace) {
		io.Of(n.Name())
		io.OnNamespace(func(*realtime.Namespace) {})
	})
	made := make(chan int, 1)
	go func() {
		io.Of("/made")
		made <- len(io.Namespaces())
	}()
	select {
	case n := <-made:
		if n != 4 {
			t.Errorf("%d namespaces", n)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the server waits for itself")
	}
}

// TestNamespacesAreMadeOnce, however many clients ask for them, and those do
// not get in before OnNamespace has returned.
func TestNamespacesAreMadeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var made atomic.Int32
		release := make(chan struct{})
		io := realtime.New(realtime.Options{Adapter: func(name string, local adapter.Local) adapter.Adapter {
			if name == "/r" {
				time.Sleep(time.Second)
				made.Add(1)
			}
			return adapter.InMemory(name, local)
		}})
		io.OfPattern(regexp.MustCompile("^/r$"))
		io.OnNamespace(func(n *realtime.Namespace) {
			<-release
			realtime.Handle0(n, "here", func(context.Context, *realtime.Socket) (string, error) { return "yes", nil })
		})
		server := realtimetest.NewServer(t, io)
		var sockets []*client.Socket
		for range 10 {
			c := server.New(server.Options())
			sockets = append(sockets, c.Of("/r"))
			go c.Run(t.Context())
		}
		time.Sleep(2 * time.Second)
		for _, s := range sockets {
			if s.Connected() {
				t.Error("a client is in before the namespace is ready")
			}
		}
		close(release)
		for _, s := range sockets {
			if got := realtimetest.Ask[string](t, s, "here"); got != "yes" || made.Load() != 1 {
				t.Errorf("answered %q by one of %d namespaces", got, made.Load())
			}
			s.Close()
		}
	})
}

// rulePanickingMaker leaves no client waiting.
func rulePanickingMaker(t *testing.T, w world) {
	broken := true
	io := realtime.New(realtime.Options{Adapter: func(name string, local adapter.Local) adapter.Adapter {
		if name == "/r" && broken {
			broken = false
			panic("no memory")
		}
		return adapter.InMemory(name, local)
	}})
	parent := io.OfPattern(regexp.MustCompile("^/r$"))
	var remove func()
	remove = io.OnNamespace(func(*realtime.Namespace) {
		remove()
		panic("no time")
	})
	c := w.dial(t, serve(t, io))
	for range 2 {
		c.say("40/r")
		c.expect(`44/r,{"message":"internal error"}`)
		for len(parent.Namespaces()) > 0 {
			time.Sleep(time.Millisecond)
		}
	}
	c.say("40/r")
	if got := c.hear(); !strings.HasPrefix(got, `40/r,{"sid"`) {
		t.Errorf("got %s", got)
	}
}

// TestNothingBeginsAfterShutdown, not even what was under way.
func TestNothingBeginsAfterShutdown(t *testing.T) {
	asked, release := make(chan bool), make(chan bool)
	var began atomic.Int32
	io := realtime.New(realtime.Options{Engine: engineio.Options{AllowRequest: func(*http.Request) error {
		asked <- true
		<-release
		return nil
	}}})
	io.OnConnect(func(*realtime.Socket) { began.Add(1) })
	srv := httptest.NewServer(io.Plain("/"))
	defer srv.Close()
	dialed := make(chan int)
	go func() {
		_, resp, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(srv.URL, "http"), nil)
		if err == nil || resp == nil {
			dialed <- 0
			return
		}
		dialed <- resp.StatusCode
	}()
	<-asked
	if err := io.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	close(release)
	if status := <-dialed; status != http.StatusServiceUnavailable || began.Load() != 0 {
		t.Errorf("status %d, %d sockets began", status, began.Load())
	}
}

// TestShutdownInAStorm: whoever connects meanwhile is waited for or refused.
func TestShutdownInAStorm(t *testing.T) {
	io := realtime.New(realtime.Options{})
	io.OfPattern(regexp.MustCompile("^/r"))
	var alive, over atomic.Int32
	connected := make(chan bool, 200)
	count := func(n *realtime.Namespace) {
		n.OnConnect(func(*realtime.Socket) {
			alive.Add(1)
			select {
			case connected <- true:
			default:
			}
			if over.Load() != 0 {
				t.Error("a socket began after Shutdown")
			}
		})
		n.OnDisconnect(func(*realtime.Socket, realtime.Reason) { alive.Add(-1) })
	}
	io.OnNamespace(count)
	srv := httptest.NewServer(io)
	defer srv.Close()
	var storm sync.WaitGroup
	for range 20 {
		storm.Go(func() {
			ws, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(srv.URL, "http")+"/socket.io/?EIO=4&transport=websocket", nil)
			if err != nil {
				return // too late
			}
			defer ws.Close()
			storm.Go(func() {
				for n := range 1 << 30 { // each stays for a while
					if ws.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, "40/r%d", n%50)) != nil ||
						n >= 40 && ws.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, "41/r%d", (n-40)%50)) != nil {
						return
					}
				}
			})
			for err == nil {
				_, _, err = ws.ReadMessage()
			}
		})
	}
	for range 200 {
		<-connected
	}
	if err := io.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	over.Store(1)
	if n := alive.Load(); n != 0 {
		t.Errorf("%d sockets are left", n)
	}
	storm.Wait()
}
