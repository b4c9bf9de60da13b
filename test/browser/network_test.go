package browser

import (
	"os"
	"os/exec"
	"testing"

	"server22.local/appliance/internal/need"
)

// ownNetwork gives eth0 to a namespace and runs a program there.
const ownNetwork = `ip link set lo up
ip link add eth0 type veth peer name peer0
ip addr add 192.168.1.22/24 dev eth0
ip link set eth0 up
ip link set peer0 up
exec "$0" "$@"`

// TestNetwork changes addresses, and so runs this test again in a network
// namespace of its own.
func TestNetwork(t *testing.T) {
	if os.Getenv("BROWSER_TEST_NETWORK") != "" {
		play(t, "network.js", "")
		return
	}
	t.Parallel()
	need.Root(t)
	need.Command(t, "unshare", "ip", "chromium")
	need.NodeModule(t, "../node", "playwright-core")
	again := exec.Command("unshare", "-n", "sh", "-c", ownNetwork, os.Args[0], "-test.run", "^TestNetwork$", "-test.v")
	again.Env = append(os.Environ(), "BROWSER_TEST_NETWORK=own", "APPLIANCE_NET_INTERFACE=eth0")
	if out, err := again.CombinedOutput(); err != nil {
		t.Errorf("in a namespace: %v\n%s", err, out)
	}
}
