package mqtt

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
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
	server, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, l) }()
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

func (c *client) send(packet []byte) {
	c.t.Helper()
	if _, err := c.conn.Write(packet); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) gets(k kind, flags byte, rest []byte) {
	c.t.Helper()
	p, err := readPacket(c.in)
	if err != nil || p.kind != k || p.flags != flags || !bytes.Equal(p.body, rest) {
		c.t.Fatalf("got packet %d with flags %d: %q, %v; want %d with %d: %q", p.kind, p.flags, p.body, err, k, flags, rest)
	}
}

// ends waits until the server has closed the connection.
func (c *client) ends() {
	c.t.Helper()
	if p, err := readPacket(c.in); !errors.Is(err, io.EOF) && !isReset(err) {
		c.t.Fatalf("got packet %d: %q, %v; want the end", p.kind, p.body, err)
	}
}

func isReset(err error) bool { return err != nil && strings.Contains(err.Error(), "reset") }

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
	a.send(appendPacket(nil, pubrel, 2, []byte{0, 10}))
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
	c := h.connected("c")
	c.send(publishPacket("lab/lamp", "", 1))
	c.send(appendPacket(nil, pingreq, 0))
	c.gets(pingresp, 0, nil)
	for _, subscriber := range []*client{a, b} {
		subscriber.gets(publish, 0, prefixed("lab/lamp"))
	}
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
		MaxClients: 1,
		Allow:      func(from netip.Addr, password string) bool { return from.IsLoopback() && password == "secret" },
	})
	for name, packet := range map[string][]byte{
		"no password":              helloPacket("a"),
		"a wrong one":              helloPacket("a", secret("public")),
		"a session of no client":   appendPacket(nil, connect, 0, prefixed("MQTT"), []byte{4, 0, 0, 0}, prefixed("")),
		"a version yet to come":    appendPacket(nil, connect, 0, prefixed("MQTT"), []byte{6, 2, 0, 0}, prefixed("x")),
		"MQTT 5, wrong password":   hello5("a"),
		"something else than that": []byte("GET / HTTP/1.1\r\n\r\n"),
		"a hello without end":      append(appendPacket(nil, connect, 0), 0xff, 0xff, 0x7f),
	} {
		c := h.dial()
		c.send(packet)
		for {
			p, err := readPacket(c.in)
			if err != nil {
				break
			}
			if p.kind == connack && p.body[1] == accepted {
				t.Errorf("%s: let in", name)
			}
		}
	}
	c := h.dial()
	c.send(helloPacket("a"))
	c.gets(connack, 0, []byte{0, notAllowed})
	c.ends()
	h.connected("b", secret("secret"))
	c = h.dial()
	c.send(helloPacket("one too many", secret("secret")))
	c.gets(connack, 0, []byte{0, unavailable})
	c.ends()
}

func secret(s string) func(*hello) { return func(h *hello) { h.password = s } }

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

// TestCutPackets cuts packets of MQTT 5 at each byte: whatever a parser makes
// of them, nobody else notices.
func TestCutPackets(t *testing.T) {
	h := serve(t, Config{})
	bystander := h.connected("bystander")
	for _, whole := range [][]byte{
		{0, 1, 0, 0, 1, 'a', 0}, // SUBSCRIBE
		{0, 1, 3, 0x26, 0, 1, 'k', 0, 1, 'v', 0, 1, 'a', 0},
	} {
		for n := range whole {
			c := h.dial()
			c.send(hello5(""))
			if p, err := readPacket(c.in); err != nil || p.kind != connack || p.body[1] != accepted {
				t.Fatalf("CONNACK is %v, %v", p, err)
			}
			c.send(appendPacket(nil, subscribe, 2, whole[:n]))
			for {
				p, err := readPacket(c.in)
				if err != nil {
					break
				}
				if p.kind == suback {
					t.Fatalf("%q was taken for a subscription", whole[:n])
				}
			}
		}
	}
	bystander.send(appendPacket(nil, pingreq, 0))
	bystander.gets(pingresp, 0, nil)
}

// A client that does not read is not waited for. It ends with what fitted.
func TestSlowClientsEnd(t *testing.T) {
	h := serve(t, Config{})
	slow, quick := h.connected("slow"), h.connected("quick")
	if err := slow.conn.(*net.TCPConn).SetReadBuffer(256 << 10); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*client{slow, quick} {
		c.send(subscribePacket(1, "lab/#"))
		c.gets(suback, 0, []byte{0, 1, 0})
	}
	value := strings.Repeat("x", 100_000)
	for range 200 { // 20 MB; the kernel holds some
		h.publish(bus.Publication{Topic: "lab/a", Value: bus.Text(value)})
		quick.gets(publish, 0, append(prefixed("lab/a"), value...))
	}
	for got := 0; ; got++ {
		if _, err := readPacket(slow.in); err != nil {
			if got == 200 || !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) && !isReset(err) {
				t.Errorf("after %d messages: %v", got, err)
			}
			return
		}
	}
}

// What nobody can keep is not acknowledged as kept.
func TestRefusals(t *testing.T) {
	h := serve(t, Config{})
	c := h.connected("old")
	c.send(publishPacket("lab/"+strings.Repeat("x", 600), "1", 2, 0, 1)) // MQTT 3.1.1 has no word for it
	c.ends()

	c = h.connected("greedy")
	var filters []string
	for n := range 300 {
		filters = append(filters, fmt.Sprint("lab/", n))
	}
	c.send(subscribePacket(1, filters...))
	c.gets(suback, 0, append([]byte{0, 1}, bytes.Repeat([]byte{failed}, len(filters))...))

	c = h.dial()
	c.send(hello5("new"))
	if p, err := readPacket(c.in); err != nil || p.kind != connack || p.body[1] != accepted {
		t.Fatalf("CONNACK is %v, %v", p, err)
	}
	for _, want := range []struct {
		flags byte
		kind  kind
	}{{2, puback}, {4, pubrec}} {
		c.send(appendPacket(nil, publish, want.flags, prefixed("lab/"+strings.Repeat("x", 600)), []byte{0, 7, 0}))
		p, err := readPacket(c.in)
		if err != nil || p.kind != want.kind || len(p.body) < 3 || p.body[2] != 0x90 {
			t.Fatalf("the answer is %v, %v; want %d with 0x90", p, err, want.kind)
		}
	}
}

func (h *harness) publish(p bus.Publication) {
	h.t.Helper()
	h.bus.Publish(p, func(_ bus.Receipt, err error) {
		if err != nil {
			h.t.Error(err)
		}
	})
}

func TestSilenceEndsAConnection(t *testing.T) {
	h := serve(t, Config{})
	began := time.Now()
	h.connected("quiet", func(h *hello) { h.keepAlive = time.Second }).ends()
	if took := time.Since(began); took < time.Second {
		t.Errorf("it ended after %v", took)
	}
}

// mosquitto runs the clients that everybody has.
type mosquitto struct {
	h        *harness
	pub, sub string
}

func newMosquitto(t *testing.T, h *harness) *mosquitto {
	programs := need.Command(t, "mosquitto_pub", "mosquitto_sub")
	return &mosquitto{h, programs[0], programs[1]}
}

func (m *mosquitto) command(program string, args ...string) *exec.Cmd {
	host, port, err := net.SplitHostPort(m.h.addr)
	if err != nil {
		m.h.t.Fatal(err)
	}
	return exec.CommandContext(m.h.t.Context(), program, append([]string{"-h", host, "-p", port}, args...)...)
}

func (m *mosquitto) run(program string, args ...string) string {
	m.h.t.Helper()
	out, err := m.command(program, args...).CombinedOutput()
	if err != nil {
		m.h.t.Errorf("%s %v: %v: %s", program, args, err, out)
	}
	return string(out)
}

// listen starts mosquitto_sub, and returns its messages once it has subscribed.
// There must be one that is retained: it prints nothing before the first.
func (m *mosquitto) listen(args ...string) (*os.Process, func() string) {
	m.h.t.Helper()
	cmd := m.command(m.sub, append(args, "-d", "-F", "%t %r %p")...)
	pipe, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		m.h.t.Fatal(err)
	}
	m.h.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(pipe)
	next := func(wanted func(string) bool) string {
		m.h.t.Helper()
		for lines.Scan() {
			if wanted(lines.Text()) {
				return lines.Text()
			}
		}
		m.h.t.Fatalf("mosquitto_sub has ended: %v", lines.Err())
		return ""
	}
	next(func(line string) bool { return strings.Contains(line, "Subscribed (mid:") })
	return cmd.Process, func() string {
		m.h.t.Helper()
		return next(func(line string) bool { return strings.Contains(line, " 0 ") || strings.Contains(line, " 1 ") })
	}
}

// TestMosquitto has the clients that everybody has talk to us and through us,
// in each version and with each QoS.
func TestMosquitto(t *testing.T) {
	for _, version := range []string{"mqttv31", "mqttv311", "mqttv5"} {
		t.Run(version, func(t *testing.T) {
			h := serve(t, Config{})
			m := newMosquitto(t, h)
			next := h.watch("#")
			for _, qos := range []string{"0", "1", "2"} {
				m.run(m.pub, "-V", version, "-q", qos, "-t", "lab/temp", "-m", "21.5")
				m.run(m.pub, "-V", version, "-q", qos, "-t", "lab/after", "-m", qos)
				for _, want := range []string{"lab/temp=21.5", "lab/after=" + qos} { // once
					if got := next(); got != want {
						t.Errorf("QoS %s: the bus has %s; want %s", qos, got, want)
					}
				}
			}
			m.run(m.pub, "-V", version, "-r", "-q", "1", "-t", "lab/lamp", "-m", `{"on": true}`)
			if got := m.run(m.sub, "-V", version, "-q", "1", "-C", "1", "-W", "10", "-F", "%t %r %p", "-t", "lab/+"); got != "lab/lamp 1 {\"on\":true}\n" {
				t.Errorf("the retained value is %q", got)
			}
			m.run(m.pub, "-V", version, "-r", "-n", "-q", "1", "-t", "lab/lamp")
			if v, err := h.bus.Get("lab/lamp"); err == nil {
				t.Errorf("an empty retained message left %s", v.JSON())
			}
		})
	}
}

// Each message comes once, whoever publishes it and however many filters match.
func TestMosquittoHearsOnce(t *testing.T) {
	for _, version := range []string{"mqttv311", "mqttv5"} {
		t.Run(version, func(t *testing.T) {
			h := serve(t, Config{})
			m := newMosquitto(t, h)
			h.publish(bus.Publication{Topic: "lab/lamp", Value: bus.Text("on"), Retain: true})
			_, next := m.listen("-V", version, "-q", "2", "-t", "lab/#", "-t", "lab/+", "-t", "lab/lamp", "-t", "$own/x")
			h.publish(bus.Publication{Topic: "lab/b", Value: bus.Value{Bytes: []byte("\xff\x01")}})
			m.run(m.pub, "-V", version, "-q", "1", "-t", "lab/temp", "-m", "21.5")
			m.run(m.pub, "-V", version, "-q", "2", "-t", "$own/x", "-m", "mine")
			h.publish(bus.Publication{Topic: "lab/lamp", Value: bus.Text("off"), Retain: true})
			for _, want := range []string{"lab/lamp 1 on", "lab/b 0 \xff\x01", "lab/temp 0 21.5", "$own/x 0 mine", "lab/lamp 0 off"} {
				if got := next(); got != want {
					t.Errorf("mosquitto_sub has %q; want %q", got, want)
				}
			}
		})
	}
}

// The will of a client that is killed is published, an empty one, too.
func TestMosquittoWill(t *testing.T) {
	for _, version := range []string{"mqttv311", "mqttv5"} {
		t.Run(version, func(t *testing.T) {
			h := serve(t, Config{})
			m := newMosquitto(t, h)
			h.publish(bus.Publication{Topic: "hello", Value: bus.Text("you"), Retain: true})
			next := h.watch("will/#")
			for payload, args := range map[string][]string{
				"gone": {"--will-payload", "gone", "--will-retain", "--will-qos", "1"}, "": nil,
			} {
				dying, hears := m.listen(append([]string{"-V", version, "-t", "hello", "--will-topic", "will/a"}, args...)...)
				hears()
				_ = dying.Kill()
				if got := next(); got != "will/a="+payload {
					t.Errorf("the will is %q; want %q", got, payload)
				}
			}
		})
	}
}

// What a subscription of MQTT 5 asks for (§3.8.3.1).
func TestSubscriptionOptions(t *testing.T) {
	h := serve(t, Config{})
	h.publish(bus.Publication{Topic: "lab/lamp", Value: bus.Text("on"), Retain: true})
	c := h.dial()
	c.send(hello5("five"))
	if p, err := readPacket(c.in); err != nil || p.kind != connack || p.body[1] != accepted {
		t.Fatalf("CONNACK is %v, %v", p, err)
	}
	const noLocal, asPublished, neverRetained = 1 << 2, 1 << 3, 2 << 4
	// The identifier of the subscription is 9.
	c.send(appendPacket(nil, subscribe, 2, []byte{0, 1, 2, 11, 9}, prefixed("lab/#"), []byte{noLocal | asPublished | neverRetained}))
	c.gets(suback, 0, []byte{0, 1, 0, 0})
	c.send(appendPacket(nil, publish, 0, prefixed("lab/own"), []byte{0}, []byte("1")))
	c.send(appendPacket(nil, pingreq, 0))
	c.gets(pingresp, 0, nil)
	h.publish(bus.Publication{Topic: "lab/lamp", Value: bus.Text("off"), Retain: true})
	c.gets(publish, 1, append(prefixed("lab/lamp"), "\x02\x0b\x09off"...))
	c.send(appendPacket(nil, subscribe, 2, []byte{0, 2, 0}, prefixed("$share/group/lab/#"), []byte{0}))
	c.gets(suback, 0, []byte{0, 2, 0, 0x87})
}
