package app

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os/exec"
	"testing"
	"time"

	"server22.local/appliance/internal/need"
)

// What an MQTT client publishes is on the bus; the front door's rules are its
// rules, too.
func TestMQTT(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	free.Close()
	r := start(t, fmt.Sprintf("bus.mqtt = %q\naccess.policy = 'token'\naccess.token = 'a-secret-of-ours'\n", addr))
	for _, client := range []struct{ connect, answer string }{
		{"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a", "\x20\x02\x00\x05"},
		{"\x10\x21\x00\x04MQTT\x04\xc2\x00\x00\x00\x01b\x00\x00\x00\x10a-secret-of-ours", "\x20\x02\x00\x00"},
	} {
		conn := dialPart(t, addr)
		defer conn.Close()
		if _, err := io.WriteString(conn, client.connect+"\x30\x0e\x00\x08lab/temp21.5"); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, 4)
		if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != client.answer {
			t.Fatalf("the answer is %q, %v; want %q", answer, err, client.answer)
		}
	}
	for range 200 {
		if _, body := r.ask(t, "GET", "/api/v1/topics/lab/temp", "", "Authorization", "Bearer a-secret-of-ours"); bytes.Equal(body, []byte("21.5")) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("the value is not on the bus")
}

// What an MQTT client retained is there for the next one after a restart, and
// none is left of what was cleared.
func TestMQTTRetainsOverRestarts(t *testing.T) {
	programs := need.Command(t, "mosquitto_pub", "mosquitto_sub")
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr, dir := free.Addr().String(), t.TempDir()
	host, port, err := net.SplitHostPort(addr)
	free.Close()
	if err != nil {
		t.Fatal(err)
	}
	run := func(program string, args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), program, append([]string{"-V", "mqttv5", "-h", host, "-p", port}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v: %s", program, args, err, out)
		}
		return string(out)
	}
	text := fmt.Sprintf("bus.mqtt = %q\n", addr)
	_, stop := startIn(t, dir, text)
	dialPart(t, addr).Close()
	run(programs[0], "-q", "1", "-r", "-t", "lab/a", "-m", "gone")
	run(programs[0], "-q", "1", "-r", "-t", "lab/a", "-n")
	run(programs[0], "-q", "2", "-r", "-t", "lab/b", "-m", "21.5")
	stop()
	_, stop = startIn(t, dir, text)
	defer stop()
	dialPart(t, addr).Close()
	if got := run(programs[1], "-t", "lab/#", "-C", "1", "-W", "10", "-F", "%t %r %p"); got != "lab/b 1 21.5\n" {
		t.Errorf("retained is %q", got)
	}
}

// dialPart connects to a part that may not be there yet.
func dialPart(t *testing.T, addr string) net.Conn {
	t.Helper()
	for range 200 {
		if conn, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
			return conn
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("nobody listens on %s", addr)
	return nil
}
