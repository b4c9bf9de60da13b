package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"server22.local/appliance/internal/need"
	"server22.local/appliance/internal/netnstest"
)

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
	bus := server.MessageBus()
	conf := filepath.Join(t.TempDir(), "avahi.conf")
	if err := os.WriteFile(conf, []byte(avahiConfig), 0o644); err != nil {
		t.Fatal(err)
	}
	const address = "DBUS_SYSTEM_BUS_ADDRESS"
	avahi := func() *netnstest.Daemon {
		cmd := server.Command("unshare", "--mount", "sh", "-c",
			"mount -t tmpfs tmpfs /run && mkdir /run/avahi-daemon && exec avahi-daemon --no-drop-root --no-chroot -f "+conf)
		cmd.Env = append(os.Environ(), address+"="+bus)
		d := server.DaemonCommand(cmd)
		d.WaitOutput("Server startup complete", 10*time.Second)
		return d
	}
	ours := func() bool {
		return strings.Contains(server.Run("ss", "-Hulnp", "sport = :5353"), "appliance")
	}

	daemon := avahi()
	t.Setenv(address, bus)
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
