package realtime_test

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"server22.local/appliance/realtime"
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

// TestTakeover: the client is back before the server has noticed that the old
// connection is gone.
func TestTakeover(t *testing.T) {
	io := realtime.New(realtime.Options{})
	if err := io.Recover(realtime.Recovery{}); err != nil {
		t.Fatal(err)
	}
	rooms(io)
	ended := make(chan realtime.Reason, 1)
	io.OnDisconnect(func(_ *realtime.Socket, why realtime.Reason) { ended <- why })
	url := serve(t, io)

	old := dialRaw(t, url)
	old.say("40")
	sid, pid := old.greeting()
	old.say(`421["join","room"]`)
	old.expect(`431[]`)
	io.To("room").Emit("said", 1)
	offset := old.offset(`42["said",1,"`)
	io.To("room").Emit("said", 2) // on its way when the cable was cut
	for range 2 {
		again := dialRaw(t, url)
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
	again := dialRaw(t, url)
	again.say(`40{"pid":"` + pid + `","offset":"` + offset + `"}`)
	if newID, _ := again.greeting(); newID == sid {
		t.Error("a session came back that was ended by the server")
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
