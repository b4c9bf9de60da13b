package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"server22.local/appliance/internal/need"
	"server22.local/appliance/internal/netnstest"
)

const busConfig = `<busconfig><type>system</type><listen>unix:path=%s</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/><allow send_type="signal"/>
<allow send_requested_reply="true"/><allow receive_type="method_call"/><allow receive_type="method_return"/>
<allow receive_type="error"/><allow receive_type="signal"/></policy></busconfig>`

const avahiConfig = `[server]
host-name=raspberrypi
enable-dbus=yes
`

// TestThroughAvahi has an avahi-daemon on the appliance's machine: the name is
// published through it, by ourselves while it is away, and never by both.
func TestThroughAvahi(t *testing.T) {
	need.Command(t, "avahi-daemon", "dbus-daemon", "unshare", "ss")
	l := newLAN(t)
	server, client := l.host(2), l.host(3)
	dir := t.TempDir()
	socket, bus, conf := filepath.Join(dir, "bus"), filepath.Join(dir, "bus.conf"), filepath.Join(dir, "avahi.conf")
	for path, text := range map[string]string{bus: fmt.Sprintf(busConfig, socket), conf: avahiConfig} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	server.Daemon("dbus-daemon", "--nofork", "--nopidfile", "--config-file="+bus)
	netnstest.Eventually(t, 5*time.Second, "the message bus", func() bool {
		_, err := os.Stat(socket)
		return err == nil
	})
	const address = "DBUS_SYSTEM_BUS_ADDRESS"
	avahi := func() *netnstest.Daemon {
		cmd := server.Command("unshare", "--mount", "sh", "-c",
			"mount -t tmpfs tmpfs /run && mkdir /run/avahi-daemon && exec avahi-daemon --no-drop-root --no-chroot -f "+conf)
		cmd.Env = append(os.Environ(), address+"=unix:path="+socket)
		d := server.DaemonCommand(cmd)
		d.WaitOutput("Server startup complete", 10*time.Second)
		return d
	}
	ours := func() bool {
		return strings.Contains(server.Run("ss", "-Hulnp", "sport = :5353"), "appliance")
	}

	daemon := avahi()
	t.Setenv(address, "unix:path="+socket)
	a := l.appliance(server)
	os.Unsetenv(address) // the client has a bus of its own
	a.WaitOutput("published through avahi-daemon", 10*time.Second)
	shell := client.Avahi("client", "client")
	finds(t, shell, "avahi-resolve -4 -n server22.local", "10.53.0.2", 10*time.Second)
	finds(t, shell, "avahi-resolve -4 -n raspberrypi.local", "10.53.0.2", 5*time.Second)
	finds(t, shell, "avahi-browse -rpt _http._tcp", "server22.local;10.53.0.2;80", 10*time.Second)
	if ours() {
		t.Error("the appliance answers beside Avahi")
	}

	daemon.Stop()
	netnstest.Eventually(t, 20*time.Second, "our own responder to take over", ours)
	finds(t, shell, "avahi-resolve -4 -n server22.local", "10.53.0.2", 10*time.Second)

	avahi()
	netnstest.Eventually(t, 10*time.Second, "our own responder to give way", func() bool { return !ours() })
	finds(t, shell, "avahi-resolve -4 -n server22.local", "10.53.0.2", 10*time.Second)
	finds(t, shell, "avahi-browse -rpt _http._tcp", "server22.local;10.53.0.2;80", 10*time.Second)
}
