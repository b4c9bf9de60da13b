package e2e

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/ipv4"

	"server22.local/appliance/internal/need"
	"server22.local/appliance/internal/netnstest"
)

// TestDoctorLooksForTheName with a stack that is not ours, from the same
// machine, and says why it is not found.
func TestDoctorLooksForTheName(t *testing.T) {
	need.Command(t, "avahi-daemon", "unshare")
	l := newLAN(t)
	server := l.host(2)
	state := t.TempDir()
	env := append(os.Environ(), "APPLIANCE_CONFIG="+os.DevNull, "APPLIANCE_STATE="+state)
	run := func(env []string) *netnstest.Daemon {
		cmd := server.Command(binary(t), "run", "--listen", ":80")
		cmd.Env = env
		return server.DaemonCommand(cmd)
	}
	says := func(env []string, limit time.Duration, want ...string) {
		t.Helper()
		var out string
		netnstest.Eventually(t, limit, strings.Join(want, ", "), func() bool {
			cmd := server.Command(binary(t), "doctor")
			cmd.Env = env
			out, _ = output(server, cmd)
			for _, text := range want {
				if !strings.Contains(out, text) {
					return false
				}
			}
			return true
		})
	}
	a := run(env)
	says(env, 15*time.Second, "NAM-00", "name on eth0", "server22.local is found over IPv4 and IPv6")
	a.Stop()

	// It is announced by nobody, though it should be.
	a = run(append(env, "APPLIANCE_DISCOVERY_ENABLED=false"))
	says(env, 20*time.Second, "NAM-07", "server22.local is not found over IPv4 and IPv6", "UDP port 5353")
	says(append(env, "APPLIANCE_DISCOVERY_ENABLED=false"), 5*time.Second, "NAM-08", "discovery is off")
	a.Stop()

	avahi := filepath.Join(t.TempDir(), "avahi.conf")
	if err := os.WriteFile(avahi, []byte("[server]\nenable-dbus=no\ndisallow-other-stacks=yes\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	server.Daemon("unshare", "--mount", "sh", "-c",
		"mount -t tmpfs tmpfs /run && mkdir /run/avahi-daemon && exec avahi-daemon --no-drop-root --no-chroot -f "+avahi).
		WaitOutput("Server startup complete", 10*time.Second)
	run(env)
	says(env, 15*time.Second, "NAM-06", "NAM-07", "address already in use", "avahi-daemon has port 5353 for itself")
}

// TestDiscoverHearsMulticast finds a device that does not answer one-shot
// queries by unicast, as small ones do, with a name that has to be escaped.
func TestDiscoverHearsMulticast(t *testing.T) {
	l := newLAN(t)
	device, client := l.host(2), l.host(3)
	var conn net.PacketConn
	device.Do(func() {
		var err error
		ifi, err := net.InterfaceByName("eth0")
		if err != nil {
			t.Fatal(err)
		}
		if conn, err = net.ListenMulticastUDP("udp4", ifi, &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353}); err != nil {
			t.Fatal(err)
		}
		if err := ipv4.NewPacketConn(conn).SetMulticastInterface(ifi); err != nil {
			t.Fatal(err)
		}
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		answerMulticast(conn)
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	cmd := client.Command(binary(t), "discover", "--all", "--timeout", "2", "--type", "_ipp._tcp")
	cmd.Env = append(os.Environ(), "APPLIANCE_CONFIG="+os.DevNull)
	out, err := output(client, cmd)
	if err != nil || !strings.Contains(out, "Büro, 2. Stock  drucker.local:631  10.53.0.2  eth0") {
		t.Errorf("%v: %s", err, out)
	}
}

// answerMulticast answers queries from port 5353 only, and by multicast only.
func answerMulticast(conn net.PacketConn) {
	answer := new(dns.Msg)
	answer.Response, answer.Authoritative = true, true
	for _, text := range []string{
		`_ipp._tcp.local. 4500 IN PTR B\195\188ro\,\ 2\.\ Stock._ipp._tcp.local.`,
		`B\195\188ro\,\ 2\.\ Stock._ipp._tcp.local. 120 IN SRV 0 0 631 drucker.local.`,
		`B\195\188ro\,\ 2\.\ Stock._ipp._tcp.local. 4500 IN TXT "note=x"`,
		`drucker.local. 120 IN A 10.53.0.2`,
	} {
		rr, err := dns.NewRR(text)
		if err != nil {
			panic(err)
		}
		answer.Answer = append(answer.Answer, rr)
	}
	b, err := answer.Pack()
	if err != nil {
		panic(err)
	}
	buf := make([]byte, 9000)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		var q dns.Msg
		if from.(*net.UDPAddr).Port == 5353 && q.Unpack(buf[:n]) == nil && !q.Response {
			_, _ = conn.WriteTo(b, &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353})
		}
	}
}
