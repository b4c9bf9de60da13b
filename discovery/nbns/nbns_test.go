package nbns

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"server22.local/appliance/discovery"
	"server22.local/appliance/internal/netnstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// query asks for a name as Windows does, by broadcast.
func query(name string, suffix byte, typ uint16) []byte {
	b := []byte{0x12, 0x34, 0x01, 0x10, 0, 1, 0, 0, 0, 0, 0, 0, 32}
	plain := append([]byte(strings.ToUpper(name)+strings.Repeat(" ", maxName-len(name))), suffix)
	if name == "*" {
		plain = append([]byte("*"), make([]byte, 15)...)
	}
	for _, c := range plain {
		b = append(b, 'A'+c>>4, 'A'+c&15)
	}
	b = append(b, 0)
	b = binary.BigEndian.AppendUint16(b, typ)
	return binary.BigEndian.AppendUint16(b, classIN)
}

var addrs = []netip.Addr{netip.MustParseAddr("192.0.2.7")}

func TestReply(t *testing.T) {
	for _, suffix := range suffixes {
		b := reply(query("server22", suffix, typeName), "server22", addrs)
		want := append([]byte{0x12, 0x34, 0x85, 0, 0, 0, 0, 1, 0, 0, 0, 0}, query("server22", suffix, typeName)[headerSize:]...)
		want = append(want, 0, 0, 1, 0x2c, 0, 6, 0, 0, 192, 0, 2, 7)
		if !bytes.Equal(b, want) {
			t.Errorf("suffix %#x: % x, want % x", suffix, b, want)
		}
	}
	response := query("server22", 0, typeName)
	response[2] |= 0x80
	for name, packet := range map[string][]byte{
		"another name":   query("server2", 0, typeName),
		"another suffix": query("server22", 0x1b, typeName),
		"a response":     response,
		"a cut one":      query("server22", 0, typeName)[:40],
		"nothing":        nil,
	} {
		if b := reply(packet, "server22", addrs); b != nil {
			t.Errorf("%s is answered: % x", name, b)
		}
	}
	if b := reply(query("server22", 0, typeName), "a-name-that-is-too-long", addrs); b != nil {
		t.Errorf("a name that is too long is answered: % x", b)
	}
}

func TestStatus(t *testing.T) {
	b := reply(query("*", 0, typeStatus), "server22", addrs)
	if !bytes.Contains(b, []byte("SERVER22       \x00\x04\x00SERVER22       \x20\x04\x00")) {
		t.Errorf("% x", b)
	}
}

func FuzzReply(f *testing.F) {
	f.Add(query("server22", 0x20, typeName))
	f.Add(query("*", 0, typeStatus))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r := reply(b, "server22", addrs); r != nil && len(r) < headerSize+nameSize+10 {
			t.Errorf("% x", r)
		}
	})
}

// A broadcast is answered by unicast, on the interface it came by.
func TestBroadcast(t *testing.T) {
	server, client := netnstest.New(t), netnstest.New(t)
	netnstest.Veth(t, server, "eth0", client, "eth0")
	server.Addr("eth0", "10.53.0.2/24")
	client.Addr("eth0", "10.53.0.3/24")
	var interfaces []discovery.Interface
	var conn *net.UDPConn
	var err error
	server.Do(func() { interfaces, err = discovery.SystemInterfaces() })
	if err != nil {
		t.Fatal(err)
	}
	client.Do(func() { conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(10, 53, 0, 3)}) })
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := New(Config{Name: "server22", Interfaces: interfaces, listen: func(ctx context.Context, i discovery.Interface) (c *net.UDPConn, err error) {
		server.Do(func() { c, err = listen(ctx, i) })
		return c, err
	}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	buf := make([]byte, 1500)
	for range 20 {
		if _, err := conn.WriteToUDP(query("Server22", 0x20, typeName), &net.UDPAddr{IP: net.IPv4(10, 53, 0, 255), Port: port}); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		n, from, err := conn.ReadFromUDP(buf)
		if err != nil {
			continue
		}
		if from.String() != "10.53.0.2:137" || !bytes.HasSuffix(buf[:n], []byte{10, 53, 0, 2}) {
			t.Errorf("%v answers % x", from, buf[:n])
		}
		return
	}
	t.Error("no answer")
}
