package netnstest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"server22.local/appliance/internal/need"
)

// busConfig is a message bus on which everybody may do everything.
const busConfig = `<busconfig><type>system</type><listen>unix:path=%s</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/><allow send_type="signal"/>
<allow send_requested_reply="true"/><allow receive_type="method_call"/><allow receive_type="method_return"/>
<allow receive_type="error"/><allow receive_type="signal"/></policy></busconfig>`

// MessageBus starts a D-Bus daemon of its own in the namespace, and returns its
// address once it takes connections.
func (ns *NS) MessageBus() string {
	ns.t.Helper()
	need.Command(ns.t, "dbus-daemon")
	dir := ns.t.TempDir()
	socket, conf := filepath.Join(dir, "bus"), filepath.Join(dir, "bus.conf")
	ns.must(os.WriteFile(conf, fmt.Appendf(nil, busConfig, socket), 0o644), "configuring the message bus")
	ns.Daemon("dbus-daemon", "--nofork", "--nopidfile", "--config-file="+conf)
	Eventually(ns.t, 5*time.Second, "the message bus", func() bool {
		// The socket is there before it is listened on.
		conn, err := net.Dial("unix", socket)
		if err != nil {
			return false
		}
		conn.Close()
		return true
	})
	return "unix:path=" + socket
}
