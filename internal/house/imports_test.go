package house

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

const module = "server22.local/appliance"

// rules say which packages a folder's non-test code may import beyond the
// standard library and itself. A prefix ends in "/...".
var rules = []struct {
	from  string
	allow []string
}{
	{"realtime/...", []string{
		"github.com/gorilla/websocket",
		"github.com/vmihailenco/msgpack/v5",
	}},
	{"discovery/...", []string{
		"github.com/miekg/dns", "golang.org/x/net/...", "golang.org/x/sys/unix", "golang.org/x/sync/...",
		"github.com/grandcat/zeroconf", "github.com/godbus/dbus/v5", "github.com/holoplot/go-avahi",
		"github.com/vishvananda/netlink/...", "github.com/vishvananda/netns",
	}},
	{"netcfg/...", []string{
		"github.com/vishvananda/netlink/...", "github.com/vishvananda/netns",
		"github.com/insomniacslk/dhcp/...", "github.com/mdlayher/...", "github.com/miekg/dns",
		"golang.org/x/net/...", "golang.org/x/sys/unix", "golang.org/x/sync/...",
		"github.com/google/renameio/v2", "github.com/godbus/dbus/v5",
	}},
	{"internal/mqtt/...", []string{"github.com/mochi-mqtt/server/v2/...", "golang.org/x/time/rate"}},
	{"systemd/...", []string{"github.com/coreos/go-systemd/v22/..."}},
}

// verbs are what the command line may import: the daemon as a whole, the way
// to talk to it, and the libraries that verbs are users of like anybody else
// (pub, sub and chat of the client, discover of the browser, net of netcfg).
var verbs = []string{
	"internal/app", "internal/config", "internal/control",
	"systemd", "realtime/client/...", "discovery/...", "netcfg", "internal/card", "internal/update", "internal/blackbox",
}

// domains never import each other, nor anything of the daemon.
var domains = []string{"realtime", "discovery", "netcfg", "systemd"}

func TestImports(t *testing.T) {
	pkgs := load(t)
	for _, pkg := range pkgs {
		path := strings.TrimPrefix(pkg.PkgPath, module+"/")
		for imported := range pkg.Imports {
			if own, ok := strings.CutPrefix(imported, module+"/"); ok {
				checkDomain(t, path, own)
				checkTop(t, path, own)
			}
			for _, rule := range rules {
				if matches(rule.from, path) && !allowed(rule.allow, imported) {
					t.Errorf("%s imports %s; %s may not (see ARCHITECTURE.md)", path, imported, rule.from)
				}
			}
		}
	}
}

func checkDomain(t *testing.T, from, to string) {
	t.Helper()
	domain, _, _ := strings.Cut(from, "/")
	if !slices.Contains(domains, domain) {
		return
	}
	if other, _, _ := strings.Cut(to, "/"); other != domain {
		t.Errorf("%s imports %s; %s stands alone, so that others can import it", from, to, domain)
	}
}

// checkTop keeps the command line thin, and on top of everything with the root.
func checkTop(t *testing.T, from, to string) {
	t.Helper()
	if !strings.HasPrefix(from, "cmd/") {
		if to == "internal/app" {
			t.Errorf("%s imports %s, which only cmd may", from, to)
		}
		return
	}
	if !slices.ContainsFunc(verbs, func(p string) bool { return matches(p, to) }) {
		t.Errorf("%s imports %s; cmd is thin and imports only %q", from, to, verbs)
	}
}

func allowed(list []string, imported string) bool {
	if strings.HasPrefix(imported, module+"/") {
		return true // checkDomain has looked at it
	}
	if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") {
		return true // the standard library
	}
	return slices.ContainsFunc(list, func(p string) bool { return matches(p, imported) })
}

func matches(pattern, path string) bool {
	prefix, tree := strings.CutSuffix(pattern, "/...")
	return path == prefix || tree && strings.HasPrefix(path, prefix+"/")
}

func load(t *testing.T) []*packages.Package {
	t.Helper()
	pkgs, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedImports | packages.NeedFiles,
	}, module+"/...")
	if err != nil {
		t.Fatalf("loading the packages: %v", err)
	}
	if len(pkgs) < 2 {
		t.Fatalf("loaded %d packages; expected the whole module", len(pkgs))
	}
	return pkgs
}
