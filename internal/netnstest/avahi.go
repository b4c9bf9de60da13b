package netnstest

import (
	_ "embed"

	"server22.local/appliance/internal/need"
)

//go:embed avahi.sh
var avahiScript string

// Avahi starts a shell beside an Avahi of its own: with its D-Bus, and with
// host names looked up by multicast DNS, as most Linux desktops have it. It
// wants to be called name, and is told to be called got in the end, which
// differs where somebody else has the name. Its cache knows only what it hears
// from now on.
func (ns *NS) Avahi(name, got string) *Shell {
	ns.t.Helper()
	need.Command(ns.t, "avahi-daemon", "avahi-resolve", "avahi-browse", "dbus-daemon", "unshare")
	return ns.shell(ns.Command("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", avahiScript, "avahi", name, got))
}
