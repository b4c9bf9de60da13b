package netcfg

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// procFS makes files of /proc, and one socket that is ours (inode 77).
func procFS(t *testing.T, files map[string]string) (root string) {
	t.Helper()
	root = t.TempDir()
	if err := os.MkdirAll(root+"/proc/self/fd", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("socket:[77]", root+"/proc/self/fd/5"); err != nil {
		t.Fatal(err)
	}
	for path, text := range files {
		if err := os.MkdirAll(filepath.Dir(root+path), 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, root+path, text)
	}
	return root
}

func TestDHCPClientsByTheirSockets(t *testing.T) {
	t.Parallel()
	const (
		udpHead    = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n"
		packetHead = "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n"
		anyUDP     = "  42: 00000000:0044 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 31 2 0000000000000000 0\n"
		boundUDP   = "  42: 1601520A:0044 00000000:0000 07 00000000:00000000 00:00000000 00000000   998        0 32 2 0000000000000000 0\n"
		packets    = "0000000000000000 3      3    0003   7     1 0      0      33    \n"
	)
	for _, test := range []struct {
		name, udp, packet, want string
	}{
		{"nothing", "", "", ""},
		{"a client in the old way", anyUDP, packets, "a program of user 0 holds UDP port 68"},
		{"of another link", anyUDP, strings.Replace(packets, " 7 ", " 8 ", 1), ""},
		{"and a sniffer of another user", anyUDP, strings.Replace(packets, "0      33", "1      33", 1), ""},
		{"a client for our address", boundUDP, "", "a program of user 998 holds UDP port 68"},
		{"a client for another address", strings.Replace(boundUDP, "1601", "1701", 1), "", ""},
		{"ours", strings.Replace(anyUDP, " 31 ", " 77 ", 1), packets, ""},
		{"another port", strings.Replace(anyUDP, ":0044", ":0043", 1), packets, ""},
		{"torn", "  42: x\n" + anyUDP, "0\n" + packets, "a program of user 0 holds UDP port 68"},
	} {
		finder := OwnerFinder{Bus: "unix:path=/nonexistent", Root: procFS(t, map[string]string{
			"/proc/self/net/udp": udpHead + test.udp, "/proc/self/net/packet": packetHead + test.packet,
		})}
		link := Link{Index: 7, Name: "eth7", Addrs: []Addr{{Prefix: prefixes("10.82.1.22/24")[0]}}}
		owner, found := finder.Find(t.Context(), &Snapshot{Links: []Link{link}}, link)
		if owner.Evidence != test.want || found != (test.want != "") {
			t.Errorf("%s: found %v, %q; want %q", test.name, found, owner.Evidence, test.want)
		}
	}
}

// The client of `net run` is foreign neither to `net plan` nor to `doctor`; to
// `net run` itself it would be, since its own sockets are left out before.
func TestDHCPClientOfOurOtherProcess(t *testing.T) {
	t.Parallel()
	root := procFS(t, map[string]string{
		"/proc/self/net/udp":    "  42: 00000000:0044 00000000:0000 07 00000000:00000000 00:00000000 00000000   998        0 31 2 0000000000000000 0\n",
		"/proc/self/net/packet": "0000000000000000 3      3    0800   7     1 0      998      33    \n",
	})
	finder := OwnerFinder{Bus: "unix:path=/nonexistent", Root: root}
	for _, test := range []struct {
		name       string
		origin     Origin
		configures bool
		want       bool // a foreign client
	}{
		{"leased by us", FromLease, false, false},
		{"link-local by us, asking still", FromLinkLocal, false, false},
		{"not ours", 0, false, true},
		{"beside our own client", FromLease, true, true},
	} {
		finder.configures = test.configures
		link := Link{Index: 7, Name: "eth7", Addrs: []Addr{{Prefix: prefixes("10.82.1.22/24")[0], Protocol: int(test.origin)}}}
		if owner, found := finder.Find(t.Context(), &Snapshot{Links: []Link{link}}, link); found != test.want {
			t.Errorf("%s: found %v, %q", test.name, found, owner.Evidence)
		}
	}
}

func TestDHCPClientsByTheirNames(t *testing.T) {
	t.Parallel()
	self := itoa(os.Getpid()) // which is in our network
	for _, test := range []struct {
		comm, line string
		link       string
		want       bool
	}{
		{"dhclient", "dhclient -4 -v -pf /run/x.pid eth7", "eth7", true},
		{"dhclient", "dhclient -4 -v -pf /run/x.pid eth8", "eth7", false},
		{"dhclient", "dhclient", "eth7", true},
		{"dhclient", "dhclient -6 eth7", "eth7", false},
		{"udhcpc", "udhcpc -i eth7 -f", "eth7", true},
		{"udhcpc", "udhcpc -ieth7", "eth7", true},
		{"udhcpc", "udhcpc", "eth7", false},
		{"udhcpc", "udhcpc", "eth0", true},
		{"busybox", "busybox udhcpc -i eth7", "eth7", true},
		{"busybox", "busybox httpd eth7", "eth7", false},
		{"busybox", "", "eth7", false},
		{"dhcpcd", "dhcpcd: [manager]", "eth7", true},
		{"vim", "vim dhclient eth7", "eth7", false},
	} {
		finder := OwnerFinder{Bus: "unix:path=/nonexistent", Root: procFS(t, map[string]string{
			"/proc/" + self + "/comm": test.comm + "\n", "/proc/" + self + "/cmdline": strings.ReplaceAll(test.line, " ", "\x00") + "\x00",
		})}
		link, other := Link{Index: 7, Name: test.link}, Link{Index: 8, Name: "eth8"}
		if owner, found := finder.Find(t.Context(), &Snapshot{Links: []Link{link, other}}, link); found != test.want {
			t.Errorf("%q for %s: found %v, %+v", test.line, test.link, found, owner)
		}
	}
}
