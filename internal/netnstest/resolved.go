package netnstest

import (
	_ "embed"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"server22.local/appliance/internal/need"
)

//go:embed resolved.sh
var resolvedScript string

// Resolved starts a shell in a Debian of its own beside a systemd-resolved that
// knows one protocol, "LLMNR" or "MulticastDNS", besides DNS. This machine's
// resolver is not touched.
func (ns *NS) Resolved(protocol string) *Shell {
	ns.t.Helper()
	need.Root(ns.t)
	need.Command(ns.t, "unshare", "mmdebstrap")
	_, here, _, _ := runtime.Caller(0)
	root, err := exec.Command(filepath.Join(filepath.Dir(here), "../../test/systemd/rootfs.sh")).Output()
	if err != nil {
		ns.t.Fatalf("making the root file system: %v", err)
	}
	return ns.shell(ns.Command("unshare", "--uts", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", resolvedScript, "resolved",
		strings.TrimSpace(string(root)), ns.t.TempDir(), protocol))
}
