package realtime_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/engineio"
	"server22.local/appliance/realtime/packet"
	"server22.local/appliance/realtime/recovery"
	"server22.local/appliance/test/node"
)

// restartable is a server whose main namespace recovers from a file.
type restartable struct {
	io   *realtime.Server
	http *http.Server
	log  *recovery.File
}

func startRestartable(t *testing.T, addr, file string) (*restartable, string) {
	t.Helper()
	log, err := recovery.OpenFile(file, recovery.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	io := realtime.New(realtime.Options{})
	if err := io.Recover(realtime.Recovery{Log: func(string) (recovery.Log, error) { return log, nil }}); err != nil {
		t.Fatal(err)
	}
	rooms(io)
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	r := &restartable{io: io, http: &http.Server{Handler: io}, log: log}
	go r.http.Serve(l)
	return r, l.Addr().String()
}

func (r *restartable) stop(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := r.io.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if err := r.http.Close(); err != nil {
		t.Error(err)
	}
	if err := r.log.Close(); err != nil {
		t.Error(err)
	}
}

func TestRecoveryAfterRestart(t *testing.T) {
	node.Need(t)
	file := filepath.Join(t.TempDir(), "recovery")
	first, addr := startRestartable(t, "127.0.0.1:0", file)
	script := node.Run(t, "testdata/restart.js", "http://"+addr)
	connect := strings.Fields(script.Line(t))
	if script.Line(t) != "joined" {
		t.Fatal("the client did not join")
	}
	first.io.To("room").Emit("said", 1)
	if got := script.Line(t); got != "said 1" {
		t.Fatal(got)
	}
	first.stop(t)
	if got := script.Line(t); got != "disconnect transport close" {
		t.Error(got)
	}

	second, _ := startRestartable(t, addr, file)
	defer second.stop(t)
	second.io.To("room").Emit("said", 2)
	second.io.To("elsewhere").Emit("said", 3)
	// What was missed comes when the client has connected, being buffered.
	got := []string{script.Line(t), script.Line(t)}
	if want := "connect " + connect[1] + " true"; got[0] != "said 2" && got[1] != "said 2" || got[0] != want && got[1] != want {
		t.Errorf("got %q, want %q", got, want)
	}
	second.io.To("room").Emit("said", 4)
	if got := script.Line(t); got != "said 4" {
		t.Error(got)
	}
	script.Stdin.Write([]byte("end\n"))
}

// ruleTakeover: the client is back before the server has noticed that the old
// connection is gone.
func ruleTakeover(t *testing.T, w world) {
	io := realtime.New(realtime.Options{})
	if err := io.Recover(realtime.Recovery{}); err != nil {
		t.Fatal(err)
	}
	rooms(io)
	ended := make(chan realtime.Reason, 1)
	io.OnDisconnect(func(_ *realtime.Socket, why realtime.Reason) { ended <- why })
	url := serve(t, io)

	old := w.dial(t, url)
	old.say("40")
	sid, pid := old.greeting()
	old.say(`421["join","room"]`)
	old.expect(`431[]`)
	io.To("room").Emit("said", 1)
	offset := old.offset(`42["said",1,"`)
	io.To("room").Emit("said", 2) // on its way when the cable was cut
	for range 2 {
		again := w.dial(t, url)
		again.say(`40{"pid":"` + pid + `","offset":"` + offset + `"}`)
		again.offset(`42["said",2,"`)
		if newID, newPID := again.greeting(); newID != sid || newPID != pid {
			t.Errorf("got %s %s, want %s %s", newID, newPID, sid, pid)
		}
		if why := <-ended; why != realtime.ReasonTransportClose {
			t.Errorf("the old socket ended by %q", why)
		}
	}
	// A goodbye ends the session for good.
	io.In(sid).Disconnect()
	<-ended
	again := w.dial(t, url)
	again.say(`40{"pid":"` + pid + `","offset":"` + offset + `"}`)
	if newID, _ := again.greeting(); newID == sid {
		t.Error("a session came back that was ended by the server")
	}
}

// ruleSessionOutlivesAFailedReturn: the connection with which a client comes
// back may be lost before it is in.
func ruleSessionOutlivesAFailedReturn(t *testing.T, w world) {
	io := realtime.New(realtime.Options{})
	if err := io.Recover(realtime.Recovery{AskMiddlewares: true}); err != nil {
		t.Fatal(err)
	}
	asked := make(chan bool)
	calls := 0
	io.Use(func(s *realtime.Socket) error {
		if calls++; calls == 2 {
			asked <- true
			<-s.Context().Done()
		}
		return nil
	})
	rooms(io)
	url := serve(t, io)
	c := w.dial(t, url)
	c.say("40")
	sid, pid := c.greeting()
	c.say(`421["join","room"]`)
	c.hear()
	c.end()
	failing := w.dial(t, url)
	failing.say(`40{"pid":"` + pid + `"}`)
	<-asked
	failing.end()
	for io.Len() > 0 {
		time.Sleep(time.Millisecond)
	}
	again := w.dial(t, url)
	again.say(`40{"pid":"` + pid + `"}`)
	if id, _ := again.greeting(); id != sid || io.Rooms()["room"] != 1 {
		t.Errorf("%s is not recovered as %s, rooms %v", id, sid, io.Rooms())
	}
}

// TestOffsetsAreForThoseWhoRecover, and no argument of others.
func TestOffsetsAreForThoseWhoRecover(t *testing.T) {
	io := realtime.New(realtime.Options{
		Engine:  engineio.Options{AllowEIO3: true},
		Parsers: []packet.Parser{packet.MessagePack}, // not that of Socket.IO 2
	})
	if err := io.Recover(realtime.Recovery{}); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", io)
	mux.Handle("/ws", io.Plain("/"))
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	t.Cleanup(func() { io.Shutdown(t.Context()) })
	_, plain := plainClient(t, srv.URL+"/ws")
	plain()
	old := dialRaw(t, srv.URL, "EIO=3")
	old.expect("40")
	io.OnAnyOutgoing(func(o *realtime.Outgoing) {
		if len(o.Args()) != 1 {
			t.Errorf("outgoing: %v", o.Args())
		}
	})
	for s := range io.Sockets() {
		s.OnAnyOutgoing(func(_ *realtime.Socket, _ string, args realtime.Args) {
			if len(args) != 1 {
				t.Errorf("outgoing: %v", args)
			}
		})
	}
	for event, to := range map[string]realtime.BroadcastOperator{"kept": io.BroadcastOperator, "lost": io.Volatile()} {
		for s := range io.Sockets() {
			for s.QueuedBytes() > 0 {
				time.Sleep(time.Millisecond)
			}
		}
		to.Emit(event, "text")
		old.expect(`42["` + event + `","text"]`)
		if got := plain(); got != `["`+event+`","text"]` {
			t.Errorf("a plain client hears %s", got)
		}
	}
}

func TestVolatileEventsDoNotBreakRecovery(t *testing.T) {
	io := realtime.New(realtime.Options{})
	if err := io.Recover(realtime.Recovery{}); err != nil {
		t.Fatal(err)
	}
	url := serve(t, io)
	c := dialRaw(t, url)
	c.say("40")
	_, pid := c.greeting()
	io.Emit("kept", "text")
	kept := c.offset(`42["kept","text","`)
	io.Volatile().Emit("lost", "text")
	if got := c.offset(`42["lost","text","`); got != kept {
		t.Errorf("a volatile event has the offset %q, the one before %q", got, kept)
	}
	io.Volatile().Emit("lost", 5)
	c.expect(`42["lost",5]`)
	c.ws.Close()

	again := dialRaw(t, url)
	again.say(`40{"pid":"` + pid + `","offset":"` + kept + `"}`)
	if _, newPID := again.greeting(); newPID != pid {
		t.Error("not recovered")
	}
}
