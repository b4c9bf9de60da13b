package mqtt

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"server22.local/appliance/internal/bus"
	"server22.local/appliance/internal/need"
	"server22.local/appliance/realtime/history"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// harness is a running server, and the bus behind it.
type harness struct {
	t    *testing.T
	bus  *bus.Bus
	addr string
}

func serve(t *testing.T, cfg Config) *harness {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Config{})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Bus = b
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- New(cfg).Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return &harness{t, b, l.Addr().String()}
}

// client speaks MQTT by hand.
type client struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func (h *harness) dial() *client {
	h.t.Helper()
	conn, err := net.Dial("tcp", h.addr)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		h.t.Fatal(err)
	}
	return &client{h.t, conn, bufio.NewReader(conn)}
}

// connected is a client that was let in.
func (h *harness) connected(name string, more ...func(*hello)) *client {
	h.t.Helper()
	c := h.dial()
	c.send(helloPacket(name, more...))
	c.gets(connack, 0, []byte{0, accepted})
	return c
}

func helloPacket(name string, more ...func(*hello)) []byte {
	h := hello{client: name}
	for _, f := range more {
		f(&h)
	}
	flags, payload := byte(flagClean), prefixed(name)
	if h.will != nil {
		flags |= flagWill
		payload = append(payload, prefixed(h.will.topic)...)
		payload = append(payload, prefixed(string(h.will.payload))...)
	}
	if h.password != "" {
		flags |= flagUser | flagPassword
		payload = append(append(payload, prefixed("me")...), prefixed(h.password)...)
	}
	seconds := binary.BigEndian.AppendUint16(nil, uint16(h.keepAlive/time.Second))
	return appendPacket(nil, connect, 0, prefixed("MQTT"), []byte{4, flags}, seconds, payload)
}

func (c *client) send(packet []byte) {
	c.t.Helper()
	if _, err := c.conn.Write(packet); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) gets(k kind, flags byte, rest []byte) {
	c.t.Helper()
	p, err := readPacket(c.in, 1<<20)
	if err != nil || p.kind != k || p.flags != flags || !bytes.Equal(p.body, rest) {
		c.t.Fatalf("got packet %d with flags %d: %q, %v; want %d with %d: %q", p.kind, p.flags, p.body, err, k, flags, rest)
	}
}

// ends waits until the server has closed the connection.
func (c *client) ends() {
	c.t.Helper()
	if p, err := readPacket(c.in, 1<<20); !errors.Is(err, io.EOF) && !isReset(err) {
		c.t.Fatalf("got packet %d: %q, %v; want the end", p.kind, p.body, err)
	}
}

func isReset(err error) bool { return err != nil && strings.Contains(err.Error(), "reset") }

func publishPacket(topic, payload string, flags byte, id ...byte) []byte {
	return appendPacket(nil, publish, flags, prefixed(topic), id, []byte(payload))
}

func subscribePacket(id byte, filters ...string) []byte {
	body := []byte{0, id}
	for _, f := range filters {
		body = append(append(body, prefixed(f)...), 1)
	}
	return appendPacket(nil, subscribe, 2, body)
}

// watch returns what is published on the bus from now on, as topic=value.
func (h *harness) watch(filter string) func() string {
	h.t.Helper()
	s := h.bus.NewStream(0)
	h.t.Cleanup(s.Close)
	if err := s.Subscribe(h.t.Context(), []string{filter}, history.Since{}); err != nil {
		h.t.Fatal(err)
	}
	var queue []*bus.Message
	return func() string {
		h.t.Helper()
		for len(queue) == 0 {
			ctx, cancel := context.WithTimeout(h.t.Context(), 10*time.Second)
			defer cancel()
			var err error
			if queue, err = s.Next(ctx); err != nil {
				h.t.Fatalf("waiting for a message: %v", err)
			}
		}
		m := queue[0]
		queue = queue[1:]
		return m.Topic + "=" + string(m.Value.Raw())
	}
}

func TestPublishAndSubscribe(t *testing.T) {
	h := serve(t, Config{})
	next := h.watch("lab/#")
	a, b := h.connected("a"), h.connected("b")
	b.send(subscribePacket(7, "lab/+", "bad/#/filter"))
	b.gets(suback, 0, []byte{0, 7, 0, failed})

	a.send(publishPacket("lab/temp", "21.5", 0))
	b.gets(publish, 0, append(prefixed("lab/temp"), "21.5"...))
	a.send(publishPacket("lab/lamp", "on", 2, 0, 9)) // QoS 1
	a.gets(puback, 0, []byte{0, 9})
	b.gets(publish, 0, append(prefixed("lab/lamp"), "on"...))

	// QoS 2: a message that is sent again before PUBREL is published once.
	a.send(publishPacket("lab/door", "open", 4, 0, 10))
	a.gets(pubrec, 0, []byte{0, 10})
	a.send(publishPacket("lab/door", "open", 4|8, 0, 10))
	a.gets(pubrec, 0, []byte{0, 10})
	a.send(short(pubrel, 10))
	a.gets(pubcomp, 0, []byte{0, 10})
	b.gets(publish, 0, append(prefixed("lab/door"), "open"...))

	b.send(appendPacket(nil, unsubscribe, 2, []byte{0, 8}, prefixed("lab/+")))
	b.gets(unsuback, 0, []byte{0, 8})
	a.send(publishPacket("lab/temp", "22", 0))
	a.send(appendPacket(nil, pingreq, 0))
	a.gets(pingresp, 0, nil)
	b.send(appendPacket(nil, pingreq, 0))
	b.gets(pingresp, 0, nil)
	for _, want := range []string{"lab/temp=21.5", "lab/lamp=on", "lab/door=open", "lab/temp=22"} {
		if got := next(); got != want {
			t.Errorf("the bus has %s; want %s", got, want)
		}
	}
}

func TestRetained(t *testing.T) {
	h := serve(t, Config{})
	a := h.connected("a")
	a.send(subscribePacket(1, "lab/lamp"))
	a.gets(suback, 0, []byte{0, 1, 0})
	a.send(publishPacket("lab/lamp", "on", 1))
	a.gets(publish, 0, append(prefixed("lab/lamp"), "on"...)) // it was there already
	b := h.connected("b")
	b.send(subscribePacket(2, "lab/#"))
	b.gets(suback, 0, []byte{0, 2, 0})
	b.gets(publish, 1, append(prefixed("lab/lamp"), "on"...))
	b.send(publishPacket("lab/lamp", "", 1))
	b.send(appendPacket(nil, pingreq, 0))
	b.gets(pingresp, 0, nil)
	if m, err := h.bus.Get("lab/lamp"); err == nil {
		t.Errorf("an empty retained message left %s", m.JSON())
	}
}

func TestWill(t *testing.T) {
	h := serve(t, Config{})
	next := h.watch("will/#")
	last := func(topic string) func(*hello) {
		return func(h *hello) { h.will = &message{topic: topic, payload: []byte("gone")} }
	}
	polite, rude := h.connected("polite", last("will/polite")), h.connected("rude", last("will/rude"))
	polite.send(appendPacket(nil, disconnect, 0))
	polite.ends()
	rude.conn.Close()
	if got := next(); got != "will/rude=gone" {
		t.Errorf("the will is %s", got)
	}
}

func TestNamesAreTakenOver(t *testing.T) {
	h := serve(t, Config{})
	first := h.connected("sensor")
	h.connected("sensor")
	first.ends()
}

func TestWhoComesIn(t *testing.T) {
	h := serve(t, Config{
		MaxClients: 2,
		Allow:      func(from netip.Addr, password string) bool { return from.IsLoopback() && password == "secret" },
	})
	c := h.dial()
	c.send(helloPacket("a"))
	c.gets(connack, 0, []byte{0, notAllowed})
	c.ends()
	h.connected("b", func(h *hello) { h.password = "secret" })
	for name, first := range map[string]struct {
		packet []byte
		code   byte
	}{
		"MQTT 5":                 {appendPacket(nil, connect, 0, prefixed("MQTT"), []byte{5, 2, 0, 0, 0}, prefixed("x")), otherVersion},
		"a session of no client": {appendPacket(nil, connect, 0, prefixed("MQTT"), []byte{4, 0, 0, 0}, prefixed("")), badClientID},
	} {
		c := h.dial()
		c.send(first.packet)
		c.gets(connack, 0, []byte{0, first.code})
		c.ends()
		t.Log(name)
	}
}

func TestWhatEndsAConnection(t *testing.T) {
	h := serve(t, Config{MaxPacket: 1000})
	for name, packet := range map[string][]byte{
		"a second CONNECT":      helloPacket("again"),
		"a wildcard":            publishPacket("lab/#", "1", 0),
		"no topic":              publishPacket("", "1", 0),
		"QoS 3":                 publishPacket("lab", "1", 6, 0, 1),
		"identifier 0":          publishPacket("lab", "1", 2, 0, 0),
		"no filter":             appendPacket(nil, subscribe, 2, []byte{0, 1}),
		"flags of SUBSCRIBE":    appendPacket(nil, subscribe, 0, []byte{0, 1}, prefixed("a"), []byte{0}),
		"an unknown packet":     {0xf0, 0},
		"a length of 5 bytes":   {0x30, 0xff, 0xff, 0xff, 0xff, 1},
		"a packet too large":    publishPacket("lab", strings.Repeat("x", 1000), 0),
		"a topic that is cut":   appendPacket(nil, publish, 0, []byte{0, 9, 'a'}),
		"text that is not so":   publishPacket("lab/\xff", "1", 0),
		"a server's own packet": appendPacket(nil, connack, 0, []byte{0, 0}),
	} {
		c := h.connected("")
		c.send(packet)
		c.ends()
		t.Log(name)
	}
}

func TestSilenceEndsAConnection(t *testing.T) {
	h := serve(t, Config{})
	began := time.Now()
	h.connected("quiet", func(h *hello) { h.keepAlive = time.Second }).ends()
	if took := time.Since(began); took < time.Second {
		t.Errorf("it ended after %v", took)
	}
}

// TestMosquitto has the clients that everybody has talk to us and through us.
func TestMosquitto(t *testing.T) {
	programs := need.Command(t, "mosquitto_pub", "mosquitto_sub")
	pub, sub := programs[0], programs[1]
	h := serve(t, Config{})
	host, port, err := net.SplitHostPort(h.addr)
	if err != nil {
		t.Fatal(err)
	}
	run := func(program string, args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), program, append([]string{"-h", host, "-p", port}, args...)...).CombinedOutput()
		if err != nil {
			t.Errorf("%s %v: %v: %s", program, args, err, out)
		}
		return string(out)
	}
	next := h.watch("#")
	for _, qos := range []string{"0", "1", "2"} {
		run(pub, "-q", qos, "-t", "lab/temp", "-m", "21.5")
		if got := next(); got != "lab/temp=21.5" {
			t.Errorf("QoS %s: %s", qos, got)
		}
	}
	run(pub, "-r", "-q", "1", "-t", "lab/lamp", "-m", `{"on": true}`)
	if got := run(sub, "-q", "1", "-C", "1", "-W", "10", "-F", "%t %r %p", "-t", "lab/+"); got != "lab/lamp 1 {\"on\":true}\n" {
		t.Errorf("the retained value is %q", got)
	}
}

func FuzzPackets(f *testing.F) {
	f.Add(helloPacket("name"))
	f.Add(publishPacket("lab/temp", "21.5", 2, 0, 1))
	f.Add(subscribePacket(1, "lab/#"))
	f.Fuzz(func(t *testing.T, data []byte) {
		in := bufio.NewReader(bytes.NewReader(data))
		for {
			p, err := readPacket(in, 1<<16)
			if err != nil {
				return
			}
			if p.kind == connect {
				_, _ = parseConnect(p.body)
			}
			again := appendPacket(nil, p.kind, p.flags, p.body)
			q, err := readPacket(bufio.NewReader(bytes.NewReader(again)), 1<<16)
			if err != nil || q.kind != p.kind || !bytes.Equal(q.body, p.body) {
				t.Fatalf("%v became %v: %v", p, q, err)
			}
		}
	})
}
